"""The experiment's database, and the list of this machine's experiments."""
