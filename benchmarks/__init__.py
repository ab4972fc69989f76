"""The figures that this project claims, measured: ``make bench``."""
