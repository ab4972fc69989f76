"""Parameters that the user knows to be good, tried before the tuner is asked."""

from collections.abc import Sequence

from nni.core import model
from nni.tuners import algorithm


class Prepared:
    """See ``algorithm.Algorithm``. The first parameter ids get the user's parameters, after a restart too."""

    def __init__(self, inner: algorithm.Algorithm, first: Sequence[model.Parameters]) -> None:
        """Take the tuner and what is tried before it is asked."""
        self._inner, self._first = inner, first

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        if parameter_id < len(self._first):
            return self._first[parameter_id]
        return self._inner.suggest(parameter_id)

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        if isinstance(self._inner, algorithm.Reminded):
            self._inner.remind(parameter_id, parameters)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; to the tuner these are another's."""
        self._inner.learn(outcome)
