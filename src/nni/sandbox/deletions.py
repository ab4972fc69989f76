"""What a deletion comes to: whether it may be, what holds the object back, and how it is marked."""

import datetime as dt

from nni.sandbox import kinds, manners, schema, status, times

_IMMORTAL = frozenset({"default", "kube-public", "kube-system"})


def check(kind: kinds.Kind, current: schema.Object, how: manners.Deletion) -> None:
    """Raise the refusal for a deletion that may not be."""
    metadata = current["metadata"]
    name = metadata["name"]
    if kind.kind == "Namespace" and name in _IMMORTAL:
        raise status.forbidden(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
    if how.uid not in (None, metadata["uid"]):
        raise kind.conflict(name, other_uid(str(how.uid), current))
    if how.version not in (None, metadata["resourceVersion"]):
        raise kind.conflict(
            name, "Precondition failed: ResourceVersion in precondition: "
            f"{how.version}, ResourceVersion in object meta: {metadata['resourceVersion']}"
        )  # fmt: skip


def other_uid(wanted: str, current: schema.Object) -> str:
    """Say that an object is not the one that was meant."""
    return f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {current['metadata']['uid']}"


def grace(kind: kinds.Kind, current: schema.Object, how: manners.Deletion) -> int:
    """Return the seconds that an object has left: pods alone have any, and only when somebody runs them."""
    if kind.kind != "Pod":
        return 0
    is_idle = not current["spec"].get("nodeName") or current["status"].get("phase") in ("Succeeded", "Failed")
    if is_idle:
        return 0
    own = int(current["spec"].get("terminationGracePeriodSeconds", 30))
    return own if how.grace is None else how.grace


def finalizers(current: schema.Object, policy: str) -> list[str]:
    """Return the finalizers that hold an object back, with the one of the deletion's policy."""
    given = current["metadata"].get("finalizers", [])
    kept = [entry for entry in given if entry not in ("foregroundDeletion", "orphan")]
    extra = {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"]}.get(policy, [])
    return kept + extra


def marked(
    kind: kinds.Kind, current: schema.Object, held_by: list[str], seconds: int, now: dt.datetime
) -> schema.Object:
    """Return an object as it stays until what holds it back is done."""
    metadata = dict(current["metadata"])
    if held_by:
        metadata["finalizers"] = held_by
    is_first = "deletionTimestamp" not in metadata
    if is_first or seconds < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionTimestamp"] = times.stamp(now + dt.timedelta(seconds=seconds))
        metadata["deletionGracePeriodSeconds"] = seconds
    if is_first and "generation" in metadata:
        metadata["generation"] += 1
    found = {**current, "metadata": metadata}
    if kind.kind == "Namespace":
        found["status"] = {**current["status"], "phase": "Terminating"}
    return found


def gone(kind: kinds.Kind, found: schema.Object) -> schema.Object:
    """Give the answer to a deletion that was done at once."""
    details = {"name": found["metadata"]["name"], "kind": kind.plural, "uid": found["metadata"]["uid"]}
    return status.success(details | ({"group": kind.group} if kind.group else {}))
