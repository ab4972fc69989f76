"""The training operator's init container of workers: it looks the master's name up until there is an answer.

There is no name service here, so nothing runs in its place: it ends when the master's pod has left Pending, which is
when the name would have been found.
"""

from nni.sandbox import kinds, schema
from nni.sandbox.node import references

_JOB = "training.kubeflow.org/job-name"


def is_guard(pod: schema.Object, container: schema.Object) -> bool:
    """Say whether this is the init container that the training operator puts before workers."""
    return container["name"] == "init-pytorch" and _JOB in pod["metadata"].get("labels", {})


def master_of(pod: schema.Object) -> references.Reference:
    """Name the pod that it waits for."""
    metadata = pod["metadata"]
    return kinds.POD.resource, metadata["namespace"], f"{metadata['labels'][_JOB]}-master-0"


def can_be_found(master: schema.Object | None) -> bool:
    """Say whether the name of a master with this pod would be found."""
    return master is not None and master["status"].get("phase") not in ("Pending", None)
