"""Hyperband: brackets of successive halving, from many trials with small budgets to few with large ones.

L. Li and others, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018. A trial finds its
budget in the parameter ``TRIAL_BUDGET``. While a rung of one bracket waits for its last trials, the next bracket
begins, as with ``exec_mode: parallelism`` in NNI.
"""

import math
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import algorithm, budgets, random_search
from nni.tuners.budgets import BUDGET


class _Bracket:
    """Successive halving of some trials."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        """Take how many trials each rung has, and their budget."""
        self._sizes = sizes
        self._level = 0
        self._given = 0
        self._running: set[int] = set()
        self._rung = budgets.Rung()
        self._chosen: list[model.Parameters] = []

    @property
    def is_over(self) -> bool:
        return self._level == len(self._sizes)

    def suggest(self, parameter_id: int, fresh: algorithm.Algorithm) -> model.Parameters | None:
        """Return the next trial, None while the rung waits for those that run."""
        if self.is_over or self._given == self._sizes[self._level][0]:
            return None
        parameters = self._chosen[self._given] if self._level else fresh.suggest(parameter_id)
        self._given += 1
        self._running.add(parameter_id)
        return {**parameters, BUDGET: self._sizes[self._level][1]}

    def learn(self, parameter_id: int, parameters: model.Parameters, loss: float) -> bool:
        """Take in how one of its trials ended; return whether it was one of its own."""
        if parameter_id not in self._running:
            return False
        self._running.discard(parameter_id)
        self._rung.add(parameters, loss)
        if not self._running and self._given == self._sizes[self._level][0]:
            self._climb()
        return True

    def _climb(self) -> None:
        self._level, self._given, self._chosen = self._level + 1, 0, []
        rung, self._rung = self._rung, budgets.Rung()
        while not self.is_over and len(self._chosen) < self._sizes[self._level][0]:
            promoted = rung.promote(1)
            if promoted is None:
                # Too many failed: fewer go on.
                self._sizes[self._level] = (len(self._chosen), self._sizes[self._level][1])
                break
            self._chosen.append(promoted)
        if not self.is_over and not self._sizes[self._level][0]:
            self._level = len(self._sizes)


class Hyperband:
    """See ``algorithm.Algorithm``."""

    def __init__(self, fresh: algorithm.Algorithm, most: int, eta: int, *, maximize: bool) -> None:
        """Take where new parameters come from, the largest budget, and how sharply is halved."""
        self._fresh, self._most, self._eta = fresh, most, eta
        self._sign = -1.0 if maximize else 1.0
        self._top = max(level for level in range(most.bit_length() + 1) if eta**level <= most)
        self._begun = 0
        self._open: list[_Bracket] = []

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        for bracket in self._open:
            parameters = bracket.suggest(parameter_id, self._fresh)
            if parameters is not None:
                return parameters
        bracket = _Bracket(self._sizes(self._top - self._begun % (self._top + 1)))
        self._begun += 1
        self._open.append(bracket)
        return bracket.suggest(parameter_id, self._fresh) or {}

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; what ended before a restart was of brackets that are gone."""
        _, parameters = budgets.split(outcome.parameters)
        is_good = outcome.succeeded and outcome.value is not None and math.isfinite(outcome.value)
        loss = self._sign * (outcome.value or 0.0) if is_good else math.inf
        for bracket in self._open:
            if bracket.learn(outcome.parameter_id, parameters, loss):
                break
        self._open = [bracket for bracket in self._open if not bracket.is_over]

    def _sizes(self, s: int) -> list[tuple[int, int]]:
        """Return the rungs of the bracket that the paper calls s: trials and budget of each."""
        first = math.ceil((self._top + 1) * self._eta**s / (s + 1))
        return [(first // self._eta**level, max(1, self._most // self._eta ** (s - level))) for level in range(s + 1)]


def make(space: Space, arguments: Mapping[str, Any]) -> Hyperband:
    """Make the tuner that is called Hyperband."""
    maximize = arguments["optimize_mode"] == "maximize"
    return Hyperband(random_search.make(space, arguments), arguments["R"], arguments["eta"], maximize=maximize)
