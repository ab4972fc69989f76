"""What a job and its pods show: pure functions from observed objects to what the manager knows."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nni.core import model
from nni.platforms.kubeflow import names, reasons

Object = Mapping[str, Any]
Read = Callable[[Object], model.JobPhase]

_PHASES = (
    ("Failed", model.JobPhase.FAILED),
    ("Succeeded", model.JobPhase.SUCCEEDED),
    ("Suspended", model.JobPhase.QUEUED),
    ("Restarting", model.JobPhase.RUNNING),
    ("Running", model.JobPhase.RUNNING),
)
"""In this order: an operator leaves older conditions in the list, and the last one is not always the newest."""


def training_operator_phase(status: Object) -> model.JobPhase:
    """Return the phase of a job of the Training Operator."""
    true = {one["type"] for one in status.get("conditions") or () if one.get("status") == "True"}
    return next((phase for condition, phase in _PHASES if condition in true), model.JobPhase.PENDING)


def observe(job: Object, pods: Sequence[Object], read: Read, container: str) -> model.Observation:
    """Return what a job and its pods show together.

    Args:
        job: The job as it was last seen.
        pods: Its pods.
        read: Reads the job's phase from its status.
        container: The name of the container that runs the command.
    """
    status = job.get("status") or {}
    phase = read(status)
    main = [one for one in (_container_state(pod, container) for pod in _chief_first(pods)) if one]
    started = next((_time(_started(state)) for state in main if _started(state)), None)
    failed = [state["terminated"] for state in main if (state.get("terminated") or {}).get("exitCode")]
    ended = status.get("completionTime")
    return model.Observation(
        phase=phase,
        reason=reasons.explain(job, pods, phase, container),
        started_at=started if phase in (model.JobPhase.RUNNING, *_ENDED) else None,
        ended_at=_time(ended) if phase in _ENDED and ended else None,
        exit_code=failed[0]["exitCode"] if failed and phase is model.JobPhase.FAILED else None,
    )


_ENDED = (model.JobPhase.SUCCEEDED, model.JobPhase.FAILED)


def gone(job: Object, now: float) -> model.Observation:
    """Return what it means that a job has disappeared without our doing."""
    return model.Observation(
        phase=model.JobPhase.GONE,
        reason=model.Reason(
            kind=model.ReasonClass.INFRASTRUCTURE,
            sentence="Its job was deleted by somebody else.",
            evidence=reasons.evidence(job),
            since=now,
        ),
        ended_at=now,
    )


def has_ended_pod(pods: Iterable[Object]) -> bool:
    """Whether some pod shows how it failed."""
    return any((pod.get("status") or {}).get("phase") == "Failed" for pod in pods)


def _chief_first(pods: Sequence[Object]) -> list[Object]:
    """Sort pods so that the replica whose metrics count comes first."""
    return sorted(pods, key=lambda pod: (_label(pod, names.ROLE) not in ("master", "chief"), pod["metadata"]["name"]))


def _label(pod: Object, name: str) -> str | None:
    value: str | None = (pod["metadata"].get("labels") or {}).get(name)
    return value


def _container_state(pod: Object, container: str) -> Object | None:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        if one["name"] == container:
            state: Object = one.get("state") or {}
            return state
    return None


def _started(state: Object) -> str | None:
    for condition in ("running", "terminated"):
        started: str | None = (state.get(condition) or {}).get("startedAt")
        if started:
            return started
    return None


def _time(text: str | None) -> float:
    return dt.datetime.fromisoformat(text).timestamp() if text else 0.0
