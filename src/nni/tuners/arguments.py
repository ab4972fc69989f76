"""The arguments of tuners and assessors: what each may be, and every mistake in them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nni import errors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What an argument may be."""

    kind: type
    default: Any = None
    """An argument whose default is None may be None."""
    is_needed: bool = False
    """Whether it must be given."""
    meaning: str = ""
    """What it is to one who left it out, where it is needed."""
    values: tuple[Any, ...] = ()
    """The only ones allowed; any of its kind when empty."""
    minimum: float | None = None
    maximum: float | None = None
    members: Mapping[str, "Argument"] = dataclasses.field(default_factory=dict)
    """The arguments in an argument that is a mapping."""
    each: "Argument | None" = None
    """What every value in an argument that is a mapping of any names must be."""
    gone: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Members and values that NNI has and this tuner has not, with what to do instead."""


def problems(
    valid: Mapping[str, Argument], gone: Mapping[str, str], given: Mapping[str, Any], path: str, what: str
) -> list[errors.Problem]:
    """Return every mistake in arguments.

    Args:
        valid: What there is.
        gone: What NNI has and this algorithm has not, with what to do instead.
        given: What the user wrote.
        path: Where the user wrote it.
        what: What they are: ``an argument of TPE``.
    """
    found = []
    for name, value in given.items():
        where = f"{path}.{name}"
        if name in gone and name not in valid:
            found.append(errors.Problem(where, f"has no counterpart in this tuner; {gone[name]}"))
        elif name not in valid:
            found.append(errors.Problem(where, f"is not {what}; there are {_listed(valid)}"))
        else:
            found += _value(valid[name], value, where)
    missing = [name for name, one in valid.items() if one.is_needed and given.get(name) is None]
    return found + [
        errors.Problem(f"{path}.{name}", f"is not set; it must be {valid[name].meaning or _allowed(valid[name])}")
        for name in missing
    ]


def _value(argument: Argument, value: Any, where: str) -> list[errors.Problem]:
    if isinstance(value, str) and value in argument.gone:
        return [errors.Problem(where, f"{value!r} has no counterpart in this tuner; {argument.gone[value]}")]
    if value is None and argument.default is None and not argument.values and not argument.is_needed:
        return []
    if isinstance(value, Mapping) and argument.each is not None:
        return [one for name, member in value.items() for one in _value(argument.each, member, f"{where}.{name}")]
    if isinstance(value, Mapping) and argument.kind is dict:
        return problems(argument.members, argument.gone, value, where, f"one of {where.rpartition('.')[2]}")
    is_right = value in argument.values if argument.values else _is_a(argument, value)
    return [] if is_right else [errors.Problem(where, f"must be {_allowed(argument)}, not {value!r}")]


def _is_a(argument: Argument, value: Any) -> bool:
    kind = (int, float) if argument.kind is float else argument.kind
    if not isinstance(value, kind) or isinstance(value, bool) is not (argument.kind is bool):
        return False
    if not isinstance(value, int | float):
        return True
    return (argument.minimum is None or value >= argument.minimum) and (
        argument.maximum is None or value <= argument.maximum
    )


def _allowed(argument: Argument) -> str:
    """Return what an argument may be, in words."""
    if argument.values:
        return " or ".join("null" if value is None else repr(value) for value in argument.values)
    if argument.each is not None:
        return f"a mapping of names to {_allowed(argument.each)}"
    if argument.kind is dict:
        return f"a mapping with any of {_listed(argument.members)}"
    words = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}[argument.kind]
    if argument.minimum is not None and argument.maximum is not None:
        words += f" from {argument.minimum} to {argument.maximum}"
    elif argument.minimum is not None:
        words += f" of at least {argument.minimum}"
    return words + (" or null" if argument.default is None and not argument.is_needed else "")


def _listed(valid: Mapping[str, Any]) -> str:
    return ", ".join(valid)


def filled(valid: Mapping[str, Argument], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return all arguments, with the defaults of those that were not given."""
    complete = {}
    for name, argument in valid.items():
        value = given.get(name, argument.default)
        complete[name] = filled(argument.members, value or {}) if argument.members else value
    return complete
