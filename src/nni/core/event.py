"""Everything that can happen to an experiment, and everything that can be due.

An **event** is a fact: folded into the state, written to the records. An **action** is a wish: performed through a
port, its result comes back as an event. ``Began`` is the event that says an action is on its way; it is durable before
the action is performed, so that a restart knows what may have happened.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nni.core import model


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The experiment began, or went on after a restart of its manager."""

    promotes: bool = False
    """Whether the tuner may have more to suggest when more trials have ended, as one that has them go on."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One set of parameters from the tuner."""

    trial: model.TrialId
    """The id that a new trial will have."""
    parameter_id: int
    parameters: model.Parameters
    promotes: model.TrialId | None = None
    """The trial that is to go on with them; a new one is made where it cannot."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The tuner answered: fewer proposals than asked for means that it has no more, or none before it learns more."""

    asked: int
    proposals: tuple[Proposal, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TunerFailed:
    """The tuner cannot go on; no trial can be added any more."""

    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TunerReopened:
    """Tuner and assessor were begun anew after a failure: other processes, which know nothing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobCreated:
    """The platform has the job."""

    attempt: model.AttemptKey
    job: str
    """What users find it under: the Kubernetes name, or the process id."""
    location: str
    """URL of the trial's directory on the volume."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobRefused:
    """The platform or the volume refused the job."""

    attempt: model.AttemptKey
    message: str
    retry_after: float | None = None
    """Seconds after which the same may pass; None when it never will."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobObserved:
    """The platform saw a change of the job."""

    attempt: model.AttemptKey
    observation: model.Observation


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobRemoved:
    """The job was deleted, by our own wish."""

    attempt: model.AttemptKey
    gave_up: bool = False
    """Whether the platform did not do so for too long: the job may be there yet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobDiscarded:
    """An ended job that nobody needs any more was deleted."""

    attempt: model.AttemptKey


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReported:
    """A replica sent metrics, or its exit, or only a sign of life."""

    attempt: model.AttemptKey
    replica: model.Replica
    metrics: tuple[model.Metric, ...] = ()
    exit: model.ReplicaExit | None = None
    by_volume: bool = False
    """Whether this was read from the journal on the volume, not received by the intake."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Harvested:
    """The volume was searched for what the chief replica had not sent; nothing more will come."""

    attempt: model.AttemptKey


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TunerTold:
    """The tuner knows how these trials ended."""

    trials: tuple[model.TrialId, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The assessor sees no promise in an attempt."""

    attempt: model.AttemptKey
    results: int
    """After how many intermediate results."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """Somebody asked for the experiment to stop."""

    by: str
    without_platform: bool = False
    """Whether not to wait for the platform any more: what is left there is left."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KillRequested:
    """Somebody asked for a trial to stop."""

    trial: model.TrialId


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequested:
    """Somebody asked for a trial with parameters of their own choice."""

    trial: model.TrialId
    """The id that it will have."""
    parameters: model.Parameters


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """Somebody changed the limits of the running experiment."""

    trial_concurrency: int
    max_trial_number: int | None
    max_experiment_seconds: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResultImported:
    """A result of another experiment, for the tuner to learn from."""

    parameters: model.Parameters
    metric: str
    """As JSON text."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResultsImported:
    """Somebody brought results of other experiments."""

    results: tuple[ResultImported, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpaceChanged:
    """Somebody changed the search space of the running experiment."""

    search_space: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """A timer is due."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The manager cannot go on with this experiment."""

    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp:
    """Nothing of the experiment is left on the platform."""

    gave_up: bool = False
    """Whether something may be: the platform was not waited for any longer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask the tuner for parameters of trials."""

    parameter_ids: tuple[int, ...]
    new: int | None = None
    """How many of the trials may be new ones, None for all; the others may only be promoted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell the tuner how trials ended."""

    outcomes: Mapping[model.TrialId, model.Outcome]
    earlier: tuple[model.Outcome, ...] = ()
    """Of attempts that were followed by a promotion; a tuner that was started again does not know them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assess:
    """Ask the assessor whether an attempt may go on; not recorded, since a restart puts all curves to it anew."""

    attempt: model.AttemptKey
    start: int
    """How many intermediate results came before."""
    values: tuple[str, ...]
    """The new ones, as JSON text."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Give the tuner another search space."""

    search_space: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Put the attempt's files on the volume and create its job."""

    order: model.JobOrder
    parameter_id: int
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Delete the attempt's job."""

    attempt: model.AttemptKey
    ending: model.TrialStatus
    """How the trial ends by it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Delete the job of an attempt that has ended and was kept for a while."""

    attempt: model.AttemptKey


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """Read from the volume what the chief replica has not sent."""

    attempt: model.AttemptKey
    final: bool
    """Whether the job has ended: then ``Harvested`` follows. Otherwise the silent pod's journal is peeked at."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """Remove whatever is left of the experiment on the platform."""

    keep: tuple[model.AttemptKey, ...] = ()
    """The attempts whose ended jobs stay."""
    without_platform: bool = False
    """Whether to leave what is left."""


Action = Ask | Assess | Tell | Submit | Remove | Discard | Harvest | CleanUp | Update


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """An action is being performed."""

    action: Action


Event = (
    Began
    | CleanedUp
    | Failed
    | Harvested
    | JobCreated
    | JobDiscarded
    | JobObserved
    | JobRefused
    | JobRemoved
    | KillRequested
    | LimitsChanged
    | Proposed
    | Rejected
    | ResultsImported
    | SearchSpaceChanged
    | ReplicaReported
    | Started
    | StopRequested
    | Ticked
    | TrialRequested
    | TunerFailed
    | TunerReopened
    | TunerTold
)
