"""The rules for the schemas that definitions bring: what keeps one from being a structural schema."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from nni.sandbox import schema, structural

_PARTS: dict[str, tuple[type, ...]] = {
    "properties": (dict,),
    "items": (dict,),
    "additionalProperties": (bool, dict),
    "required": (list,),
    "enum": (list,),
    "pattern": (str,),
    "anyOf": (list,),
    "allOf": (list,),
    "oneOf": (list,),
    "not": (dict,),
    "x-kubernetes-validations": (list,),
    "x-kubernetes-list-map-keys": (list,),
    **dict.fromkeys(("minimum", "maximum"), (int, float)),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), (int,)
    ),
}  # fmt: skip
_NAMES = ("required", "x-kubernetes-list-map-keys")
_LOGIC = ("anyOf", "allOf", "oneOf")


def mistakes(node: Any, path: str, *, is_partial: bool = False) -> Iterable[schema.Finding]:
    """Find what is wrong with a schema. What stands in ``anyOf`` and its like needs no type (``is_partial``)."""
    if not isinstance(node, dict):
        yield schema.Finding(path, "FieldValueTypeInvalid", "Invalid value: it is not a schema")
        return
    wrong = [name for name, kinds in _PARTS.items() if name in node and not isinstance(node[name], kinds)]
    wrong += [
        name for name in _NAMES
        if isinstance(node.get(name), list) and not all(isinstance(each, str) for each in node[name])
    ]  # fmt: skip
    for name in wrong:
        message = "Invalid value: it is not what schemas have there"
        yield schema.Finding(f"{path}.{name}", "FieldValueTypeInvalid", message)
    if wrong:
        return
    yield from _type_mistakes(node, path, is_partial=is_partial)
    yield from _rule_mistakes(node, path)
    for name, below, is_logic in _below(node):
        yield from mistakes(below, f"{path}.{name}", is_partial=is_partial or is_logic)


def _below(node: structural.Node) -> Iterator[tuple[str, Any, bool]]:
    """Yield the schemas in a schema: name, schema, and whether it only restricts what is described elsewhere."""
    for name, below in node.get("properties", {}).items():
        yield f"properties[{name}]", below, False
    for name in ("items", "additionalProperties", "not"):
        if name in node and not isinstance(node[name], bool):
            yield name, node[name], name == "not"
    for name in _LOGIC:
        for index, below in enumerate(node.get(name, [])):
            yield f"{name}[{index}]", below, True


def _type_mistakes(node: structural.Node, path: str, *, is_partial: bool) -> Iterable[schema.Finding]:
    wanted = node.get("type")
    if wanted is not None and (not isinstance(wanted, str) or wanted not in structural.JSON_TYPES):
        supported = ", ".join(f'"{name}"' for name in structural.JSON_TYPES)
        message = f"Unsupported value: {json.dumps(wanted)}: supported values: {supported}"
        yield schema.Finding(f"{path}.type", "FieldValueNotSupported", message)
    elif (
        wanted is None
        and not is_partial
        and not node.get(structural.INT_OR_STRING)
        and not node.get(structural.PRESERVES)
    ):
        message = "Required value: must not be empty for specified object fields"
        yield schema.Finding(f"{path}.type", "FieldValueRequired", message)
    if "pattern" in node:
        try:
            re.compile(node["pattern"])
        except re.error as error:
            message = f'Invalid value: "{node["pattern"]}": {error}'
            yield schema.Finding(f"{path}.pattern", "FieldValueInvalid", message)


def _rule_mistakes(node: structural.Node, path: str) -> Iterable[schema.Finding]:
    for index, rule in enumerate(node.get("x-kubernetes-validations", [])):
        if not isinstance(rule, dict) or not isinstance(rule.get("rule"), str):
            where = f"{path}.x-kubernetes-validations[{index}].rule"
            yield schema.Finding(where, "FieldValueRequired", "Required value: rule is not specified")
