"""What the tuner process asks of tuners and assessors, whoever wrote them."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from nni.core import model


class Algorithm(Protocol):
    """Proposes parameters and learns from how they did. Called by one thread; no call is repeated."""

    def suggest(self, parameter_id: int) -> model.Parameters:
        """Return parameters for a new trial.

        Raises:
            NoMoreTrialError: There are no more.
        """
        ...

    def learn(self, outcome: model.Outcome) -> None:
        """Take in how a trial ended; the parameters may be another tuner's, from before a restart."""
        ...


@runtime_checkable
class Reminded(Protocol):
    """A tuner that takes running trials into account, and can be told of those from before a restart."""

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """Take in that a trial runs which another tuner proposed; called before anything else."""
        ...


@runtime_checkable
class Promoting(Protocol):
    """A tuner that can have ended trials go on, with parameters that give them a larger budget."""

    def promote(self, parameter_id: int, *, may_be_new: bool) -> model.Suggestion | None:
        """Return what goes on, None when nothing does for now; asked before ``suggest``.

        Args:
            parameter_id: Of the suggestion.
            may_be_new: Whether a new trial can be suggested instead; where not, nothing waits for new ones any more.
        """
        ...


class Assessor(Protocol):
    """Says which trials are worth going on with. Called by one thread."""

    def assess(self, trial: model.TrialId, history: Sequence[Any]) -> bool:
        """Return whether a trial may go on.

        Args:
            trial: The trial.
            history: All intermediate results of its current attempt, the first one first: the numbers that they are
                judged by (one that is none is as bad as can be); for users' own assessors what was reported.
        """
        ...

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """Take in that a trial has ended, and whether well."""
        ...
