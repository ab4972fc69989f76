"""How many trials a tuner needs, measured beside its peers: ``make bench-search``."""
