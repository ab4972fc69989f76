"""What a tuner's answers bring: new trials, attempts more of ended ones, or that there is nothing to try."""

from nni.core import attempts, event, model
from nni.core import trial as trials
from nni.core.state import State
from nni.core.trial import Trial


def begin_anew(state: State) -> None:
    """Go on with a tuner that is another process now, which knows nothing."""
    state.asked = state.telling = 0
    state.broken = state.waits_for_ends = state.asks_again = False
    state.is_tuner_new = True
    state.errors.clear()
    ended = (key for key, trial in state.trials.items() if trial.is_over or any(past.result for past in trial.past))
    state.untold = dict.fromkeys((*state.imported, *ended))


def take(state: State, answer: event.Proposed, at: float) -> None:
    """Take in an answer, or a part of one."""
    # A question that the tuner failed at was counted off then.
    state.asked = max(state.asked - answer.asked, 0)
    if len(answer.proposals) < answer.asked and not state.asks_again:
        # A tuner that promotes has more to suggest when more trials have ended.
        state.exhausted, state.waits_for_ends = state.exhausted or not state.promotes, state.promotes
    state.asks_again = state.asks_again and state.asked > 0
    for proposal in answer.proposals:
        before = None if proposal.promotes is None else state.trials.get(proposal.promotes)
        if before is not None and attempts.may_be_promoted(before):
            _promote(state, before, proposal)
        elif proposal.promotes is None or not state.is_full:
            add(state, proposal, at)


def _promote(state: State, trial: Trial, proposal: event.Proposal) -> None:
    # One that has ended well stays so when nothing more is to begin.
    if not (state.stop_requested or state.time_is_up):
        state.put(attempts.promoted(trial, proposal.parameter_id, proposal.parameters))
        state.todo[trial.id] = None


def add(state: State, proposal: event.Proposal, at: float, *, is_customized: bool = False) -> None:
    """Add a trial; its parameters may be the user's."""
    trial = Trial(
        id=proposal.trial,
        sequence=len(state.trials),
        parameter_id=proposal.parameter_id,
        parameters=proposal.parameters,
        created_at=at,
        is_customized=is_customized,
    )
    state.put(trial)
    state.todo[trial.id] = None
    if state.stop_requested:
        state.stop(trial, model.TrialStatus.SYS_CANCELED, trials.stopped_by("the experiment's stop", at), at)
