"""Fields as server-side apply sees them: the paths of an object, by its schema, and the ``fieldsV1`` that lists them.

A path is a tuple of steps: ``f:name`` into an object, ``k:{"name":"x"}`` to an element of a keyed list, ``v:"x"`` to an
element of a set. What the schema calls atomic is one field whatever it holds.
"""

import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from nni.sandbox import schema, structural

Path = tuple[str, ...]
Leaves = dict[Path, Any]
ELEMENT = object()
"""What stands in Leaves for an element of a keyed list as such."""

_ATOMIC_TYPES = frozenset(
    {"any", "LabelSelector", "KeySelector", "FieldRef", "ResourceFieldRef", "LocalObjectReference", "ObjectReference",
     "NodeSelector", "NodeSelectorTerm", "RoleRef", "DataSource", "DataSourceRef"}
)  # fmt: skip
_ATOMIC_MAPS = frozenset({"nodeSelector", "selector"})
_KEY_DEFAULTS = {"protocol": "TCP"}


class Place(Protocol):
    """What a schema says about one place in an object."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that tell the elements of a list apart; empty for other lists."""
        ...

    @property
    def is_set(self) -> bool:
        """Whether it is a list that holds each element once."""
        ...

    @property
    def is_atomic(self) -> bool:
        """Whether it is one field, whatever it holds."""
        ...

    def field(self, name: str) -> "Place":
        """Step into an object."""
        ...

    def element(self) -> "Place":
        """Step to the elements of a list."""
        ...


class TypedPlace:
    """A place in an object whose type stands in ``schemas/``."""

    def __init__(self, types: schema.Types, expression: str, name: str = "", merge_key: str | None = None) -> None:
        self._types = types
        self._expression = expression
        self._fields: dict[str, TypedPlace] = {}
        element = expression[1:-1]
        more = ("protocol",) if merge_key and types.field(element, "protocol") else ()
        self.keys: tuple[str, ...] = (merge_key, *more) if merge_key and expression.startswith("[") else ()
        self.is_set = name == "finalizers"
        self.is_atomic = expression in _ATOMIC_TYPES or (expression.startswith("{") and name in _ATOMIC_MAPS)

    def field(self, name: str) -> Place:
        """Step into an object."""
        if self._expression.startswith("{"):
            return self.element()
        if name not in self._fields:
            field = self._types.field(self._expression, name)
            self._fields[name] = (
                TypedPlace(self._types, field.expression, name, field.merge_key)
                if field
                else TypedPlace(self._types, "any")
            )
        return self._fields[name]

    def element(self) -> Place:
        """Step to the elements of a list, or of a map."""
        if "" not in self._fields:
            self._fields[""] = TypedPlace(self._types, self._expression[1:-1])
        return self._fields[""]


class StructuredPlace:
    """A place in an object whose schema a definition gave."""

    def __init__(self, node: structural.Node, types: schema.Types, *, is_root: bool = False) -> None:
        self._node = node
        self._types = types
        self._is_root = is_root
        self.keys: tuple[str, ...] = structural.list_keys(node)
        self.is_set = structural.is_set(node)
        self.is_atomic = node.get("x-kubernetes-map-type") == "atomic"

    def field(self, name: str) -> Place:
        """Step into an object."""
        if self._is_root and name == "metadata":
            return TypedPlace(self._types, "ObjectMeta")
        rest = self._node.get("additionalProperties")
        below = self._node.get("properties", {}).get(name, rest if isinstance(rest, dict) else {})
        return StructuredPlace(below, self._types)

    def element(self) -> Place:
        """Step to the elements of a list."""
        return StructuredPlace(self._node.get("items", {}), self._types)


def leaves(place: Place, value: Any) -> Leaves:
    """List the fields of a value with what stands in them."""
    found: Leaves = {}
    _walk(place, value, (), found)
    return found


def _walk(place: Place, value: Any, path: Path, into: Leaves) -> None:
    if isinstance(value, dict) and value and not place.is_atomic:
        for name, entry in value.items():
            _walk(place.field(name), entry, (*path, f"f:{name}"), into)
    elif isinstance(value, list) and place.keys:
        for entry in value:
            here = (*path, identity(place.keys, entry))
            into[here] = ELEMENT
            _walk(place.element(), entry, here, into)
    elif isinstance(value, list) and place.is_set:
        for entry in value:
            into[*path, f"v:{json.dumps(entry)}"] = entry
    elif path:
        into[path] = value


def identity(keys: tuple[str, ...], entry: Any) -> str:
    """Write the step to an element of a keyed list."""
    found = entry if isinstance(entry, dict) else {}
    named = {key: found.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return f"k:{json.dumps(named, separators=(',', ':'))}"


def merge(place: Place, old: Any, new: Any) -> Any:
    """Put what is applied over what is there."""
    if isinstance(old, dict) and isinstance(new, dict) and not place.is_atomic:
        return old | {name: merge(place.field(name), old.get(name), entry) for name, entry in new.items()}
    if isinstance(old, list) and isinstance(new, list) and place.keys:
        joined = {identity(place.keys, entry): entry for entry in old}
        for entry in new:
            key = identity(place.keys, entry)
            joined[key] = merge(place.element(), joined.get(key), entry)
        return list(joined.values())
    if isinstance(old, list) and isinstance(new, list) and place.is_set:
        return [*old, *(entry for entry in new if entry not in old)]
    return new


def drop(place: Place, value: Any, path: Path) -> Any:
    """Take a field out of a value, and what is empty without it."""
    step, rest = path[0], path[1:]
    if step.startswith("f:"):
        return _drop_field(place, value, step[2:], rest)
    if not isinstance(value, list):
        return value
    if step.startswith("v:"):
        return [entry for entry in value if f"v:{json.dumps(entry)}" != step]
    left = []
    for entry in value:
        if identity(place.keys, entry) != step:
            left.append(entry)
        elif rest:
            left.append(drop(place.element(), entry, rest))
    return left


def _drop_field(place: Place, value: Any, name: str, rest: Path) -> Any:
    if not isinstance(value, dict) or name not in value:
        return value
    below = drop(place.field(name), value[name], rest) if rest else None
    if below:
        return {**value, name: below}
    return {key: entry for key, entry in value.items() if key != name}


@functools.lru_cache(maxsize=512)
def encode(paths: frozenset[Path]) -> schema.Object:
    """Write paths as ``fieldsV1``. Objects of one shape share the answer: do not change it."""
    root: schema.Object = {}
    ends = []
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
        ends.append(node)
    for node in ends:
        if node:
            node["."] = {}
    return root


def decode(written: schema.Object) -> frozenset[Path]:
    """Read ``fieldsV1``."""
    return frozenset(_paths(written, ()))


def _paths(node: schema.Object, path: Path) -> Iterator[Path]:
    if not node and path:
        yield path
    for step, below in node.items():
        if step == ".":
            yield path
        else:
            yield from _paths(below, (*path, step))


def title(path: Path) -> str:
    """Write a path as messages do: ``.spec.containers[name="x"].image``."""
    return "".join(map(_step_title, path))


def _step_title(step: str) -> str:
    kind, _, text = step.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return f"[{','.join(f'{key}={json.dumps(value)}' for key, value in json.loads(text).items())}]"
    return f"[={text}]"


def covers(path: Path, others: Iterable[Path]) -> bool:
    """Whether any of the others is this path or lies below it."""
    return any(other[: len(path)] == path for other in others)
