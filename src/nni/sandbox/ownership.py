"""Who manages which fields of an object (``metadata.managedFields``), and server-side apply, which goes by it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from nni.sandbox import fields, schema, status

_NOT_OWNED = ("apiVersion", "kind", "status")
_METADATA_NOT_OWNED = frozenset(
    {"name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "selfLink", "managedFields",
     "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"}
)  # fmt: skip
BEFORE_FIRST_APPLY = "before-first-apply"
_Entry = schema.Object


@dataclasses.dataclass(frozen=True)
class Writer:
    """Who writes, how, and when."""

    manager: str
    api_version: str
    moment: str
    part: str = ""
    """``status`` for that subresource."""
    operation: str = "Update"
    is_forced: bool = False

    def is_author(self, entry: _Entry) -> bool:
        """Whether an entry of ``managedFields`` is this writer's."""
        return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (
            self.manager, self.operation, self.part,
        )  # fmt: skip

    def entry(self, paths: frozenset[fields.Path], before: Sequence[_Entry]) -> _Entry:
        """Write this writer's entry; one that says the same as before stays as it is."""
        written = fields.encode(paths)
        for known in before:
            if self.is_author(known) and known.get("fieldsV1") == written and known["apiVersion"] == self.api_version:
                return known
        made: _Entry = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.moment,
            "fieldsType": "FieldsV1",
            "fieldsV1": written,
        }
        return made | ({"subresource": self.part} if self.part else {})


def updated(
    place: fields.Place, old: schema.Object | None, new: schema.Object, before: Sequence[_Entry], writer: Writer
) -> list[_Entry]:
    """Give ``managedFields`` after a create, replace or patch: what it changed is the writer's now."""
    was = fields.leaves(place, _owned(old or {}, writer.part))
    now = fields.leaves(place, _owned(new, writer.part))
    touched = frozenset(path for path, value in now.items() if path not in was or was[path] != value)
    lost = touched | (was.keys() - now.keys())
    kept: frozenset[fields.Path] = frozenset()
    others = []
    for entry in before:
        paths = fields.decode(entry.get("fieldsV1", {}))
        if writer.is_author(entry):
            kept |= paths & now.keys()
        elif paths & lost:
            others.append((entry, paths - lost))
        else:
            others.append((entry, paths))
    mine = touched | kept
    return _entries(others, [writer.entry(mine, before)] if mine else [])


def created(place: fields.Place, config: schema.Object, new: schema.Object, writer: Writer) -> list[_Entry]:
    """Give ``managedFields`` of an object that an apply has made: what it set is its own, what was filled in is not."""
    paths = fields.leaves(place, _owned(config, "")).keys() & fields.leaves(place, _owned(new, "")).keys()
    return [writer.entry(frozenset(paths), [])] if paths else []


def trimmed(place: fields.Place, new: schema.Object, writer: Writer) -> list[_Entry]:
    """Give ``managedFields`` without what was applied and then pruned: nobody owns what is not there."""
    before: list[_Entry] = new["metadata"].get("managedFields", [])
    present = fields.leaves(place, _owned(new, writer.part)).keys()
    entries = [
        (entry, fields.decode(entry["fieldsV1"]) & present if writer.is_author(entry) else None) for entry in before
    ]
    return [
        entry if paths is None else writer.entry(frozenset(paths), before)
        for entry, paths in entries
        if paths is None or paths
    ]


def applied(
    place: fields.Place, live: schema.Object, config: schema.Object, writer: Writer
) -> tuple[schema.Object, list[_Entry]]:
    """Apply a configuration to an object; return what it becomes and its ``managedFields``.

    Raises:
        Conflict: another manager has other values in fields that the configuration sets.
    """
    wanted = fields.leaves(place, _owned(config, writer.part))
    before = _known(place, live, writer)
    was = fields.leaves(place, _owned(live, writer.part))
    prior: frozenset[fields.Path] = frozenset()
    others = []
    for entry in before:
        paths = fields.decode(entry.get("fieldsV1", {}))
        if writer.is_author(entry):
            prior |= paths
        else:
            others.append((entry, paths))
    disputed = [
        (entry, [path for path in sorted(paths & wanted.keys()) if path not in was or was[path] != wanted[path]])
        for entry, paths in others
    ]
    if any(paths for _, paths in disputed) and not writer.is_forced:
        raise Conflict([(entry, paths) for entry, paths in disputed if paths])
    others = [(entry, paths - set(lost)) for (entry, paths), (_, lost) in zip(others, disputed, strict=True)]
    merged: Any = fields.merge(place, live, _only(config, writer.part))
    for path in sorted(prior - wanted.keys(), key=len):  # an element before its key, by which it is found
        if not any(fields.covers(path, paths) for _, paths in others):
            merged = fields.drop(place, merged, path)
    return merged, _entries(others, [writer.entry(frozenset(wanted), before)])


class Conflict(Exception):  # noqa: N818 - it is an answer to a request, not a fault of ours
    """Fields that are another manager's."""

    def __init__(self, disputed: Sequence[tuple[_Entry, Sequence[fields.Path]]]) -> None:
        self.disputed = disputed
        super().__init__(self._sentence())

    def refusal(self, details: schema.Object) -> status.Refusal:
        """Give the 409 refusal."""
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {_who(entry)}", "field": fields.title(path)}
            for entry, paths in self.disputed
            for path in paths
        ]
        return status.Refusal(409, "Conflict", str(self), {**details, "causes": causes})

    def _sentence(self) -> str:
        count = sum(len(paths) for _, paths in self.disputed)
        plural = "" if count == 1 else "s"
        parts = []
        for entry, paths in self.disputed:
            titles = [fields.title(path) for path in paths]
            listed = f": {titles[0]}" if count == 1 else ":\n- " + "\n- ".join(titles)
            parts.append(f"conflict{plural} with {_who(entry)}{listed}")
        return f"Apply failed with {count} conflict{plural}: " + "\n".join(parts)


def _who(entry: _Entry) -> str:
    part = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    return f'"{entry["manager"]}"{part} using {entry["apiVersion"]}'


def _known(place: fields.Place, live: schema.Object, writer: Writer) -> list[_Entry]:
    """Give the managers of an object; one that has none yet was all written before the first apply."""
    before: list[_Entry] = live["metadata"].get("managedFields", [])
    paths = fields.leaves(place, _owned(live, ""))
    if before or not paths:
        return before
    author = dataclasses.replace(
        writer, manager=BEFORE_FIRST_APPLY, operation="Update", part="", moment=live["metadata"]["creationTimestamp"]
    )
    return [author.entry(frozenset(paths), [])]


def _only(found: schema.Object, part: str) -> schema.Object:
    """Cut an object to what a write to one endpoint may change."""
    if part:
        return {part: found[part]} if part in found else {}
    return {name: value for name, value in found.items() if name != "status"}


def _owned(found: schema.Object, part: str) -> schema.Object:
    """Cut an object to the fields that somebody can own at one endpoint."""
    if part:
        return _only(found, part)
    metadata = {name: value for name, value in found.get("metadata", {}).items() if name not in _METADATA_NOT_OWNED}
    owned = {name: value for name, value in found.items() if name not in (*_NOT_OWNED, "metadata")}
    return owned | ({"metadata": metadata} if metadata else {})


def _entries(others: Sequence[tuple[_Entry, frozenset[fields.Path]]], mine: list[_Entry]) -> list[_Entry]:
    left = []
    for entry, paths in others:
        written = fields.encode(paths)
        if paths:
            left.append(entry if entry.get("fieldsV1") == written else {**entry, "fieldsV1": written})
    return left + mine
