"""Persistent volume claims: one storage class, ``standard``, that gives every claim a directory at once.

A claim of whatever class is bound, for the classes of the cluster that a manifest was written for are not here. Two
kinds of claims ask for a volume that somebody else must make, and stay pending as in a cluster without it: those with
an empty ``storageClassName``, and those that name a ``volumeName``.
"""

from nni.sandbox import schema

_CLASS = "standard"


def prepare(body: schema.Object) -> schema.Object:
    """Fill a new claim: its class, the volume that it gets, and whether it is bound."""
    spec = {"storageClassName": _CLASS, "volumeMode": "Filesystem", **body.get("spec", {})}
    if not spec["storageClassName"] or spec.get("volumeName"):
        return {**body, "spec": spec, "status": {"phase": "Pending"}}
    spec["volumeName"] = f"pvc-{body['metadata']['uid']}"
    wanted = spec.get("resources", {}).get("requests", {})
    state = {"phase": "Bound", "accessModes": spec.get("accessModes", []), "capacity": wanted}
    return {**body, "spec": spec, "status": state}
