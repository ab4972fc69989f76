"""Faults from data and back: what files and the control API carry."""

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nni import errors
from nni.sandbox import selectors, status
from nni.sandbox.faults import catalogue

_BY_NAME = {kind.__name__: kind for kind in catalogue.KINDS}
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CODES = (500, 502, 503, 504)
_WORDS = {
    "int": "a whole number, 0 or more", "float": "a number of seconds, 0 or more", "bool": "true or false",
    "str": "a text", "Sequence": "a text or a list of texts",
}  # fmt: skip


def load(path: pathlib.Path, known_operators: Sequence[str]) -> list[catalogue.Fault]:
    """Read a file, YAML or JSON: a list of faults, or an object with one under ``faults``.

    Raises:
        ConfigError: with each mistake of the file.
    """
    import yaml  # noqa: PLC0415 - a start without a file need not pay for it

    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise _mistake(str(path), f"cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise _mistake(str(path), f"is neither YAML nor JSON: {where}.") from error
    try:
        return read(content, known_operators)
    except errors.ConfigError as error:
        raise errors.ConfigError(
            errors.Problem(f"{path}: {each.path}", each.message) for each in error.problems
        ) from error


def read(content: Any, known_operators: Sequence[str]) -> list[catalogue.Fault]:
    """Read one fault, a list of them, or an object with a list under ``faults``.

    Raises:
        ConfigError: with each mistake.
    """
    if isinstance(content, Mapping) and "faults" in content:
        content = content["faults"]
    listed = content if isinstance(content, list) else [content]
    found: list[catalogue.Fault] = []
    problems: list[errors.Problem] = []
    for index, entry in enumerate(listed):
        fault = _one(f"faults[{index}]", entry, problems)
        if isinstance(fault, catalogue.OperatorDown) and fault.operator not in known_operators:
            listing = ", ".join(known_operators)
            problems.append(errors.Problem(f"faults[{index}].operator", f"{fault.operator} is none of {listing}."))
        if fault is not None:
            found.append(fault)
    if problems:
        raise errors.ConfigError(problems)
    return found


def write(fault: catalogue.Fault) -> dict[str, Any]:
    """Give the data of a fault, without what it leaves at its default."""
    data: dict[str, Any] = {"kind": type(fault).__name__}
    for field in dataclasses.fields(fault):
        value = getattr(fault, field.name)
        if value != field.default:
            is_list = isinstance(value, Sequence) and not isinstance(value, str)
            data[_camel(field.name)] = list(value) if is_list else value
    return data


def _one(where: str, entry: Any, problems: list[errors.Problem]) -> catalogue.Fault | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("kind"), str):
        problems.append(errors.Problem(where, "is not an object with a kind, as in {kind: ApiLatency, latency: 2}."))
        return None
    kind = _BY_NAME.get(entry["kind"])
    if kind is None:
        hint = _nearest(entry["kind"], _BY_NAME) or f"one of {', '.join(_BY_NAME)}"
        problems.append(errors.Problem(f"{where}.kind", f"{entry['kind']} is no fault; write {hint}."))
        return None
    before = len(problems)
    values = _values(where, kind, entry, problems)
    return kind(**values) if len(problems) == before else None


def _values(
    where: str, kind: type[catalogue.Fault], entry: Mapping[str, Any], problems: list[errors.Problem]
) -> dict[str, Any]:
    fields = {_camel(field.name): field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, given in entry.items():
        if name == "kind":
            continue
        if name not in fields:
            hint = _nearest(str(name), fields)
            rest = f"; write {hint}" if hint else f"; it has {', '.join(fields)}"
            problems.append(errors.Problem(f"{where}.{name}", f"{kind.__name__} has no such field{rest}."))
            continue
        value, message = _checked(fields[name], given)
        if message:
            problems.append(errors.Problem(f"{where}.{name}", message))
        else:
            values[fields[name].name] = value
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in entry:
            problems.append(errors.Problem(f"{where}.{name}", f"is missing; {kind.__name__} needs it."))
    return values


def _checked(field: "dataclasses.Field[Any]", given: Any) -> tuple[Any, str]:
    """Return the value of a field, and what is wrong with it."""
    wanted = str(field.type).replace("typing.", "")
    is_optional = "None" in wanted
    wanted = next(word for word in ("int", "float", "bool", "Sequence", "str") if word in wanted)
    if given is None and is_optional:
        return None, ""
    if wanted == "Sequence" and isinstance(given, str):
        given = [given]
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool) and given >= 0
    is_right = {
        "int": is_number and isinstance(given, int),
        "float": is_number,
        "bool": isinstance(given, bool),
        "str": isinstance(given, str),
        "Sequence": isinstance(given, list) and all(isinstance(each, str) for each in given),
    }[wanted]
    if not is_right:
        return None, f"{given!r} is not {_WORDS[wanted]}."
    return tuple(given) if wanted == "Sequence" else given, _unknown_word(field.name, given)


def _unknown_word(name: str, given: Any) -> str:
    """Say what is wrong with a value of the right type."""
    if name == "labels":
        try:
            selectors.labels(given)
        except status.Refusal as refusal:
            return f"{given} is not a label selector: {refusal}."
    if name == "code" and given not in _CODES:
        return f"{given} is none of {', '.join(map(str, _CODES))}."
    for listed, words in (("verbs", _VERBS), ("methods", _METHODS)):
        wrong = [each for each in given if each not in words] if name == listed else []
        if wrong:
            return f"{wrong[0]} is none of {', '.join(words)}."
    return ""


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    return next(iter(difflib.get_close_matches(word, known, 1)), "")


def _mistake(path: str, message: str) -> errors.ConfigError:
    return errors.ConfigError([errors.Problem(path, message)])
