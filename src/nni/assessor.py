"""The base class of assessors that users write, with NNI's names and signatures."""

import enum
from collections.abc import Sequence
from typing import Any

__all__ = ["AssessResult", "Assessor"]


class AssessResult(enum.Enum):
    """What an assessor thinks of a trial."""

    Good = True
    """It may go on."""
    Bad = False
    """It is to be stopped."""


class Assessor:
    """Looks at the intermediate results of trials and stops those that promise nothing.

    A subclass overrides ``assess_trial``. It runs in a process of its own; all methods are called by one thread.
    """

    def assess_trial(self, trial_job_id: str, trial_history: Sequence[Any]) -> AssessResult | bool:
        """Return whether a trial may go on; called after each of its intermediate results.

        Args:
            trial_job_id: The trial.
            trial_history: All its intermediate results, the first one first.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define assess_trial(trial_job_id, trial_history).")

    def trial_end(self, trial_job_id: str, success: bool) -> None:
        """Take in that a trial has ended; by default nothing happens.

        Args:
            trial_job_id: The trial.
            success: Whether it ended well, and was not stopped.
        """

    def load_checkpoint(self) -> None:
        """Restore what ``save_checkpoint`` kept; by default nothing happens."""

    def save_checkpoint(self) -> None:
        """Keep what a resumed experiment needs; by default nothing happens."""

    def _on_exit(self) -> None:
        """Be told that the experiment ends."""

    def _on_error(self) -> None:
        """Be told that the experiment ends because of an error."""
