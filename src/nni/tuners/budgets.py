"""What Hyperband and ASHA share: budgets that grow, and rungs on which trials of one budget are compared."""

import bisect
import math
from typing import Any

from nni.core import model
from nni.tuners import novelty

BUDGET = "TRIAL_BUDGET"
"""The parameter in which a trial finds its budget."""


def geometric(least: int, most: int, eta: int) -> tuple[int, ...]:
    """Return budgets from the least to the most, each ``eta`` times the one before; the last step may be shorter."""
    levels = [least]
    while levels[-1] * eta < most:
        levels.append(levels[-1] * eta)
    return (*levels, most) if most > levels[-1] else tuple(levels)


def split(parameters: model.Parameters) -> tuple[Any, dict[str, Any]]:
    """Return the budget in a trial's parameters, None when there is none, and the other parameters."""
    rest = dict(parameters)
    return rest.pop(BUDGET, None), rest


class Rung:
    """Trials of one budget, the best first, and which of them were promoted."""

    def __init__(self) -> None:
        self._ended = 0
        self._ranking: list[tuple[float, int]] = []
        self._parameters: list[model.Parameters] = []
        self._promoted: set[str] = set()
        self._next = 0
        """All before it in the ranking were promoted."""

    def __len__(self) -> int:
        """Return how many trials have ended on it."""
        return self._ended

    def add(self, parameters: model.Parameters, loss: float) -> None:
        """Note an ended trial; an infinite loss is a failure, which is never promoted."""
        self._ended += 1
        if loss < math.inf:
            entry = (loss, len(self._parameters))
            self._parameters.append(parameters)
            self._next = min(self._next, bisect.bisect_left(self._ranking, entry))
            bisect.insort(self._ranking, entry)

    def mark(self, parameters: model.Parameters) -> None:
        """Note that these have been promoted."""
        self._promoted.add(novelty.name(parameters))

    def promote(self, eta: int) -> model.Parameters | None:
        """Return the best parameters in the upper ``1 / eta`` that were not promoted yet, None where there are none."""
        while self._next < min(self._ended // eta, len(self._ranking)):
            parameters = self._parameters[self._ranking[self._next][1]]
            self._next += 1
            if novelty.name(parameters) not in self._promoted:
                self.mark(parameters)
                return parameters
        return None
