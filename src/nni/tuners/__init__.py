"""Algorithms and the process that they run in; Optuna is imported nowhere else."""
