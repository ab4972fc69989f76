"""Faults: what a cluster does to those who trust it, told as data and done on demand."""
