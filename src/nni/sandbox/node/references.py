"""Waiting for what a manifest names: a waiter is woken by a change of its object, and by no other."""

import asyncio
import collections
import contextlib
from collections.abc import Iterator

from nni.sandbox import kinds, registry

Reference = tuple[str, str, str]
"""Resource, namespace and name, as ``("secrets", "default", "keys")``."""
_KINDS = (kinds.SECRET, kinds.CONFIG_MAP, kinds.CLAIM, kinds.POD)


class References:
    """Everybody on the nodes who waits for an object."""

    def __init__(self, objects: registry.Registry) -> None:
        self._watches = [(kind, objects.store.watch(kind.resource)) for kind in _KINDS]
        self._waiters: collections.defaultdict[Reference, list[asyncio.Event]] = collections.defaultdict(list)

    async def run(self) -> None:
        """Wake waiters until it is closed."""
        async with asyncio.TaskGroup() as group:
            for index in range(len(self._watches)):
                group.create_task(self._follow(index))

    def close(self) -> None:
        """End it."""
        for _, watch in self._watches:
            watch.close()

    @contextlib.contextmanager
    def expecting(self, wanted: Reference | None) -> Iterator[asyncio.Event]:
        """Give an event that is set by the next change of an object; by nothing, for None.

        Entered without an ``await`` since the object was looked at, no change can be missed.
        """
        event = asyncio.Event()
        if wanted is None:
            yield event
            return
        self._waiters[wanted].append(event)
        try:
            yield event
        finally:
            self._waiters[wanted].remove(event)
            if not self._waiters[wanted]:
                del self._waiters[wanted]

    async def _follow(self, index: int) -> None:
        kind, watch = self._watches[index]
        async for change in watch:
            metadata = change.object["metadata"]
            for event in self._waiters.get((kind.resource, metadata["namespace"], metadata["name"]), ()):
                event.set()
