"""What is due next."""

from nni.core import event, model
from nni.core.state import State
from nni.core.trial import Result, Step, Trial

MOST_ASKED = 1000
"""Proposals that are on their way from the tuner at once: as many wait for its answer, whatever the limits allow."""


def plan(state: State) -> tuple[event.Action, ...]:
    """Return the actions that are due, in the order in which to begin them.

    The caller folds ``Began`` for each of them before it performs any, so that no action is planned twice. The cost
    does not grow with the number of trials: only those that an event has marked are looked at.
    """
    if state.started_at is None or state.cleaned_up:
        return ()
    actions: list[event.Action] = []
    if state.untold and not state.broken:
        actions.append(_tell(state))
    slot = state.next_slot
    for trial_id in state.todo:
        action = _due(state.trials[trial_id], slot)
        if isinstance(action, event.Submit) and action.order.slot == slot:
            slot += 1
        if action is not None:
            actions.append(action)
    actions.extend(event.Harvest(attempt=state.trials[key].key, final=False) for key in state.peek)
    actions.extend(event.Discard(attempt=key) for key in state.discard)
    actions.extend(
        event.Assess(attempt=state.trials[key].key, start=start, values=tuple(values))
        for key, (start, values) in state.unassessed.items()
    )
    if state.is_space_new and not state.broken:
        actions.append(event.Update(search_space=state.spec.search_space))
    actions.extend(_ask_or_end(state))
    return tuple(actions)


def _due(trial: Trial, next_slot: int) -> event.Action | None:
    """Return what is due for a trial that an event has marked."""
    if trial.step is Step.HARVESTING:
        return event.Harvest(attempt=trial.key, final=True)
    if trial.ending is not None:
        return None if trial.step is Step.SUBMITTING else event.Remove(attempt=trial.key, ending=trial.ending)
    if trial.step in (Step.PROPOSED, Step.SUBMITTING):
        slot = next_slot if trial.slot is None else trial.slot
        order = model.JobOrder(attempt=trial.key, sequence=trial.sequence, slot=slot)
        return event.Submit(order=order, parameter_id=trial.parameter_id, parameters=trial.parameters)
    return None


def _ask_or_end(state: State) -> tuple[event.Action, ...]:
    if state.stop_requested:
        return () if state.live or state.cleaning else (_clean_up(state),)
    if state.broken or state.exhausted or state.time_is_up:
        return ()
    count = min(state.limits.trial_concurrency - len(state.live), MOST_ASKED) - state.asked
    most = state.limits.max_trial_number
    new = count if most is None else max(min(count, most - len(state.trials) - state.asked), 0)
    if state.promotes:
        # One question at a time: how many trials may be new depends on how many answers are promotions.
        return () if count <= 0 or state.asked or state.waits_for_ends else (_ask(state, count, new),)
    return (_ask(state, new, None),) if new > 0 else ()


def _clean_up(state: State) -> event.CleanUp:
    return event.CleanUp(keep=tuple(state.kept_jobs), without_platform=state.abandons)


def _ask(state: State, count: int, new: int | None) -> event.Ask:
    first = state.next_parameter_id
    return event.Ask(parameter_ids=tuple(range(first, first + count)), new=new)


def _tell(state: State) -> event.Tell:
    known = [state.trials[key] for key in state.untold if key not in state.imported]
    imported = {key: state.imported[key] for key in state.untold if key in state.imported}
    outcomes = imported | {its.id: _outcome(its) for its in known if its.is_over}
    if not state.is_tuner_new:
        return event.Tell(outcomes=outcomes)
    earlier = [_of_result(trial, past.result) for trial in known for past in trial.past if past.result is not None]
    return event.Tell(outcomes=outcomes, earlier=tuple(earlier))


def _of_result(trial: Trial, result: Result) -> model.Outcome:
    return model.Outcome(
        parameter_id=result.parameter_id,
        parameters=result.parameters,
        value=result.value,
        metric=result.metric,
        succeeded=result.value is not None,
        trial=trial.id,
    )


def _outcome(trial: Trial) -> model.Outcome:
    is_early = trial.status is model.TrialStatus.EARLY_STOPPED and trial.final is None
    value, metric = (trial.last_value, trial.last) if is_early else (trial.final_value, trial.final)
    has_worked = trial.status in (model.TrialStatus.SUCCEEDED, model.TrialStatus.EARLY_STOPPED)
    return model.Outcome(
        parameter_id=trial.parameter_id,
        parameters=trial.parameters,
        value=value,
        metric=metric,
        succeeded=has_worked and value is not None,
        trial=trial.id,
        is_whole=trial.status is model.TrialStatus.SUCCEEDED,
        is_customized=trial.is_customized,
    )
