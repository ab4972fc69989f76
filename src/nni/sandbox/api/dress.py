"""The dress in which objects go out: as they are, as a table for kubectl, or as their metadata alone."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from nni.sandbox import kinds, schema, tables, times

_META = "meta.k8s.io/v1"


class Dress(Protocol):
    """Turns objects into what a client wants to see."""

    def one(self, found: schema.Object) -> schema.Object:
        """Dress one object, of a get or of a watch."""
        ...

    def many(self, found: Sequence[schema.Object], metadata: schema.Object) -> schema.Object:
        """Dress a list."""
        ...


def choose(accept: str, given: Mapping[str, str], kind: kinds.Kind, now: times.Now) -> Dress:
    """Choose by the ``Accept`` header."""
    first = accept.replace(" ", "").partition(",")[0]
    if "as=Table" in first:
        return _Table(kind, given.get("includeObject", "Metadata"), now)
    if "as=PartialObjectMetadata" in first:
        return _Metadata()
    return _Plain(kind)


class _Plain:
    def __init__(self, kind: kinds.Kind) -> None:
        self._kind = kind

    def one(self, found: schema.Object) -> schema.Object:
        # What is kept in one version of a definition is served in all of them.
        if found["apiVersion"] == self._kind.api_version:
            return found
        return {**found, "apiVersion": self._kind.api_version}

    def many(self, found: Sequence[schema.Object], metadata: schema.Object) -> schema.Object:
        if self._kind.is_custom:
            items = [self.one(each) for each in found]
        else:  # an API server does not say what each of its own kinds is
            items = [{name: each[name] for name in each if name not in ("apiVersion", "kind")} for each in found]
        version = self._kind.api_version
        return {"kind": f"{self._kind.kind}List", "apiVersion": version, "metadata": metadata, "items": items}


class _Table:
    def __init__(self, kind: kinds.Kind, include: str, now: times.Now) -> None:
        self._kind = kind
        self._include = include
        self._now = now

    def one(self, found: schema.Object) -> schema.Object:
        return self.many([found], {"resourceVersion": found["metadata"]["resourceVersion"]})

    def many(self, found: Sequence[schema.Object], metadata: schema.Object) -> schema.Object:
        return tables.table(self._kind, found, metadata, self._include, self._now())


class _Metadata:
    def one(self, found: schema.Object) -> schema.Object:
        return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": found["metadata"]}

    def many(self, found: Sequence[schema.Object], metadata: schema.Object) -> schema.Object:
        items = [self.one(each) for each in found]
        return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata, "items": items}
