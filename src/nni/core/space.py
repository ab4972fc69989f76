"""Reads search spaces, and goes between them and the parameters of a trial. ``dimension`` says what the types mean."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import dimension, nearest, plain
from nni.core.dimension import Space

_MOST_WHOLE = 2**50
"""Beyond, whole numbers, as shares of a range, cannot be told apart by those who count with floats."""
_LARGEST, _SMALLEST = 1e300, 1e-300
"""What a number and a range may be: tuners add, halve and divide them."""
_FINEST = 1e-12
"""What a range may be beside its numbers, so that there are many between its ends."""
_SIGMAS = 6.0
"""How far from its mean a normal parameter comes."""


def parse(value: Any, path: str = "search_space") -> Space:
    """Return a search space as records, in the order in which it was written.

    Args:
        value: The search space, as JSON or YAML gives it; tuples do for lists.
        path: Where it stands, for messages.

    Raises:
        ConfigError: There are mistakes; all of them are named by path: ``search_space.lr._value[1]``.
    """
    problems: list[errors.Problem] = []
    found = _parse_space(value, path, "", problems)
    if not found and not problems:
        problems.append(errors.Problem(path, "is empty; add a parameter at least"))
    keys = [one.key for one in walk(found)]
    problems += [
        errors.Problem(path, f"two parameters are called {key!r}") for key in sorted(set(keys)) if keys.count(key) > 1
    ]
    if problems:
        raise errors.ConfigError(problems)
    return found


def walk(space: Space) -> Iterator[dimension.AnyDimension]:
    """Iterate over all dimensions, those below options too, each after its parent."""
    for one in space:
        yield one
        if isinstance(one, dimension.NestedChoice):
            for branch in one.branches:
                yield from walk(branch.below)


def assemble(space: Space, draw: Callable[[dimension.AnyDimension], Any]) -> dict[str, Any]:
    """Return the parameters of a trial, nested as NNI nests them.

    Args:
        space: What to fill.
        draw: Called once for each dimension that counts, a parent before its children. It returns the index of the
            option for ``Choice`` and ``NestedChoice``, the value itself for the others.
    """
    made: dict[str, Any] = {}
    for one in space:
        drawn = draw(one)
        match one:
            case dimension.Choice():
                made[one.name] = one.options[drawn]
            case dimension.NestedChoice():
                branch = one.branches[drawn]
                made[one.name] = {"_name": branch.name, **assemble(branch.below, draw)}
            case _:
                made[one.name] = drawn
    return made


def flatten(space: Space, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's parameters by key, options by index: what ``assemble`` was given.

    Raises:
        ValueError: They do not fit the space: a name is missing or unknown, an option does not exist.
    """
    strange = sorted(set(parameters) - {one.name for one in space} - {"_name"})
    if strange:
        raise ValueError(f"{nearest.either(strange)} is not in the search space")
    made: dict[str, Any] = {}
    for one in space:
        if one.name not in parameters:
            raise ValueError(f"{one.key!r} is missing")
        value = parameters[one.name]
        match one:
            case dimension.Choice():
                made[one.key] = _index(one, value, one.options)
            case dimension.NestedChoice():
                name, below = _split(value)
                made[one.key] = index = _index(one, name, [branch.name for branch in one.branches])
                made.update(flatten(one.branches[index].below, below))
            case _:
                made[one.key] = value
    return made


def _split(value: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the name of a chosen option and what is below it."""
    return (value.get("_name"), value) if isinstance(value, Mapping) else (value, {})


def _index(one: dimension.Dimension, value: Any, options: Sequence[Any]) -> int:
    # 1 == True == 1.0, and all three may be options.
    for index, option in enumerate(options):
        if option == value and type(option) is type(value):
            return index
    if value not in options:
        raise ValueError(f"{value!r} is not an option of {one.key!r}")
    return options.index(value)


def _parse_space(value: Any, path: str, key: str, problems: list[errors.Problem]) -> Space:
    """Return the records; mistakes are added to the problems."""
    if not isinstance(value, Mapping):
        problems.append(errors.Problem(path, f"{plain.shown(value)} is not a mapping of names to search spaces"))
        return ()
    found = []
    for name, described in value.items():
        if key and name == "_name":
            continue
        spot = _Spot(path=_member(path, name), name=name, key=f"{key}.{name}" if key else name, problems=problems)
        if not isinstance(name, str):
            spot.wrong("", f"the name {name!r} is not text; put it in quotes")
        elif (one := _parse_dimension(described, spot)) is not None:
            found.append(one)
    return tuple(found)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A dimension being read."""

    path: str
    name: str
    key: str
    problems: list[errors.Problem]

    def wrong(self, below: str, message: str) -> None:
        self.problems.append(errors.Problem(self.path + below, message))


def _parse_dimension(described: Any, spot: _Spot) -> dimension.AnyDimension | None:
    example = 'write {"_type": "uniform", "_value": [0, 1]}'
    if not isinstance(described, Mapping):
        spot.wrong("", f"{plain.shown(described)} is not a search space; {example}")
        return None
    for name in described:
        if name not in ("_type", "_value"):
            spot.wrong(f".{name}", f"is not known here; {nearest.advice(str(name), ('_type', '_value'))}")
    if "_type" not in described or "_value" not in described:
        missing = "_value" if "_type" in described else "_type"
        spot.wrong(f".{missing}", f"is not set; {example}")
        return None
    kind, values = described["_type"], described["_value"]
    if not isinstance(kind, str) or kind not in _PARSERS:
        spot.wrong("._type", f"{plain.shown(kind)} is not a type; {nearest.advice(str(kind), list(_PARSERS))}")
        return None
    if not isinstance(values, list | tuple):
        spot.wrong("._value", f"{plain.shown(values)} is not a list")
        return None
    return _PARSERS[kind](kind, values, spot)


def _parse_choice(kind: str, options: Sequence[Any], spot: _Spot) -> dimension.AnyDimension | None:
    if not options:
        spot.wrong("._value", "is empty; write the options to choose from")
        return None
    named = [isinstance(option, Mapping) and "_name" in option for option in options]
    if all(named):
        return _parse_nested(options, spot)
    if any(named):
        spot.wrong(f"._value[{named.index(False)}]", "has no _name, and other options have one; name all or none")
    for index, option in enumerate(options):
        if not plain.is_plain(option):
            spot.wrong(
                f"._value[{index}]",
                f"{plain.shown(option)} cannot be written as JSON; use text, numbers, lists, mappings",
            )
    return dimension.Choice(name=spot.name, key=spot.key, options=tuple(plain.of(option) for option in options))


def _parse_nested(options: Sequence[Mapping[str, Any]], spot: _Spot) -> dimension.AnyDimension:
    branches: list[dimension.Branch] = []
    for index, option in enumerate(options):
        name, below = option["_name"], f"._value[{index}]"
        if not isinstance(name, str):
            spot.wrong(f"{below}._name", f"{plain.shown(name)} is not text")
        elif name in [branch.name for branch in branches]:
            spot.wrong(f"{below}._name", f"{name!r} is there twice")
        space = _parse_space(option, spot.path + below, f"{spot.key}[{name}]", spot.problems)
        branches.append(dimension.Branch(name=str(name), below=space))
    return dimension.NestedChoice(name=spot.name, key=spot.key, branches=tuple(branches))


def _parse_randint(kind: str, values: Sequence[Any], spot: _Spot) -> dimension.AnyDimension | None:
    bounds = _numbers(kind, values, ("low", "high"), spot)
    if bounds is None:
        return None
    for index, bound in enumerate(bounds):
        if bound != int(bound):
            spot.wrong(f"._value[{index}]", f"{bound!r} is not a whole number, and {kind} draws such")
        elif abs(bound) > _MOST_WHOLE:
            spot.wrong(f"._value[{index}]", f"{bound!r} is beyond {_MOST_WHOLE}, where numbers are hard to tell apart")
    _check_order(bounds, spot)
    return dimension.RandInt(name=spot.name, key=spot.key, low=int(bounds[0]), high=int(bounds[1]))


def _parse_uniform(kind: str, values: Sequence[Any], spot: _Spot) -> dimension.AnyDimension | None:
    read = _numbers(kind, values, ("low", "high", "q") if kind.startswith("q") else ("low", "high"), spot)
    if read is None:
        return None
    is_log = "log" in kind
    _check_order(read, spot)
    if is_log and read[0] <= 0:
        spot.wrong("._value[0]", f"{read[0]!r} is not above 0, and has no logarithm")
    elif read[0] < read[1]:
        _check_range(float(read[0]), float(read[1]), spot, is_log=is_log)
    q = _step(read, spot, max(map(abs, read[:2])))
    return dimension.Uniform(name=spot.name, key=spot.key, low=read[0], high=read[1], q=q, is_log=is_log)


def _parse_normal(kind: str, values: Sequence[Any], spot: _Spot) -> dimension.AnyDimension | None:
    read = _numbers(kind, values, ("mu", "sigma", "q") if kind.startswith("q") else ("mu", "sigma"), spot)
    if read is None:
        return None
    if read[1] <= 0:
        spot.wrong("._value[1]", f"{read[1]!r} is not above 0, and sigma must be")
        return None
    is_log = "log" in kind
    ends = [float(read[0]) + side * float(read[1]) for side in (-_SIGMAS, _SIGMAS)]
    if is_log and not all(math.log(_SMALLEST) <= end <= math.log(_LARGEST) for end in ends):
        spot.wrong(
            "._value",
            f"{plain.shown(read[:2])} goes from e^{ends[0]:.6g} to e^{ends[1]:.6g}, beyond what numbers can be; mu and "
            "sigma are those of the logarithm",
        )
        return None
    low, high = map(math.exp, ends) if is_log else ends
    _check_range(low, high, spot)
    q = _step(read, spot, max(abs(low), abs(high)))
    return dimension.Normal(name=spot.name, key=spot.key, mu=read[0], sigma=read[1], q=q, is_log=is_log)


def _check_range(low: float, high: float, spot: _Spot, *, is_log: bool = False) -> None:
    """Report a range that no tuner can draw from: too wide, or with hardly a number in it."""
    span = f"goes from {low:.6g} to {high:.6g}"
    if max(abs(low), abs(high)) > _LARGEST:
        spot.wrong("._value", f"{span}, and nothing may be beyond {_LARGEST:g}")
    elif is_log and not math.isfinite(high / low):
        spot.wrong("._value", f"{span}, more orders of magnitude than numbers have")
    elif high - low < max(_FINEST * max(abs(low), abs(high)), _SMALLEST):
        spot.wrong("._value", f"{span}, so near to each other that hardly a number is between them")


_PARSERS: Mapping[str, Callable[[str, Sequence[Any], _Spot], dimension.AnyDimension | None]] = {
    "choice": _parse_choice,
    "randint": _parse_randint,
    "uniform": _parse_uniform,
    "quniform": _parse_uniform,
    "loguniform": _parse_uniform,
    "qloguniform": _parse_uniform,
    "normal": _parse_normal,
    "qnormal": _parse_normal,
    "lognormal": _parse_normal,
    "qlognormal": _parse_normal,
}
TYPES = tuple(_PARSERS)
"""All types that there are."""


def _numbers(kind: str, values: Sequence[Any], names: Sequence[str], spot: _Spot) -> list[float] | None:
    """Return the values as numbers; None after reporting what is wrong with them."""
    if len(values) != len(names):
        spot.wrong(
            "._value", f"{plain.shown(values)} does not have the {len(names)} numbers of {kind}: [{', '.join(names)}]"
        )
        return None
    wrong = [index for index, value in enumerate(values) if not plain.is_number(value)]
    for index in wrong:
        is_whole = isinstance(values[index], int) and not isinstance(values[index], bool)
        what = "a whole number too large for others" if is_whole else "not a number"
        spot.wrong(f"._value[{index}]", f"{plain.shown(values[index])} is {what}")
    return None if wrong else [plain.of(value) for value in values]


def _check_order(bounds: Sequence[float], spot: _Spot) -> None:
    if bounds[1] <= bounds[0]:
        spot.wrong("._value[1]", f"{bounds[1]!r} is not above {bounds[0]!r}, the lower bound")


def _step(read: Sequence[float], spot: _Spot, largest: float) -> float | None:
    """Return q, None where there is none; the numbers that are rounded come up to ``largest``."""
    if len(read) < 3:
        return None
    if read[2] <= 0:
        spot.wrong("._value[2]", f"{read[2]!r} is not above 0, and q must be")
    elif read[2] > _LARGEST:
        spot.wrong("._value[2]", f"{read[2]!r} is above {_LARGEST:g}")
    elif largest / float(read[2]) > _MOST_WHOLE:
        spot.wrong("._value[2]", f"{read[2]!r} is too fine a step for numbers up to {float(largest):.6g}")
    return read[2]


def _member(path: str, name: Any) -> str:
    return f"{path}.{name}" if str(name).isidentifier() else f"{path}[{name!r}]"
