"""A trial as the manager keeps it, and what its reports mean."""

import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nni.core import model


class Step(enum.StrEnum):
    """What the manager is doing about a trial."""

    PROPOSED = "proposed"
    """It has parameters; the platform does not know of it."""
    SUBMITTING = "submitting"
    """Its job is being created."""
    LIVE = "live"
    """The platform has its job."""
    REMOVING = "removing"
    """Its job is being deleted."""
    HARVESTING = "harvesting"
    """Its job has ended; what it had not sent is read from the volume."""
    ENDED = "ended"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """What is known of one replica of the current attempt."""

    received: int = 0
    """Metrics are known up to this number of its journal."""
    exit: model.ReplicaExit | None = None
    heard_at: float | None = None
    """When the intake last had a sign of life."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing of what it had to say."""
        return self.exit is not None and self.received >= self.exit.metrics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an attempt that ended well gave, and for which parameters."""

    attempt: int
    ended_at: float | None
    parameter_id: int
    parameters: model.Parameters
    metric: str
    """The final metric as JSON text."""
    value: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """An attempt that was followed by another."""

    number: int
    cause: model.AttemptCause
    job: str | None
    started_at: float | None
    ended_at: float
    reason: model.Reason | None
    exit_code: int | None
    last_lines: tuple[str, ...] = ()
    result: Result | None = None
    """What it gave, when a promotion followed on it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters and all that became of it."""

    id: model.TrialId
    sequence: int
    """Counted from 0 in the order of the experiment."""
    parameter_id: int
    parameters: model.Parameters
    created_at: float
    is_customized: bool = False
    """Whether its parameters are the user's, not the tuner's."""
    step: Step = Step.PROPOSED
    status: model.TrialStatus = model.TrialStatus.WAITING
    attempt: int = 1
    cause: model.AttemptCause = model.AttemptCause.FIRST
    """Of the current attempt."""
    past: tuple[PastAttempt, ...] = ()
    """The attempts before, in order."""
    slot: int | None = None
    """Number of the current attempt in the experiment; None before its job was ordered."""
    job: str | None = None
    location: str = ""
    """URL of the trial's directory on the volume."""
    started_at: float | None = None
    ended_at: float | None = None
    ending: model.TrialStatus | None = None
    """How it will end, once it has been stopped or harvested."""
    was_removed: bool = False
    """Whether the current attempt's job was deleted by our own wish."""
    observation: model.Observation | None = None
    reason: model.Reason | None = None
    exit_code: int | None = None
    last_lines: tuple[str, ...] = ()
    replicas: Mapping[model.Replica, ReplicaRecord] = dataclasses.field(default_factory=dict)
    intermediate_count: int = 0
    last: str | None = None
    """The last intermediate metric that has a number, as JSON text."""
    last_value: float | None = None
    final: str | None = None
    """The final metric as JSON text."""
    final_value: float | None = None
    reported_at: float | None = None
    """When the current attempt's last metric came."""
    metric_path: str | None = None
    """How the last metric came: ``intake`` or ``volume``."""

    @property
    def key(self) -> model.AttemptKey:
        """The current attempt."""
        return model.AttemptKey(self.id, self.attempt)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.step is Step.ENDED

    @property
    def result(self) -> Result | None:
        """What the latest attempt gave that ended well with a final metric, None where none did."""
        if self.status is model.TrialStatus.SUCCEEDED and self.final is not None:
            return Result(
                attempt=self.attempt,
                ended_at=self.ended_at,
                parameter_id=self.parameter_id,
                parameters=self.parameters,
                metric=self.final,
                value=self.final_value,
            )
        return next((past.result for past in reversed(self.past) if past.result is not None), None)

    @property
    def shown_value(self) -> float | None:
        """The number of the final metric: of the current attempt, or while that has none of the latest that ended."""
        result = self.result if self.final_value is None else None
        return self.final_value if result is None else result.value

    @property
    def failed_replica(self) -> tuple[model.Replica, model.ReplicaExit] | None:
        """The first replica that ended badly by itself, else the first that ended badly."""
        bad = [(who, known.exit) for who, known in self.replicas.items() if known.exit and known.exit.code != 0]
        return min(bad, key=lambda item: item[1].stopped, default=None)


def scalar(value: str, key: str = "default") -> float | None:
    """Return the number that a metric stands for: itself, or its ``default`` where it is a dictionary.

    Args:
        value: The metric as JSON text.
        key: What stands for ``default``.

    Returns:
        A finite number, or None where there is none (NaN, infinity, text, no ``default``).
    """
    number = decoded(value)
    if isinstance(number, dict):
        number = number.get(key)
    if isinstance(number, (int, float)) and math.isfinite(number):
        return float(number)
    return None


def decoded(value: str) -> Any:
    """Return what a metric's JSON text stands for; the text itself where it is not JSON."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def next_metrics(metrics: Sequence[model.Metric], received: int) -> tuple[model.Metric, ...]:
    """Return the metrics that follow on what was received, without a gap."""
    new: list[model.Metric] = []
    for metric in metrics:
        if metric.number == received + len(new) + 1:
            new.append(metric)
    return tuple(new)


def take_metrics(trial: Trial, metrics: tuple[model.Metric, ...], key: str = "default") -> Trial:
    """Return the trial with metrics of its chief replica counted.

    Args:
        trial: The trial.
        metrics: Known to be new.
        key: The objective that trials are compared by.
    """
    for metric in metrics:
        number = scalar(metric.value, key)
        if metric.type is model.MetricType.FINAL:
            trial = dataclasses.replace(trial, final=metric.value, final_value=number)
        else:
            trial = dataclasses.replace(
                trial,
                intermediate_count=trial.intermediate_count + 1,
                last=trial.last if number is None else metric.value,
                last_value=trial.last_value if number is None else number,
            )
    return trial


def concluded(trial: Trial, at: float) -> Trial:
    """Return an attempt's end as the trial shows it: its status, and why."""
    seen = trial.observation
    failed = trial.failed_replica if trial.ending is model.TrialStatus.FAILED else None
    return dataclasses.replace(
        trial,
        status=trial.ending or model.TrialStatus.FAILED,
        ended_at=(seen.ended_at if seen else None) or at,
        reason=explain(trial, at),
        exit_code=failed[1].code if failed else (seen.exit_code if seen else None),
        last_lines=failed[1].lines if failed else (),
    )


def explain(trial: Trial, at: float) -> model.Reason | None:
    """Return why an ended trial ended as it did, None where there is nothing to explain."""
    if trial.ending is model.TrialStatus.SUCCEEDED:
        if trial.final is not None:
            return None
        return model.Reason(
            kind=model.ReasonClass.USER,
            sentence="It ended without a final result; call nni.report_final_result() once at the end.",
            since=at,
        )
    if trial.ending is not model.TrialStatus.FAILED:
        return trial.reason
    seen = trial.observation.reason if trial.observation else None
    failed = trial.failed_replica
    if seen is not None and (failed is None or seen.kind is not model.ReasonClass.USER):
        return seen
    if failed is None:
        return trial.reason
    who, its_exit = failed
    last = f": {its_exit.lines[-1]}" if its_exit.lines else ""
    return model.Reason(
        kind=model.ReasonClass.USER,
        sentence=f"The command of {who} ended with exit code {its_exit.code}{last}",
        evidence=_evidence(trial, who),
        since=at,
    )


def _evidence(trial: Trial, who: model.Replica) -> str:
    """Return the pod of the replica that is blamed, or what else was seen; another replica's pod shows nothing."""
    seen = trial.observation
    if seen is None or seen.reason is None:
        return ""
    where, _, name = seen.reason.evidence.rpartition("/")
    pods = {pod.replica: pod.name for pod in seen.pods}
    if who in pods and where:
        return f"Pod {where.rpartition(' ')[2]}/{pods[who]}"
    return "" if name in pods.values() else seen.reason.evidence


def stopped_by(who: str, at: float) -> model.Reason:
    """Return why a trial ends that somebody stopped."""
    return model.Reason(kind=model.ReasonClass.USER, sentence=f"It was stopped by {who}.", since=at)
