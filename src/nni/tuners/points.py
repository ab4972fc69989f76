"""From numbers to parameters and back: what every tuner sees of a search space.

A tuner works on a plain number per dimension: an index, an integer, or a real in an interval. ``draw`` walks the space,
takes a number for each dimension that counts (of a nested choice only those in the chosen branch) and returns the
parameters with the types that trials expect. ``locate`` goes the other way. ``size`` and ``at`` number the points of a
space that has finitely many.
"""

import dataclasses
import decimal
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
Take = Callable[[str, Domain], Number]
"""Returns the number of a dimension, which is named by its path in the space."""
Located = Mapping[str, tuple[Domain, Number]]
"""The numbers of the dimensions that count, in the order of the walk."""


@dataclasses.dataclass(frozen=True, slots=True)
class Numeric:
    """A dimension whose values are numbers."""

    name: str
    path: str
    domain: Integers | Reals
    to_value: Callable[[Number], Number]
    to_number: Callable[[Number], float]
    step: Number | None = None
    """The distance of its values where they are on a grid between bounds."""

    @property
    def steps(self) -> range | None:
        """The multiples of ``step`` that its values are; None when they are too many to number."""
        if isinstance(self.domain, Integers):
            return range(self.domain.low, self.domain.high + 1)
        if self.step is None:
            return None
        return range(round(self.domain.low / self.step), round(self.domain.high / self.step) + 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Branch:
    """A nested option: its name, and the dimensions that count when it is chosen."""

    name: Any
    space: "Space"


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """A dimension whose values are listed."""

    name: str
    path: str
    options: tuple[Any, ...]
    """Values of any JSON type, or branches."""

    @property
    def domain(self) -> Categories:
        """An index for each option."""
        return Categories(len(self.options))


Space = tuple[Numeric | Choice, ...]


def parse(search_space: Mapping[str, Any], above: Sequence[str | int] = ()) -> Space:
    """Return the dimensions of a search space that has been found valid."""
    return tuple(_dimension(name, entry, [*above, name]) for name, entry in search_space.items() if name != "_name")


def draw(space: Space, take: Take) -> dict[str, Any]:
    """Return parameters, taking a number for each dimension that counts."""
    parameters: dict[str, Any] = {}
    for dimension in space:
        number = take(dimension.path, dimension.domain)
        if isinstance(dimension, Numeric):
            parameters[dimension.name] = dimension.to_value(number)
        else:
            option = dimension.options[int(number)]
            is_branch = isinstance(option, Branch)
            value = {"_name": option.name, **draw(option.space, take)} if is_branch else option
            parameters[dimension.name] = value
    return parameters


def locate(space: Space, parameters: Mapping[str, Any]) -> dict[str, tuple[Domain, Number]] | None:
    """Return the numbers that would give these parameters, by path; None when they are not of this space."""
    found: dict[str, tuple[Domain, Number]] = {}
    for dimension in space:
        if dimension.name not in parameters:
            return None
        value = parameters[dimension.name]
        inner = _locate_choice(dimension, value) if isinstance(dimension, Choice) else _locate_number(dimension, value)
        if inner is None:
            return None
        found |= inner
    return found


def size(space: Space) -> int | None:
    """Return how many points a space has, counting equal ones; None when they cannot be numbered."""
    product = 1
    for dimension in space:
        own = _size(dimension)
        if own is None:
            return None
        product *= own
    return product


def at(space: Space, index: int) -> dict[str, Any]:
    """Return the parameters of one point of a space with a size, numbered from 0."""
    parameters = {}
    for dimension in space:
        own = _size(dimension)
        assert own is not None  # noqa: S101 the caller has asked for the size
        index, inner = divmod(index, own)
        parameters[dimension.name] = _at(dimension, inner)
    return parameters


def _at(dimension: Numeric | Choice, index: int) -> Any:
    if isinstance(dimension, Numeric):
        steps = dimension.steps or range(0)
        return dimension.to_value(steps[index] * (dimension.step or 1))
    for option in dimension.options:
        own = size(option.space) or 1 if isinstance(option, Branch) else 1
        if index < own:
            return {"_name": option.name, **at(option.space, index)} if isinstance(option, Branch) else option
        index -= own
    raise IndexError(index)


def _size(dimension: Numeric | Choice) -> int | None:
    if isinstance(dimension, Numeric):
        return None if dimension.steps is None else len(dimension.steps)
    sizes = [size(option.space) if isinstance(option, Branch) else 1 for option in dimension.options]
    known = [own for own in sizes if own is not None]
    return sum(known) if len(known) == len(sizes) else None


def _locate_choice(dimension: Choice, value: Any) -> dict[str, tuple[Domain, Number]] | None:
    for index, option in enumerate(dimension.options):
        here: dict[str, tuple[Domain, Number]] = {dimension.path: (dimension.domain, index)}
        if isinstance(option, Branch):
            if isinstance(value, Mapping) and value.get("_name") == option.name:
                inner = locate(option.space, value)
                return None if inner is None else here | inner
        elif json.dumps(option, sort_keys=True) == json.dumps(value, sort_keys=True):
            return here
    return None


def _locate_number(dimension: Numeric, value: Any) -> dict[str, tuple[Domain, Number]] | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number: Number = dimension.to_number(value)
    except ValueError:
        return None  # the logarithm of what is not above zero
    if not dimension.domain.low <= number <= dimension.domain.high:
        return None
    return {dimension.path: (dimension.domain, int(number) if isinstance(dimension.domain, Integers) else number)}


def _dimension(name: str, entry: Mapping[str, Any], path: Sequence[str | int]) -> Numeric | Choice:
    kind, arguments = entry["_type"], entry["_value"]
    written = json.dumps(path)
    if kind == "choice":
        return Choice(name, written, tuple(_option(option, [*path, place]) for place, option in enumerate(arguments)))
    if kind == "randint":
        return Numeric(name, written, Integers(math.ceil(arguments[0]), math.ceil(arguments[1]) - 1), int, float)
    step = arguments[2] if kind.startswith("q") else None
    base = kind.removeprefix("q")
    if base in ("uniform", "loguniform"):
        low, high = arguments[0], arguments[1]
        domain = Reals(float(low), float(high), is_log=base == "loguniform")
        to_value = float if step is None else lambda number: min(max(_on_grid(number, step), low), high)
        return Numeric(name, written, domain, to_value, float, step)
    return _normal(name, written, base, arguments, step)


def _option(option: Any, path: Sequence[str | int]) -> Any:
    if isinstance(option, Mapping) and "_name" in option:
        return Branch(option["_name"], parse(option, path))
    return option


def _normal(name: str, path: str, base: str, arguments: Sequence[Number], step: Number | None) -> Numeric:
    """Return a dimension of the normal family: a tuner sees its cumulative distribution, from 0 to 1."""
    mean, deviation = arguments[0], arguments[1]

    def to_value(number: Number) -> Number:
        value = mean + deviation * _NORMAL.inv_cdf(number)
        if base == "lognormal":
            value = math.exp(value)
        return value if step is None else _on_grid(value, step)

    def to_number(value: Number) -> float:
        plain = math.log(value) if base == "lognormal" else value
        return min(max(_NORMAL.cdf((plain - mean) / deviation), _TAIL), 1 - _TAIL)

    return Numeric(name, path, Reals(_TAIL, 1 - _TAIL), to_value, to_number)


def _on_grid(number: Number, step: Number) -> Number:
    """Return the nearest multiple of a step, of the step's type, without binary dust (0.3, not 0.30000000000000004)."""
    multiple = round(number / step)
    return multiple * step if isinstance(step, int) else float(multiple * decimal.Decimal(repr(step)))
