"""Pods without processes: a script says how long each runs, how it ends and what it reports."""
