"""Gives an assessor back what it knew before the manager was started again."""

from collections.abc import Iterable

from nni.core import model, ports
from nni.core.state import State


async def recall(assessor: ports.AssessorPort, state: State, rows: Iterable[ports.MetricRow]) -> None:
    """Put the curves of the trials that ended well to an assessor; those that still run come by themselves.

    Args:
        assessor: Open, and knowing nothing.
        state: The experiment.
        rows: All intermediate results of all trials, in the order of their arrival.

    Raises:
        TunerError: The assessor failed.
    """
    curves: dict[model.TrialId, list[str]] = {}
    for row in rows:
        trial = state.trials.get(row.attempt.trial)
        is_current = trial is not None and row.attempt.number == trial.attempt and row.replica == state.chief
        if is_current and trial is not None and trial.status is model.TrialStatus.SUCCEEDED:
            curves.setdefault(trial.id, []).append(row.metric.value)
    for trial_id, values in curves.items():
        await assessor.assess(trial_id, 0, values)
        await assessor.end(trial_id, succeeded=True)
