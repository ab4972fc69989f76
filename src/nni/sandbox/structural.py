"""Structural schemas: the ``openAPIV3Schema`` of a CustomResourceDefinition, which checks, prunes and fills objects.

Of the validation rules (CEL) of a schema the one that most have is kept, ``self == oldSelf``; others are not evaluated.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nni.sandbox import schema

Node = Mapping[str, Any]
_EMPTY: Node = {}
_IDENTITY = ("apiVersion", "kind", "metadata")
PRESERVES = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Structure:
    """One schema."""

    def __init__(self, root: Node, types: schema.Types) -> None:
        """Take the schema and the types of ``ObjectMeta``, which no definition describes."""
        self.root = root
        self._types = types

    def check(self, body: schema.Object) -> tuple[schema.Object, schema.Report]:
        """Return the body pruned of unknown fields and filled with defaults, and what was found wrong in it."""
        report = schema.Report()
        content = {name: value for name, value in body.items() if name not in _IDENTITY}
        known = {name: node for name, node in self.root.get("properties", {}).items() if name not in _IDENTITY}
        root = {**self.root, "properties": known}
        root["required"] = [name for name in self.root.get("required", []) if name not in _IDENTITY]
        filled = _shape(root, content, "", report.unknown)
        report.findings.extend(_findings(root, filled, ""))
        head = {name: body[name] for name in ("apiVersion", "kind") if name in body}
        metadata, told = self._types.check("ObjectMeta", body.get("metadata") or {})
        report.findings.extend(_below("metadata", told.findings))
        report.unknown.extend(f"metadata.{path}" for path in told.unknown)
        return {**head, "metadata": metadata, **filled}, report

    def changes(self, new: schema.Object, old: schema.Object) -> list[schema.Finding]:
        """Find what has changed though it may not."""
        return list(_frozen(self.root, new, old, ""))


def _below(path: str, findings: Iterable[schema.Finding]) -> list[schema.Finding]:
    return [schema.Finding(f"{path}.{item.path}", item.reason, item.message) for item in findings]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shape(node: Node, value: Any, path: str, unknown: list[str]) -> Any:
    """Prune and fill a value."""
    if isinstance(value, dict):
        return _shape_object(node, value, path, unknown)
    if isinstance(value, list) and "items" in node:
        return [_shape(node["items"], entry, f"{path}[{index}]", unknown) for index, entry in enumerate(value)]
    return value


def _shape_object(node: Node, value: schema.Object, path: str, unknown: list[str]) -> schema.Object:
    properties, rest = node.get("properties", {}), node.get("additionalProperties")
    is_embedded = node.get("x-kubernetes-embedded-resource")
    shaped: schema.Object = {}
    for name, entry in value.items():
        where = _join(path, name)
        if name in properties:
            below = properties[name]
            if entry is None and not below.get("nullable"):
                continue
            shaped[name] = _shape(below, entry, where, unknown)
        elif isinstance(rest, dict):
            shaped[name] = _shape(rest, entry, where, unknown)
        elif rest or node.get(PRESERVES) or (is_embedded and name in _IDENTITY):
            shaped[name] = entry
        else:
            unknown.append(where)
    for name, below in properties.items():
        if name not in shaped and "default" in below:
            shaped[name] = _shape(below, below["default"], _join(path, name), [])
    return shaped


def _findings(node: Node, value: Any, path: str) -> Iterable[schema.Finding]:
    mistake = _mistyped(node, value, path)
    if mistake:
        yield mistake
        return
    if value is None:
        return
    yield from _simple_findings(node, value, path)
    if isinstance(value, dict):
        yield from _object_findings(node, value, path)
    elif isinstance(value, list):
        yield from _list_findings(node, value, path)


def _mistyped(node: Node, value: Any, path: str) -> schema.Finding | None:
    wanted = node.get("type")
    if value is None and node.get("nullable"):
        return None
    if node.get(INT_OR_STRING):
        accepted: tuple[type, ...] = (int, str)
        wanted = "integer,string"
    elif wanted is None:
        return None
    else:
        accepted = JSON_TYPES[wanted]
    is_right = isinstance(value, accepted) and (not isinstance(value, bool) or bool in accepted)
    if is_right or (wanted == "integer" and isinstance(value, float) and value.is_integer()):
        return None
    found = schema.wire_name(value)
    message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return schema.Finding(path, "FieldValueTypeInvalid", message)


def _quoted(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


_Limit = tuple[str, type | tuple[type, ...], Callable[[Any, Any], bool], str, str]
_INVALID = "FieldValueInvalid"
_NUMBER = (int, float)
_LIMITS: tuple[_Limit, ...] = (
    ("minimum", _NUMBER, lambda value, limit: value >= limit, _INVALID, "should be greater than or equal to {}"),
    ("maximum", _NUMBER, lambda value, limit: value <= limit, _INVALID, "should be less than or equal to {}"),
    ("minLength", str, lambda value, limit: len(value) >= limit, _INVALID, "should be at least {} chars long"),
    ("maxLength", str, lambda value, limit: len(value) <= limit, "FieldValueTooLong", "may not be longer than {}"),
    ("pattern", str, lambda value, limit: re.search(limit, value) is not None, _INVALID, "should match '{}'"),
    ("minItems", list, lambda value, limit: len(value) >= limit, _INVALID, "should have at least {} items"),
    ("maxItems", list, lambda value, limit: len(value) <= limit, "FieldValueTooMany", "must have at most {} items"),
    ("minProperties", dict, lambda value, limit: len(value) >= limit, _INVALID, "should have at least {} properties"),
    ("maxProperties", dict, lambda value, limit: len(value) <= limit, _INVALID, "must have at most {} properties"),
)  # fmt: skip


def _simple_findings(node: Node, value: Any, path: str) -> Iterable[schema.Finding]:
    if "enum" in node and value not in node["enum"]:
        supported = ", ".join(_quoted(each) for each in node["enum"])
        message = f"Unsupported value: {_quoted(value)}: supported values: {supported}"
        yield schema.Finding(path, "FieldValueNotSupported", message)
    for name, kind, holds, reason, words in _LIMITS:
        if name in node and isinstance(value, kind) and not holds(value, node[name]):
            sentence = f"{path} in body {words.format(node[name])}"
            yield schema.Finding(path, reason, f"Invalid value: {_quoted(value)}: {sentence}")
    alternatives = [] if node.get(INT_OR_STRING) else node.get("anyOf", [])
    if alternatives and not any(_fits(each, value) for each in alternatives):
        yield schema.Finding(path, _INVALID, f"Invalid value: {path} in body must validate at least one schema (anyOf)")
    if "oneOf" in node and sum(_fits(each, value) for each in node["oneOf"]) != 1:
        message = f"Invalid value: {path} in body must validate one and only one schema (oneOf)"
        yield schema.Finding(path, _INVALID, message)
    for each in node.get("allOf", []):
        yield from _findings(each, value, path)
    if "not" in node and _fits(node["not"], value):
        yield schema.Finding(path, _INVALID, f"Invalid value: {path} in body must not validate the schema (not)")


def _fits(node: Node, value: Any) -> bool:
    return not any(True for _ in _findings(node, value, ""))


def _object_findings(node: Node, value: schema.Object, path: str) -> Iterable[schema.Finding]:
    for name in node.get("required", []):
        if name not in value:
            yield schema.Finding(_join(path, name), "FieldValueRequired", "Required value")
    properties, rest = node.get("properties", {}), node.get("additionalProperties")
    for name, entry in value.items():
        below = properties.get(name, rest if isinstance(rest, dict) else _EMPTY)
        yield from _findings(below, entry, _join(path, name))


def _list_findings(node: Node, value: list[Any], path: str) -> Iterable[schema.Finding]:
    keys, items = list_keys(node), node.get("items", _EMPTY)
    seen: set[str] = set()
    for index, entry in enumerate(value):
        where = f"{path}[{index}]"
        yield from _findings(items, entry, where)
        identity = None
        if keys and isinstance(entry, dict):
            identity = _quoted({key: entry[key] for key in keys if key in entry})
        elif is_set(node):
            identity = _quoted(entry)
        if identity is not None:
            if identity in seen:
                yield schema.Finding(where, "FieldValueDuplicate", f"Duplicate value: {identity}")
            seen.add(identity)


def list_keys(node: Node) -> tuple[str, ...]:
    """Name the keys by which the elements of a list are told apart; empty for other lists."""
    return tuple(node.get("x-kubernetes-list-map-keys", ())) if node.get("x-kubernetes-list-type") == "map" else ()


def is_set(node: Node) -> bool:
    """Whether a list holds each element once."""
    return bool(node.get("x-kubernetes-list-type") == "set")


def _frozen(node: Node, new: Any, old: Any, path: str) -> Iterable[schema.Finding]:
    for rule in node.get("x-kubernetes-validations", []):
        if rule["rule"].strip() == "self == oldSelf" and new != old:
            message = rule.get("message", "failed rule: self == oldSelf")
            yield schema.Finding(path, _INVALID, f"Invalid value: {_quoted_briefly(new)}: {message}")
    if isinstance(new, dict) and isinstance(old, dict):
        properties, rest = node.get("properties", {}), node.get("additionalProperties")
        for name in new.keys() & old.keys():
            below = properties.get(name, rest if isinstance(rest, dict) else _EMPTY)
            yield from _frozen(below, new[name], old[name], _join(path, name))
    elif isinstance(new, list) and isinstance(old, list) and (keys := list_keys(node)):
        before = {tuple(entry.get(key) for key in keys): entry for entry in old}
        for index, entry in enumerate(new):
            earlier = before.get(tuple(entry.get(key) for key in keys))
            if earlier is not None:
                yield from _frozen(node.get("items", _EMPTY), entry, earlier, f"{path}[{index}]")


def _quoted_briefly(value: Any) -> str:
    return f'"{schema.wire_name(value)}"' if isinstance(value, dict | list) else _quoted(value)
