"""The loop that every operator has: changes name the objects to look at, and each is looked at once."""

import asyncio
import collections
import contextlib
from collections.abc import Callable, Sequence

from nni.sandbox import kinds, schema, status, store

Name = tuple[str, str]
"""Namespace and name of the object to look at."""
Concerned = Callable[[schema.Object], Sequence[Name]]
"""Names the objects that a change of an object concerns."""
Look = Callable[[str, str], float | None]
"""Looks at one object; may return seconds after which it wants to look again, or raise the refusal that stopped it."""

_FIRST_RETRY, _LONGEST_RETRY = 0.005, 1000.0
"""Seconds after which a refused look is repeated: twice as long each time, as client-go's work queues do."""


def own_name(found: schema.Object) -> list[Name]:
    """Map an object to itself."""
    return [(found["metadata"].get("namespace", ""), found["metadata"]["name"])]


def controller(kind: str) -> Concerned:
    """Map an object to the object of a kind that controls it."""

    def owners(found: schema.Object) -> Sequence[Name]:
        return [
            (found["metadata"]["namespace"], owner["name"])
            for owner in found["metadata"].get("ownerReferences", [])
            if owner.get("controller") and owner["kind"] == kind
        ]

    return owners


async def run(objects: store.Store, sources: Sequence[tuple[kinds.Kind, Concerned]], look: Look) -> None:
    """Look at each object that a change concerns, until the store is closed."""
    queue = _Queue()
    with contextlib.ExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(queue.work(look))
            async with asyncio.TaskGroup() as collectors:
                for kind, concerned in sources:
                    watch = objects.watch(kind.resource, 0)
                    stack.callback(watch.close)
                    collectors.create_task(queue.collect(watch, concerned))
            worker.cancel()


class _Queue:
    """Names that wait to be looked at, each once."""

    def __init__(self) -> None:
        self._names: dict[Name, None] = {}
        self._refusals: collections.Counter[Name] = collections.Counter()
        """Since the last look that went through."""
        self._something = asyncio.Event()

    def add(self, name: Name) -> None:
        self._names[name] = None
        self._something.set()

    async def collect(self, watch: store.Watch, concerned: Concerned) -> None:
        async for change in watch:
            for name in concerned(change.object):
                self.add(name)

    async def work(self, look: Look) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._something.wait()
            self._something.clear()
            while self._names:
                name = next(iter(self._names))
                del self._names[name]
                again = self._try(look, name)
                if again is not None:
                    loop.call_later(again, self.add, name)
                await asyncio.sleep(0)  # a long queue must not keep the API waiting

    def _try(self, look: Look, name: Name) -> float | None:
        try:
            again = look(*name)
        except status.Refusal:
            before = self._refusals[name]
            self._refusals[name] += 1
            return min(_FIRST_RETRY * 2.0 ** min(before, 20), _LONGEST_RETRY)
        self._refusals.pop(name, None)
        return again
