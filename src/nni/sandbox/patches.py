"""The ways to patch an object: merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge patch."""

import copy
from typing import Any

from nni.sandbox import schema, status

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(target: schema.Object, operations: Any) -> schema.Object:
    """Apply a JSON patch. Raises a refusal (400 when it cannot be read, 422 when it does not fit the object)."""
    if not isinstance(operations, list):
        raise status.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    document: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _OPERATIONS[operation["op"]](document, operation)
        except (AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
            message = f"the server rejected our request due to an error in our request: {operation}: {error!r}"
            raise status.Refusal(422, "Invalid", message) from error
    if not isinstance(document, dict):
        raise status.bad_request("a patch may not replace the whole object by something else")
    return document


def strategic(types: schema.Types, type_name: str, target: Any, patch: Any) -> Any:
    """Apply a strategic merge patch: as a merge patch, but lists with a merge key are joined by it.

    Raises the 400 refusal for a patch that does not fit the type.
    """
    try:
        return _strategic(types, type_name, target, patch)
    except (AttributeError, TypeError) as error:
        raise status.bad_request(f"the patch does not fit the schema of {type_name}: {error}") from error


def _strategic(types: schema.Types, type_name: str, target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            _directive(merged, key, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _strategic_field(types, types.field(type_name, key), merged.get(key), value)
    return merged


def _directive(merged: schema.Object, key: str, value: Any) -> None:
    if key.startswith("$deleteFromPrimitiveList/"):
        name = key.partition("/")[2]
        merged[name] = [entry for entry in merged.get(name, []) if entry not in value]
    elif key == "$retainKeys":
        for name in [name for name in merged if name not in value]:
            del merged[name]


def _strategic_field(types: schema.Types, field: schema.Field | None, old: Any, new: Any) -> Any:
    expression = field.expression if field else "any"
    if expression in types.by_name:
        return _strategic(types, expression, old, new)
    if field is not None and field.merge_key and isinstance(new, list):
        return _join(types, expression[1:-1], field.merge_key, old if isinstance(old, list) else [], new)
    if expression.startswith("[") or isinstance(new, list):
        # finalizers are the one list of scalars that people patch strategically
        return list(dict.fromkeys([*(old or []), *new])) if field and field.name == "finalizers" else new
    return merge(old, new)


def _join(types: schema.Types, element: str, key: str, old: list[Any], new: list[Any]) -> list[Any]:
    if any(entry.get("$patch") == "replace" for entry in new):
        return [entry for entry in new if "$patch" not in entry]
    joined = {entry.get(key): entry for entry in old}
    for entry in new:
        if entry.get("$patch") == "delete":
            joined.pop(entry.get(key), None)
        else:
            joined[entry.get(key)] = _strategic(types, element, joined.get(entry.get(key)), entry)
    return list(joined.values())


def _steps(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer} is not a JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _walk(document: Any, steps: list[str]) -> Any:
    for step in steps:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _add(document: Any, operation: Any) -> Any:
    return _put(document, operation["path"], operation["value"])


def _put(document: Any, pointer: str, value: Any) -> Any:
    steps = _steps(pointer)
    if not steps:
        return value
    parent = _walk(document, steps[:-1])
    if isinstance(parent, list):
        index = len(parent) if steps[-1] == "-" else int(steps[-1])
        if not 0 <= index <= len(parent):
            raise IndexError(pointer)
        parent.insert(index, value)
    else:
        parent[steps[-1]] = value
    return document


def _remove(document: Any, operation: Any) -> Any:
    *above, last = _steps(operation["path"])
    parent = _walk(document, above)
    del parent[int(last) if isinstance(parent, list) else last]
    return document


def _replace(document: Any, operation: Any) -> Any:
    steps = _steps(operation["path"])
    if not steps:
        return operation["value"]
    parent = _walk(document, steps[:-1])
    place: Any = int(steps[-1]) if isinstance(parent, list) else steps[-1]
    parent[place]
    parent[place] = operation["value"]
    return document


def _move(document: Any, operation: Any) -> Any:
    value = _walk(document, _steps(operation["from"]))
    return _put(_remove(document, {"path": operation["from"]}), operation["path"], value)


def _copy(document: Any, operation: Any) -> Any:
    return _put(document, operation["path"], copy.deepcopy(_walk(document, _steps(operation["from"]))))


def _test(document: Any, operation: Any) -> Any:
    if _walk(document, _steps(operation["path"])) != operation["value"]:
        raise ValueError("test failed")
    return document


_OPERATIONS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}
