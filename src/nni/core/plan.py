"""What is due next."""

from nni.core import event, model
from nni.core.state import State
from nni.core.trial import Step, Trial


def plan(state: State) -> tuple[event.Action, ...]:
    """Return the actions that are due, in the order in which to begin them.

    The caller folds ``Began`` for each of them before it performs any, so that no action is planned twice. The cost
    does not grow with the number of trials: only those that an event has marked are looked at.
    """
    if state.started_at is None or state.cleaned_up:
        return ()
    actions: list[event.Action] = []
    if state.untold and not state.broken:
        actions.append(event.Tell(outcomes={key: _outcome(state, key) for key in state.untold}))
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
        return () if state.live or state.cleaning else (event.CleanUp(keep=tuple(state.kept_jobs)),)
    if state.broken or state.exhausted or state.is_full:
        return ()
    count = state.limits.trial_concurrency - len(state.live) - state.asked
    if state.limits.max_trial_number is not None:
        count = min(count, state.limits.max_trial_number - len(state.trials) - state.asked)
    if count <= 0:
        return ()
    first = state.next_parameter_id
    return (event.Ask(parameter_ids=tuple(range(first, first + count))),)


def _outcome(state: State, key: model.TrialId) -> model.Outcome:
    if key in state.imported:
        return state.imported[key]
    trial = state.trials[key]
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
    )
