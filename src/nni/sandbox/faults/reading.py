"""Faults from data and back: what files and the control API carry."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nni import errors
from nni.sandbox import inputs, selectors, status
from nni.sandbox.faults import catalogue

_BY_NAME = {kind.__name__: kind for kind in catalogue.KINDS}
_CODES = (500, 502, 503, 504)
_WORDS = {
    "verbs": ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"),
    "methods": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
}


def load(path: pathlib.Path, operators: Sequence[str]) -> list[catalogue.Fault]:
    """Read a file, YAML or JSON: a fault, a list of them, or an object with a list under ``faults``.

    Raises:
        ConfigError: with each mistake of the file.
    """
    return inputs.load(path, lambda content: read(content, operators))


def read(content: Any, operators: Sequence[str]) -> list[catalogue.Fault]:
    """Read one fault, a list of them, or an object with a list under ``faults``.

    Args:
        content: The data.
        operators: The names of those that can be down.

    Raises:
        ConfigError: with each mistake.
    """
    if isinstance(content, Mapping) and "faults" in content:
        content = content["faults"]
    listed = content if isinstance(content, list) else [content]
    found: list[catalogue.Fault] = []
    problems: list[errors.Problem] = []
    for index, entry in enumerate(listed):
        kind, mistake = _kind(f"faults[{index}]", entry)
        if kind is None:
            problems.append(mistake)
            continue
        values, mistakes = inputs.read(f"faults[{index}]", kind, entry, _judge(operators), ["kind"])
        problems += mistakes
        if not mistakes:
            found.append(kind(**values))
    if problems:
        raise errors.ConfigError(problems)
    return found


def write(fault: catalogue.Fault) -> dict[str, Any]:
    """Give the data of a fault, without what it leaves at its default."""
    return {"kind": type(fault).__name__, **inputs.write(fault)}


def _kind(where: str, entry: Any) -> tuple[type[catalogue.Fault] | None, errors.Problem]:
    """Return the class of a fault, or the mistake that keeps it from being found."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("kind"), str):
        return None, errors.Problem(where, "is not an object with a kind, as in {kind: ApiLatency, latency: 2}.")
    name = entry["kind"]
    hint = inputs.nearest(name, _BY_NAME) or f"one of {', '.join(_BY_NAME)}"
    return _BY_NAME.get(name), errors.Problem(f"{where}.kind", f"{name} is no fault; write {hint}.")


def _judge(operators: Sequence[str]) -> inputs.Judge:
    def judge(name: str, given: Any) -> str:
        if name == "labels":
            return _mistake_in_selector(given)
        known: Sequence[Any] = {"code": _CODES, "operator": operators, **_WORDS}.get(name, ())
        listed = given if name in _WORDS else [given]
        wrong = [each for each in listed if known and each not in known]
        return f"{wrong[0]} is none of {', '.join(map(str, known))}." if wrong else ""

    return judge


def _mistake_in_selector(text: str) -> str:
    try:
        selectors.labels(text)
    except status.Refusal as refusal:
        return f"{text} is not a label selector: {refusal}."
    return ""
