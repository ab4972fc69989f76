"""Batch: the parameter sets that the user wrote, one after the other.

The search space is one ``choice``, and each option of it is the whole of a trial's parameters, as NNI's Batch has it.
"""

from collections.abc import Mapping
from typing import Any

from nni import errors
from nni.core import dimension, model
from nni.core.dimension import Space
from nni.tuners import novelty


class Batch:
    """See ``algorithm.Algorithm``."""

    def __init__(self, options: tuple[Any, ...]) -> None:
        """Take the sets of parameters in their order."""
        self._options = options
        self._next = 0
        self._done: set[str] = set()

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        while self._next < len(self._options):
            option: model.Parameters = self._options[self._next]
            self._next += 1
            if (name := novelty.name(option)) not in self._done:
                self._done.add(name)
                return option
        raise errors.NoMoreTrialError("All sets of parameters have been proposed.")

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._done.add(novelty.name(parameters))

    def learn(self, outcome: model.Outcome) -> None:
        """Note what has been tried, before a restart too."""
        self._done.add(novelty.name(outcome.parameters))


def make(space: Space, arguments: Mapping[str, Any]) -> Batch:
    """Make the tuner that is called Batch; the space is one choice, see ``spaces.one_choice``."""
    del arguments
    return Batch(tuple(option for one in space if isinstance(one, dimension.Choice) for option in one.options))
