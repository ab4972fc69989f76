"""Gives an assessor back what it knew before it, or the manager, was started again."""

from collections.abc import Iterable, Sequence

from nni.core import event, model, ports
from nni.core.state import State


async def recall(
    assessor: ports.AssessorPort, state: State, rows: Iterable[ports.MetricRow], *, with_running: bool = False
) -> Sequence[event.Rejected]:
    """Put the curves of the trials that ended well to an assessor, and return which running ones it rejects.

    Args:
        assessor: Open, and knowing nothing.
        state: The experiment.
        rows: All intermediate results of all trials, in the order of their arrival.
        with_running: Whether to put those of running trials too; when the manager starts they come by themselves.

    Raises:
        TunerError: The assessor failed.
    """
    curves: dict[model.TrialId, list[str]] = {}
    for row in rows:
        trial = state.trials.get(row.attempt.trial)
        if trial is None or row.attempt != trial.key or row.replica != state.chief:
            continue
        if trial.status is model.TrialStatus.SUCCEEDED or (with_running and not trial.is_over):
            curves.setdefault(trial.id, []).append(row.metric.value)
    rejected = []
    for trial_id, values in curves.items():
        is_good = await assessor.assess(trial_id, 0, values)
        trial = state.trials[trial_id]
        if trial.status is model.TrialStatus.SUCCEEDED:
            await assessor.end(trial_id, succeeded=True)
        elif not is_good:
            rejected.append(event.Rejected(attempt=trial.key, results=len(values)))
    return rejected
