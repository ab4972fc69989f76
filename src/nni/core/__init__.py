"""What an experiment is, and what is due next: decided here, done elsewhere.

Everything in this package is a value or a function from values to values. It performs no input or output, reads no
clock and draws no random number; events carry such things in.
"""
