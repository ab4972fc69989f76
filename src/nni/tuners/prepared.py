"""Parameters that the user knows to be good, tried before the tuner is asked."""

from collections.abc import Sequence

from nni.core import model
from nni.tuners import algorithm, novelty


class Prepared:
    """See ``algorithm.Algorithm``. Each of the user's sets of parameters is tried once, over restarts too."""

    def __init__(self, inner: algorithm.Algorithm, first: Sequence[model.Parameters]) -> None:
        """Take the tuner and what is tried before it is asked."""
        self.inner = inner
        """The tuner."""
        self._left = list(first)
        self._given: set[int] = set()

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``. The tuner counts the user's parameters as running, as it does its own."""
        if not self._left:
            return self.inner.suggest(parameter_id)
        parameters = self._left.pop(0)
        self._given.add(parameter_id)
        self._remind(parameter_id, parameters)
        return parameters

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._strike(parameter_id, parameters)
        self._remind(parameter_id, parameters)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; to the tuner these are another's."""
        self._strike(outcome.parameter_id, outcome.parameters)
        self.inner.learn(outcome)

    def _remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        if isinstance(self.inner, algorithm.Reminded):
            self.inner.remind(parameter_id, parameters)

    def _strike(self, parameter_id: int, parameters: model.Parameters) -> None:
        """Strike from the list what was tried before a restart; whoever wrote a set twice wants it twice."""
        if parameter_id in self._given:
            return
        self._given.add(parameter_id)
        wanted = novelty.name(parameters)
        tried = next((place for place, one in enumerate(self._left) if novelty.name(one) == wanted), None)
        if tried is not None:
            del self._left[tried]
