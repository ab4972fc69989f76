"""ASHA: many trials with a small budget, and the best of them again with a larger one, without ever waiting.

L. Li and others, A System for Massively Parallel Hyperparameter Tuning, 2020. A trial finds its budget (epochs, say) in
the parameter ``TRIAL_BUDGET``, as with NNI's Hyperband; a promotion is a new trial with the same parameters and a
budget that is ``eta`` times as large. First parameters are ``qmc``'s.
"""

import math
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import algorithm, budgets, qmc
from nni.tuners.budgets import BUDGET


class Asha:
    """See ``algorithm.Algorithm``."""

    def __init__(self, fresh: algorithm.Algorithm, levels: tuple[int, ...], eta: int, *, maximize: bool) -> None:
        """Take where new parameters come from, and the budgets from the smallest to the largest."""
        self._fresh, self._eta = fresh, eta
        self._sign = -1.0 if maximize else 1.0
        self._levels = levels
        self._rungs = [budgets.Rung() for _ in levels]

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        for level in reversed(range(len(self._levels) - 1)):
            if (promoted := self._rungs[level].promote(self._eta)) is not None:
                return {**promoted, BUDGET: self._levels[level + 1]}
        return {**self._fresh.suggest(parameter_id), BUDGET: self._levels[0]}

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``."""
        budget, parameters = budgets.split(outcome.parameters)
        if budget in self._levels:
            is_good = outcome.succeeded and outcome.value is not None and math.isfinite(outcome.value)
            level = self._levels.index(budget)
            self._rungs[level].add(parameters, self._sign * (outcome.value or 0.0) if is_good else math.inf)
            for below in self._rungs[:level]:
                # Known from before a restart: it has been promoted already.
                below.mark(parameters)


def make(space: Space, arguments: Mapping[str, Any]) -> Asha:
    """Make the tuner that is called ASHA."""
    levels = budgets.geometric(arguments["min_budget"], arguments["max_budget"], arguments["eta"])
    maximize = arguments["optimize_mode"] == "maximize"
    return Asha(qmc.make(space, arguments), levels, arguments["eta"], maximize=maximize)
