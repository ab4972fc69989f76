"""What JSON can hold."""

import math
import numbers
from collections.abc import Mapping
from typing import Any


def of(value: Any) -> Any:
    """Return a value with dicts for mappings, lists for tuples, and Python's numbers for numpy's."""
    if isinstance(value, Mapping):
        return {name: of(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [of(one) for one in value]
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def is_number(value: Any) -> bool:
    """Whether this is a finite number; True is one to Python, and a mistake to everybody else."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def is_plain(value: Any) -> bool:
    """Whether JSON can hold this, once it has gone through ``of``."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and is_plain(one) for name, one in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(one) for one in value)
    return value is None or isinstance(value, str | bool) or is_number(value)


def shown(value: Any) -> str:
    """Return how a value is shown in a message: cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
