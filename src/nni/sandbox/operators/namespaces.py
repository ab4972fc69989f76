"""Namespaces: what stands in each from the start, and their end with everything in them."""

import asyncio

from nni.sandbox import kinds, registry, store
from nni.sandbox.operators import control


class Namespaces:
    """Gives each namespace its service account, and empties those that are being deleted."""

    def __init__(self, objects: registry.Registry, served: kinds.Kinds) -> None:
        self._objects = objects
        self._kinds = served

    async def run(self) -> None:
        """Work until the store is closed."""
        objects = self._objects.store
        async with asyncio.TaskGroup() as group:

            def follow(kind: kinds.Kind) -> None:
                if kind.is_namespaced:
                    group.create_task(self._follow(objects.watch(kind.resource)))

            with self._kinds.arrivals(follow):
                await control.run(objects, [(kinds.NAMESPACE, control.own_name)], self._look)

    async def _follow(self, content: store.Watch) -> None:
        """Look at a namespace whenever something has left it: it may be on its way out."""
        async for change in content:
            if change.happening == "DELETED":
                self._look("", change.object["metadata"]["namespace"])

    def _look(self, _: str, name: str) -> None:
        found = self._objects.find(kinds.NAMESPACE, "", name)
        if found is None:
            return
        if not found["metadata"].get("deletionTimestamp"):
            if self._objects.find(kinds.SERVICE_ACCOUNT, name, "default") is None:
                self._objects.create(kinds.SERVICE_ACCOUNT, name, {"metadata": {"name": "default"}})
            return
        is_empty = True
        content = [kind for kind in self._kinds if kind.is_namespaced]
        for kind in content:
            for one in self._objects.all(kind, name):
                is_empty = False
                if not one["metadata"].get("deletionTimestamp"):
                    self._objects.delete(kind, name, one["metadata"]["name"])
        if is_empty or not any(self._objects.all(kind, name) for kind in content):
            self._objects.finish(kinds.NAMESPACE, found)
