"""The types of the served kinds: reading their table, checking a body against it, pruning what it does not know."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]

_QUANTITY = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "time": (str,),
    "int": (int,),
    "number": (int, float),
    "bool": (bool,),
    "int|string": (int, str),
    "quantity": (int, float, str),
}
_WIRE_NAMES = {
    "int": "integer",
    "bool": "boolean",
    "time": "string",
    "int|string": "integer,string",
    "quantity": "string",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a type."""

    name: str
    expression: str
    """What it holds: ``string``, ``[Container]``, ``{quantity}``, ``Always|Never``, ``any`` ..."""
    is_required: bool = False
    merge_key: str | None = None
    """The key by which a strategic merge patch joins the elements of this list."""
    default: Any = None


Type = Mapping[str, Field]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a body."""

    path: str
    """Where, in Kubernetes' spelling: ``spec.containers[0].name``."""
    reason: str
    """A cause as in ``details.causes``: ``FieldValueRequired``, ``FieldValueTypeInvalid`` ..."""
    message: str


@dataclasses.dataclass
class Report:
    """What a check has found."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    """Paths of fields that the type does not have; they are pruned."""


class Types:
    """All types by name."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Read tables in the syntax that the head of ``schemas/kubernetes.types`` describes."""
        self.by_name: dict[str, dict[str, Field]] = {}
        current: dict[str, Field] = {}
        for line in (line for text in texts for line in text.splitlines()):
            if not line or line.startswith("#"):
                continue
            if line.startswith(" "):
                field = _field(line)
                current[field.name] = field
            else:
                current = self.by_name.setdefault(line, {})

    def check(self, type_name: str, body: Object) -> tuple[Object, Report]:
        """Return the body pruned of unknown fields and filled with defaults, and what was found wrong in it."""
        report = Report()
        return self._struct(type_name, body, "", report), report

    def field(self, type_name: str, name: str) -> Field | None:
        """Look up one field; None when the type or the field is unknown."""
        return self.by_name.get(type_name, {}).get(name)

    def _struct(self, type_name: str, body: Object, path: str, report: Report) -> Object:
        fields = self.by_name[type_name]
        pruned: Object = {}
        for name, value in body.items():
            field = fields.get(name)
            where = f"{path}.{name}" if path else name
            if field is None:
                report.unknown.append(where)
            elif value is not None:
                pruned[name] = self._value(field.expression, value, where, report)
        for field in fields.values():
            if field.is_required and field.name not in pruned:
                where = f"{path}.{field.name}" if path else field.name
                report.findings.append(Finding(where, "FieldValueRequired", "Required value"))
            if field.default is not None:
                pruned.setdefault(field.name, field.default)
        return pruned

    def _value(self, expression: str, value: Any, path: str, report: Report) -> Any:
        if expression == "any":
            return value
        if expression.startswith("["):
            return self._list(expression[1:-1], value, path, report)
        if expression.startswith("{"):
            return self._map(expression[1:-1], value, path, report)
        if expression in self.by_name:
            if isinstance(value, dict):
                return self._struct(expression, value, path, report)
            report.findings.append(_mistyped(path, "object", value))
            return value
        _check_scalar(expression, value, path, report)
        return value

    def _list(self, element: str, value: Any, path: str, report: Report) -> Any:
        if not isinstance(value, list):
            report.findings.append(_mistyped(path, "array", value))
            return value
        return [self._value(element, entry, f"{path}[{index}]", report) for index, entry in enumerate(value)]

    def _map(self, element: str, value: Any, path: str, report: Report) -> Any:
        if not isinstance(value, dict):
            report.findings.append(_mistyped(path, "object", value))
            return value
        return {key: self._value(element, entry, f"{path}.{key}", report) for key, entry in value.items()}


def load() -> Types:
    """Read the tables that ship with the sandbox."""
    folder = pathlib.Path(__file__).parent / "schemas"
    return Types(path.read_text() for path in sorted(folder.glob("*.types")))


def wire_name(value: Any) -> str:
    """Name the JSON type of a value as Kubernetes' messages do."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names[type(value)]


def _field(line: str) -> Field:
    name, expression, *rest = line.split()
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    return Field(
        name=name.rstrip("*"),
        expression=expression,
        is_required=name.endswith("*"),
        merge_key=options.get("by"),
        default=_default(options.get("=")),
    )


def _default(word: str | None) -> Any:
    if word is None or word in ("false", "true"):
        return {"false": False, "true": True}.get(word or "")
    return int(word) if word.isdigit() else word


def _check_scalar(expression: str, value: Any, path: str, report: Report) -> None:
    accepted = _SCALARS.get(expression)
    if accepted is None:
        words = expression.split("|")
        if value not in words:
            supported = ", ".join(f'"{word}"' for word in words)
            message = f'Unsupported value: "{value}": supported values: {supported}'
            report.findings.append(Finding(path, "FieldValueNotSupported", message))
    elif not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        report.findings.append(_mistyped(path, _WIRE_NAMES.get(expression, expression), value))
    elif expression == "time" and not _TIME.match(str(value)):
        message = f'Invalid value: "{value}": {path} in body must be of type date-time: "{value}"'
        report.findings.append(Finding(path, "FieldValueTypeInvalid", message))
    elif expression == "quantity" and not _QUANTITY.match(str(value)):
        pattern = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        report.findings.append(Finding(path, "FieldValueInvalid", f'Invalid value: "{value}": {pattern}'))


def _mistyped(path: str, expected: str, value: Any) -> Finding:
    found = wire_name(value)
    message = f'Invalid value: "{found}": {path} in body must be of type {expected}: "{found}"'
    return Finding(path, "FieldValueTypeInvalid", message)
