"""OpenAPI documents, as far as clients need them: kubectl's validation, ``kubectl explain``, merge keys."""

from typing import Any

from nni.sandbox import kinds, schema, structural

_SCALARS: dict[str, schema.Object] = {
    "string": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "int": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "int|string": {"x-kubernetes-int-or-string": True},
    "quantity": {"x-kubernetes-int-or-string": True},
    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def answer(served: kinds.Kinds, types: schema.Types, steps: list[str]) -> schema.Object | None:
    """Answer a path of OpenAPI (as steps between slashes); None when it is not one."""
    match steps:
        case ["openapi", "v3"]:
            return index(served)
        case ["openapi", "v3", "api", version]:
            return document(served, types, "", version)
        case ["openapi", "v3", "apis", group, version]:
            return document(served, types, group, version)
        case _:
            return None


def index(served: kinds.Kinds) -> schema.Object:
    """Answer ``/openapi/v3``."""
    names = [f"apis/{group}/{version}" if group else f"api/{version}"
             for group, versions in served.groups().items() for version in versions]  # fmt: skip
    return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in names}}


def document(served: kinds.Kinds, types: schema.Types, group: str, version: str) -> schema.Object:
    """Answer ``/openapi/v3/api/v1`` and its like."""
    paths: schema.Object = {}
    schemas: schema.Object = {}
    for kind in served.of(group, version):
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        middle = "/namespaces/{namespace}" if kind.is_namespaced else ""
        identity = {"group": group, "version": version, "kind": kind.kind}
        verbs = {verb: _operation(identity, verb) for verb in ("get", "put", "patch", "delete")}
        paths[f"{root}{middle}/{kind.plural}"] = {
            "post": _operation(identity, "post"),
            "get": _operation(identity, "list"),
        }
        paths[f"{root}{middle}/{kind.plural}/{{name}}"] = verbs
        if kind.shape is None:
            _collect(types, kind.kind, schemas)
        else:
            schemas[kind.kind] = _defined(types, kind.shape, schemas)
        schemas[kind.kind] = {**schemas[kind.kind], "x-kubernetes-group-version-kind": [identity]}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _defined(types: schema.Types, shape: structural.Structure, into: schema.Object) -> schema.Object:
    """Give a definition's schema with the metadata that it leaves out."""
    _collect(types, "ObjectMeta", into)
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **shape.root.get("properties", {}),
        "metadata": {"allOf": [{"$ref": "#/components/schemas/ObjectMeta"}]},
    }
    return {**shape.root, "properties": properties}


def _operation(identity: schema.Object, action: str) -> schema.Object:
    return {
        "operationId": f"{action}{identity['kind']}",
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": identity,
    }


def _collect(types: schema.Types, name: str, into: schema.Object) -> None:
    if name in into:
        return
    into[name] = {"type": "object"}
    properties = {field.name: _property(types, field, into) for field in types.by_name[name].values()}
    required = [field.name for field in types.by_name[name].values() if field.is_required]
    into[name] = {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _property(types: schema.Types, field: schema.Field, into: schema.Object) -> schema.Object:
    found = _schema(types, field.expression, into)
    if field.merge_key:
        found |= {
            "x-kubernetes-patch-merge-key": field.merge_key,
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-list-map-keys": [field.merge_key],
            "x-kubernetes-list-type": "map",
        }
    return found


def _schema(types: schema.Types, expression: str, into: schema.Object) -> dict[str, Any]:
    if expression.startswith("["):
        return {"type": "array", "items": _schema(types, expression[1:-1], into)}
    if expression.startswith("{"):
        return {"type": "object", "additionalProperties": _schema(types, expression[1:-1], into)}
    if expression in types.by_name:
        _collect(types, expression, into)
        return {"allOf": [{"$ref": f"#/components/schemas/{expression}"}]}
    if expression in _SCALARS:
        return dict(_SCALARS[expression])
    return {"type": "string", "enum": expression.split("|")}
