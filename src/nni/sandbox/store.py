"""The store: every object of the cluster in memory, its versions, and who watches them.

Objects are never changed in place: a write puts a new object, so a reader may keep what it got as long as it likes
(and must not change it).
"""

import asyncio
import bisect
import collections
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal

from nni.sandbox import schema

Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""
Happening = Literal["ADDED", "MODIFIED", "DELETED"]


class CompactedError(LookupError):
    """The version asked for is older than what is kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    version: int
    happening: Happening
    object: schema.Object
    previous: schema.Object | None


class Watch:
    """The changes of one resource from now on, in order."""

    def __init__(self, leave: "Callable[[Watch], None]") -> None:
        self._leave = leave
        self._backlog: collections.deque[Change] = collections.deque()
        self._arrived = asyncio.Event()
        self._is_closed = False

    def push(self, change: Change) -> None:
        """Hand over a change; called by the store."""
        self._backlog.append(change)
        self._arrived.set()

    def close(self) -> None:
        """End it: whoever waits is woken and gets what is left, then nothing more."""
        if not self._is_closed:
            self._is_closed = True
            self._leave(self)
        self._arrived.set()

    async def next(self) -> list[Change]:
        """Wait for changes and return all that have come; an empty list means that the watch is closed."""
        while not self._backlog and not self._is_closed:
            self._arrived.clear()
            await self._arrived.wait()
        changes = list(self._backlog)
        self._backlog.clear()
        return changes

    async def __aiter__(self) -> AsyncIterator[Change]:
        while changes := await self.next():
            for change in changes:
                yield change


class _Table:
    """One resource."""

    def __init__(self, compacted: int) -> None:
        self.objects: dict[Key, schema.Object] = {}
        self.history: collections.deque[Change] = collections.deque()
        self.compacted = compacted
        """Every version from this one on can be watched from."""
        self.watches: list[Watch] = []


class Store:
    """Objects by resource, namespace and name. Every write takes the next version of the whole store."""

    def __init__(self, history: int = 20_000, version: int = 1) -> None:
        """Keep the last ``history`` changes of each resource for watches and for consistent pages.

        ``version`` is the one to begin with; those before it count as compacted.
        """
        self.version = version
        self._history = history
        self._is_closed = False
        self._tables: collections.defaultdict[str, _Table] = collections.defaultdict(lambda: _Table(version))
        self.listeners: list[Callable[[str, Change], None]] = []
        """Told of every write, with its resource, until the store is closed: what ends then ends with the run."""

    def restore(self, resource: str, key: Key, found: schema.Object) -> None:
        """Put back an object of an earlier run, under the version that it had; versions go on from the highest."""
        table = self._tables[resource]
        table.objects[key] = found
        self.version = max(self.version, int(found["metadata"]["resourceVersion"]))
        table.compacted = self.version

    def everything(self) -> Iterator[tuple[str, schema.Object]]:
        """Yield every object with its resource."""
        for resource, table in self._tables.items():
            for found in table.objects.values():
                yield resource, found

    def get(self, resource: str, namespace: str, name: str) -> schema.Object | None:
        """Return an object, or None."""
        return self._tables[resource].objects.get((namespace, name))

    def count(self, resource: str) -> int:
        """Return how many objects there are."""
        return len(self._tables[resource].objects)

    def scan(self, resource: str, namespace: str = "", version: int | None = None) -> list[tuple[Key, schema.Object]]:
        """Return the objects (of one namespace, if given) in the order of their keys, as they were at ``version``.

        Raises:
            CompactedError: that version is no longer kept.
        """
        table = self._tables[resource]
        objects = table.objects if version is None or version >= self.version else self._as_of(table, version)
        return sorted(
            ((key, found) for key, found in objects.items() if not namespace or key[0] == namespace),
            key=lambda entry: entry[0],
        )

    def put(self, resource: str, key: Key, new: schema.Object) -> schema.Object:
        """Store an object under the next version, and return it as stored."""
        table = self._tables[resource]
        previous = table.objects.get(key)
        self.version += 1
        stored = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.version)}}
        table.objects[key] = stored
        self._tell(resource, Change(self.version, "ADDED" if previous is None else "MODIFIED", stored, previous))
        return stored

    def remove(self, resource: str, key: Key) -> schema.Object:
        """Take an object away and return its last state, which bears the version of its removal."""
        table = self._tables[resource]
        previous = table.objects.pop(key)
        self.version += 1
        last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(self.version)}}
        self._tell(resource, Change(self.version, "DELETED", last, previous))
        return last

    def watch(self, resource: str, since: int | None = None) -> Watch:
        """Watch a resource, from just after version ``since`` or from now; 0 begins with what there is, as added.

        Raises:
            CompactedError: the changes after that version are no longer all kept.
        """
        table = self._tables[resource]
        watch = Watch(table.watches.remove)
        if since == 0:
            for found in table.objects.values():
                watch.push(Change(int(found["metadata"]["resourceVersion"]), "ADDED", found, None))
        elif since is not None:
            if since < table.compacted:
                raise CompactedError
            first = bisect.bisect_right(table.history, since, key=lambda change: change.version)
            for index in range(first, len(table.history)):
                watch.push(table.history[index])
        table.watches.append(watch)
        if self._is_closed:
            watch.close()
        return watch

    def compact(self) -> None:
        """Forget the history, as a real store does every few minutes: older versions expire."""
        for table in self._tables.values():
            table.history.clear()
            table.compacted = self.version

    def compacted(self, resource: str) -> int:
        """Return the version up to which changes are forgotten."""
        return self._tables[resource].compacted

    def close(self) -> None:
        """End every watch, and those to come as soon as they have told what there is."""
        self._is_closed = True
        for table in self._tables.values():
            for watch in list(table.watches):
                watch.close()

    def _tell(self, resource: str, change: Change) -> None:
        table = self._tables[resource]
        if not self._is_closed:
            for listen in self.listeners:
                listen(resource, change)
        table.history.append(change)
        if len(table.history) > self._history:
            table.compacted = table.history.popleft().version
        for watch in table.watches:
            watch.push(change)

    def _as_of(self, table: _Table, version: int) -> dict[Key, schema.Object]:
        if version < table.compacted:
            raise CompactedError
        objects = dict(table.objects)
        for change in reversed(table.history):
            if change.version <= version:
                break
            metadata = change.object["metadata"]
            key = (metadata.get("namespace", ""), metadata["name"])
            if change.previous is None:
                del objects[key]
            else:
                objects[key] = change.previous
        return objects
