"""Schemas that definitions may not bring."""

from typing import Any

import pytest

from nni.sandbox import schemarules

GOOD: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string", "pattern": "^x+$"},
        "b": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "c": {"x-kubernetes-preserve-unknown-fields": True},
        "d": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "integer"}}},
        "e": {"type": "object", "oneOf": [{"required": ["f"]}, {"required": ["g"]}]},
    },
}


def test_a_structural_schema_is_taken() -> None:
    assert list(schemarules.mistakes(GOOD, "s")) == []


@pytest.mark.parametrize(
    ("node", "path", "reason"),
    [
        ("object", "s", "FieldValueTypeInvalid"),
        ({"type": "text"}, "s.type", "FieldValueNotSupported"),
        ({"type": ["string"]}, "s.type", "FieldValueNotSupported"),
        ({"type": "object", "properties": ["a"]}, "s.properties", "FieldValueTypeInvalid"),
        ({"type": "object", "properties": {"a": {}}}, "s.properties[a].type", "FieldValueRequired"),
        ({"type": "array", "items": {"minimum": 1}}, "s.items.type", "FieldValueRequired"),
        ({"type": "string", "pattern": "("}, "s.pattern", "FieldValueInvalid"),
        ({"type": "object", "required": [1]}, "s.required", "FieldValueTypeInvalid"),
        ({"type": "string", "maxLength": "9"}, "s.maxLength", "FieldValueTypeInvalid"),
        (
            {"type": "string", "x-kubernetes-validations": [{"message": "x"}]},
            "s.x-kubernetes-validations[0].rule",
            "FieldValueRequired",
        ),
    ],
)
def test_what_is_no_structural_schema_is_named(node: Any, path: str, reason: str) -> None:
    assert [(each.path, each.reason) for each in schemarules.mistakes(node, "s")] == [(path, reason)]
