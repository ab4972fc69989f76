"""The experiments of this machine: keeps their list right, and shows it."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import event, model, objectives, ports, spec
from nni.core import state as states
from nni.core import trial as trials
from nni.records import description, registry, sqlite
from nni.server import events, leaving, views, withheld

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def listed(
    first: registry.Known, state: states.State, revisions: events.Revisions, removal: str = ""
) -> AsyncIterator[None]:
    """Keep what this machine's list says of an experiment right while the context is open.

    Args:
        first: What does not change of it.
        state: The experiment.
        revisions: Says when it has changed.
        removal: The command that removes what may be left of it on its platform.
    """
    known = registry.Registry(registry.default_directory())

    def now() -> registry.Known:
        result = state.trials[state.best].result if state.best is not None else None
        best = None if result is None else result.value
        return dataclasses.replace(
            first,
            status=state.status.value,
            # A manager that goes on with an experiment was not its first.
            start_time=state.started_at or first.start_time,
            end_time=state.ended_at,
            best=best,
            left=leaving.left(state, removal),
        )

    async def write(its: registry.Known) -> None:
        try:
            await asyncio.to_thread(known.write, its)
        except errors.RecordsError as error:
            _log.warning("%s", error)

    async def keep(written: registry.Known) -> None:
        revision = 0
        while True:
            if (its := now()) != written:
                written = its
                await write(its)
            revision = await revisions.after(revision)

    await write(its := now())
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keep(its))
        try:
            yield
        finally:
            keeping.cancel()
    await write(now())


async def experiments() -> Sequence[views.Json]:
    """Return all experiments in the shape of NNI's ``experiments-info``, the oldest first."""
    known = await asyncio.to_thread(registry.Registry(registry.default_directory()).list)
    return [_info(its) for its in known]


def _info(known: registry.Known) -> views.Json:
    moments = {"startTime": known.start_time, "endTime": known.end_time}
    times = {name: "N/A" if at is None else views.milliseconds(at) for name, at in moments.items()}
    return {
        "id": known.id,
        "port": known.port,
        "status": known.status,
        "platform": known.platform,
        "experimentName": known.name or "",
        "pid": known.pid if known.is_alive else None,
        "prefixUrl": known.url_prefix,
        "logDir": str(known.directory),
        "isAlive": known.is_alive,
        "best": known.best,
        **times,
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Final:
    """The final metric of a trial as it counts."""

    attempt: model.AttemptKey
    value: float
    at: float
    """When it came, in seconds since the epoch."""


async def results(experiment_id: str) -> views.Json:
    """Return what came of another experiment of this machine, running or not, and how it was configured.

    Raises:
        ExperimentNotFoundError: Nothing is known of it.
        RecordsError: Its records cannot be read.
    """
    known = await asyncio.to_thread(registry.Registry(registry.default_directory()).read, experiment_id)
    records = await sqlite.SqliteRecords.open_existing(known.directory)
    try:
        rows = await records.metrics(kind=model.MetricType.FINAL)
        submitted = await records.submissions()
    finally:
        await records.close()
    config = await asyncio.to_thread(description.read, known.directory)
    return _info(known) | outcome(config, rows, submitted, known.start_time or 0.0)


def outcome(
    config: Mapping[str, Any], rows: Iterable[ports.MetricRow], submitted: Sequence[event.Submit], start: float
) -> views.Json:
    """Return what came of an experiment.

    Args:
        config: In canonical JSON.
        rows: Its final metrics, in the order in which they came.
        submitted: The attempts of its trials.
        start: When it began, in seconds since the epoch.
    """
    tuner = spec.AlgorithmSpec.written(config.get("tuner") or config.get("advisor"))
    is_maximized = objectives.is_maximized(tuner, spec.AlgorithmSpec.written(config.get("assessor")))
    known = finals(rows, objectives.primary(tuner.class_args))
    better: list[tuple[int, Final]] = []
    for number, one in enumerate(sorted(known, key=lambda its: its.at), 1):
        best = better[-1][1].value if better else None
        if best is None or (one.value > best if is_maximized else one.value < best):
            better.append((number, one))

    def since_start(one: Final) -> int:
        return views.milliseconds(max(0.0, one.at - start))

    parameters = {its.order.attempt: its.parameters for its in submitted}
    return {
        "maximize": is_maximized,
        "trialNumber": len({its.order.attempt.trial for its in submitted}),
        "values": [one.value for one in known],
        "bestSoFar": [[since_start(one), number, one.value] for number, one in better],
        "bestTrial": better[-1][1].attempt.trial if better else None,
        "bestParameters": parameters.get(better[-1][1].attempt, {}) if better else {},
        "config": withheld.without_secrets(config),
    }


def finals(rows: Iterable[ports.MetricRow], key: str = "default") -> list[Final]:
    """Return the numbers that count among final metrics: of each trial's last attempt, the chief replica's.

    Args:
        rows: Final metrics, in the order in which they came.
        key: The objective that trials are compared by.
    """
    kept: dict[model.TrialId, tuple[tuple[int, int], Final]] = {}
    for row in rows:
        value = trials.scalar(row.metric.value, key)
        if row.replica.index != 0 or value is None:
            continue
        rank = (row.attempt.number, _CHIEFS.index(row.replica.role) if row.replica.role in _CHIEFS else -1)
        if row.attempt.trial not in kept or kept[row.attempt.trial][0] <= rank:
            kept[row.attempt.trial] = (rank, Final(row.attempt, value, row.received_at))
    return [one for _, one in kept.values()]


_CHIEFS = ("worker", "master", "chief")
"""Roles whose metrics count, the last before the others."""
