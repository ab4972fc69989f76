"""Runs each attempt as one Kubernetes job.

Two watches keep it told, one of the jobs and one of their pods; nothing is polled. What both show of an attempt becomes
one observation, emitted when it changes.
"""

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import event, model, ports, spec
from nni.platforms.kubeflow import client, kinds, manifest, names, status, tokens, watch

_log = logging.getLogger(__name__)

POD_NEWS_SECONDS = 2.0
"""A job may be seen to fail before its pods are: so long their word on why is waited for."""
GONE_SECONDS = 90.0
"""How long a deleted job is waited for: its pods have 30 s to end, and nodes may be slow."""


@dataclasses.dataclass(slots=True)
class _Seen:
    """What was seen of one attempt."""

    job: client.Object | None = None
    gone: set[str] = dataclasses.field(default_factory=set)
    """The uids of jobs that were there."""
    pods: dict[str, client.Object] = dataclasses.field(default_factory=dict)
    told: model.Observation | None = None
    """What was emitted last."""
    is_ours_to_delete: bool = False
    waits_for_pods: bool = False
    pods_had_their_time: bool = False


class KubeflowPlatform:
    """Implements ``Platform`` on a Kubernetes cluster with an operator for the job kind."""

    def __init__(
        self,
        *,
        connection: client.Client,
        kind: kinds.JobKind,
        version: str,
        experiment_id: model.ExperimentId,
        roles: Sequence[spec.RoleSpec],
        volume: manifest.Volume,
        intake_url: str,
        token: Callable[[int], str],
        clock: ports.Clock,
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The namespace in which jobs run; closed with this.
            kind: What trials run as.
            version: Of the kind, served by the cluster.
            experiment_id: Whose trials these are.
            roles: Of each job.
            volume: The pods' side of the storage volume.
            intake_url: Where trials report to.
            token: Gives the token of a slot.
            clock: Stamps what the cluster does not.
        """
        self._connection = connection
        self._kind = kind
        self._resource = client.Resource(group=kind.group, version=version, plural=kind.plural)
        self._experiment_id = experiment_id
        self._roles = roles
        self._volume = volume
        self._intake_url = intake_url
        self._clock = clock
        self._tokens = tokens.TokenSecret(connection, experiment_id, token, volume.secret)
        self._emit: ports.Emit = lambda happened: None
        self._seen: dict[model.AttemptKey, _Seen] = {}
        self._news = asyncio.Event()
        self._watchers: Sequence[watch.Watcher] = ()

    async def open(self, emit: ports.Emit) -> None:
        """See the port."""
        self._emit = emit
        loop = asyncio.get_running_loop()
        selector = names.selector(self._experiment_id)

        def watcher(
            resource: client.Resource,
            cut: Callable[[client.Object], client.Object],
            take: Callable[[Sequence[watch.Change]], None],
        ) -> watch.Watcher:
            def deliver(changes: Sequence[watch.Change]) -> None:
                loop.call_soon_threadsafe(take, changes)

            return watch.Watcher(self._connection, resource, selector, cut=cut, deliver=deliver)

        self._watchers = (
            watcher(self._resource, _cut_job, self._take_jobs),
            watcher(client.PODS, _cut_pod, self._take_pods),
        )
        for one in self._watchers:
            one.start()
        try:
            async with asyncio.timeout(client.CONNECT_SECONDS + client.READ_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tokens.ensure(0))
                for one in self._watchers:
                    tasks.create_task(_done(one))
        except TimeoutError as error:
            raise errors.PlatformError(
                f"The API server at {self._connection.server} does not answer; check the kubeconfig with "
                "`kubectl get pods`."
            ) from error
        except BaseExceptionGroup as group:
            raise _sentence(group) from group

    async def create(self, order: model.JobOrder) -> str:
        """See the port."""
        await self._tokens.ensure(order.slot)
        written = self._manifest(order)
        try:
            job = await self._connection.run(functools.partial(self._connection.create, self._resource, written))
        except client.Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise _create_error(refusal) from refusal
            job = await self._adopt(written)
        # The watch may be behind, and whoever removes the job now has to know of it; it may be ahead, too.
        seen = self._seen.setdefault(order.attempt, _Seen())
        if seen.job is None and job["metadata"]["uid"] not in seen.gone:
            seen.job = _cut(job)
        name: str = written["metadata"]["name"]
        return name

    def _manifest(self, order: model.JobOrder) -> dict[str, Any]:
        job = manifest.Job(
            experiment=self._experiment_id,
            order=order,
            roles=self._roles,
            volume=self._volume,
            intake_url=self._intake_url,
            container=self._kind.container,
            token_key=tokens.key(order.slot),
        )
        api_version = f"{self._resource.group}/{self._resource.version}"
        return manifest.build(job, api_version=api_version, kind=self._kind.kind, written=self._kind.write(job))

    async def _adopt(self, written: Mapping[str, Any]) -> client.Object:
        """Return the object that stands under our name, if it is ours.

        Raises:
            PlatformError: It is somebody else's.
            PlatformUnavailableError: It is on its way out.
        """
        name: str = written["metadata"]["name"]
        where = f"{self._kind.kind} {self._connection.namespace}/{name}"
        try:
            there = await self._connection.run(functools.partial(self._connection.get, self._resource, name))
        except client.Refusal as refusal:
            raise errors.PlatformUnavailableError(f"{where} was there and is gone: {refusal.message}") from refusal
        metadata = there["metadata"]
        if metadata.get("deletionTimestamp"):
            raise errors.PlatformUnavailableError(f"{where} is still being deleted.")
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        own = written["metadata"]
        is_ours = all(labels.get(name) == value for name, value in own["labels"].items())
        if not is_ours or annotations.get(names.SPEC_DIGEST) != own["annotations"][names.SPEC_DIGEST]:
            raise errors.PlatformError(
                f"{where} exists already and is not this attempt's, so it is left alone: delete it, or start the "
                "experiment under another id."
            )
        return there

    async def remove(self, attempt: model.AttemptKey) -> None:
        """See the port."""
        seen = self._seen.setdefault(attempt, _Seen())
        seen.is_ours_to_delete = True
        uid = seen.job["metadata"]["uid"] if seen.job is not None else None
        await self._delete(names.job(self._experiment_id, attempt), uid)
        await self._wait(lambda: seen.job is None and not seen.pods, f"the pods of trial {attempt.trial}")

    async def _delete(self, name: str, uid: str | None) -> None:
        try:
            await self._connection.run(functools.partial(self._connection.delete, self._resource, name, uid))
        except client.Refusal as refusal:
            if refusal.code == 404:
                return
            if refusal.code == 409:
                # Another object has taken the name: that one is not ours to delete.
                _log.warning("%s %s is not deleted: %s", self._kind.kind, name, refusal.message)
                return
            raise errors.PlatformError(f"{self._kind.kind} {name} cannot be deleted: {refusal.message}") from refusal

    async def clean_up(self) -> None:
        """See the port."""
        for seen in self._seen.values():
            seen.is_ours_to_delete = True
        found = await self._connection.run(self._list)
        async with asyncio.TaskGroup() as tasks:
            for metadata in found:
                tasks.create_task(self._delete(metadata["name"], metadata["uid"]))
        await self._wait(
            lambda: all(seen.job is None and not seen.pods for seen in self._seen.values()), "the last pods"
        )
        await self._tokens.delete()

    def _list(self) -> list[client.Object]:
        """Return the metadata of all jobs of this experiment, as the server has them now."""
        selector, found = names.selector(self._experiment_id), []
        rest: str | None = None
        while True:
            page = self._connection.page(self._resource, selector, rest)
            found += [item["metadata"] for item in page.items]
            rest = page.rest
            if rest is None:
                return found

    async def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until the watches have shown something."""
        try:
            async with asyncio.timeout(GONE_SECONDS):
                while not is_so():
                    await self._news.wait()
        except TimeoutError as error:
            raise errors.PlatformUnavailableError(f"{what} are still there after {GONE_SECONDS:g} s.") from error

    async def close(self) -> None:
        """See the port."""
        async with asyncio.TaskGroup() as tasks:
            for one in self._watchers:
                tasks.create_task(asyncio.to_thread(one.stop))
        self._connection.close()

    def _take_jobs(self, changes: Sequence[watch.Change]) -> None:
        touched: dict[model.AttemptKey, None] = {}
        for job, is_gone in changes:
            attempt = names.attempt_of(job["metadata"].get("labels") or {})
            if attempt is None:
                continue
            seen = self._seen.setdefault(attempt, _Seen())
            if is_gone:
                self._lost(attempt, seen, job)
            else:
                seen.job = job
            touched[attempt] = None
        self._look_at(touched)

    def _take_pods(self, changes: Sequence[watch.Change]) -> None:
        touched: dict[model.AttemptKey, None] = {}
        for pod, is_gone in changes:
            attempt = names.attempt_of(pod["metadata"].get("labels") or {})
            if attempt is None:
                continue
            seen = self._seen.setdefault(attempt, _Seen())
            if is_gone:
                seen.pods.pop(pod["metadata"]["uid"], None)
            else:
                seen.pods[pod["metadata"]["uid"]] = pod
            touched[attempt] = None
        self._look_at(touched)

    def _look_at(self, touched: Mapping[model.AttemptKey, None]) -> None:
        for attempt in touched:
            seen = self._seen[attempt]
            if seen.job is not None:
                self._tell(attempt, seen)
            elif seen.gone and not seen.pods:
                del self._seen[attempt]
        # Whoever waits looks again; the next news is another event.
        self._news.set()
        self._news = asyncio.Event()

    def _lost(self, attempt: model.AttemptKey, seen: _Seen, job: client.Object) -> None:
        """Take in that a job has gone."""
        seen.gone.add(job["metadata"]["uid"])
        if seen.job is not None and seen.job["metadata"]["uid"] != job["metadata"]["uid"]:
            return
        seen.job = None
        is_over = seen.told is not None and seen.told.phase.is_final
        if not seen.is_ours_to_delete and not is_over:
            self._say(attempt, seen, status.gone(job, self._clock.now()))

    def _tell(self, attempt: model.AttemptKey, seen: _Seen) -> None:
        """Emit what is seen of an attempt, if it is news."""
        if seen.job is None or (seen.told is not None and seen.told.phase.is_final):
            return
        if seen.job["metadata"].get("deletionTimestamp"):
            # Its pods are being killed, and how they end says nothing about the trial.
            return
        pods = list(seen.pods.values())
        observation = status.observe(seen.job, pods, self._kind.read, self._kind.container)
        if observation.phase is model.JobPhase.FAILED and not (status.has_ended_pod(pods) or seen.pods_had_their_time):
            self._wait_for_pods(attempt, seen)
        elif observation != seen.told:
            self._say(attempt, seen, observation)

    def _say(self, attempt: model.AttemptKey, seen: _Seen, observation: model.Observation) -> None:
        seen.told = observation
        self._emit(event.JobObserved(attempt=attempt, observation=observation))

    def _wait_for_pods(self, attempt: model.AttemptKey, seen: _Seen) -> None:
        if seen.waits_for_pods:
            return
        seen.waits_for_pods = True

        def time_is_up() -> None:
            seen.pods_had_their_time = True
            self._tell(attempt, seen)

        asyncio.get_running_loop().call_later(POD_NEWS_SECONDS, time_is_up)


async def _done(watcher: watch.Watcher) -> None:
    """Wait for a watcher's first list."""
    await asyncio.wrap_future(watcher.listed)


def _sentence(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of several errors, as the port has it."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, client.Refusal):
        return errors.PlatformError(f"The API server refuses what an experiment needs: {first.message}")
    return first


def _create_error(refusal: client.Refusal) -> errors.NniError:
    """Return whether a refused job may be accepted later: quotas are freed, everything else stays as it is."""
    if refusal.code == 403 and "exceeded quota" in refusal.message:
        return errors.PlatformUnavailableError(refusal.message)
    return errors.PlatformError(f"The cluster refuses the job: {refusal.message}")


_METADATA = (
    "name", "namespace", "uid", "labels", "annotations", "creationTimestamp", "deletionTimestamp", "resourceVersion",
)  # fmt: skip


def _cut_job(found: client.Object) -> client.Object:
    return _cut(found)


def _cut_pod(found: client.Object) -> client.Object:
    containers = found.get("spec", {}).get("containers", [])
    kept = [{"name": one["name"], "resources": one.get("resources", {})} for one in containers]
    return {
        **_cut(found),
        "kind": "Pod",
        "spec": {"nodeName": found.get("spec", {}).get("nodeName"), "containers": kept},
    }


def _cut(found: client.Object) -> client.Object:
    """Return what is looked at of an object: thousands of whole ones would be much to keep."""
    metadata = {name: value for name, value in found["metadata"].items() if name in _METADATA}
    return {"kind": found.get("kind", ""), "metadata": metadata, "status": found.get("status", {})}
