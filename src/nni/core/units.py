"""Sizes and durations, as users write them and as people read them.

Sizes are whole MiB, rounded up. A plain int is MiB; a text is a number (decimals allowed, a space before the unit too)
and one unit:

==========================  ==========================  ============================================================
unit                        meaning                     whose
==========================  ==========================  ============================================================
``b kb mb gb tb``           powers of 1024, any case    NNI's
``Ki Mi Gi Ti``             powers of 1024, any case    Kubernetes'; ``KiB MiB GiB TiB`` too
``k m g t``                 powers of 1024              NNI's page writes ``4g``
``K M G T``                 powers of 1000              Kubernetes' decimal ones, in upper case alone
==========================  ==========================  ============================================================

So ``4g``, ``4gb``, ``4GB`` and ``4Gi`` are 4096 and ``4G`` is 3815. A text without a unit is refused: it would be bytes
to Kubernetes and MiB to NNI.

Durations are whole seconds, rounded up. A plain int is seconds; a text is a number and one unit of ``d h m min s``, in
any case (``90s``, ``1.5h``, ``2 d``), or several such pairs, the largest unit first, as people read durations here
(``1h30m``, ``1 h 30 min``). NNI takes one pair alone.
"""

import decimal
import itertools
import math
import re
from collections.abc import Callable, Mapping

from nni.core import plain

_NUMBER_AND_UNIT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)
_PAIR = re.compile(r"\s*(?:\d+(?:\.\d*)?|\.\d+)\s*[A-Za-z]+", re.ASCII)

_MIB = 1024**2
_BINARY = {letter: 1024**power for power, letter in enumerate("kmgt", start=1)}
_DECIMAL = {letter: 1000**power for power, letter in enumerate("KMGT", start=1)}
_ANY_CASE = {"b": 1} | {letter + ending: size for letter, size in _BINARY.items() for ending in ("b", "i", "ib")}
LONGEST_DAYS = 1_000_000
"""The longest duration; what comes after that many days has no date."""
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

SIZE_EXAMPLES = "'4Gi', '4gb', '512Mi' or, in MiB, 4096"
DURATION_EXAMPLES = "'90s', '30m', '1.5h', '2d' or, in seconds, 3600"


def parse_size(value: str | int) -> int:
    """Return a size in MiB, at least 1.

    Raises:
        ValueError: It is no size, or not above zero; the message shows what is.
    """
    if isinstance(value, int):
        number, unit = decimal.Decimal(value), _MIB
    else:
        number, unit = _split(value, "a size", SIZE_EXAMPLES, _size_unit)
    return _above_zero(math.ceil(number * unit / _MIB), value, "a size", SIZE_EXAMPLES)


def parse_duration(value: str | int) -> int:
    """Return a duration in seconds, at least 1.

    Raises:
        ValueError: It is no duration, not above zero or above the longest; the message shows what is.
    """
    if isinstance(value, int):
        number, unit = decimal.Decimal(value), 1
    else:
        number, unit = _total(value), 1
    if number * unit > LONGEST_DAYS * _SECONDS["d"]:
        raise ValueError(f"{plain.shown(value)} is too long; write {LONGEST_DAYS}d at most, or nothing for no limit")
    return _above_zero(math.ceil(number * unit), value, "a duration", DURATION_EXAMPLES)


def format_size(mib: float) -> str:
    """Return a size for people: ``512 MiB``, ``4 GiB``, ``1.5 TiB``."""
    for unit, size in (("TiB", _MIB), ("GiB", 1024)):
        if mib >= size:
            return f"{_short(mib / size)} {unit}"
    return f"{_short(mib)} MiB"


def format_duration(seconds: float) -> str:
    """Return a duration for people, in its two largest units: ``45s``, ``2m 5s``, ``3h 20m``, ``2d 4h``."""
    left = round(seconds)
    parts = []
    for unit, length in _SECONDS.items():
        count, left = divmod(left, length)
        parts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count) or "0s"


def _size_unit(unit: str) -> int | None:
    exact: Mapping[str, int] = {**_BINARY, **_DECIMAL}
    return exact.get(unit) or _ANY_CASE.get(unit.lower())


def _duration_unit(unit: str) -> int | None:
    return _SECONDS["m"] if unit.lower() == "min" else _SECONDS.get(unit.lower())


def _total(text: str) -> decimal.Decimal:
    """Return the seconds of a duration in one unit or in several."""
    found = _PAIR.findall(text)
    are_all = len(found) > 1 and "".join(found) == text.rstrip()
    pairs = [pair.strip() for pair in found] if are_all else [text]
    parts = [_split(pair, "a duration", DURATION_EXAMPLES, _duration_unit) for pair in pairs]
    if any(after >= before for (_, before), (_, after) in itertools.pairwise(parts)):
        raise ValueError(f"{plain.shown(text)} has not its largest unit first; write {DURATION_EXAMPLES}")
    return sum((number * unit for number, unit in parts), decimal.Decimal(0))


def _split(text: str, what: str, examples: str, unit_size: Callable[[str], int | None]) -> tuple[decimal.Decimal, int]:
    """Return the number and the size of its unit."""
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{plain.shown(text)} is not {what}; write {examples}")
    number, unit = match.groups()
    if not unit:
        raise ValueError(f"{plain.shown(text)} has no unit; write {examples}")
    size = unit_size(unit)
    if size is None:
        raise ValueError(f"{plain.shown(text)} has the unknown unit {plain.shown(unit)}; write {examples}")
    return decimal.Decimal(number), size


def _above_zero(value: int, written: str | int, what: str, examples: str) -> int:
    if value <= 0:
        raise ValueError(f"{plain.shown(written)} is not {what} above zero; write {examples}")
    return value


def _short(number: float) -> str:
    """Return a number with one decimal at the most."""
    return f"{number:.1f}".removesuffix(".0")
