"""What JSON can hold."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

_DEEPEST = 100
"""How many mappings and lists may stand in each other: whatever reads them goes down as far."""


def of(value: Any) -> Any:
    """Return a value with dicts for mappings, lists for tuples, and Python's numbers and lists for numpy's.

    Raises:
        RecursionError: It holds itself.
    """
    if isinstance(value, Mapping):
        return {name: of(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [of(one) for one in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    # numpy is not imported for it: its arrays, its truth values, and what others have made like them.
    return value.tolist() if hasattr(value, "dtype") and hasattr(value, "tolist") else value


def is_number(value: Any) -> bool:
    """Whether this is a finite number; True is one to Python, and a mistake to everybody else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number beyond all that others read as one.
        return False


def is_plain(value: Any) -> bool:
    """Whether JSON can hold this, once it has gone through ``of``."""
    return fault(value) is None


def fault(value: Any, name: str = "") -> str | None:
    """Return what JSON cannot hold of a value that has gone through ``of``, None when it can hold all.

    Args:
        value: What is looked at.
        name: What the value is called: ``x`` leads to ``x[1] is a set``.
    """
    return _fault(value, name, 0)


def _fault(value: Any, name: str, depth: int) -> str | None:
    if depth > _DEEPEST:
        return f"{name[:20]}... is nested more than {_DEEPEST} deep"
    if isinstance(value, Mapping):
        return next(filter(None, (_fault_of_member(name, key, one, depth) for key, one in value.items())), None)
    if isinstance(value, list | tuple):
        members = (_fault(one, f"{name}[{index}]", depth + 1) for index, one in enumerate(value))
        return next(filter(None, members), None)
    if isinstance(value, str):
        return None if _is_unicode(value) else f"{name} is {value!r}, which holds half a character"
    if value is None or isinstance(value, bool) or is_number(value):
        return None
    if isinstance(value, int):
        return f"{name} is an integer too large for a number"
    if isinstance(value, float):
        return f"{name} is {value!r}, which JSON has no number for"
    return f"{name} is {shown(value)}, a {type(value).__name__}"


def _fault_of_member(name: str, key: Any, value: Any, depth: int) -> str | None:
    if not isinstance(key, str) or not _is_unicode(key):
        return f"{name or 'it'} has the name {shown(key)}, which is not text"
    return _fault(value, f"{name}.{key}" if name else key, depth + 1)


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: JSON lets halves of surrogate pairs through."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def shown(value: Any) -> str:
    """Return how a value is shown in a message: cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python writes no whole number of more than some thousand digits.
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else text[:57] + "..."
