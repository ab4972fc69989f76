"""What Hyperband and ASHA share: budgets that grow, and rungs on which trials of one budget are compared."""

import bisect
import dataclasses
import math
from typing import Any

from nni.core import model
from nni.tuners import novelty

BUDGET = "TRIAL_BUDGET"
"""The parameter in which a trial finds its budget."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entrant:
    """What competes on a rung."""

    trial: model.TrialId | None
    """None for a result of another experiment, of which no trial is here that could go on."""
    parameters: model.Parameters
    """Without a budget."""

    @property
    def name(self) -> str:
        """A text that equal parameters have in common."""
        return novelty.name(self.parameters)


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


def loss_of(outcome: model.Outcome, *, maximize: bool) -> float:
    """Return what is to be as small as possible; infinity for a failure."""
    if not outcome.succeeded or outcome.value is None or not math.isfinite(outcome.value):
        return math.inf
    return -outcome.value if maximize else outcome.value


def trial_of(outcome: model.Outcome) -> model.TrialId | None:
    """Return the trial that can go on from an outcome; results of other experiments have negative ids."""
    return outcome.trial if outcome.trial and outcome.parameter_id >= 0 else None


class Rung:
    """Trials of one budget, the best first, and which of them were promoted."""

    def __init__(self) -> None:
        self._ended = 0
        self._ranking: list[tuple[float, int]] = []
        self._entrants: list[Entrant] = []
        self._promoted: set[str] = set()
        self._next = 0
        """All before it in the ranking were promoted."""

    def __len__(self) -> int:
        """Return how many trials have ended on it."""
        return self._ended

    def add(self, entrant: Entrant, loss: float) -> None:
        """Note an ended trial; an infinite loss is a failure, which is never promoted."""
        self._ended += 1
        if loss < math.inf:
            entry = (loss, len(self._entrants))
            self._entrants.append(entrant)
            self._next = min(self._next, bisect.bisect_left(self._ranking, entry))
            bisect.insort(self._ranking, entry)

    def mark(self, parameters: model.Parameters) -> None:
        """Note that these have been promoted."""
        self._promoted.add(novelty.name(parameters))

    def promote(self, eta: int) -> Entrant | None:
        """Return the best in the upper ``1 / eta`` that was not promoted yet, None where there is none."""
        while self._next < min(self._ended // eta, len(self._ranking)):
            entrant = self._entrants[self._ranking[self._next][1]]
            self._next += 1
            if entrant.name not in self._promoted:
                self.mark(entrant.parameters)
                return entrant
        return None

    def ranked(self) -> list[Entrant]:
        """Return those that did not fail, the best first."""
        return [self._entrants[place] for _, place in self._ranking]
