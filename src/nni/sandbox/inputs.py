"""Dataclasses from what files and requests carry, with one sentence for each mistake.

Fields are written in camel case: ``retry_after`` is ``retryAfter``.
"""

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from nni import errors

T = TypeVar("T")
Range = tuple[float, float]
"""Two numbers between which one is taken; one number stands for itself."""
Judge = Callable[[str, Any], str]
"""Says what is wrong with the value of a field, as far as its type does not tell; as a rule nothing."""

_WORDS = {
    "int": "a whole number, 0 or more",
    "tuple": "a number, 0 or more, or two of them that are a range, as in [1, 3]",
    "float": "a number, 0 or more",
    "bool": "true or false",
    "Sequence": "a text or a list of texts",
    "str": "a text",
}


def load(path: pathlib.Path, interpret: Callable[[Any], T]) -> T:
    """Read a file of YAML or JSON and make of its content what ``interpret`` does.

    Raises:
        ConfigError: with each mistake of the file.
    """
    import yaml  # noqa: PLC0415 - a start without a file need not pay for it

    try:
        return interpret(yaml.safe_load(path.read_text()))
    except errors.ConfigError as error:
        listed = [errors.Problem(f"{path}: {each.path}", each.message) for each in error.problems]
        raise errors.ConfigError(listed) from error
    except OSError as error:
        raise errors.ConfigError([errors.Problem(str(path), f"cannot be read: {error.strerror}.")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"is neither YAML nor JSON: {' '.join(str(error).split())}."
        raise errors.ConfigError([errors.Problem(str(path), message)]) from error


def read(
    where: str, kind: type[Any], given: Mapping[str, Any], judge: Judge, passed_over: Collection[str] = ()
) -> tuple[dict[str, Any], list[errors.Problem]]:
    """Return the values for a dataclass and the mistakes in them.

    Args:
        where: Where it stands, for the mistakes.
        kind: The dataclass.
        given: What was written.
        judge: Knows more about values.
        passed_over: Names that are not the dataclass's own.
    """
    fields = {camel(field.name): field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name in passed_over:
            continue
        if name not in fields:
            hint = nearest(str(name), fields)
            rest = f"; write {hint}" if hint else f"; it has {', '.join(fields)}"
            problems.append(errors.Problem(f"{where}.{name}", f"{kind.__name__} has no such field{rest}."))
            continue
        values[fields[name].name], message = _checked(fields[name], value, judge)
        if message:
            problems.append(errors.Problem(f"{where}.{name}", message))
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in given:
            problems.append(errors.Problem(f"{where}.{name}", f"is missing; {kind.__name__} needs it."))
    return values, problems


def write(made: Any) -> dict[str, Any]:
    """Give the data of a dataclass, without what it leaves at its default."""
    data: dict[str, Any] = {}
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        if value != field.default:
            is_list = isinstance(value, Sequence) and not isinstance(value, str)
            data[camel(field.name)] = list(value) if is_list else value
    return data


def camel(name: str) -> str:
    """Write a name as data does."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def nearest(word: str, known: Collection[str]) -> str:
    """Find the known word that was probably meant; empty for none."""
    return next(iter(difflib.get_close_matches(word, known, 1)), "")


def _checked(field: "dataclasses.Field[Any]", given: Any, judge: Judge) -> tuple[Any, str]:
    """Return the value of a field, and what is wrong with it."""
    described = str(field.type)
    wanted = next(word for word in _WORDS if word in described)
    if given is None and "None" in described:
        return None, ""
    if wanted == "Sequence" and isinstance(given, str):
        given = (given,)
    if wanted == "tuple" and _is_number(given):
        given = (given, given)
    if not _is(wanted, given):
        return None, f"{given!r} is not {_WORDS[wanted]}."
    return tuple(given) if wanted in ("tuple", "Sequence") else given, judge(field.name, given)


def _is(wanted: str, given: Any) -> bool:
    is_listed = isinstance(given, (list, tuple))
    match wanted:
        case "int":
            return _is_number(given) and isinstance(given, int)
        case "float":
            return _is_number(given)
        case "tuple":
            return is_listed and len(given) == 2 and all(map(_is_number, given)) and given[0] <= given[1]
        case "Sequence":
            return is_listed and all(isinstance(each, str) for each in given)
        case _:
            return isinstance(given, bool if wanted == "bool" else str)


def _is_number(given: Any) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool) and given >= 0
