"""In which phase a job is: one pure function for each kind, over its status and its pods."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nni.core import model

Object = Mapping[str, Any]
Read = Callable[[Object, Sequence[Object]], model.JobPhase]

_TRAINING_OPERATOR = (
    ("Failed", model.JobPhase.FAILED),
    ("Succeeded", model.JobPhase.SUCCEEDED),
    ("Suspended", model.JobPhase.QUEUED),
    ("Restarting", model.JobPhase.RUNNING),
    ("Running", model.JobPhase.RUNNING),
)
"""In this order: an operator leaves older conditions in the list, and the last one is not always the newest."""
_BATCH = (
    ("Failed", model.JobPhase.FAILED),
    ("Complete", model.JobPhase.SUCCEEDED),
    ("Suspended", model.JobPhase.QUEUED),
)


def of_training_operator(status: Object, pods: Sequence[Object]) -> model.JobPhase:
    """Return the phase of a job of the Training Operator."""
    return _first_true(status, _TRAINING_OPERATOR) or model.JobPhase.PENDING


def of_batch_job(status: Object, pods: Sequence[Object]) -> model.JobPhase:
    """Return the phase of a Job of Kubernetes itself, whose status counts pods that do not run yet as active."""
    return _first_true(status, _BATCH) or _of_pods(pods)


def of_trainer(status: Object, pods: Sequence[Object]) -> model.JobPhase:
    """Return the phase of a TrainJob, whose status has no condition while it runs."""
    return _first_true(status, _BATCH) or _of_pods(pods)


def _first_true(status: Object, phases: Sequence[tuple[str, model.JobPhase]]) -> model.JobPhase | None:
    true = {one["type"] for one in status.get("conditions") or () if one.get("status") == "True"}
    return next((phase for condition, phase in phases if condition in true), None)


def _of_pods(pods: Sequence[Object]) -> model.JobPhase:
    has_begun = any((pod.get("status") or {}).get("phase") in ("Running", "Succeeded", "Failed") for pod in pods)
    return model.JobPhase.RUNNING if has_begun else model.JobPhase.PENDING
