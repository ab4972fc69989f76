"""The loop that every operator has: changes name the objects to look at, and each is looked at once."""

import contextlib
from collections.abc import Callable, Sequence

import asyncio

from nni.sandbox import kinds, schema, store

Name = tuple[str, str]
"""Namespace and name of the object to look at."""
Source = tuple[kinds.Kind, Callable[[schema.Object], Sequence[Name]]]
"""A kind to watch, and the objects that a change of one of its objects concerns."""


def own_name(found: schema.Object) -> list[Name]:
    """Map an object to itself."""
    return [(found["metadata"].get("namespace", ""), found["metadata"]["name"])]


def controller(kind: str) -> Callable[[schema.Object], Sequence[Name]]:
    """Map an object to the object of a kind that controls it."""

    def owners(found: schema.Object) -> Sequence[Name]:
        return [
            (found["metadata"]["namespace"], owner["name"])
            for owner in found["metadata"].get("ownerReferences", [])
            if owner.get("controller") and owner["kind"] == kind
        ]

    return owners


async def run(objects: store.Store, sources: Sequence[Source], look: Callable[[str, str], float | None]) -> None:
    """Call ``look(namespace, name)`` for each object that a change concerns, until the store is closed.

    ``look`` may return seconds after which it wants to be called again.
    """
    waiting: dict[Name, None] = {}
    something = asyncio.Event()
    watches = [objects.watch(kind.resource, 0) for kind, _ in sources]

    def enqueue(name: Name) -> None:
        waiting[name] = None
        something.set()

    async def collect(watch: store.Watch, concerned: Callable[[schema.Object], Sequence[Name]]) -> None:
        async for change in watch:
            for name in concerned(change.object):
                enqueue(name)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await something.wait()
            something.clear()
            while waiting:
                name = next(iter(waiting))
                del waiting[name]
                again = look(*name)
                if again is not None:
                    loop.call_later(again, enqueue, name)
                await asyncio.sleep(0)

    with contextlib.ExitStack() as stack:
        for watch in watches:
            stack.callback(watch.close)
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(work())
            async with asyncio.TaskGroup() as collectors:
                for watch, (_, concerned) in zip(watches, sources, strict=True):
                    collectors.create_task(collect(watch, concerned))
            worker.cancel()
