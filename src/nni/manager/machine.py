"""The experiments of this machine: keeps their list right, and shows it."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nni import errors
from nni.config import operators
from nni.core import fold, model, ports, spec, units
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


async def results(experiment_id: str) -> views.Json:
    """Return what came of another experiment of this machine, running or not, and how it was configured.

    Raises:
        ExperimentNotFoundError: Nothing is known of it.
        RecordsError: Its records cannot be read.
    """
    known = await asyncio.to_thread(registry.Registry(registry.default_directory()).read, experiment_id)
    records = await sqlite.SqliteRecords.open_existing(known.directory)
    try:
        entries = await records.outline()
    finally:
        await records.close()
    config = await asyncio.to_thread(description.read, known.directory)
    return _info(known) | await asyncio.to_thread(_told, model.ExperimentId(experiment_id), config, entries)


def _told(experiment_id: model.ExperimentId, config: Mapping[str, Any], entries: Iterable[ports.Entry]) -> views.Json:
    state = states.State.new(experiment_id=experiment_id, spec=_spec(config))
    for entry in entries:
        fold.fold(state, entry.event, entry.at)
    return outcome(state)


def _spec(config: Mapping[str, Any]) -> spec.ExperimentSpec:
    """Return what the ends of an experiment's trials follow from, of its configuration in canonical JSON.

    It was checked when it began; a directory of it may be gone by now.
    """
    service = config.get("trainingService") or {}
    names = [name for name in operators.ROLES if name in service] or ["worker"]
    roles = tuple(spec.RoleSpec(name=name, replicas=1, command="", code_directory="") for name in names)
    duration = config.get("maxExperimentDuration")
    assessor = config.get("assessor")
    return spec.ExperimentSpec(
        name=config.get("experimentName"),
        search_space={},
        tuner=spec.AlgorithmSpec.written(config.get("tuner") or config.get("advisor")),
        assessor=spec.AlgorithmSpec.written(assessor) if assessor else None,
        platform=spec.LocalSpec(roles=roles),
        trial_concurrency=config.get("trialConcurrency", 1),
        max_trial_number=config.get("maxTrialNumber"),
        max_experiment_seconds=None if duration is None else units.parse_duration(duration),
        max_trial_retries=config.get("maxTrialRetries") or 0,
        infrastructure_retries=service.get("infrastructureRetries", 3),
        working_directory="",
        canonical=config,
    )


def outcome(state: states.State) -> views.Json:
    """Return what came of an experiment, counted as the page of its own portal counts it."""
    start = views.milliseconds(state.started_at or 0.0)
    results = sorted((one for trial in state.trials.values() for one in _result(trial)), key=lambda its: its.ended_at)
    better: list[tuple[int, _Result]] = []
    for number, one in enumerate(results, 1):
        before = better[-1][1].value if better else None
        if before is None or (one.value > before if state.spec.maximize else one.value < before):
            better.append((number, one))
    best = better[-1][1].trial if better else None
    return {
        "maximize": state.spec.maximize,
        "trialNumber": len(state.trials),
        "values": [one.value for one in results],
        "bestSoFar": [[max(0, one.ended_at - start), number, one.value] for number, one in better],
        "bestTrial": best and best.id,
        "bestParameters": best.parameters if best else {},
        "config": withheld.without_secrets(views.params(state)),
    }


@dataclasses.dataclass(frozen=True, slots=True)
class _Result:
    """The final metric of a trial as it counts."""

    trial: trials.Trial
    value: float
    ended_at: int
    """In milliseconds since the epoch."""


def _result(trial: trials.Trial) -> Iterator[_Result]:
    """Yield the result of a trial that ended well, or goes on from having ended well; nothing for another one."""
    value, goes_on = trial.shown_value, trial.attempt > 1 and not trial.status.is_final
    if value is not None and (goes_on or trial.status is model.TrialStatus.SUCCEEDED):
        yield _Result(trial, value, views.milliseconds(trial.ended_at or trial.past[-1].ended_at))
