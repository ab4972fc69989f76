"""The faults that keep pods from starting, as a scheduler and a kubelet meet them."""

import fnmatch
from collections.abc import Iterator

from nni.sandbox import schema
from nni.sandbox.faults import board, catalogue

_NOT_FOUND = (
    'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
)  # fmt: skip


class Afflictions:
    """Says what is wrong with a pod at each step of its start; nothing, as a rule."""

    def __init__(self, faults: board.Board) -> None:
        self._faults = faults

    async def changed(self) -> None:
        """Wait until something else may be wrong, or nothing any more."""
        await self._faults.changed()

    def scheduling(self, pod: schema.Object) -> str:
        """Say why no node takes it."""
        fault = self._faults.befalls(catalogue.Unschedulable, pod)
        return fault.message if fault else ""

    def mounting(self, pod: schema.Object) -> str:
        """Say why its volumes cannot be mounted."""
        names = [volume["name"] for volume in pod["spec"].get("volumes", [])]
        fault = self._faults.befalls(
            catalogue.MountFailure, pod, lambda fault: bool(fnmatch.filter(names, fault.volume))
        )  # fmt: skip
        if fault:
            return f'volume "{fnmatch.filter(names, fault.volume)[0]}" : {fault.message}'
        wanted = [
            volume["secret"]["secretName"]
            for volume in pod["spec"].get("volumes", [])
            if "secret" in volume and not volume["secret"].get("optional")
        ]
        return self._missing(pod, wanted)

    def referring(self, pod: schema.Object, container: schema.Object) -> str:
        """Say what a container's environment refers to and is not found."""
        return self._missing(pod, list(_secrets(container)))

    def pulling(self, pod: schema.Object, image: str) -> str:
        """Say why an image cannot be pulled."""
        fault = self._faults.befalls(
            catalogue.ImagePullFailure, pod, lambda fault: fnmatch.fnmatchcase(image, fault.image)
        )  # fmt: skip
        return (fault.message or _NOT_FOUND.format(image=image)) if fault else ""

    def delay(self, pod: schema.Object) -> float:
        """Give the seconds that its start takes longer."""
        fault = self._faults.befalls(catalogue.SlowStart, pod)
        return fault.delay if fault else 0.0

    def _missing(self, pod: schema.Object, secrets: list[str]) -> str:
        fault = self._faults.befalls(
            catalogue.MissingSecret, pod, lambda fault: bool(fnmatch.filter(secrets, fault.secret))
        )  # fmt: skip
        return f'secret "{fnmatch.filter(secrets, fault.secret)[0]}" not found' if fault else ""


def _secrets(container: schema.Object) -> Iterator[str]:
    """Name the secrets that a container's environment cannot do without."""
    references = [source.get("secretRef") for source in container.get("envFrom", [])]
    references += [variable.get("valueFrom", {}).get("secretKeyRef") for variable in container.get("env", [])]
    for reference in references:
        if reference and not reference.get("optional"):
            yield reference.get("name", "")
