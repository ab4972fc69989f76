"""What the tuner process asks of a tuner, whoever wrote it."""

from typing import Protocol

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
