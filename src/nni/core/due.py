"""What happens when the time has come that a timer of the state was set for."""

from collections.abc import Callable, Mapping

from nni.core import model
from nni.core.state import State
from nni.core.trial import Step, Trial

SILENCE_SECONDS = 15.0
"""A running trial that was not heard of for so long has its journal read from the volume."""
PEEK_SECONDS = 10.0


def look_again(state: State, at: float) -> None:
    """Do what the timers that are due were set for."""
    for timer in state.due_timers(at):
        if timer.attempt is None:
            _experiment_timer(state, at)
        elif timer.kind == "discard":
            _discard_timer(state, timer.attempt)
        elif (trial := state.current(timer.attempt)) is not None and not trial.is_over:
            _TIMERS[timer.kind](state, trial, at)


def _experiment_timer(state: State, at: float) -> None:
    seconds = state.limits.max_experiment_seconds
    if seconds is not None and state.started_at is not None and at >= state.started_at + seconds:
        state.time_is_up = True


def _discard_timer(state: State, attempt: model.AttemptKey) -> None:
    if attempt in state.ended_jobs:
        state.discard[attempt] = None


def _grace_timer(state: State, trial: Trial, at: float) -> None:
    """Give a trial up that has been kept from starting for too long."""
    reason = trial.reason
    if trial.status is not model.TrialStatus.WAITING or reason is None or reason.fails_after is None:
        return
    if at >= reason.since + reason.fails_after:
        state.stop(trial, model.TrialStatus.FAILED, reason, at)


def _submit_timer(state: State, trial: Trial, at: float) -> None:
    state.todo[trial.id] = None


def _trial_timer(state: State, trial: Trial, at: float) -> None:
    sentence = f"It was stopped after max_trial_duration ({state.limits.max_trial_seconds} s)."
    reason = model.Reason(kind=model.ReasonClass.CONFIG, sentence=sentence, since=at)
    state.stop(trial, model.TrialStatus.EARLY_STOPPED, reason, at)


def _silence_timer(state: State, trial: Trial, at: float) -> None:
    """Read the journal of a trial that does not get through to the intake."""
    if trial.step is not Step.LIVE:
        return
    chief = trial.replicas.get(state.chief)
    heard_at = (chief.heard_at if chief else None) or trial.started_at or at
    if at - heard_at >= SILENCE_SECONDS:
        state.peek[trial.id] = None
        state.set_timer(at + PEEK_SECONDS, "silence", trial.key)
    else:
        state.set_timer(heard_at + SILENCE_SECONDS, "silence", trial.key)


_TIMERS: Mapping[str, Callable[[State, Trial, float], None]] = {
    "submit": _submit_timer,
    "grace": _grace_timer,
    "trial": _trial_timer,
    "silence": _silence_timer,
}
