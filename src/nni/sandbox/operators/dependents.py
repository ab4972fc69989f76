"""What the objects of one kind control: found by their owner, however many objects there are."""

import collections
import contextlib
import functools
from collections.abc import Iterator, Sequence

from nni.sandbox import kinds, registry, schema, status
from nni.sandbox.operators import control


def reference(owner: schema.Object) -> schema.Object:
    """Make the reference by which an owner controls what it has made."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


class Dependents:
    """The names of controlled objects, by owner and kind.

    What an operator makes is known to it at once; a watch alone would tell later, and it would be made twice.
    """

    def __init__(self, objects: registry.Registry, owner: kinds.Kind, controlled: Sequence[kinds.Kind]) -> None:
        self._objects = objects
        self._owner = owner
        self._controlled = controlled
        self._owners = control.controller(owner.kind)
        self._names: collections.defaultdict[tuple[str, control.Name], dict[str, None]]
        self._names = collections.defaultdict(dict)

    def sources(self) -> list[tuple[kinds.Kind, control.Concerned]]:
        """Learn what is there already, and say what to watch to stay in the picture."""
        for kind in self._controlled:
            for found in self._objects.all(kind):
                self._learn(kind, found)
        return [(kind, functools.partial(self._learn, kind)) for kind in self._controlled]

    def of(self, owner: schema.Object, kind: kinds.Kind) -> list[schema.Object]:
        """List what an owner controls, in the order in which it came to be known."""
        metadata = owner["metadata"]
        everything = self._all(kind, (metadata["namespace"], metadata["name"]))
        return [found for found in everything if is_controlled(found, metadata["uid"])]

    def strays(self, owner: control.Name, kind: kinds.Kind) -> list[schema.Object]:
        """List what an object of that name controlled that is no more."""
        current = self._objects.find(self._owner, *owner)
        uid = current["metadata"]["uid"] if current else ""
        return [found for found in self._all(kind, owner) if not is_controlled(found, uid)]

    def create(self, owner: schema.Object, kind: kinds.Kind, body: schema.Object) -> schema.Object:
        """Make an object under its owner's control. Raises a refusal."""
        metadata = {**body["metadata"], "ownerReferences": [reference(owner)]}
        made = self._objects.create(kind, owner["metadata"]["namespace"], {**body, "metadata": metadata})
        self._learn(kind, made)
        return made

    def delete(self, kind: kinds.Kind, found: schema.Object, policy: str = "Background") -> bool:
        """Delete an object unless it is on its way out; say whether that was for this call to do."""
        metadata = found["metadata"]
        if metadata.get("deletionTimestamp"):
            return False
        how = registry.Deletion(policy=policy, uid=metadata["uid"])
        with contextlib.suppress(status.Refusal):  # gone already, or another one by now
            self._objects.delete(kind, metadata["namespace"], metadata["name"], how)
            return True
        return False

    def _learn(self, kind: kinds.Kind, found: schema.Object) -> Sequence[control.Name]:
        owners = self._owners(found)
        for owner in owners:
            self._names[kind.resource, owner][found["metadata"]["name"]] = None
        return owners

    def _all(self, kind: kinds.Kind, owner: control.Name) -> Iterator[schema.Object]:
        place = (kind.resource, owner)
        for name in list(self._names.get(place, ())):
            found = self._objects.find(kind, owner[0], name)
            if found is None:
                del self._names[place][name]
            else:
                yield found
        if not self._names.get(place, True):
            del self._names[place]


def is_controlled(found: schema.Object, uid: str) -> bool:
    """Say whether the object of this uid controls another."""
    owners = found["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == uid and owner.get("controller") for owner in owners)
