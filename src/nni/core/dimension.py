"""The dimensions of a search space: NNI's ten types as records.

A search space is ``{name: {"_type": type, "_value": [...]}}``. What each type means:

===================================  ================================================================================
type and value                       meaning
===================================  ================================================================================
``choice`` [option, ...]             one of the options, all alike; an option is anything that JSON can hold
``choice`` [{"_name": n, ...}, ...]  nested: every option has a name, and below it a search space of its own that
                                     counts only when the option is chosen; the trial gets ``{"_name": n, ...}``
``randint`` [low, high]              an int, low <= x < high, all alike
``uniform`` [low, high]              a float, low <= x <= high, all alike
``quniform`` [low, high, q]          ``round(x / q) * q`` of a uniform x, then clipped to low and high
``loguniform`` [low, high]           a float whose logarithm is uniform; low above zero
``qloguniform`` [low, high, q]       ``round(x / q) * q`` of a loguniform x, then clipped to low and high
``normal`` [mu, sigma]               a float, normally distributed; without bounds
``qnormal`` [mu, sigma, q]           ``round(x / q) * q`` of a normal x; not clipped
``lognormal`` [mu, sigma]            a float whose natural logarithm is normal: mu and sigma are the logarithm's
``qlognormal`` [mu, sigma, q]        ``round(x / q) * q`` of a lognormal x; not clipped
===================================  ================================================================================

``round`` is Python's, half to even. A quantised value is an int when all its numbers were written as
ints, else a float.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """What all dimensions have."""

    name: str
    """As the trial gets it."""
    key: str
    """Names it in the whole space: the name at the top, ``parent[option].name`` below an option."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Dimension):
    """One of some options."""

    options: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One option of a nested choice."""

    name: str
    below: "Space"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NestedChoice(Dimension):
    """One of some search spaces."""

    branches: tuple[Branch, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RandInt(Dimension):
    """An int from ``low`` up to but not including ``high``."""

    low: int
    high: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(Dimension):
    """A number between bounds: uniform, quniform, loguniform, qloguniform."""

    low: float
    high: float
    q: float | None = None
    """Step; None when continuous."""
    is_log: bool = False
    """Whether the logarithm is uniform."""

    def settle(self, value: float) -> float:
        """Return the value that a trial gets for one drawn between the bounds: on the grid and in the bounds."""
        return value if self.q is None else min(max(_quantized(value, self.q), self.low), self.high)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Normal(Dimension):
    """A number around a mean: normal, qnormal, lognormal, qlognormal."""

    mu: float
    """Mean; of the natural logarithm when ``is_log``, and so is ``sigma``."""
    sigma: float
    q: float | None = None
    is_log: bool = False

    def settle(self, value: float) -> float:
        """Return the value that a trial gets for one drawn (for ``is_log``, after ``exp``): on the grid."""
        return value if self.q is None else _quantized(value, self.q)


AnyDimension = Choice | NestedChoice | RandInt | Uniform | Normal
Space = tuple[AnyDimension, ...]


def _quantized(value: float, q: float) -> float:
    return round(value / q) * q
