"""How each event changes the state.

``fold`` is the only thing that writes to a ``State``. Each kind of event has one function; none costs more with more
trials.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from nni.core import due, event, model, proposals
from nni.core import trial as trials
from nni.core.state import State
from nni.core.trial import Step, Trial


def fold(state: State, happened: event.Event, at: float) -> None:
    """Change the state by one event.

    Args:
        state: Changed in place.
        happened: What happened. An event that does not fit any more (of an attempt that is over, say) changes nothing.
        at: When, in seconds since the epoch.
    """
    state.revision += 1
    _fold(happened, state, at)
    if not state.status.is_over:
        state.ended_at = None
    elif state.ended_at is None:
        state.ended_at = at


@functools.singledispatch
def _fold(happened: event.Event, state: State, at: float) -> None:
    raise TypeError(f"no way to fold {type(happened).__name__}")


@_fold.register
def _started(happened: event.Started, state: State, at: float) -> None:
    """Begin, or take up after a restart what was on its way: every action may be repeated."""
    if state.started_at is None:
        state.started_at = at
    state.cleaning = state.cleaned_up = state.stop_requested = state.abandons = False
    state.left = ()
    state.promotes = happened.promotes
    proposals.begin_anew(state)
    for trial_id in state.live:
        state.todo[trial_id] = None
        if state.trials[trial_id].step is Step.LIVE:
            # Its job may have gone meanwhile: ordered once more it is adopted where it is, and made where it is not.
            state.put(dataclasses.replace(state.trials[trial_id], step=Step.SUBMITTING))
    for attempt in state.ended_jobs:
        if attempt not in state.kept_jobs:
            state.set_timer(at + state.spec.keep_finished_seconds, "discard", attempt)
    # Jobs that nobody waited for may be there yet.
    state.discard.update(state.abandoned)
    if state.limits.max_experiment_seconds is not None:
        state.set_timer(state.started_at + state.limits.max_experiment_seconds, "experiment")


@_fold.register
def _tuner_reopened(happened: event.TunerReopened, state: State, at: float) -> None:
    proposals.begin_anew(state)


@_fold.register
def _proposed(happened: event.Proposed, state: State, at: float) -> None:
    proposals.take(state, happened, at)


@_fold.register
def _trial_requested(happened: event.TrialRequested, state: State, at: float) -> None:
    number = state.next_parameter_id
    state.next_parameter_id += 1
    proposal = event.Proposal(trial=happened.trial, parameter_id=number, parameters=happened.parameters)
    proposals.add(state, proposal, at, is_customized=True)


@_fold.register
def _tuner_failed(happened: event.TunerFailed, state: State, at: float) -> None:
    state.asked = state.telling = 0
    state.untold.clear()
    _broken(event.Failed(message=happened.message), state, at)


@_fold.register
def _broken(happened: event.Failed, state: State, at: float) -> None:
    state.broken = True
    # Whatever was asked of a tuner that has failed fails as it did.
    if happened.message not in state.errors:
        state.errors.append(happened.message)


@_fold.register
def _began(happened: event.Began, state: State, at: float) -> None:
    _BEGAN[type(happened.action)](happened.action, state, at)


def _began_ask(action: event.Ask, state: State, at: float) -> None:
    state.asked += len(action.parameter_ids)
    state.next_parameter_id = max(state.next_parameter_id, action.parameter_ids[-1] + 1)


def _began_tell(action: event.Tell, state: State, at: float) -> None:
    state.telling += 1
    state.is_tuner_new = False
    for trial_id in (*action.outcomes, *(outcome.trial for outcome in action.earlier)):
        state.untold.pop(trial_id, None)


def _began_assess(action: event.Assess, state: State, at: float) -> None:
    state.unassessed.pop(action.attempt.trial, None)


def _began_update(action: event.Update, state: State, at: float) -> None:
    state.is_space_new = False


def _began_submit(action: event.Submit, state: State, at: float) -> None:
    order = action.order
    state.next_slot = max(state.next_slot, order.slot + 1)
    state.todo.pop(order.attempt.trial, None)
    if (trial := state.current(order.attempt)) is not None and not trial.is_over:
        state.put(dataclasses.replace(trial, step=Step.SUBMITTING, slot=order.slot))


def _began_remove(action: event.Remove, state: State, at: float) -> None:
    state.todo.pop(action.attempt.trial, None)
    if (trial := state.current(action.attempt)) is not None and not trial.is_over:
        state.put(dataclasses.replace(trial, step=Step.REMOVING, ending=action.ending, was_removed=True))


def _began_discard(action: event.Discard, state: State, at: float) -> None:
    state.discard.pop(action.attempt, None)


def _began_harvest(action: event.Harvest, state: State, at: float) -> None:
    state.todo.pop(action.attempt.trial, None)
    state.peek.pop(action.attempt.trial, None)


def _began_clean_up(action: event.CleanUp, state: State, at: float) -> None:
    state.cleaning = True


_BEGAN: Mapping[type, Callable[..., None]] = {
    event.Ask: _began_ask,
    event.Assess: _began_assess,
    event.Tell: _began_tell,
    event.Submit: _began_submit,
    event.Update: _began_update,
    event.Remove: _began_remove,
    event.Discard: _began_discard,
    event.Harvest: _began_harvest,
    event.CleanUp: _began_clean_up,
}


@_fold.register
def _job_created(happened: event.JobCreated, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is None or trial.is_over:
        return
    step = Step.LIVE if trial.step is Step.SUBMITTING else trial.step
    # A refusal before this one is no reason any more; what is seen of the job is, and it may be seen first.
    seen = trial.observation.reason if trial.observation else None
    reason = trial.reason if trial.ending else seen
    state.put(dataclasses.replace(trial, step=step, job=happened.job, location=happened.location, reason=reason))
    if trial.ending is not None:
        state.todo[trial.id] = None


@_fold.register
def _job_refused(happened: event.JobRefused, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is None or trial.step is not Step.SUBMITTING:
        return
    if trial.ending is not None:
        state.finish(trial, at)
        return
    again = happened.retry_after
    kind = model.ReasonClass.CONFIG if again is None else model.ReasonClass.INFRASTRUCTURE
    reason = model.Reason(kind=kind, sentence=happened.message, since=trial.reason.since if trial.reason else at)
    trial = dataclasses.replace(trial, reason=reason)
    if again is None:
        state.finish(dataclasses.replace(trial, ending=model.TrialStatus.FAILED), at)
    else:
        state.put(dataclasses.replace(trial, step=Step.PROPOSED))
        state.set_timer(at + again, "submit", trial.key)


@_fold.register
def _job_observed(happened: event.JobObserved, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is None or trial.step not in (Step.SUBMITTING, Step.LIVE, Step.REMOVING):
        return
    seen = happened.observation
    trial = dataclasses.replace(trial, observation=seen)
    if seen.phase is model.JobPhase.RUNNING and trial.status is model.TrialStatus.WAITING:
        trial = _run(state, trial, seen.started_at or at, at)
    elif seen.phase is model.JobPhase.QUEUED and trial.status is model.TrialStatus.RUNNING:
        # A queue took its pods away and will give it new ones: that is no failure.
        trial = dataclasses.replace(trial, status=model.TrialStatus.WAITING)
    if trial.ending is None:
        trial = _because(state, trial, seen.reason)
    state.put(trial)
    if seen.phase.is_final and trial.step is not Step.REMOVING and trial.ending is None:
        started_at = trial.started_at or seen.started_at or at
        _end(state, dataclasses.replace(trial, ending=_ending_of(state, trial, seen), started_at=started_at), at)


def _because(state: State, trial: Trial, reason: model.Reason | None) -> Trial:
    """Return the trial with its reason; one that does not mend itself has a time by which it is given up."""
    if reason is not None and reason.fails_after is not None:
        before = trial.reason
        if before is None or (before.since, before.fails_after) != (reason.since, reason.fails_after):
            state.set_timer(reason.since + reason.fails_after, "grace", trial.key)
    return dataclasses.replace(trial, reason=reason)


def _ending_of(state: State, trial: Trial, seen: model.Observation) -> model.TrialStatus:
    """Return how a trial ends whose job is over: what the chief replica says outweighs what befell the others."""
    chief = trial.replicas.get(state.chief)
    has_done_its_work = chief is not None and chief.exit is not None and chief.exit.code == 0
    if seen.phase is model.JobPhase.SUCCEEDED or (has_done_its_work and trial.final is not None):
        return model.TrialStatus.SUCCEEDED
    return model.TrialStatus.FAILED


def _run(state: State, trial: Trial, started_at: float, at: float) -> Trial:
    """Return the trial as running, with the timers that a running trial has."""
    state.set_timer(at + due.SILENCE_SECONDS, "silence", trial.key)
    if state.limits.max_trial_seconds is not None:
        state.set_timer(started_at + state.limits.max_trial_seconds, "trial", trial.key)
    return dataclasses.replace(trial, status=model.TrialStatus.RUNNING, started_at=started_at)


def _end(state: State, trial: Trial, at: float) -> None:
    """End a trial whose job is over, as soon as nothing that it reported is missing."""
    chief = trial.replicas.get(state.chief)
    if chief is not None and chief.is_complete:
        state.finish(trial, at)
    else:
        state.put(dataclasses.replace(trial, step=Step.HARVESTING))
        state.todo[trial.id] = None


@_fold.register
def _job_removed(happened: event.JobRemoved, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is None or trial.step is not Step.REMOVING:
        return
    if happened.gave_up:
        state.abandoned[trial.key] = None
    if trial.observation is not None and trial.observation.phase is model.JobPhase.SUCCEEDED:
        trial = dataclasses.replace(trial, ending=model.TrialStatus.SUCCEEDED)
    _end(state, trial, at)


@_fold.register
def _job_discarded(happened: event.JobDiscarded, state: State, at: float) -> None:
    state.ended_jobs.pop(happened.attempt, None)
    state.abandoned.pop(happened.attempt, None)


@_fold.register
def _replica_reported(happened: event.ReplicaReported, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is None:
        return
    known = trial.replicas.get(happened.replica, trials.ReplicaRecord())
    new = trials.next_metrics(happened.metrics, known.received)
    known = trials.ReplicaRecord(
        received=new[-1].number if new else known.received,
        exit=happened.exit or known.exit,
        heard_at=known.heard_at if happened.by_volume else at,
    )
    trial = dataclasses.replace(trial, replicas={**trial.replicas, happened.replica: known})
    if new:
        trial = dataclasses.replace(trial, metric_path="volume" if happened.by_volume else "intake")
    if happened.replica == state.chief and not trial.is_over:
        _note_for_assessor(state, trial, new)
        trial = trials.take_metrics(trial, new, state.spec.primary)
        if new:
            trial = dataclasses.replace(trial, reported_at=at)
        # A queue that took the pods back lets them say their last words.
        is_queued = trial.observation is not None and trial.observation.phase is model.JobPhase.QUEUED
        if trial.status is model.TrialStatus.WAITING and trial.step is Step.LIVE and not is_queued:
            trial = _run(state, trial, at, at)
    state.put(trial)
    if trial.step is Step.HARVESTING and happened.replica == state.chief and known.is_complete:
        state.finish(trial, at)


def _note_for_assessor(state: State, trial: Trial, metrics: tuple[model.Metric, ...]) -> None:
    values = [metric.value for metric in metrics if metric.type is model.MetricType.PERIODICAL]
    if values and state.spec.assessor is not None and trial.ending is None:
        state.unassessed.setdefault(trial.id, (trial.intermediate_count, []))[1].extend(values)


@_fold.register
def _rejected(happened: event.Rejected, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is not None:
        chosen = state.spec.assessor
        name = "the assessor" if chosen is None else f"the assessor {chosen.name or chosen.class_name}"
        sentence = f"It was stopped by {name} after {happened.results} intermediate results."
        reason = model.Reason(kind=model.ReasonClass.CONFIG, sentence=sentence, since=at)
        state.stop(trial, model.TrialStatus.EARLY_STOPPED, reason, at)


@_fold.register
def _harvested(happened: event.Harvested, state: State, at: float) -> None:
    trial = state.current(happened.attempt)
    if trial is not None and trial.step is Step.HARVESTING:
        state.finish(trial, at)


@_fold.register
def _tuner_told(happened: event.TunerTold, state: State, at: float) -> None:
    state.telling -= 1
    state.waits_for_ends = False


@_fold.register
def _stop_requested(happened: event.StopRequested, state: State, at: float) -> None:
    state.stop_requested = True
    for trial_id in list(state.live):
        trial = state.trials[trial_id]
        state.stop(trial, model.TrialStatus.SYS_CANCELED, trials.stopped_by(happened.by, at), at)
    if happened.without_platform:
        # What is being cleaned up is cleaned up no further.
        state.abandons, state.cleaning = True, False
        for trial_id in list(state.live):
            state.abandoned[state.trials[trial_id].key] = None
            state.finish(state.trials[trial_id], at)


@_fold.register
def _kill_requested(happened: event.KillRequested, state: State, at: float) -> None:
    trial = state.trials.get(happened.trial)
    if trial is not None:
        state.stop(trial, model.TrialStatus.USER_CANCELED, trials.stopped_by("the user", at), at)


@_fold.register
def _limits_changed(happened: event.LimitsChanged, state: State, at: float) -> None:
    state.limits = dataclasses.replace(
        state.limits,
        trial_concurrency=happened.trial_concurrency,
        max_trial_number=happened.max_trial_number,
        max_experiment_seconds=happened.max_experiment_seconds,
    )
    if not state.is_paused:
        state.usual_concurrency = happened.trial_concurrency
    state.time_is_up = state.waits_for_ends = False
    state.asks_again = state.asked > 0
    if happened.max_experiment_seconds is not None and state.started_at is not None:
        state.set_timer(state.started_at + happened.max_experiment_seconds, "experiment")


@_fold.register
def _results_imported(happened: event.ResultsImported, state: State, at: float) -> None:
    for result in happened.results:
        number = len(state.imported) + 1
        value = trials.scalar(result.metric, state.spec.primary)
        name = model.TrialId(f"import-{number}")
        state.imported[name] = model.Outcome(
            parameter_id=-number,
            parameters=result.parameters,
            value=value,
            metric=result.metric,
            succeeded=value is not None,
            trial=name,
        )
        state.untold[name] = None


@_fold.register
def _search_space_changed(happened: event.SearchSpaceChanged, state: State, at: float) -> None:
    canonical = {**state.spec.canonical, "searchSpace": happened.search_space}
    state.spec = dataclasses.replace(state.spec, search_space=happened.search_space, canonical=canonical)
    state.is_space_new = True
    state.exhausted = state.waits_for_ends = False
    state.asks_again = state.asked > 0


@_fold.register
def _cleaned_up(happened: event.CleanedUp, state: State, at: float) -> None:
    state.cleaning = False
    state.cleaned_up = True
    there = dict.fromkeys((*state.abandoned, *(key for key in state.ended_jobs if key not in state.kept_jobs)))
    state.left = tuple(map(state.job_of, there)) if happened.gave_up else ()
    if not happened.gave_up:
        state.abandoned.clear()


@_fold.register
def _ticked(happened: event.Ticked, state: State, at: float) -> None:
    due.look_again(state, at)
