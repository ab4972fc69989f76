"""The pods of a batch/v1 Job: how they are made, and what the job controller reads from them."""

import datetime as dt
from collections.abc import Sequence

from nni.sandbox import schema, times

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer that every pod bears until its job has counted it."""
INDEX = "batch.kubernetes.io/job-completion-index"
_VARIABLE = "JOB_COMPLETION_INDEX"
_FIRST_DELAY, _LONGEST_DELAY = dt.timedelta(seconds=10), dt.timedelta(minutes=10)


def make(job: schema.Object, index: int | None) -> schema.Object:
    """Make a pod; ``index`` is its completion index in an Indexed job."""
    template, name = job["spec"]["template"], job["metadata"]["name"]
    described = template.get("metadata", {})
    metadata: schema.Object = {
        "generateName": f"{name}-" if index is None else f"{name}-{index}-",
        "labels": dict(described.get("labels", {})),
        "annotations": dict(described.get("annotations", {})),
        "finalizers": [*described.get("finalizers", []), TRACKING],
    }
    spec = dict(template["spec"])
    if index is not None:
        metadata["labels"][INDEX] = metadata["annotations"][INDEX] = str(index)
        spec["hostname"] = f"{name}-{index}"
        for part in ("containers", "initContainers"):
            if part in spec:
                spec[part] = [_with_index(each) for each in spec[part]]
    return {"metadata": metadata, "spec": spec}


def index_of(pod: schema.Object) -> int:
    """Read a pod's completion index; -1 for none."""
    text = pod["metadata"].get("annotations", {}).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def is_tracked(pod: schema.Object) -> bool:
    """Say whether a pod is still to be counted."""
    return TRACKING in pod["metadata"].get("finalizers", [])


def is_over(pod: schema.Object) -> bool:
    """Say whether its containers have ended for good."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def has_failed(pod: schema.Object) -> bool:
    """Say whether a pod counts as failed: one that is being deleted does, whatever it does until then."""
    phase = pod["status"].get("phase")
    return phase == "Failed" or bool(pod["metadata"].get("deletionTimestamp") and phase != "Succeeded")


def is_ready(pod: schema.Object) -> bool:
    """Say whether its condition Ready is true."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def restarts(pods: Sequence[schema.Object]) -> int:
    """Sum how often containers have been started again in pods."""
    return sum(
        int(container.get("restartCount", 0))
        for pod in pods
        for part in ("initContainerStatuses", "containerStatuses")
        for container in pod["status"].get(part, [])
    )


def replacement_due(pods: Sequence[schema.Object]) -> dt.datetime | None:
    """Say from when on a new pod may be made: after failures in a row the wait doubles, from ten seconds on."""
    successes = [_ended(each) for each in pods if each["status"].get("phase") == "Succeeded"]
    failures = [_ended(each) for each in pods if has_failed(each)]
    since = max(successes, default=None)
    in_a_row = [moment for moment in failures if since is None or moment > since]
    if not in_a_row:
        return None
    delay: dt.timedelta = min(_FIRST_DELAY * 2 ** min(len(in_a_row) - 1, 10), _LONGEST_DELAY)
    return max(in_a_row) + delay


def _ended(pod: schema.Object) -> dt.datetime:
    moments = [
        each["state"]["terminated"]["finishedAt"]
        for each in pod["status"].get("containerStatuses", [])
        if each["state"].get("terminated", {}).get("finishedAt")
    ]
    metadata = pod["metadata"]
    if not moments and metadata.get("deletionTimestamp"):
        grace = dt.timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
        return times.parse(metadata["deletionTimestamp"]) - grace
    return times.parse(max(moments, default=metadata["creationTimestamp"]))


def _with_index(container: schema.Object) -> schema.Object:
    given = container.get("env", [])
    if any(each["name"] == _VARIABLE for each in given):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*given, {"name": _VARIABLE, "valueFrom": source}]}
