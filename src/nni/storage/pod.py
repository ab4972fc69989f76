"""The pod's side of volumes: what its specification says of them."""

from collections.abc import Mapping
from typing import Any

from nni.core import spec as specs

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


def claim(storage: specs.PvcSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two of a PersistentVolumeClaim."""
    volume, mount = side({"persistentVolumeClaim": {"claimName": storage.claim_name}})
    return volume, ({**mount, "subPath": storage.sub_path} if storage.sub_path else mount)
