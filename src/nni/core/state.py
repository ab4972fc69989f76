"""The state of an experiment: its trials, and the indexes that make every step cheap.

A change replaces the trial that it touches and keeps the indexes; nothing here scans or copies all trials.
"""

import dataclasses
import heapq
from collections.abc import Iterator

from nni.core import attempts, model
from nni.core import spec as specs
from nni.core import trial as trials
from nni.core.trial import Step, Trial


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the experiment; may be changed while it runs."""

    trial_concurrency: int
    max_trial_number: int | None = None
    max_experiment_seconds: int | None = None
    max_trial_seconds: int | None = None
    max_trial_retries: int = 0
    infrastructure_retries: int = 3


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Timer:
    """When to look at something again."""

    at: float
    kind: str
    attempt: model.AttemptKey | None = None


@dataclasses.dataclass(slots=True, kw_only=True)
class State:
    """An experiment at one moment. Read it freely; ``nni.core.fold`` alone changes it."""

    experiment_id: model.ExperimentId
    spec: specs.ExperimentSpec
    limits: Limits
    chief: model.Replica
    """The replica whose metrics count."""
    usual_concurrency: int
    """How many trials run at once when the experiment is not paused."""
    revision: int = 0
    """Grows with every event."""
    started_at: float | None = None
    ended_at: float | None = None
    errors: list[str] = dataclasses.field(default_factory=list)
    trials: dict[model.TrialId, Trial] = dataclasses.field(default_factory=dict)
    live: dict[model.TrialId, None] = dataclasses.field(default_factory=dict)
    """Trials that are not over, in order."""
    todo: dict[model.TrialId, None] = dataclasses.field(default_factory=dict)
    """Live trials for which an action may be due."""
    untold: dict[model.TrialId, None] = dataclasses.field(default_factory=dict)
    """Ended trials of which the tuner does not know."""
    imported: dict[model.TrialId, model.Outcome] = dataclasses.field(default_factory=dict)
    """Results of other experiments, each under a name of its own, for the tuner to learn from."""
    unassessed: dict[model.TrialId, tuple[int, list[str]]] = dataclasses.field(default_factory=dict)
    """Intermediate results that the assessor does not know, and how many came before them."""
    peek: dict[model.TrialId, None] = dataclasses.field(default_factory=dict)
    """Silent trials whose journal is due to be read from the volume."""
    counts: dict[model.TrialStatus, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(model.TrialStatus, 0)
    )
    ended_jobs: dict[model.AttemptKey, None] = dataclasses.field(default_factory=dict)
    """Attempts that have ended and whose jobs are still there."""
    kept_jobs: dict[model.AttemptKey, None] = dataclasses.field(default_factory=dict)
    """Those of them that stay after the experiment's end."""
    discard: dict[model.AttemptKey, None] = dataclasses.field(default_factory=dict)
    """Those of them that have been kept long enough."""
    abandoned: dict[model.AttemptKey, None] = dataclasses.field(default_factory=dict)
    """Attempts whose jobs may be there, though nobody waits for their end any more."""
    best: model.TrialId | None = None
    asked: int = 0
    """Proposals on their way from the tuner."""
    telling: int = 0
    """Outcomes on their way to the tuner, in messages."""
    next_parameter_id: int = 0
    next_slot: int = 0
    is_space_new: bool = False
    """Whether the tuner does not have the search space yet."""
    promotes: bool = False
    """Whether the tuner may have more to suggest when more trials have ended, as one that has them go on."""
    waits_for_ends: bool = False
    """Whether such a tuner has nothing to suggest before it learns of another end."""
    is_tuner_new: bool = False
    """Whether the tuner knows nothing of what was before."""
    asks_again: bool = False
    """Whether what is on its way from the tuner answers a question of before a change: of limits, or of the space."""
    exhausted: bool = False
    """The tuner has no more to suggest."""
    time_is_up: bool = False
    broken: bool = False
    stop_requested: bool = False
    cleaning: bool = False
    cleaned_up: bool = False
    abandons: bool = False
    """Whether the stop does not wait for the platform."""
    left: tuple[str, ...] = ()
    """The jobs that may be left on the platform now that the experiment has stopped, by their names."""
    timers: list[Timer] = dataclasses.field(default_factory=list)
    """A heap."""
    changes: dict[model.TrialId, int] = dataclasses.field(default_factory=dict)
    """The revision at which each trial changed last, the latest change at the end."""

    @classmethod
    def new(cls, *, experiment_id: model.ExperimentId, spec: specs.ExperimentSpec) -> "State":
        """Return the state of an experiment to which nothing has happened yet."""
        limits = Limits(
            trial_concurrency=spec.trial_concurrency,
            max_trial_number=spec.max_trial_number,
            max_experiment_seconds=spec.max_experiment_seconds,
            max_trial_seconds=spec.max_trial_seconds,
            max_trial_retries=spec.max_trial_retries,
            infrastructure_retries=spec.infrastructure_retries,
        )
        chief = model.Replica(*spec.chief)
        usual = spec.trial_concurrency
        return cls(experiment_id=experiment_id, spec=spec, limits=limits, chief=chief, usual_concurrency=usual)

    @property
    def status(self) -> model.ExperimentStatus:
        """What users see."""
        if self.started_at is None:
            return model.ExperimentStatus.INITIALIZED
        if self.stop_requested:
            return model.ExperimentStatus.STOPPED if self.cleaned_up else model.ExperimentStatus.STOPPING
        if self.broken:
            return model.ExperimentStatus.ERROR
        is_last = self.exhausted or self.is_full
        if not self.live and not self.asked and (self._wants_nothing if self.promotes else is_last):
            return model.ExperimentStatus.DONE
        if self.exhausted:
            return model.ExperimentStatus.TUNER_NO_MORE_TRIAL
        return model.ExperimentStatus.NO_MORE_TRIAL if self.is_full else model.ExperimentStatus.RUNNING

    @property
    def _wants_nothing(self) -> bool:
        """Whether a tuner that can have ended trials go on knows all ends and has none of them go on."""
        return self.time_is_up or (self.waits_for_ends and not self.untold and not self.telling)

    @property
    def is_full(self) -> bool:
        """Whether no trial may be added, by number or by time."""
        most = self.limits.max_trial_number
        return self.time_is_up or (most is not None and len(self.trials) >= most)

    @property
    def leaving(self) -> int:
        """How many jobs a stop waits for."""
        return len(self.live) + len(self.ended_jobs.keys() - self.kept_jobs.keys())

    @property
    def is_paused(self) -> bool:
        """Whether no trial is begun, by a user's wish."""
        return self.limits.trial_concurrency == 0

    @property
    def next_timer(self) -> float | None:
        """When ``Ticked`` is due, None when nothing waits for its time."""
        return self.timers[0].at if self.timers else None

    def changed_since(self, revision: int) -> Iterator[Trial]:
        """Yield the trials that changed after a revision, the latest first."""
        for trial_id, at in reversed(self.changes.items()):
            if at <= revision:
                return
            yield self.trials[trial_id]

    def put(self, trial: Trial) -> None:
        """Replace a trial and keep every index right."""
        before = self.trials.get(trial.id)
        if before is not None:
            self.counts[before.status] -= 1
        self.counts[trial.status] += 1
        self.trials[trial.id] = trial
        self.changes.pop(trial.id, None)
        self.changes[trial.id] = self.revision
        if trial.is_over:
            self.live.pop(trial.id, None)
            self.todo.pop(trial.id, None)
            self.peek.pop(trial.id, None)
            self.unassessed.pop(trial.id, None)
        else:
            self.live[trial.id] = None

    def due_timers(self, at: float) -> Iterator[Timer]:
        """Take out the timers that are due, in their order; one that is set meanwhile may come too."""
        while self.timers and self.timers[0].at <= at:
            yield heapq.heappop(self.timers)

    def set_timer(self, at: float, kind: str, attempt: model.AttemptKey | None = None) -> None:
        """Have ``Ticked`` look at something again."""
        heapq.heappush(self.timers, Timer(at, kind, attempt))

    def current(self, key: model.AttemptKey) -> Trial | None:
        """Return the trial of an attempt, None unless it is its current one."""
        trial = self.trials.get(key.trial)
        return trial if trial is not None and trial.attempt == key.number else None

    def job_of(self, key: model.AttemptKey) -> str:
        """Return what users find the job of an attempt under, as far as it is known."""
        trial = self.trials[key.trial]
        job = (
            trial.job
            if trial.attempt == key.number
            else next((past.job for past in trial.past if past.number == key.number), None)
        )
        return job or f"that of trial {key.trial}"

    def finish(self, trial: Trial, at: float) -> None:
        """End a trial as its ``ending`` says, or begin its next attempt where the limits allow one."""
        trial = trials.concluded(trial, at)
        self._keep_job(trial, at)
        cause = (
            None
            if self.stop_requested
            else attempts.cause_of_next(
                trial, retries=self.limits.max_trial_retries, infrastructure_retries=self.limits.infrastructure_retries
            )
        )
        if cause is not None:
            self.unassessed.pop(trial.id, None)
            self.put(attempts.renewed(trial, cause))
            self.set_timer(at + attempts.pause_before_next(trial, cause), "submit", attempts.renewed(trial, cause).key)
            return
        self.put(dataclasses.replace(trial, step=Step.ENDED))
        self.untold[trial.id] = None
        if trial.status is model.TrialStatus.SUCCEEDED:
            self._rank(trial)

    def _rank(self, trial: Trial) -> None:
        """Note a trial that has ended well as the best, if it is."""
        better = max if self.spec.maximize else min
        # A promotion may give the best trial another result. That happens once per budget, not once per trial.
        rivals = self.trials if self.best == trial.id else dict.fromkeys(filter(None, (self.best, trial.id)))
        known = {key: result.value for key in rivals if (result := self.trials[key].result) is not None}
        numbers = {key: value for key, value in known.items() if value is not None}
        # Of equal ones the first stays.
        self.best = better(numbers, key=lambda key: numbers[key], default=None)

    def _keep_job(self, trial: Trial, at: float) -> None:
        """Note the job of an attempt that has ended, to be deleted after a while."""
        is_gone = trial.observation is not None and trial.observation.phase is model.JobPhase.GONE
        if trial.job is None or trial.was_removed or is_gone:
            return
        self.ended_jobs[trial.key] = None
        if self.spec.keep_failed_jobs and trial.status is model.TrialStatus.FAILED:
            self.kept_jobs[trial.key] = None
        else:
            self.set_timer(at + self.spec.keep_finished_seconds, "discard", trial.key)

    def stop(self, trial: Trial, ending: model.TrialStatus, reason: model.Reason, at: float) -> None:
        """Bring a trial to an end that it did not come to itself."""
        if trial.is_over or trial.ending is not None:
            return
        trial = dataclasses.replace(trial, ending=ending, reason=reason)
        if trial.step is Step.PROPOSED:
            self.finish(trial, at)
        else:
            self.put(trial)
            self.todo[trial.id] = None
