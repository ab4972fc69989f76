"""ASHA: many trials with a small budget, and the best of them on with a larger one, without ever waiting.

L. Li and others, A System for Massively Parallel Hyperparameter Tuning, 2020. A trial finds its budget (epochs, say) in
the parameter ``TRIAL_BUDGET``, as with NNI's Hyperband, and ends when it has used it up. A promotion is a new attempt
of the same trial with a budget that is ``eta`` times as large: where the trial left a checkpoint it goes on from there,
where it did not it begins again. First parameters are ``qmc``'s.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import budgets, qmc
from nni.tuners.budgets import BUDGET
from nni.tuners.cube_tuner import CubeTuner


class Asha:
    """See ``algorithm.Algorithm``, ``algorithm.Promoting`` and ``algorithm.Reminded``."""

    def __init__(self, fresh: CubeTuner, levels: tuple[int, ...], eta: int, *, maximize: bool) -> None:
        """Take where new parameters come from, and the budgets from the smallest to the largest."""
        self._fresh, self._eta = fresh, eta
        self._maximize = maximize
        self._levels = levels
        self._rungs = [budgets.Rung() for _ in levels]

    def promote(self, parameter_id: int, *, may_be_new: bool) -> model.Suggestion | None:
        """See ``algorithm.Promoting``."""
        for level in reversed(range(len(self._levels) - 1)):
            entrant = self._rungs[level].promote(self._eta, may_be_new=may_be_new)
            if entrant is not None:
                parameters = {**entrant.parameters, BUDGET: self._levels[level + 1]}
                return model.Suggestion(parameters=parameters, promotes=entrant.trial)
        return None

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        return {**self._fresh.suggest(parameter_id), BUDGET: self._levels[0]}

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        budget, rest = budgets.split(parameters)
        self._mark_below(budget, budgets.Entrant.of(rest))
        self._fresh.remind(parameter_id, rest)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``."""
        budget, rest = budgets.split(outcome.parameters)
        entrant = budgets.entrant_of(outcome, rest)
        self._mark_below(budget, entrant)
        self._fresh.learn(dataclasses.replace(outcome, parameters=rest))
        if budget in self._levels:
            loss = budgets.loss_of(outcome, maximize=self._maximize)
            self._rungs[self._levels.index(budget)].add(entrant, loss)

    def _mark_below(self, budget: Any, entrant: budgets.Entrant) -> None:
        """Note that what has a budget was promoted to it, perhaps before a restart."""
        if budget in self._levels:
            for below in self._rungs[: self._levels.index(budget)]:
                below.mark(entrant.name)


def make(space: Space, arguments: Mapping[str, Any]) -> Asha:
    """Make the tuner that is called ASHA."""
    levels = budgets.geometric(arguments["min_budget"], arguments["max_budget"], arguments["eta"])
    maximize = arguments["optimize_mode"] == "maximize"
    return Asha(qmc.make(space, arguments), levels, arguments["eta"], maximize=maximize)
