"""Custom resource definitions: what they define is served from then on, and goes with them."""

import dataclasses
from collections.abc import Iterator

from nni.sandbox import kinds, registry, schema, structural, times

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class Definitions:
    """Serves what definitions define. One for a kind that is built in replaces the schema of that kind."""

    def __init__(self, objects: registry.Registry, served: kinds.Kinds) -> None:
        self._objects = objects
        self._kinds = served
        self._generations: dict[str, int] = {}
        """What is served, by the uids of the definitions."""

    async def run(self) -> None:
        """Work until the store is closed."""
        async for change in self._objects.store.watch(kinds.DEFINITION.resource, 0):
            definition = change.object
            if change.happening == "DELETED":
                self._generations.pop(definition["metadata"]["uid"], None)
                continue
            current = self._objects.find(kinds.DEFINITION, "", definition["metadata"]["name"])
            if current is None or current["metadata"]["uid"] != definition["metadata"]["uid"]:
                continue
            if current["metadata"].get("deletionTimestamp"):
                self._end(current)
            elif current["metadata"]["generation"] != self._generations.get(current["metadata"]["uid"]):
                self._serve(current)

    def _serve(self, definition: schema.Object) -> None:
        generation = definition["metadata"]["generation"]
        self._generations[definition["metadata"]["uid"]] = generation
        before = {row.version for row in self._kinds if row.resource == definition["metadata"]["name"]}
        rows = list(_rows(definition, self._objects.types))
        for row in rows:
            self._kinds.put(row)
        for version in before - {row.version for row in rows}:
            gone = self._kinds.at(rows[0].group, version, rows[0].plural)
            if gone is not None:
                self._kinds.drop(gone)
        if FINALIZER not in definition["metadata"].get("finalizers", []):
            self._objects.set_finalizers(
                kinds.DEFINITION, definition, [*definition["metadata"].get("finalizers", []), FINALIZER]
            )
        if generation != _accepted(definition):  # it can be there from an earlier run
            self._objects.set_status(kinds.DEFINITION, definition, self._status(definition))

    def _status(self, definition: schema.Object) -> schema.Object:
        moment = times.stamp(self._objects.now())
        generation = definition["metadata"].get("generation")
        conditions = [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted",
             "message": "the initial names have been accepted"},
        ]  # fmt: skip
        storage = [version["name"] for version in definition["spec"]["versions"] if version["storage"]]
        return {
            "conditions": [
                {**each, "lastTransitionTime": moment, "observedGeneration": generation} for each in conditions
            ],
            "acceptedNames": definition["spec"]["names"],
            "storedVersions": storage,
        }

    def _end(self, definition: schema.Object) -> None:
        for row in list(self._kinds):
            if row.resource != definition["metadata"]["name"]:
                continue
            if not self._kinds.is_built_in(row):
                for one in self._objects.all(row):
                    self._objects.delete(row, one["metadata"].get("namespace", ""), one["metadata"]["name"])
            self._kinds.drop(row)
        left = [each for each in definition["metadata"].get("finalizers", []) if each != FINALIZER]
        self._objects.set_finalizers(kinds.DEFINITION, definition, left)


def _accepted(definition: schema.Object) -> int | None:
    for condition in definition.get("status", {}).get("conditions", []):
        if condition["type"] == "Established":
            generation: int | None = condition.get("observedGeneration")
            return generation
    return None


def _rows(definition: schema.Object, types: schema.Types) -> Iterator[kinds.Kind]:
    spec = definition["spec"]
    names = spec["names"]
    for version in spec["versions"]:
        if not version["served"]:
            continue
        row = kinds.Kind(
            spec["group"],
            version["name"],
            names["kind"],
            names["plural"],
            tuple(names.get("shortNames", [])),
            tuple(names.get("categories", [])),
            is_namespaced=spec["scope"] == "Namespaced",
            is_custom=True,
            has_status="status" in version.get("subresources", {}),
            has_generation=True,
            shape=structural.Structure(version["schema"]["openAPIV3Schema"], types),
        )
        yield dataclasses.replace(row, columns=tuple(version.get("additionalPrinterColumns", [])))
