"""Draws from the types of NNI's search spaces, under the names that NNI's users import; for tuners of their own.

Each takes what stands in ``_value``, then the source of chance, a ``numpy.random.RandomState``; nothing else here needs
numpy for. A quantised value is the nearest multiple of ``q``, and stays within bounds where there are any.
"""

import math
from typing import Any, Sequence


def choice(options: Sequence[Any], random_state: Any) -> Any:
    """Return one of some options."""
    return random_state.choice(options)


def randint(lower: int, upper: int, random_state: Any) -> Any:
    """Return a whole number from ``lower`` on, below ``upper``."""
    return random_state.randint(lower, upper)


def uniform(low: float, high: float, random_state: Any) -> float:
    """Return a number between two."""
    return float(random_state.uniform(low, high))


def quniform(low: float, high: float, q: float, random_state: Any) -> float:
    """Return a multiple of ``q`` between two numbers."""
    return _cut(_rounded(uniform(low, high, random_state), q), low, high)


def loguniform(low: float, high: float, random_state: Any) -> float:
    """Return a number between two whose logarithm is drawn evenly."""
    return math.exp(uniform(math.log(low), math.log(high), random_state))


def qloguniform(low: float, high: float, q: float, random_state: Any) -> float:
    """Return a multiple of ``q`` between two numbers, before whose rounding the logarithm is drawn evenly."""
    return _cut(_rounded(loguniform(low, high, random_state), q), low, high)


def normal(mu: float, sigma: float, random_state: Any) -> float:
    """Return a number of a normal distribution."""
    return float(random_state.normal(mu, sigma))


def qnormal(mu: float, sigma: float, q: float, random_state: Any) -> float:
    """Return a number of a normal distribution, rounded to a multiple of ``q``."""
    return _rounded(normal(mu, sigma, random_state), q)


def lognormal(mu: float, sigma: float, random_state: Any) -> float:
    """Return a number whose logarithm is of a normal distribution."""
    return math.exp(normal(mu, sigma, random_state))


def qlognormal(mu: float, sigma: float, q: float, random_state: Any) -> float:
    """Return a number whose logarithm is of a normal distribution, rounded to a multiple of ``q``."""
    return _rounded(lognormal(mu, sigma, random_state), q)


def _rounded(value: float, q: float) -> float:
    return float(round(value / q) * q)


def _cut(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
