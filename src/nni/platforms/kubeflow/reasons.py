"""Why a trial is where it is: one pure function over observed objects.

What is looked at first decides: how a pod ended, what keeps a container from starting, what keeps a pod from being
scheduled or made, and at last what the job itself says, or that nobody says anything.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nni.core import model
from nni.wire import report

Object = Mapping[str, Any]

_USER, _CONFIG = model.ReasonClass.USER, model.ReasonClass.CONFIG
_CAPACITY, _INFRASTRUCTURE = model.ReasonClass.CAPACITY, model.ReasonClass.INFRASTRUCTURE

GRACE_SECONDS = 300.0
"""How long what somebody may still mend (an image, a secret) keeps a trial waiting before it is given up."""
MOUNT_GRACE_SECONDS = 900.0
"""The same for volumes, which storage servers may bring back."""
UNANSWERED_SECONDS = 60.0
"""An operator that has not reacted to a job for so long is not there."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is known of a job when its reason is asked for."""

    job: Object
    pods: Sequence[Object]
    phase: model.JobPhase
    container: str
    """The name of the container that runs the command."""
    notices: Sequence[model.Notice] = ()
    """The events about the job and its pods, as far as they were asked for."""
    workload: Object | None = None
    """Kueue's object for the job, as far as it was asked for."""
    waited: float = 0.0
    """Seconds for which the job has been seen not to start."""
    grace: float | None = None
    """The user's own grace period, in seconds; None for the usual ones."""


class _Found(NamedTuple):
    kind: model.ReasonClass
    sentence: str
    since: str | float | None
    fails_after: float | None = None


_Look = Callable[[Object, Scene], _Found | None]


def explain(scene: Scene) -> model.Reason | None:
    """Return why a job does not progress or has failed; None when there is nothing to explain."""
    match scene.phase:
        case model.JobPhase.FAILED:
            return _first(scene, _ENDINGS) or _reason(scene, scene.job, _job_failed(scene))
        case model.JobPhase.PENDING:
            return _first(scene, _OBSTACLES) or _noticed(scene) or _unanswered(scene)
        case model.JobPhase.QUEUED:
            return _reason(scene, scene.workload or scene.job, _queued(scene))
        case _:
            return None


def of_pod(pod: Object) -> model.Reason | None:
    """Return what keeps a single pod from starting, or how it failed; None when it shows nothing."""
    phase = model.JobPhase.FAILED if (pod.get("status") or {}).get("phase") == "Failed" else model.JobPhase.PENDING
    scene = Scene(job=pod, pods=[pod], phase=phase, container=pod["spec"]["containers"][0]["name"])
    return _first(scene, _ENDINGS if phase is model.JobPhase.FAILED else _OBSTACLES)


def evidence(found: Object) -> str:
    """Return how people name an object: ``Pod default/nni-exp-abc-trial-k2f9z-master-0``."""
    metadata = found["metadata"]
    return f"{found.get('kind', 'Pod')} {metadata.get('namespace', 'default')}/{metadata['name']}"


def is_of_the_cluster_s_making(pod: Object) -> bool:
    """Whether a pod shows that it did not end by itself."""
    return bool(_condition(pod, "DisruptionTarget") or pod["metadata"].get("deletionTimestamp"))


def _first(scene: Scene, looks: Sequence[_Look]) -> model.Reason | None:
    for look in looks:
        for pod in scene.pods:
            found = look(pod, scene)
            if found is not None:
                return _reason(scene, pod, found)
    return None


def _reason(scene: Scene, about: Object | str, found: _Found) -> model.Reason:
    since = found.since or 0.0
    grace = found.fails_after
    return model.Reason(
        kind=found.kind,
        sentence=found.sentence,
        evidence=about if isinstance(about, str) else evidence(about),
        since=dt.datetime.fromisoformat(since).timestamp() if isinstance(since, str) else since,
        fails_after=scene.grace if grace and scene.grace is not None else grace,
    )


def _condition(found: Object, name: str, value: str = "True") -> Object:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == name and one.get("status") == value), {})


def _disrupted(pod: Object, scene: Scene) -> _Found | None:
    condition = _condition(pod, "DisruptionTarget")
    if condition:
        message = condition.get("message") or condition.get("reason") or "no reason is given"
        return _Found(_INFRASTRUCTURE, f"The cluster took its pod away: {message}", condition.get("lastTransitionTime"))
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return _Found(_INFRASTRUCTURE, f"{status['reason']}: {status.get('message', 'no message')}", None)
    return None


def _out_of_memory(pod: Object, scene: Scene) -> _Found | None:
    for ended in _terminated(pod):
        if ended.get("reason") == "OOMKilled":
            limit = _memory_limit(pod, scene.container)
            asked = f" of {limit}" if limit else ""
            sentence = f"It used more memory than its limit{asked} (OOMKilled); raise memory_size."
            return _Found(_USER, sentence, ended.get("finishedAt"))
    return None


def _exited(pod: Object, scene: Scene) -> _Found | None:
    if pod["metadata"].get("deletionTimestamp"):
        # Its code is that of a killed process.
        return None
    for ended in _terminated(pod):
        code = ended.get("exitCode", 0)
        if code:
            lines = (ended.get("message") or "").strip().splitlines()
            last = f": {report.plain_line(lines[-1])}" if lines else ""
            return _Found(_USER, f"A container ended with exit code {code}{last}", ended.get("finishedAt"))
    return None


def _deleted(pod: Object, scene: Scene) -> _Found | None:
    deleted = pod["metadata"].get("deletionTimestamp")
    if deleted and (pod.get("status") or {}).get("phase") != "Succeeded":
        return _Found(_INFRASTRUCTURE, "Its pod was deleted while it ran.", deleted)
    return None


def _job_failed(scene: Scene) -> _Found:
    failed = _condition(scene.job, "Failed")
    warning = next((one for one in scene.notices if one.is_warning), None)
    message = failed.get("message") or (warning and warning.message) or "Its job failed and does not say why."
    return _Found(_INFRASTRUCTURE, message, failed.get("lastTransitionTime"))


_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def _not_pulled(pod: Object, scene: Scene) -> _Found | None:
    for image, waiting in _waiting(pod):
        if waiting.get("reason") in _IMAGE:
            message = waiting.get("message") or waiting["reason"]
            # A name that is no name stays one; everything else may be mended while the kubelet tries on.
            grace = 0.0 if waiting["reason"] == "InvalidImageName" else GRACE_SECONDS
            return _Found(_CONFIG, f"The image {image} cannot be pulled: {message}", _created(pod), grace)
    return None


def _not_created(pod: Object, scene: Scene) -> _Found | None:
    for _, waiting in _waiting(pod):
        if waiting.get("reason") in _CONTAINER:
            message = waiting.get("message") or "no message"
            sentence = f"A container cannot be started ({waiting['reason']}): {message}"
            return _Found(_CONFIG, sentence, _created(pod), GRACE_SECONDS)
    return None


def _unschedulable(pod: Object, scene: Scene) -> _Found | None:
    condition = _condition(pod, "PodScheduled", "False")
    if not condition:
        return None
    message = condition.get("message") or condition.get("reason") or "no reason is given"
    since = condition.get("lastTransitionTime")
    if missing := _NO_CLAIM.search(message):
        sentence = (
            f"The claim {missing[1]} does not exist in namespace {pod['metadata'].get('namespace', 'default')}: create "
            "it, or correct claim_name of the storage."
        )
        return _Found(_CONFIG, sentence, since, GRACE_SECONDS)
    return _Found(_CAPACITY, f"No node has room: {message}", since)


_NO_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')


_ENDINGS: tuple[_Look, ...] = (_disrupted, _out_of_memory, _exited, _deleted)
_OBSTACLES: tuple[_Look, ...] = (_not_pulled, _not_created, _unschedulable)

_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_CREATE = ("FailedCreate", "FailedCreatePod", "FailedCreateService", "TrainJobResourcesCreationFailed")


def _noticed(scene: Scene) -> model.Reason | None:
    """Return what the newest telling event says."""
    for notice in sorted(scene.notices, key=lambda one: -one.last_at):
        found = _of_notice(notice)
        if found is not None:
            return _reason(scene, notice.about, found)
    return None


def _of_notice(notice: model.Notice) -> _Found | None:
    if notice.reason in _MOUNT:
        return _Found(_CONFIG, f"A volume cannot be mounted: {notice.message}", notice.last_at, MOUNT_GRACE_SECONDS)
    if notice.reason in _CREATE:
        return _not_made(notice)
    if notice.reason == "Pulling":
        return _Found(_INFRASTRUCTURE, f"Its image is on the way: {notice.message}", notice.last_at)
    return None


def _not_made(notice: model.Notice) -> _Found:
    sentence = f"Its pods cannot be made: {notice.message}"
    if "exceeded quota" in notice.message:
        return _Found(_CAPACITY, sentence, notice.last_at)
    if "violates PodSecurity" in notice.message:
        return _Found(_CONFIG, sentence, notice.last_at, 0.0)
    return _Found(_CONFIG, sentence, notice.last_at, GRACE_SECONDS)


def _unanswered(scene: Scene) -> model.Reason | None:
    """Return that nobody reacts to the job, when that has been so for a while."""
    status = scene.job.get("status") or {}
    if scene.pods or status.get("conditions") or scene.notices or scene.waited < UNANSWERED_SECONDS:
        return None
    sentence = (
        "No operator has reacted to its job: it is not running, or does not watch this namespace; see its pods with "
        "`kubectl get pods --all-namespaces`."
    )
    return _reason(scene, scene.job, _Found(_INFRASTRUCTURE, sentence, scene.job["metadata"].get("creationTimestamp")))


def _queued(scene: Scene) -> _Found:
    since = _condition(scene.job, "Suspended").get("lastTransitionTime")
    waiting = _condition(scene.workload or {}, "QuotaReserved", "False")
    message = waiting.get("message")
    return _Found(_CAPACITY, f"It is queued: {message or 'its job is suspended until a queue admits it.'}", since)


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
