"""Watches: the changes of a collection as one JSON object a line, for as long as the client likes."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from nni.sandbox import registry, schema, status, store
from nni.sandbox.api import listing, query, target

_BOOKMARK_EVERY = 30.0
"""Seconds of quiet after which a bookmark is sent."""
_LONGEST = 3600.0
"""Seconds after which a watch without a timeout is closed."""

Send = Callable[[bytes], Awaitable[None]]
Dress = Callable[[schema.Object], schema.Object]


async def stream(
    objects: registry.Registry, what: target.Target, asked: query.Query, dress: Dress, send: Send
) -> None:  # fmt: skip
    """Send the events of a watch until its time is over, the cluster stops or the client goes.

    Args:
        objects: Where the objects are.
        what: The collection.
        asked: Selectors, version, timeout.
        dress: Turns an object into what the client wants to see (a Table, say).
        send: Writes bytes to the client.
    """
    selected = _Selection(what, asked, dress)
    resource = what.kind.resource
    since = asked.version or None
    try:
        watch = objects.store.watch(resource, since)
    except store.CompactedError:
        refusal = listing.too_old(since or 0, objects.store.compacted(resource))
        await send(_line("ERROR", refusal.body()))
        return
    try:
        if since is None:
            await send(b"".join(_line("ADDED", dress(one)) for one in selected.present(objects)))
            if asked.wants_initial:
                await send(selected.bookmark(objects.store.version, is_initial_end=True))
        await _follow(objects, watch, selected, send)
    finally:
        watch.close()


async def _follow(objects: registry.Registry, watch: store.Watch, selected: "_Selection", send: Send) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + (_LONGEST if selected.asked.timeout is None else selected.asked.timeout)
    while True:
        quiet_until = min(end, loop.time() + _BOOKMARK_EVERY)
        try:
            async with asyncio.timeout_at(quiet_until):
                changes = await watch.next()
        except TimeoutError:
            if selected.asked.wants_bookmarks and (selected.asked.version or 0) <= objects.store.version:
                await send(selected.bookmark(objects.store.version))
            if loop.time() >= end:
                return
            continue
        if not changes:
            return
        if lines := b"".join(filter(None, (selected.line(change) for change in changes))):
            await send(lines)


class _Selection:
    """What one watch sees of the changes."""

    def __init__(self, what: target.Target, asked: query.Query, dress: Dress) -> None:
        self.what = what
        self.asked = asked
        self.dress = dress

    def present(self, objects: registry.Registry) -> list[schema.Object]:
        return [one for one in objects.all(self.what.kind, self.what.namespace) if self.asked.matches(one)]

    def line(self, change: store.Change) -> bytes | None:
        """Write one change; one that leaves the selection is a DELETED, one that enters it an ADDED."""
        if change.version <= (self.asked.version or 0):
            return None  # a watch from the future waits for its version
        if self.what.namespace and change.object["metadata"].get("namespace") != self.what.namespace:
            return None
        is_in = change.happening != "DELETED" and self.asked.matches(change.object)
        was_in = change.previous is not None and self.asked.matches(change.previous)
        if is_in:
            return _line("MODIFIED" if was_in else "ADDED", self.dress(change.object))
        if not was_in or change.previous is None:
            return None
        last = change.previous
        version = change.object["metadata"]["resourceVersion"]
        return _line("DELETED", self.dress({**last, "metadata": {**last["metadata"], "resourceVersion": version}}))

    def bookmark(self, version: int, *, is_initial_end: bool = False) -> bytes:
        kind = self.what.kind
        metadata: schema.Object = {"resourceVersion": str(version)}
        if is_initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return _line("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})


def _line(happening: str, found: schema.Object) -> bytes:
    return json.dumps({"type": happening, "object": found}, separators=(",", ":")).encode() + b"\n"


def error_line(refusal: status.Refusal) -> bytes:
    """Write a refusal that comes after the stream has begun."""
    return _line("ERROR", refusal.body())
