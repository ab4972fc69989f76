"""Why a trial is where it is: one pure function over observed objects.

What is looked at first decides: how a pod ended, what keeps a container from starting, what keeps a pod from being
scheduled, and at last what the job itself says.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nni.core import model

Object = Mapping[str, Any]

_USER, _CONFIG = model.ReasonClass.USER, model.ReasonClass.CONFIG
_CAPACITY, _INFRASTRUCTURE = model.ReasonClass.CAPACITY, model.ReasonClass.INFRASTRUCTURE


class _Found(NamedTuple):
    kind: model.ReasonClass
    sentence: str
    since: str | None


def explain(job: Object, pods: Sequence[Object], phase: model.JobPhase, container: str) -> model.Reason | None:
    """Return why a job does not progress or has failed; None when there is nothing to explain.

    Args:
        job: The job as it was last seen.
        pods: Its pods.
        phase: What the job's status says.
        container: The name of the container that runs the command.
    """
    if phase is model.JobPhase.FAILED:
        return _first(pods, container, _ENDINGS) or _job_reason(job)
    if phase is model.JobPhase.PENDING:
        return _first(pods, container, _OBSTACLES)
    if phase is model.JobPhase.QUEUED:
        since = _condition(job, "Suspended").get("lastTransitionTime")
        sentence = "It is queued: its job is suspended until a queue admits it."
        return _reason(job, _Found(_CAPACITY, sentence, since))
    return None


def evidence(found: Object) -> str:
    """Return how people name an object: ``Pod default/nni-exp-abc-trial-k2f9z-master-0``."""
    metadata = found["metadata"]
    return f"{found.get('kind', 'Pod')} {metadata.get('namespace', 'default')}/{metadata['name']}"


def _first(
    pods: Sequence[Object], container: str, looks: Sequence[Callable[[Object, str], _Found | None]]
) -> model.Reason | None:
    for look in looks:
        for pod in pods:
            found = look(pod, container)
            if found is not None:
                return _reason(pod, found)
    return None


def _reason(about: Object, found: _Found) -> model.Reason:
    since = dt.datetime.fromisoformat(found.since).timestamp() if found.since else 0.0
    return model.Reason(kind=found.kind, sentence=found.sentence, evidence=evidence(about), since=since)


def _job_reason(job: Object) -> model.Reason:
    failed = _condition(job, "Failed")
    message = failed.get("message") or "Its job failed and does not say why."
    return _reason(job, _Found(_INFRASTRUCTURE, message, failed.get("lastTransitionTime")))


def _condition(found: Object, name: str) -> Object:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == name and one.get("status") == "True"), {})


def _disrupted(pod: Object, container: str) -> _Found | None:
    condition = _condition(pod, "DisruptionTarget")
    if condition:
        message = condition.get("message") or condition.get("reason") or "no reason is given"
        return _Found(_INFRASTRUCTURE, f"The cluster took its pod away: {message}", condition.get("lastTransitionTime"))
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return _Found(_INFRASTRUCTURE, f"{status['reason']}: {status.get('message', 'no message')}", None)
    return None


def _out_of_memory(pod: Object, container: str) -> _Found | None:
    for ended in _terminated(pod):
        if ended.get("reason") == "OOMKilled":
            limit = _memory_limit(pod, container)
            asked = f" of {limit}" if limit else ""
            sentence = f"It used more memory than its limit{asked} (OOMKilled); raise memory_size."
            return _Found(_USER, sentence, ended.get("finishedAt"))
    return None


def _exited(pod: Object, container: str) -> _Found | None:
    for ended in _terminated(pod):
        code = ended.get("exitCode", 0)
        if code:
            lines = (ended.get("message") or "").strip().splitlines()
            last = f": {lines[-1]}" if lines else ""
            return _Found(_USER, f"A container ended with exit code {code}{last}", ended.get("finishedAt"))
    return None


_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def _not_pulled(pod: Object, container: str) -> _Found | None:
    for image, waiting in _waiting(pod):
        if waiting.get("reason") in _IMAGE:
            message = waiting.get("message") or waiting["reason"]
            return _Found(_CONFIG, f"The image {image} cannot be pulled: {message}", _created(pod))
    return None


def _not_created(pod: Object, container: str) -> _Found | None:
    for _, waiting in _waiting(pod):
        if waiting.get("reason") in _CONTAINER:
            message = waiting.get("message") or "no message"
            return _Found(_CONFIG, f"A container cannot be started ({waiting['reason']}): {message}", _created(pod))
    return None


def _unschedulable(pod: Object, container: str) -> _Found | None:
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one["type"] == "PodScheduled" and one.get("status") == "False":
            message = one.get("message") or one.get("reason") or "no reason is given"
            return _Found(_CAPACITY, f"No node has room: {message}", one.get("lastTransitionTime"))
    return None


_ENDINGS = (_disrupted, _out_of_memory, _exited)
_OBSTACLES = (_not_pulled, _not_created, _unschedulable)


def _container_statuses(pod: Object) -> Iterator[Object]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _terminated(pod: Object) -> Iterator[Object]:
    for one in _container_statuses(pod):
        ended = (one.get("state") or {}).get("terminated")
        if ended:
            yield ended


def _waiting(pod: Object) -> Iterator[tuple[str, Object]]:
    for one in _container_statuses(pod):
        waiting = (one.get("state") or {}).get("waiting")
        if waiting:
            yield one.get("image", ""), waiting


def _created(pod: Object) -> str | None:
    created: str | None = pod["metadata"].get("creationTimestamp")
    return created


def _memory_limit(pod: Object, container: str) -> str | None:
    for one in (pod.get("spec") or {}).get("containers") or ():
        if one["name"] == container:
            limit: str | None = ((one.get("resources") or {}).get("limits") or {}).get("memory")
            return limit
    return None
