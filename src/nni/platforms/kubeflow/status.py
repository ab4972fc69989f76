"""What a job and its pods show: pure functions from observed objects to what the manager knows."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nni.core import model
from nni.platforms.kubeflow import names, phases, reasons

Object = Mapping[str, Any]

_ENDED = (model.JobPhase.SUCCEEDED, model.JobPhase.FAILED)
_INDEX = (
    "training.kubeflow.org/replica-index",
    "batch.kubernetes.io/job-completion-index",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is not watched but asked for, when something keeps a job from starting."""

    notices: tuple[model.Notice, ...] = ()
    workload: Object | None = None
    waited: float = 0.0
    """Seconds for which the job has been seen not to start."""


def observe(
    job: Object,
    pods: Sequence[Object],
    read: phases.Read,
    container: str,
    *,
    asked: Asked = Asked(),
    grace: float | None = None,
) -> model.Observation:
    """Return what a job and its pods show together.

    Args:
        job: The job as it was last seen.
        pods: Its pods, those that have gone in their last state.
        read: Reads the job's phase from its status and its pods.
        container: The name of the container that runs the command.
        asked: What was asked for beyond that.
        grace: The user's own grace period, in seconds.
    """
    status = job.get("status") or {}
    ordered = _chief_first(pods)
    phase = read(status, ordered)
    main = [state for state in (_container_state(pod, container) for pod in ordered) if state]
    started = next((_started(state) for state in main if _started(state)), None)
    failed = [state["terminated"] for state in main if (state.get("terminated") or {}).get("exitCode")]
    ended = status.get("completionTime")
    scene = reasons.Scene(
        job=job,
        pods=ordered,
        phase=phase,
        container=container,
        notices=asked.notices,
        workload=asked.workload,
        waited=asked.waited,
        grace=grace,
    )
    return model.Observation(
        phase=phase,
        reason=reasons.explain(scene),
        started_at=_time(started) if started and phase in (model.JobPhase.RUNNING, *_ENDED) else None,
        ended_at=_time(ended) if phase in _ENDED and ended else None,
        exit_code=failed[0]["exitCode"] if failed and phase is model.JobPhase.FAILED else None,
        pods=tuple(_pod(pod, container) for pod in ordered),
        notices=asked.notices,
    )


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


def notice(event: Object) -> model.Notice:
    """Return a Kubernetes event as the manager knows it."""
    about = event.get("involvedObject") or {}
    last = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return model.Notice(
        about=f"{about.get('kind', '')} {about.get('namespace', '')}/{about.get('name', '')}",
        reason=event.get("reason") or "",
        message=event.get("message") or "",
        is_warning=event.get("type") == "Warning",
        count=int(event.get("count") or 1),
        last_at=_time(last) if last else 0.0,
    )


def shows_an_end(pods: Iterable[Object]) -> bool:
    """Whether some pod shows how it ended, other than well."""
    return any(
        (pod.get("status") or {}).get("phase") == "Failed" or reasons.is_of_the_cluster_s_making(pod) for pod in pods
    )


def _chief_first(pods: Sequence[Object]) -> list[Object]:
    """Sort pods so that the replica whose metrics count comes first."""
    return sorted(pods, key=lambda pod: (_label(pod, names.ROLE) not in ("master", "chief"), pod["metadata"]["name"]))


def _label(pod: Object, name: str) -> str | None:
    value: str | None = (pod["metadata"].get("labels") or {}).get(name)
    return value


def _pod(pod: Object, container: str) -> model.Pod:
    metadata, status = pod["metadata"], pod.get("status") or {}
    known = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    index = next((known[name] for name in _INDEX if name in known), "0")
    state = _container_state(pod, container) or {}
    reason = next((one["reason"] for one in state.values() if one and one.get("reason")), "")
    return model.Pod(
        replica=model.Replica(_label(pod, names.ROLE) or "", int(index)),
        name=metadata["name"],
        phase=status.get("phase") or "",
        node=(pod.get("spec") or {}).get("nodeName") or "",
        state=status.get("reason") or reason,
        exit_code=(state.get("terminated") or {}).get("exitCode"),
    )


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


def _time(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
