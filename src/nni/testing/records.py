"""Records in memory, and what all records have to do.

A test class inherits ``RecordsContract`` and says how its records are opened:

    class TestMine(records.RecordsContract):
        async def open(self, directory): ...
"""
# ruff: noqa: S101 - a contract is told in assertions

import abc
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from nni.core import event, model, ports

TRIAL = model.TrialId("k2f9z")
OTHER = model.TrialId("a7b8c")
CHIEF = model.Replica("master")
WORKER = model.Replica("worker", 1)
PARAMETERS = {"lr": 0.1, "layers": [{"_name": "dense", "units": 64}, None], "it's": True}


class MemoryRecords:
    """``Records`` that last as long as the object."""

    def __init__(self) -> None:
        self._entries: list[ports.Entry] = []
        self._rows: list[ports.MetricRow] = []
        self._seen: set[tuple[model.AttemptKey, model.Replica, int]] = set()

    async def append(self, entries: Sequence[ports.Entry]) -> None:
        """See the port."""
        for entry in entries:
            happened = entry.event
            if isinstance(happened, event.ReplicaReported):
                happened = dataclasses.replace(happened, metrics=self._new(happened, entry.at))
            self._entries.append(ports.Entry(at=entry.at, event=happened))

    async def replay(self) -> Sequence[ports.Entry]:
        """See the port."""
        return list(self._entries)

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[ports.MetricRow]:
        """See the port."""
        return [row for row in self._rows if trial in (None, row.attempt.trial) and kind in (None, row.metric.type)]

    async def close(self) -> None:
        """See the port."""

    def _new(self, reported: event.ReplicaReported, at: float) -> tuple[model.Metric, ...]:
        new = []
        for metric in reported.metrics:
            key = (reported.attempt, reported.replica, metric.number)
            if key not in self._seen:
                self._seen.add(key)
                new.append(metric)
                self._rows.append(
                    ports.MetricRow(attempt=reported.attempt, replica=reported.replica, metric=metric, received_at=at)
                )
        return tuple(new)


class RecordsContract(abc.ABC):
    """What every implementation of ``Records`` has to do."""

    @abc.abstractmethod
    async def open(self, directory: Path) -> ports.Records:
        """Return new, empty records; ``directory`` is empty and theirs."""

    async def test_what_is_written_is_replayed_in_order(self, tmp_path: Path) -> None:
        """All kinds of events, over several batches."""
        records = await self.open(tmp_path)
        told = story()
        await records.append(told[:2])
        await records.append(told[2:])
        assert await records.replay() == told
        await records.close()

    async def test_new_records_are_empty(self, tmp_path: Path) -> None:
        """Nothing was written, nothing is there."""
        records = await self.open(tmp_path)
        await records.append(())
        assert await records.replay() == []
        assert await records.metrics() == []
        await records.close()

    async def test_metrics_can_be_asked_for(self, tmp_path: Path) -> None:
        """All, of a trial, of a type, in the order in which they were received."""
        records = await self.open(tmp_path)
        first, second, final = metric(1, "0.1"), metric(2, "0.2"), metric(3, "0.3", model.MetricType.FINAL)
        await records.append(
            [
                at(10, reported(first)),
                at(11, reported(metric(1, '{"default": NaN}'), trial=OTHER, who=WORKER)),
                at(12, reported(second, final)),
            ]
        )
        assert [row.metric.value for row in await records.metrics()] == ["0.1", '{"default": NaN}', "0.2", "0.3"]
        assert await records.metrics(OTHER) == [
            ports.MetricRow(
                attempt=model.AttemptKey(OTHER, 1),
                replica=WORKER,
                metric=metric(1, '{"default": NaN}'),
                received_at=11,
            )
        ]
        assert [row.metric for row in await records.metrics(TRIAL)] == [first, second, final]
        assert [row.metric for row in await records.metrics(TRIAL, model.MetricType.FINAL)] == [final]
        assert [row.metric for row in await records.metrics(kind=model.MetricType.FINAL)] == [final]
        assert [row.metric for row in await records.metrics(kind=model.MetricType.PERIODICAL)][1:] == [
            metric(1, '{"default": NaN}'),
            second,
        ]
        assert await records.metrics(model.TrialId("nobody")) == []
        await records.close()

    async def test_a_metric_that_is_there_is_left_out(self, tmp_path: Path) -> None:
        """Within a batch and in a later one; another replica's or attempt's of the same number is another metric."""
        records = await self.open(tmp_path)
        first, second = metric(1, "0.1"), metric(2, "0.2")
        again = metric(1, "9.9")
        await records.append([at(1, reported(first)), at(2, reported(again))])
        await records.append([at(3, reported(again, second)), at(4, reported(first, who=WORKER))])
        await records.append([at(5, reported(first, attempt=2))])
        assert await records.replay() == [
            at(1, reported(first)),
            at(2, reported()),
            at(3, reported(second)),
            at(4, reported(first, who=WORKER)),
            at(5, reported(first, attempt=2)),
        ]
        assert [row.metric for row in await records.metrics()] == [first, second, first, first]
        await records.close()

    async def test_parameters_may_change_under_the_same_id(self, tmp_path: Path) -> None:
        """A trial that is submitted again with a larger budget, say."""
        records = await self.open(tmp_path)
        proposal = event.Proposal(trial=TRIAL, parameter_id=0, parameters=PARAMETERS)
        larger = event.Began(action=submit(PARAMETERS | {"TRIAL_BUDGET": 9}))
        told = [
            at(1, event.Proposed(asked=1, proposals=(proposal,))),
            at(2, larger),
            at(3, event.Began(action=submit(PARAMETERS))),
            at(4, larger),
        ]
        for entry in told:
            await records.append([entry])
        assert await records.replay() == told
        await records.close()

    async def test_odd_values_come_back(self, tmp_path: Path) -> None:
        """Quotes, line feeds, other alphabets, NUL, and numbers at the ends of their range."""
        records = await self.open(tmp_path)
        odd = metric(1, '"it\'s \\u0000 \n Grüße 世界 \x00"')
        told = [
            at(0.1 + 0.2, reported(odd)),
            at(1e-300, event.Failed(message="a 'quote', a \"quote\"; DROP TABLE events; --\n\x00")),
            at(2.0, reported(dataclasses.replace(metric(2, "1e999"), at=math.inf))),
            at(3.0, event.Failed(message="\ud800")),
        ]
        await records.append(told)
        assert await records.replay() == told
        await records.close()


def at(when: float, happened: event.Event) -> ports.Entry:
    """Return an entry."""
    return ports.Entry(at=when, event=happened)


def metric(number: int, value: str, kind: model.MetricType = model.MetricType.PERIODICAL) -> model.Metric:
    """Return a metric, the number-th of its replica."""
    sequence = number - 1 if kind is model.MetricType.PERIODICAL else 0
    return model.Metric(number=number, at=1795441642.03 + number, type=kind, sequence=sequence, value=value)


def reported(
    *metrics: model.Metric, trial: model.TrialId = TRIAL, attempt: int = 1, who: model.Replica = CHIEF
) -> event.ReplicaReported:
    """Return a replica's report."""
    return event.ReplicaReported(attempt=model.AttemptKey(trial, attempt), replica=who, metrics=metrics)


def submit(parameters: model.Parameters) -> event.Submit:
    """Return the submission of the first trial."""
    order = model.JobOrder(attempt=model.AttemptKey(TRIAL, 1), sequence=0, slot=0)
    return event.Submit(order=order, parameter_id=0, parameters=parameters)


def story() -> list[ports.Entry]:
    """Return a short experiment, with every kind of event that is worth keeping."""
    attempt = model.AttemptKey(TRIAL, 1)
    proposal = event.Proposal(trial=TRIAL, parameter_id=0, parameters=PARAMETERS)
    promotion = event.Proposal(trial=OTHER, parameter_id=2, parameters={**PARAMETERS, "more": 1}, promotes=TRIAL)
    reason = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No GPU is free.", evidence="Pod a/b", since=4.5)
    seen = model.Observation(phase=model.JobPhase.PENDING, reason=reason)
    ended = model.Observation(phase=model.JobPhase.FAILED, started_at=5.5, ended_at=9.0, exit_code=3)
    final = metric(2, "0.75", model.MetricType.FINAL)
    last = model.ReplicaExit(code=3, metrics=2, lines=("Traceback", "it's"), stopped=True)
    outcome = model.Outcome(parameter_id=0, parameters=PARAMETERS, value=0.75, metric="0.75", succeeded=False)
    told: list[event.Event] = [
        event.Started(promotes=True),
        event.Began(action=event.Ask(parameter_ids=(0, 1), new=2)),
        event.Proposed(asked=2, proposals=(proposal,)),
        event.Began(action=submit(PARAMETERS)),
        event.JobRefused(attempt=attempt, message="later", retry_after=5.0),
        event.JobCreated(attempt=attempt, job="nni-exp-a-trial-k2f9z", location="nfs://a/b"),
        event.JobObserved(attempt=attempt, observation=seen),
        reported(metric(1, "0.5"), final),
        event.ReplicaReported(attempt=attempt, replica=CHIEF, exit=last, by_volume=True),
        event.JobObserved(attempt=attempt, observation=ended),
        event.Began(action=event.Harvest(attempt=attempt, final=True)),
        event.Harvested(attempt=attempt),
        event.Began(action=event.Tell(outcomes={TRIAL: outcome})),
        event.TunerTold(trials=(TRIAL,)),
        event.Began(action=event.Ask(parameter_ids=(2,), new=0)),
        event.Proposed(asked=1, proposals=(promotion,)),
        event.Began(action=event.Tell(outcomes={}, earlier=(outcome,))),
        event.LimitsChanged(trial_concurrency=4, max_trial_number=None, max_experiment_seconds=60),
        event.KillRequested(trial=TRIAL),
        event.TrialRequested(trial=OTHER, parameters={"x": 3}),
        event.Began(action=event.Remove(attempt=attempt, ending=model.TrialStatus.USER_CANCELED)),
        event.JobRemoved(attempt=attempt),
        event.TunerFailed(message="no more"),
        event.Failed(message="broken"),
        event.StopRequested(by="the user"),
        event.Began(action=event.CleanUp()),
        event.CleanedUp(),
    ]
    return [at(float(second), happened) for second, happened in enumerate(told)]
