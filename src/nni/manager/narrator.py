"""Tells in the log what becomes of each trial, and why, and what the experiment fails at."""

import logging

from nni.core import model
from nni.core.state import State
from nni.core.trial import Trial

_log = logging.getLogger(__name__)


class Narrator:
    """Remembers what it said last of each trial that is not over, and of what the experiment fails at now."""

    def __init__(self) -> None:
        self._said: dict[model.TrialId, str] = {}
        self._failures: list[str] = []

    def tell(self, state: State, since: int) -> None:
        """Write a line for each trial that is elsewhere, or for another reason, than when it was last told about.

        And one for each failure, again when the experiment went on after it.

        Args:
            state: The experiment.
            since: The revision up to which everything was told.
        """
        for failure in state.errors:
            if failure not in self._failures:
                _log.error("%s", failure)
        self._failures = list(state.errors)
        for trial in reversed(list(state.changed_since(since))):
            sentence = describe(trial)
            if self._said.get(trial.id) != sentence:
                level = logging.WARNING if trial.status is model.TrialStatus.FAILED else logging.INFO
                _log.log(level, "%s", sentence)
            if trial.is_over:
                self._said.pop(trial.id, None)
            else:
                self._said[trial.id] = sentence


def describe(trial: Trial) -> str:
    """Return where a trial is, and why, as a line for people."""
    attempt = f" (attempt {trial.attempt})" if trial.attempt > 1 else ""
    result = f" with {trial.final_value:.6g}" if trial.is_over and trial.final_value is not None else ""
    job = f", job {trial.job}" if trial.job and not trial.is_over else ""
    why = ""
    if trial.reason is not None:
        evidence = f" [{trial.reason.evidence}]" if trial.reason.evidence else ""
        why = f": {trial.reason.sentence}{evidence}"
    return f"trial {trial.id}{attempt} {trial.status.value}{result}{job}{why}"
