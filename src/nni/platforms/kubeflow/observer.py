"""Keeps told what becomes of an experiment's jobs: two watches, and questions about those that do not start.

What the watches show of an attempt becomes one observation, emitted when it changes.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from nni import errors
from nni.core import event, model, ports
from nni.platforms.kubeflow import api, client, inquiries, kinds, names, pulse, status, watch

_log = logging.getLogger(__name__)

POD_NEWS_SECONDS = 2.0
"""A job may be seen to fail before its pods are: so long their word on why is waited for."""


@dataclasses.dataclass(slots=True)
class _Seen:
    """What was seen of one attempt."""

    job: api.Object | None = None
    gone: set[str] = dataclasses.field(default_factory=set)
    """The uids of jobs that were there."""
    pods: dict[str, api.Object] = dataclasses.field(default_factory=dict)
    lost_pods: dict[str, api.Object] = dataclasses.field(default_factory=dict)
    """Pods that went before their job, in their last state: they show why it failed."""
    asked: status.Asked = dataclasses.field(default_factory=status.Asked)
    told: model.Observation | None = None
    """What was emitted last."""
    is_ours_to_delete: bool = False
    waits_for_pods: bool = False
    pods_had_their_time: bool = False

    @property
    def is_there(self) -> bool:
        """Whether anything of it is left on the cluster."""
        return self.job is not None or bool(self.pods)

    @property
    def is_running(self) -> bool:
        """Whether one of its pods runs."""
        return any((pod.get("status") or {}).get("phase") == "Running" for pod in self.pods.values())

    @property
    def all_pods(self) -> list[api.Object]:
        """The pods, those that have gone too."""
        return [*self.pods.values(), *self.lost_pods.values()]


class Observer:
    """Watches the jobs of one experiment and their pods."""

    def __init__(
        self,
        connection: client.Client,
        *,
        kind: kinds.JobKind,
        resource: api.Resource,
        experiment_id: model.ExperimentId,
        clock: ports.Clock,
        asks_queue: bool,
        grace: float | None,
        life: Callable[[str | None], None],
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The namespace.
            kind: What trials run as.
            resource: The kind in the version that the cluster serves.
            experiment_id: Whose jobs.
            clock: Stamps what the cluster does not.
            asks_queue: Whether jobs are in a queue of Kueue.
            grace: The user's own grace period, in seconds.
            life: Told on the loop's thread None for a sign of life of the API server, and why there is none.
        """
        self._connection = connection
        self._kind = kind
        self._resource = resource
        self._selector = names.selector(experiment_id)
        self._clock = clock
        self._grace = grace
        self._life = life
        self._emit: ports.Emit = lambda happened: None
        self._seen: dict[model.AttemptKey, _Seen] = {}
        self._news = asyncio.Event()
        self._watchers: Sequence[watch.Watcher] = ()
        self._pulse: pulse.Pulse | None = None
        self._inquiries = inquiries.Inquiries(
            connection, look_up=self._not_started, answer=self._answered, asks_queue=asks_queue
        )
        self._asking: asyncio.Task[None] | None = None

    async def open(self, emit: ports.Emit) -> None:
        """Begin to watch; return once all that is there has been seen.

        Raises:
            Refusal: The watches are not allowed.
            PlatformUnavailableError: The server does not answer.
        """
        self._emit = emit
        loop = asyncio.get_running_loop()

        def tell(trouble: str | None) -> None:
            loop.call_soon_threadsafe(self._life, trouble)

        def renew() -> None:
            for one in self._watchers:
                one.renew()

        felt = self._pulse = pulse.Pulse(self._connection, tell=tell, renew=renew)
        self._watchers = (
            self._watcher(self._resource, _cut, self._take_jobs, felt),
            self._watcher(api.PODS, _cut_pod, self._take_pods, felt),
        )
        for one in self._watchers:
            one.start()
        async with asyncio.timeout(client.CONNECT_SECONDS + client.READ_SECONDS), asyncio.TaskGroup() as tasks:
            for one in self._watchers:
                tasks.create_task(_done(one))
        felt.start()
        # Joined in close(): it outlives this call, not the observer.
        self._asking = asyncio.get_running_loop().create_task(self._inquiries.run())

    def _watcher(
        self,
        resource: api.Resource,
        cut: Callable[[api.Object], api.Object],
        take: Callable[[Sequence[watch.Change]], None],
        felt: pulse.Pulse,
    ) -> watch.Watcher:
        loop = asyncio.get_running_loop()

        def deliver(changes: Sequence[watch.Change]) -> None:
            loop.call_soon_threadsafe(take, changes)

        return watch.Watcher(
            self._connection,
            resource,
            self._selector,
            cut=cut,
            deliver=deliver,
            report=functools.partial(felt.note, resource.plural),
        )

    async def close(self) -> None:
        """Stop watching."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        async with asyncio.TaskGroup() as tasks:
            if self._pulse is not None:
                tasks.create_task(asyncio.to_thread(self._pulse.stop))
            for one in self._watchers:
                tasks.create_task(asyncio.to_thread(one.stop))

    def created(self, attempt: model.AttemptKey, job: api.Object) -> None:
        """Note a job that was created: the watch may be behind; it may be ahead, too."""
        seen = self._seen.setdefault(attempt, _Seen())
        if seen.job is None and job["metadata"]["uid"] not in seen.gone:
            seen.job = _cut(job)
            self._inquiries.add(attempt)

    def leaves(self, attempt: model.AttemptKey) -> str | None:
        """Note that a job is about to be deleted by our own wish, and return its uid as far as it is known."""
        seen = self._seen.setdefault(attempt, _Seen())
        seen.is_ours_to_delete = True
        return seen.job["metadata"]["uid"] if seen.job is not None else None

    def attempts(self) -> Iterable[model.AttemptKey]:
        """Return the attempts of which something is left on the cluster, as far as it is known."""
        return [attempt for attempt, seen in self._seen.items() if seen.is_there]

    async def until_gone(self, attempts: Iterable[model.AttemptKey], seconds: float) -> None:
        """Wait until nothing of some attempts is left.

        Raises:
            PlatformUnavailableError: Something is still there after so many seconds.
        """
        left = await self._until_none(attempts, lambda seen: seen.is_there, seconds)
        if left:
            trials = ", ".join(sorted(one.trial for one in left))
            raise errors.PlatformUnavailableError(
                f"The pods of {trials} are still there after {seconds:g} s; see `kubectl get pods -l {self._selector}`."
            )

    async def until_still(self, attempts: Iterable[model.AttemptKey], seconds: float) -> None:
        """Wait until no pod of some attempts runs any more, for so many seconds at most."""
        await self._until_none(attempts, lambda seen: seen.is_running, seconds)

    async def _until_none(
        self, attempts: Iterable[model.AttemptKey], holds: Callable[[_Seen], bool], seconds: float
    ) -> set[model.AttemptKey]:
        """Wait until something holds of none of some attempts; return those of which it still does after the time."""
        left = set(attempts)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while left := {one for one in left if one in self._seen and holds(self._seen[one])}:
                    await self._news.wait()
        return left

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
            seen, uid = self._seen.setdefault(attempt, _Seen()), pod["metadata"]["uid"]
            if is_gone:
                seen.pods.pop(uid, None)
                seen.lost_pods[uid] = pod
            else:
                seen.pods[uid] = pod
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

    def _lost(self, attempt: model.AttemptKey, seen: _Seen, job: api.Object) -> None:
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
        observation = status.observe(
            seen.job, seen.all_pods, self._kind.read, self._kind.container, asked=seen.asked, grace=self._grace
        )
        if observation.phase is model.JobPhase.QUEUED:
            # What its pods showed when a queue took them away says nothing about the pods that will come.
            seen.lost_pods.clear()
        is_failed = observation.phase is model.JobPhase.FAILED
        if is_failed and not (status.shows_an_end(seen.all_pods) or seen.pods_had_their_time):
            self._wait_for_pods(attempt, seen)
        elif observation != seen.told:
            self._say(attempt, seen, observation)
            if observation.phase in _HELD_UP:
                self._inquiries.add(attempt)

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

    def _not_started(self, attempt: model.AttemptKey) -> tuple[api.Object, ...]:
        """Return the job and the pods of an attempt that has not started; nothing of one that has."""
        seen = self._seen.get(attempt)
        if seen is None or seen.job is None or (seen.told is not None and seen.told.phase not in _HELD_UP):
            return ()
        return (seen.job, *seen.pods.values())

    def _answered(self, attempt: model.AttemptKey, asked: status.Asked) -> None:
        seen = self._seen.get(attempt)
        if seen is not None:
            seen.asked = asked
            self._tell(attempt, seen)


_HELD_UP = (model.JobPhase.PENDING, model.JobPhase.QUEUED)


async def _done(watcher: watch.Watcher) -> None:
    """Wait for a watcher's first list."""
    await asyncio.wrap_future(watcher.listed)


_METADATA = (
    "name", "namespace", "uid", "labels", "annotations", "creationTimestamp", "deletionTimestamp", "resourceVersion",
)  # fmt: skip


def _cut_pod(found: api.Object) -> api.Object:
    described = found.get("spec", {})
    kept = [{"name": one["name"], "resources": one.get("resources", {})} for one in described.get("containers", [])]
    return {**_cut(found), "kind": "Pod", "spec": {"nodeName": described.get("nodeName"), "containers": kept}}


def _cut(found: api.Object) -> api.Object:
    """Return what is looked at of an object: thousands of whole ones would be much to keep."""
    metadata = {name: value for name, value in found["metadata"].items() if name in _METADATA}
    return {"kind": found.get("kind", ""), "metadata": metadata, "status": found.get("status", {})}
