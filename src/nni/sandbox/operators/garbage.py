"""Garbage collection: what belongs to a deleted object goes with it, by the deletion's policy."""

import asyncio
import collections
import contextlib
from collections.abc import Sequence

from nni.sandbox import kinds, registry, schema, status, store

Identity = tuple[kinds.Kind, str, str]


class GarbageCollector:
    """Follows every kind and knows who owns what."""

    def __init__(self, objects: registry.Registry, served: kinds.Kinds) -> None:
        self._objects = objects
        self._kinds = served
        self._dependents: collections.defaultdict[str, dict[str, Identity]] = collections.defaultdict(dict)
        """By the owner's uid, then by their own."""

    async def run(self) -> None:
        """Collect until the store is closed."""
        versions = self._objects.store
        async with asyncio.TaskGroup() as group:

            def follow(kind: kinds.Kind) -> None:
                group.create_task(self._follow(kind, versions.watch(kind.resource, 0)))

            with self._kinds.arrivals(follow):
                end = versions.watch(kinds.NAMESPACE.resource)
                while await end.next():
                    pass

    async def _follow(self, kind: kinds.Kind, watch: store.Watch) -> None:
        with contextlib.closing(watch):
            async for change in watch:
                self._see(kind, change)

    def _see(self, kind: kinds.Kind, change: store.Change) -> None:
        metadata = change.object["metadata"]
        owners = metadata.get("ownerReferences", [])
        identity = (kind, metadata.get("namespace", ""), metadata["name"])
        if change.happening == "DELETED":
            self._forget(metadata["uid"], identity[1], owners)
            self._release(metadata["uid"])
            return
        for owner in owners:
            self._dependents[owner["uid"]][metadata["uid"]] = identity
        if owners and not any(self._find_owner(owner, identity[1]) for owner in owners):
            self._delete(identity, metadata["uid"])
        if metadata.get("deletionTimestamp"):
            self._finalize(identity, change.object)

    def _forget(self, uid: str, namespace: str, owners: Sequence[schema.Object]) -> None:
        for owner in owners:
            dependents = self._dependents.get(owner["uid"], {})
            dependents.pop(uid, None)
            found = self._find_owner(owner, namespace)
            if found is not None and found[1]["metadata"].get("deletionTimestamp"):
                self._finalize(*found)

    def _release(self, uid: str) -> None:
        """Delete what the gone object owned alone; what has other owners loses this one."""
        for dependent, identity in list(self._dependents.pop(uid, {}).items()):
            kind, namespace, name = identity
            found = self._objects.find(kind, namespace, name)
            if found is None or found["metadata"]["uid"] != dependent:
                continue
            others = [owner for owner in found["metadata"].get("ownerReferences", []) if owner["uid"] != uid]
            if any(self._find_owner(owner, namespace) for owner in others):
                self._objects.set_owners(kind, found, others)
            else:
                self._delete(identity, dependent)

    def _finalize(self, identity: Identity, found: schema.Object) -> None:
        current = self._objects.find(*identity)
        if current is None or current["metadata"]["uid"] != found["metadata"]["uid"]:
            return
        finalizers = current["metadata"].get("finalizers", [])
        if "orphan" in finalizers:
            self._orphan(current["metadata"]["uid"])
            self._objects.set_finalizers(identity[0], current, [each for each in finalizers if each != "orphan"])
        elif "foregroundDeletion" in finalizers:
            blocking = self._blocking(current["metadata"]["uid"])
            for dependent, place in blocking.items():
                self._delete(place, dependent)
            if not self._blocking(current["metadata"]["uid"]):
                rest = [each for each in finalizers if each != "foregroundDeletion"]
                self._objects.set_finalizers(identity[0], self._objects.get(*identity), rest)

    def _blocking(self, uid: str) -> dict[str, Identity]:
        return {
            dependent: identity
            for dependent, identity in self._dependents.get(uid, {}).items()
            if (found := self._objects.find(*identity)) is not None and found["metadata"]["uid"] == dependent
        }

    def _orphan(self, uid: str) -> None:
        for kind, namespace, name in self._dependents.pop(uid, {}).values():
            found = self._objects.find(kind, namespace, name)
            if found is not None:
                others = [owner for owner in found["metadata"].get("ownerReferences", []) if owner["uid"] != uid]
                self._objects.set_owners(kind, found, others)

    def _find_owner(self, owner: schema.Object, namespace: str) -> tuple[Identity, schema.Object] | None:
        kind = self._kinds.named(owner["apiVersion"], owner["kind"])
        if kind is None:
            # Nobody here serves that kind, so nobody can say that the owner is gone.
            return (kinds.NAMESPACE, "", ""), {"metadata": {}}
        place = namespace if kind.is_namespaced else ""
        found = self._objects.find(kind, place, owner["name"])
        if found is None or found["metadata"]["uid"] != owner["uid"]:
            return None
        return (kind, place, owner["name"]), found

    def _delete(self, identity: Identity, uid: str) -> None:
        with contextlib.suppress(status.Refusal):  # gone already, or another one by now
            self._objects.delete(*identity, registry.Deletion(uid=uid))
