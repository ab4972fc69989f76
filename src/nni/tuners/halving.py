"""Successive halving without waiting, as a rule for stopping: at certain steps only the best share goes on.

L. Li and others, A System for Massively Parallel Hyperparameter Tuning, 2020, in its stopping form: a trial that
comes to a step ``min_step * eta ** k`` goes on when its best value so far is in the upper ``1 / eta`` of those that
came there.
"""

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from nni.core import model


class Halving:
    """See ``algorithm.Assessor``."""

    def __init__(self, least: int, eta: int, *, maximize: bool) -> None:
        """Take the first step at which trials are compared and how sharply they are."""
        self._least, self._eta = least, eta
        self._sign = -1.0 if maximize else 1.0
        self._rungs: dict[int, list[float]] = {}
        self._judged: dict[model.TrialId, int] = {}
        """Up to which step each trial has been judged."""
        self._places: dict[model.TrialId, dict[int, float]] = {}
        """With which loss each trial stands at each step."""

    def assess(self, trial: model.TrialId, history: Sequence[float]) -> bool:
        """See ``algorithm.Assessor``."""
        before = self._judged.get(trial, 0)
        if len(history) <= before:
            # Another attempt of it, which comes to the same steps again.
            before = 0
        self._judged[trial] = len(history)
        step = self._least
        while step <= len(history):
            if step > before and not self._is_good(trial, step, min(self._sign * one for one in history[:step])):
                return False
            step *= self._eta
        return True

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See ``algorithm.Assessor``."""
        del succeeded
        self._judged.pop(trial, None)
        self._places.pop(trial, None)

    def _is_good(self, trial: model.TrialId, step: int, loss: float) -> bool:
        rung, places = self._rungs.setdefault(step, []), self._places.setdefault(trial, {})
        if step in places:
            # What an attempt before it had here does not count beside it.
            del rung[bisect.bisect_left(rung, places[step])]
        places[step] = loss
        bisect.insort(rung, loss)
        return len(rung) < self._eta or loss <= rung[len(rung) // self._eta - 1]


def make(arguments: Mapping[str, Any]) -> Halving:
    """Make the assessor that is called ASHA."""
    return Halving(arguments["min_step"], arguments["eta"], maximize=arguments["optimize_mode"] == "maximize")
