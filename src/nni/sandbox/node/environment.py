"""A container's environment: what its manifest says, and next to nothing of the host's."""

import base64
import json
import re
from collections.abc import Callable, Mapping

from nni.sandbox import kinds, quantities, registry, schema
from nni.sandbox.node import references

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class MissingReferenceError(LookupError):
    """A secret, a config map or a key that the manifest names does not exist (yet)."""

    def __init__(self, message: str, reference: references.Reference | None = None) -> None:
        super().__init__(message)
        self.reference = reference
        """The object whose coming or change may help."""


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by the variable's value; unknown names stay, ``$$`` is a dollar."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


class Builder:
    """Builds the environments of one pod's containers."""

    def __init__(
        self, objects: registry.Registry, pod: schema.Object, address: str, allocatable: Mapping[str, str]
    ) -> None:
        """Take the pod's IP, and the node's capacity for containers without limits."""
        self._objects = objects
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]
        self._address = address
        self._allocatable = allocatable

    def build(self, container: schema.Object) -> dict[str, str]:
        """Evaluate ``envFrom`` and ``env`` in order. Raises MissingReferenceError."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self._all_of(source)
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                value = self._from(variable["valueFrom"], container)
                if value is not None:
                    found[variable["name"]] = value
            else:
                found[variable["name"]] = expand(variable.get("value", ""), found)
        return found

    def field(self, path: str) -> str:
        """Evaluate a ``fieldRef``."""
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        if match := _SUBSCRIPT.match(path):
            return str(metadata.get(match[1], {}).get(match[2], ""))
        values: dict[str, Callable[[], str]] = {
            "metadata.name": lambda: metadata["name"],
            "metadata.namespace": lambda: metadata["namespace"],
            "metadata.uid": lambda: metadata["uid"],
            "metadata.labels": lambda: _lines(metadata.get("labels", {})),
            "metadata.annotations": lambda: _lines(metadata.get("annotations", {})),
            "spec.nodeName": lambda: spec["nodeName"],
            "spec.serviceAccountName": lambda: spec.get("serviceAccountName", "default"),
            "status.hostIP": lambda: self._address,
            "status.hostIPs": lambda: self._address,
            "status.podIP": lambda: self._address,
            "status.podIPs": lambda: self._address,
        }
        if path not in values:
            raise MissingReferenceError(f"unsupported fieldPath: {path}")
        return values[path]()

    def resource(self, reference: schema.Object, container: schema.Object) -> str:
        """Evaluate a ``resourceFieldRef``."""
        kind, _, name = reference["resource"].partition(".")
        spec = self._pod["spec"]
        everybody = [*spec["containers"], *spec.get("initContainers", [])]
        named = [one for one in everybody if one["name"] == reference.get("containerName")]
        resources = (named[0] if named else container).get("resources", {})
        limit = resources.get("limits", {}).get(name)
        if kind == "limits":
            amount = limit or self._allocatable.get(name, "0")
        else:
            amount = resources.get("requests", {}).get(name) or limit or "0"
        return quantities.in_units(amount, reference.get("divisor") or "1")

    def find(self, kind: kinds.Kind, name: str) -> schema.Object | None:
        """Return an object of the pod's namespace, or None."""
        return self._objects.find(kind, self._namespace, name)

    def data(self, kind: kinds.Kind, name: str) -> dict[str, bytes] | None:
        """Read a secret or a config map; None when there is none of that name."""
        found = self.find(kind, name)
        if found is None:
            return None
        if kind is kinds.SECRET:
            return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
        plain = {key: value.encode() for key, value in found.get("data", {}).items()}
        return plain | {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}

    def _all_of(self, source: schema.Object) -> dict[str, str]:
        kind, reference = (
            (kinds.SECRET, source["secretRef"]) if "secretRef" in source else (kinds.CONFIG_MAP, source["configMapRef"])
        )
        values = self.data(kind, reference.get("name", ""))
        if values is None:
            if reference.get("optional"):
                return {}
            raise self._missing(kind, reference.get("name", ""))
        return {source.get("prefix", "") + key: value.decode(errors="replace") for key, value in values.items()}

    def _from(self, source: schema.Object, container: schema.Object) -> str | None:
        if "fieldRef" in source:
            return self.field(source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return self.resource(source["resourceFieldRef"], container)
        for part, kind in (("secretKeyRef", kinds.SECRET), ("configMapKeyRef", kinds.CONFIG_MAP)):
            if part in source:
                return self._key(kind, source[part])
        raise MissingReferenceError(f"unsupported valueFrom: {', '.join(source)}")

    def _key(self, kind: kinds.Kind, reference: schema.Object) -> str | None:
        name, key = reference.get("name", ""), reference["key"]
        values = self.data(kind, name)
        if values is not None and key in values:
            return values[key].decode(errors="replace")
        if reference.get("optional"):
            return None
        if values is None:
            raise self._missing(kind, name)
        message = f"couldn't find key {key} in {kind.kind} {self._namespace}/{name}"
        raise MissingReferenceError(message, (kind.resource, self._namespace, name))

    def _missing(self, kind: kinds.Kind, name: str) -> MissingReferenceError:
        return MissingReferenceError(f'{kind.singular} "{name}" not found', (kind.resource, self._namespace, name))


def _lines(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(pairs.items()))
