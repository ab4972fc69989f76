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
    name: str
    """A text that equal parameters have in common."""

    @classmethod
    def of(cls, parameters: model.Parameters, trial: model.TrialId | None = None) -> "Entrant":
        """Return an entrant with its name."""
        return cls(trial, parameters, novelty.name(parameters))


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
    """Return what is to be as small as possible; infinity for a failure, and for what did not use its budget up."""
    is_good = outcome.succeeded and outcome.is_whole
    if not is_good or outcome.value is None or not math.isfinite(outcome.value):
        return math.inf
    return -outcome.value if maximize else outcome.value


def entrant_of(outcome: model.Outcome, parameters: model.Parameters) -> Entrant:
    """Return who an outcome is of; results of other experiments have negative ids."""
    return Entrant.of(parameters, outcome.trial if outcome.trial and outcome.parameter_id >= 0 else None)


class Rung:
    """Trials of one budget, the best first, and which of them were promoted."""

    def __init__(self) -> None:
        self._ended = 0
        self._entrants: list[Entrant] = []
        self._ranking: list[tuple[float, int]] = []
        """Loss and number of each that did not fail."""
        self._left: list[tuple[float, int]] = []
        """Those that were not promoted; some may have been before they came here."""
        self._promoted: set[str] = set()

    def __len__(self) -> int:
        """Return how many trials have ended on it."""
        return self._ended

    def add(self, entrant: Entrant, loss: float) -> None:
        """Note an ended trial; an infinite loss is a failure, which is never promoted."""
        self._ended += 1
        if loss < math.inf:
            entry = (loss, len(self._entrants))
            self._entrants.append(entrant)
            bisect.insort(self._ranking, entry)
            bisect.insort(self._left, entry)

    def mark(self, name: str) -> None:
        """Note that the entrant with this name has been promoted."""
        self._promoted.add(name)

    def promote(self, eta: int, *, may_be_new: bool = True) -> Entrant | None:
        """Return the best in the upper ``1 / eta`` that was not promoted yet, None where there is none.

        Args:
            eta: How sharply is chosen.
            may_be_new: Whether it may be one that no trial is here of.
        """
        most, place = self._ended // eta, 0
        while place < len(self._left) and bisect.bisect_left(self._ranking, self._left[place]) < most:
            entrant = self._entrants[self._left[place][1]]
            if entrant.name in self._promoted:
                del self._left[place]
            elif entrant.trial is None and not may_be_new:
                place += 1
            else:
                del self._left[place]
                self.mark(entrant.name)
                return entrant
        return None

    def ranked(self) -> list[Entrant]:
        """Return those that did not fail, the best first."""
        return [self._entrants[place] for _, place in self._ranking]
