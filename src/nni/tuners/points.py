"""From numbers to parameters and back: what tuners see of a search space.

A tuner works on a plain number per dimension: an index, an integer, or a real in an interval. ``draw`` takes a number
for each dimension that counts (of a nested choice only those in the chosen branch) and returns the parameters that a
trial gets; ``locate`` goes the other way. ``size`` and ``at`` number the points of a space that has finitely many.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from nni.core import dimension as dimensions
from nni.core import space as spaces
from nni.core.dimension import Space

Number = int | float
_NORMAL = statistics.NormalDist()
_TAIL = 1e-9
"""Normal parameters stay within six standard deviations of their mean."""


@dataclasses.dataclass(frozen=True, slots=True)
class Categories:
    """An index from 0 to ``size - 1``, in no order."""

    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Integers:
    """An integer from ``low`` to ``high``, both included."""

    low: int
    high: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reals:
    """A number from ``low`` to ``high``, both included."""

    low: float
    high: float
    is_log: bool = False
    """Whether its logarithm is uniform."""


Domain = Categories | Integers | Reals
Take = Callable[[str, Domain], Any]
"""Returns a number in the domain of the dimension with this key."""


def draw(space: Space, take: Take) -> dict[str, Any]:
    """Return parameters, taking a number for each dimension that counts."""
    return spaces.assemble(space, lambda one: value(one, take(one.key, domain(one))))


def locate(space: Space, parameters: Mapping[str, Any]) -> dict[str, tuple[Domain, Number]] | None:
    """Return the numbers that would give these parameters, by key; None when they are not of this space."""
    try:
        flat = spaces.flatten(space, parameters)
        return {one.key: (domain(one), _number(one, flat[one.key])) for one in spaces.walk(space) if one.key in flat}
    except (TypeError, ValueError):
        return None


def at_share(domain: Domain, share: float) -> Number:
    """Return the number at a share, from 0 to 1, of a domain: of its logarithm where that is uniform."""
    match domain:
        case Categories(size):
            return min(max(math.floor(share * size), 0), size - 1)
        case Integers(low, high):
            return min(max(low + math.floor(share * (high - low + 1)), low), high)
        case Reals(low, high, is_log=True):
            return min(max(low * math.exp(share * math.log(high / low)), low), high)
        case Reals(low, high):
            return min(max(low + share * (high - low), low), high)


def size(space: Space) -> int | None:
    """Return how many points a space has, counting equal ones; None when they cannot be numbered."""
    return _product([_size(one) for one in space])


def at(space: Space, index: int) -> dict[str, Any]:
    """Return the parameters of one point of a space with a size, numbered from 0."""

    def digit(one: dimensions.AnyDimension) -> Any:
        # The number is read digit by digit, the base of each being the size of its dimension.
        nonlocal index
        index, place = divmod(index, _size(one) or 1)
        match one:
            case dimensions.RandInt():
                return one.low + place
            case dimensions.Uniform(q=float() | int() as q) | dimensions.Normal(q=float() | int() as q):
                return one.settle((_multiples(one, q)[0] + place) * q)
            case dimensions.NestedChoice():
                # What is left of this digit is read below the branch that it falls into.
                for number, branch in enumerate(one.branches):
                    own = size(branch.below) or 1
                    if place < own:
                        index = index * own + place
                        return number
                    place -= own
            case _:
                pass
        return place

    return spaces.assemble(space, digit)


def domain(one: dimensions.AnyDimension) -> Domain:
    """Return what numbers a dimension takes."""
    match one:
        case dimensions.Choice():
            return Categories(len(one.options))
        case dimensions.NestedChoice():
            return Categories(len(one.branches))
        case dimensions.RandInt():
            return Integers(one.low, one.high - 1)
        case dimensions.Uniform():
            return Reals(float(one.low), float(one.high), one.is_log)
        case dimensions.Normal():
            # The cumulative distribution: uniform, so that every tuner draws from the prior that was asked for.
            return Reals(_TAIL, 1 - _TAIL)


def value(one: dimensions.AnyDimension, number: Any) -> Any:
    """Return what ``assemble`` expects for a number of a dimension."""
    match one:
        case dimensions.Uniform():
            return one.settle(number)
        case dimensions.Normal():
            plain = one.mu + one.sigma * _NORMAL.inv_cdf(number)
            return one.settle(math.exp(plain) if one.is_log else plain)
        case _:
            return number


def _number(one: dimensions.AnyDimension, value: Any) -> Number:
    """Return the number of a dimension that gives a value.

    Raises:
        TypeError, ValueError: It cannot have this value.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    number: Number = value
    if isinstance(one, dimensions.Normal):
        # What lies near zero is rounded to it.
        plain = value if not one.is_log else math.log(value) if value else -math.inf
        number = min(max(_NORMAL.cdf((plain - one.mu) / one.sigma), _TAIL), 1 - _TAIL)
    own = domain(one)
    if not isinstance(own, Categories) and not own.low <= number <= own.high:
        raise ValueError(value)
    return number


def _size(one: dimensions.AnyDimension) -> int | None:
    match one:
        case dimensions.Choice():
            return len(one.options)
        case dimensions.NestedChoice():
            sizes = [size(branch.below) for branch in one.branches]
            return None if None in sizes else sum(own or 0 for own in sizes)
        case dimensions.RandInt():
            return one.high - one.low
        case dimensions.Uniform(q=float() | int() as q) | dimensions.Normal(q=float() | int() as q):
            least, most = _multiples(one, q)
            return most - least + 1
        case _:
            return None


def _multiples(one: dimensions.Uniform | dimensions.Normal, q: float) -> tuple[int, int]:
    """Return the least and the largest multiple of its step that a number is rounded to."""
    ends = (one.low, one.high) if isinstance(one, dimensions.Uniform) else (value(one, _TAIL), value(one, 1 - _TAIL))
    return round(ends[0] / q), round(ends[1] / q)


def _product(sizes: list[int | None]) -> int | None:
    product = 1
    for own in sizes:
        if own is None:
            return None
        product *= own
    return product
