"""Bytes and names that cross between pod and manager: Python 3.8, standard library alone."""
