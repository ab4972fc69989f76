"""The records that the whole manager speaks in: trials, jobs, metrics, reasons.

Records are frozen; a change is a new record. Times are seconds since the epoch, sizes are MiB, and every identifier is
a plain string under its own name.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, NewType

ExperimentId = NewType("ExperimentId", str)
TrialId = NewType("TrialId", str)
Parameters = Mapping[str, Any]


class TrialStatus(enum.StrEnum):
    """What users see of a trial, in NNI's words."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    USER_CANCELED = "USER_CANCELED"
    SYS_CANCELED = "SYS_CANCELED"
    EARLY_STOPPED = "EARLY_STOPPED"

    @property
    def is_final(self) -> bool:
        """Whether a trial in this status will not change any more."""
        return self not in (TrialStatus.WAITING, TrialStatus.RUNNING)


class ExperimentStatus(enum.StrEnum):
    """What users see of an experiment, in NNI's words."""

    INITIALIZED = "INITIALIZED"
    RUNNING = "RUNNING"
    NO_MORE_TRIAL = "NO_MORE_TRIAL"
    """No trial will be added (number or duration reached); some still run."""
    TUNER_NO_MORE_TRIAL = "TUNER_NO_MORE_TRIAL"
    """The tuner has nothing left to suggest; some trials still run."""
    DONE = "DONE"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    ERROR = "ERROR"

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more unless somebody asks for it."""
        return self in (ExperimentStatus.DONE, ExperimentStatus.STOPPED, ExperimentStatus.ERROR)


class ReasonClass(enum.StrEnum):
    """Who can mend what keeps a trial from progressing."""

    USER = "user"
    """The trial's own code."""
    CONFIG = "config"
    """The experiment's configuration, or something it names."""
    CAPACITY = "capacity"
    """Nothing is wrong; resources are taken."""
    INFRASTRUCTURE = "infrastructure"
    """The cluster or the machine."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a trial is where it is."""

    kind: ReasonClass
    sentence: str
    """One sentence for people; names what is missing or broken, and how to mend it where that is known."""
    evidence: str = ""
    """The object that shows it: ``Pod default/nni-exp-abc-trial-k2f9z-master-0``."""
    since: float = 0.0
    fails_after: float | None = None
    """Seconds after ``since`` at which the trial is given up; None to wait as long as it takes."""


class AttemptCause(enum.StrEnum):
    """Why there is an attempt."""

    FIRST = "first"
    INFRASTRUCTURE = "infrastructure"
    """The cluster or the machine ended the one before."""
    FAILURE = "failure"
    """The trial's own code ended the one before, and ``max_trial_retries`` allows another."""
    PROMOTION = "promotion"
    """The tuner has a trial go on that has ended well, with parameters that give it a larger budget."""


class JobPhase(enum.StrEnum):
    """What a platform sees of a job."""

    PENDING = "pending"
    """Created, nothing runs yet."""
    QUEUED = "queued"
    """Held back by a queue (suspended)."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"
    """The job is not there any more, and we did not delete it."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.GONE)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class AttemptKey:
    """Names one attempt of one trial; a job exists for each at the most."""

    trial: TrialId
    number: int
    """Counted from 1."""

    def __str__(self) -> str:
        return f"{self.trial}/{self.number}"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Replica:
    """Names one pod of an attempt by its role and its index in that role."""

    role: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.role}-{self.index}"


class MetricType(enum.StrEnum):
    """NNI's two kinds of metric."""

    PERIODICAL = "PERIODICAL"
    """An intermediate result; shown to users as such."""
    FINAL = "FINAL"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value that a replica reported."""

    number: int
    """Its line in the replica's journal, counted from 1: what makes delivery exactly-once."""
    at: float
    type: MetricType
    sequence: int
    """Counts the intermediate results of a replica from 0; 0 for the final one."""
    value: str
    """JSON text, with NaN and Infinity as Python's json writes them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaExit:
    """How the command of a replica ended."""

    code: int
    """The command's exit code; 128 + n when signal n ended it."""
    metrics: int
    """How many metrics stand in the replica's journal."""
    lines: tuple[str, ...] = ()
    """The last lines of its standard error (of its standard output where that is empty)."""
    stopped: bool = False
    """Whether it was told to stop (SIGTERM) before it ended."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What a platform last saw of one replica's pod."""

    replica: Replica
    name: str
    phase: str
    """Kubernetes' word: Pending, Running, Succeeded, Failed."""
    node: str = ""
    state: str = ""
    """Of the container that runs the command: its waiting or terminated reason, such as ``ImagePullBackOff``."""
    exit_code: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A Kubernetes event about a job or a pod of it."""

    about: str
    """The object: ``Pod default/nni-exp-abc-trial-k2f9z-master-0``."""
    reason: str
    message: str
    is_warning: bool
    count: int
    last_at: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a platform last saw of a job."""

    phase: JobPhase
    reason: Reason | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    """Of the chief replica, or of the first one that failed, where the platform can tell."""
    pods: tuple[Pod, ...] = ()
    notices: tuple[Notice, ...] = ()
    """Asked for when something keeps the job from starting, and when it has failed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """All that a platform needs to start an attempt."""

    attempt: AttemptKey
    sequence: int
    """The trial's number in the experiment, from 0 (NNI_TRIAL_SEQ_ID)."""
    slot: int
    """The attempt's number in the experiment, from 0: says which token is its own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a tuner would have tried."""

    parameters: Parameters
    promotes: TrialId | None = None
    """The trial that is to go on with these parameters; None for a new one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a tuner is told at the end of a trial."""

    parameter_id: int
    parameters: Parameters
    value: float | None
    """The final metric's ``default``; None when the trial gave none."""
    metric: str | None
    """The final metric as JSON text."""
    succeeded: bool
    """Whether it has a value to learn from; one that was stopped early has the last that it reported."""
    trial: TrialId = TrialId("")
    is_whole: bool = True
    """Whether it was not stopped early."""
    is_customized: bool = False
    """Whether the parameters are the user's, not a tuner's."""
