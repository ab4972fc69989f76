"""Namespaces: what stands in each from the start, and their end with everything in them."""

from nni.sandbox import kinds, registry, schema
from nni.sandbox.operators import control


class Namespaces:
    """Gives each namespace its service account, and empties those that are being deleted."""

    def __init__(self, objects: registry.Registry, served: kinds.Kinds) -> None:
        self._objects = objects
        self._kinds = [kind for kind in served if kind.is_namespaced]

    async def run(self) -> None:
        """Work until the store is closed."""
        of_content = [(kind, _namespace) for kind in self._kinds]
        await control.run(self._objects.store, [(kinds.NAMESPACE, control.own_name), *of_content], self._look)

    def _look(self, _: str, name: str) -> None:
        found = self._objects.find(kinds.NAMESPACE, "", name)
        if found is None:
            return
        if not found["metadata"].get("deletionTimestamp"):
            if self._objects.find(kinds.SERVICE_ACCOUNT, name, "default") is None:
                self._objects.create(kinds.SERVICE_ACCOUNT, name, {"metadata": {"name": "default"}})
            return
        is_empty = True
        for kind in self._kinds:
            for one in self._objects.all(kind, name):
                is_empty = False
                if not one["metadata"].get("deletionTimestamp"):
                    self._objects.delete(kind, name, one["metadata"]["name"])
        if is_empty or not any(self._objects.all(kind, name) for kind in self._kinds):
            self._objects.finish(kinds.NAMESPACE, found)


def _namespace(found: schema.Object) -> list[control.Name]:
    """Map what lies in a namespace to it - if it has just left one, which may be on its way out."""
    return [("", found["metadata"]["namespace"])]
