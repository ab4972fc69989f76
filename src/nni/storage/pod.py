"""The pod's side of volumes: what its specification says of them."""

from collections.abc import Mapping
from typing import Any

VOLUME = "nni-volume"
MOUNT_PATH = "/mnt/nni/volume"


def side(source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an entry of a pod's ``volumes``, and one of a container's ``volumeMounts``.

    Args:
        source: The kind of volume with what it needs, as ``{"emptyDir": {}}``.
    """
    return {"name": VOLUME, **source}, {"name": VOLUME, "mountPath": MOUNT_PATH}


def scratch() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two of a directory of the pod's own, that goes with it."""
    return side({"emptyDir": {}})
