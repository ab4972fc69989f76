"""The stream of changes that the portal's page lives on: server-sent events, one for all that changed meanwhile.

An event's id names the portal's run and the state's revision. A page that reconnects with it gets what changed since;
with the id of an earlier run, whose revisions may have been other ones, it gets everything.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence

from nni.core import ports
from nni.core import spec as specs
from nni.core import state as states
from nni.core import trial as trials
from nni.server import health, leaving, table, views, withheld

HEARTBEAT_SECONDS = 15.0
"""A sign of life is sent after so long a silence, so that both sides notice a dead connection."""
PAUSE_SECONDS = 0.05
"""What changes within this time comes in one event."""
BATCH = 250
"""Trials in one event at the most: the loop has other work between two."""


class Revisions:
    """Tells any number of listeners that the state has moved on. Belongs to one event loop."""

    def __init__(self, revision: int = 0) -> None:
        self._revision = revision
        self._moved = asyncio.Event()
        self.news = 0
        """Grows with everything that is told, with or without a new revision."""
        self.is_over = False
        """Whether no more will be told."""

    def publish(self, revision: int) -> None:
        """Wake every listener that waits for a revision up to this one."""
        self._revision = revision
        self.nudge()

    def nudge(self) -> None:
        """Wake the listeners for something that is no part of the state."""
        self.news += 1
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def end(self) -> None:
        """Wake the listeners for the last time."""
        self.is_over = True
        self.nudge()

    async def since(self, news: int) -> None:
        """Return as soon as more has been told than this."""
        while self.news <= news:
            await self._moved.wait()

    async def after(self, revision: int) -> int:
        """Return the published revision as soon as it is above this one."""
        while self._revision <= revision:
            await self._moved.wait()
        return self._revision


async def stream(
    state: states.State,
    about: views.About,
    revisions: Revisions,
    *,
    vitals: health.Vitals,
    clock: ports.Clock,
    run: str,
    last_id: str | None,
) -> AsyncIterator[str]:
    """Yield the text of server-sent events, to the end of the revisions.

    Args:
        state: The experiment; read between two awaits only.
        about: What stays the same.
        revisions: Says when there is something new.
        vitals: How the parts are that the experiment leans on.
        clock: The listener learns how far its own clock is off.
        run: Names this run of the portal.
        last_id: What the listener saw last (its ``Last-Event-ID``), None for nothing.
    """
    seen = _seen(last_id, run, state.revision)
    yield "retry: 1000\n\n"
    while True:
        revision, news, is_over = state.revision, revisions.news, revisions.is_over
        changed = list(state.changed_since(seen))
        changed.reverse()
        for batch, is_last in _batches(changed):
            data = head(state, about, vitals, clock.now(), whole=seen < 0) | {
                "trials": [_row(trial) for trial in batch],
                "reset": seen < 0,
                "more": not is_last,
            }
            yield _event(data, place(run, revision) if is_last else None)
            await asyncio.sleep(0)
            seen = max(seen, 0)
        if is_over:
            return
        seen = revision
        await asyncio.sleep(PAUSE_SECONDS)
        while not await _moves(revisions, news):
            yield f": still here\nevent: beat\ndata: {views.milliseconds(clock.now())}\n\n"


def _seen(last_id: str | None, run: str, revision: int) -> int:
    """Return the revision that the listener has, -1 for none."""
    its_run, _, number = (last_id or "").rpartition("-")
    if its_run == run and number.isdecimal() and int(number) <= revision:
        return int(number)
    return -1


def _batches(changed: Sequence[trials.Trial]) -> Iterator[tuple[Sequence[trials.Trial], bool]]:
    """Yield the trials in pieces, one empty piece when there are none, each with whether it is the last."""
    for start in itertools.count(0, BATCH):
        is_last = start + BATCH >= len(changed)
        yield changed[start : start + BATCH], is_last
        if is_last:
            return


def place(run: str, revision: int) -> str:
    """Return the id of an event: where in the stream a listener is that knows a revision."""
    return f"{run}-{revision}"


async def _moves(revisions: Revisions, news: int) -> bool:
    """Wait for more than what was told; return False when that takes too long."""
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await revisions.since(news)
    except TimeoutError:
        return False
    return True


def head(
    state: states.State, about: views.About, vitals: health.Vitals, now: float, *, whole: bool = True
) -> views.Json:
    """Return what a page knows beside the trials.

    Args:
        state: The experiment.
        about: What stays the same.
        vitals: How the parts are that the experiment leans on.
        now: Seconds since the epoch.
        whole: Whether to give what a listener knows already because it never changes.
    """
    return {
        "revision": state.revision,
        "now": views.milliseconds(now),
        "experiment": summary(state, about) | (setting(state, about) if whole else {}),
        "counts": {status.value: number for status, number in state.counts.items()},
        "best": state.best,
        "health": health.shown(vitals.signs),
    }


def _row(trial: trials.Trial) -> views.Json:
    """Return a trial as ``trial-jobs`` has it, with what the table of all trials has beyond that."""
    others = table.other_metrics(trial)
    answer = views.row(trial) | ({"metrics": others} if others else {})
    return answer | ({"cause": trial.cause.value, "past": views.past(trial)} if trial.past else {})


def _event(data: views.Json, event_id: str | None) -> str:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: change\ndata: {views.compact(data)}\n\n"


def summary(state: states.State, about: views.About) -> views.Json:
    """Return what the head of every page shows."""
    tuner = state.spec.tuner
    limits = state.limits
    return {
        "id": state.experiment_id,
        "name": state.spec.name,
        "status": state.status.value,
        "isOver": state.status.is_over,
        "errors": list(state.errors),
        "startTime": None if state.started_at is None else views.milliseconds(state.started_at),
        "endTime": None if state.ended_at is None else views.milliseconds(state.ended_at),
        "platform": about.platform,
        "version": about.version,
        "tuner": tuner.name or tuner.class_name,
        "maximize": state.spec.maximize,
        "trialNumber": len(state.trials),
        "trialConcurrency": limits.trial_concurrency,
        "maxTrialNumber": limits.max_trial_number,
        "maxExperimentSeconds": limits.max_experiment_seconds,
        "leaving": leaving.leaving(state, about.removal),
    }


def setting(state: states.State, about: views.About) -> views.Json:
    """Return what was chosen when the experiment began."""
    return {
        "roles": [_role(role) for role in state.spec.platform.roles],
        "searchSpace": dict(state.spec.search_space),
        "objectives": _objectives(state.spec),
        "manyAtOnce": about.many_at_once,
        **_where(state.spec.platform),
    }


def _objectives(spec: specs.ExperimentSpec) -> views.Json:
    """Return what is better of each key of a metric, what trials are compared by first; nothing when there is one."""
    return dict(sorted(spec.optimize.items(), key=lambda its: its[0] != spec.primary)) if spec.optimize else {}


def _role(role: specs.RoleSpec) -> views.Json:
    return {
        "name": role.name,
        "replicas": role.replicas,
        "command": withheld.without_secrets(role.command),
        "image": role.image,
        "cpus": role.cpus,
        "gpus": role.gpus,
    }


def _where(platform: specs.PlatformSpec) -> views.Json:
    if isinstance(platform, specs.LocalSpec):
        return {"operator": None, "namespace": None}
    return {"operator": platform.operator, "namespace": platform.namespace}
