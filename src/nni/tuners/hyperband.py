"""Hyperband: brackets of successive halving, from many trials with small budgets to few with large ones.

L. Li and others, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018. A trial finds its
budget in the parameter ``TRIAL_BUDGET``; one that is promoted goes on in a new attempt, as with ``asha``. While a rung
of one bracket waits for its last trials, the next bracket begins, as with ``exec_mode: parallelism`` in NNI.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import budgets, novelty, random_search
from nni.tuners.brackets import Bracket, Past, Story
from nni.tuners.budgets import BUDGET, Entrant


class Hyperband:
    """See ``algorithm.Algorithm``, ``algorithm.Promoting`` and ``algorithm.Reminded``."""

    def __init__(self, fresh: random_search.RandomSearch, most: int, eta: int, *, maximize: bool) -> None:
        """Take where new parameters come from, the largest budget, and how sharply is halved."""
        self._fresh, self._most, self._eta = fresh, most, eta
        self._maximize = maximize
        self._top = max(level for level in range(most.bit_length() + 1) if eta**level <= most)
        self._begun = 0
        self._open: list[Bracket] = []
        self._past: Past | None = Past()
        """What was told before the first suggestion; None after it."""

    def promote(self, parameter_id: int, *, may_be_new: bool) -> model.Suggestion | None:
        """See ``algorithm.Promoting``."""
        self._take_up()
        if not may_be_new:
            for bracket in self._open:
                bracket.close()
            self._tidy()
        for bracket in self._open:
            entrant = bracket.next()
            if entrant is not None:
                bracket.begin(entrant.name)
                parameters = {**entrant.parameters, BUDGET: bracket.budget}
                return model.Suggestion(parameters=parameters, promotes=entrant.trial)
        return None

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        self._take_up()
        parameters = self._fresh.suggest(parameter_id)
        bracket = next((one for one in self._open if one.wants_new), None) or self._next_bracket()
        bracket.begin(novelty.name(parameters))
        return {**parameters, BUDGET: bracket.budget}

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        budget, rest = budgets.split(parameters)
        self._fresh.remind(parameter_id, rest)
        if self._past is not None:
            self._past.note(parameter_id, Entrant.of(rest), budget, None)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; a result of another experiment belongs to no bracket."""
        budget, rest = budgets.split(outcome.parameters)
        self._fresh.learn(dataclasses.replace(outcome, parameters=rest))
        entrant, loss = budgets.entrant_of(outcome, rest), budgets.loss_of(outcome, maximize=self._maximize)
        if self._past is not None:
            if outcome.parameter_id >= 0:
                self._past.note(outcome.parameter_id, entrant, budget, loss)
            return
        for bracket in self._open:
            if bracket.end(entrant, budget, loss):
                break
        self._tidy()

    def _take_up(self) -> None:
        """Put what was told before the first suggestion into brackets, as they were filled then."""
        past, self._past = self._past, None
        if past is None:
            return
        first_budgets = {self._sizes(s)[0][1] for s in range(self._top + 1)}
        made: list[tuple[Bracket, list[Story]]] = []
        latest: dict[int, tuple[Bracket, list[Story]]] = {}
        for story in past.stories():
            budget = min(story.losses)
            if budget not in first_budgets:
                continue
            while budget not in latest or not latest[budget][0].wants_new:
                bracket = self._next_bracket()
                latest[bracket.budget] = (bracket, [])
                made.append(latest[bracket.budget])
            bracket, stories = latest[budget]
            bracket.begin(story.entrant.name)
            stories.append(story)
        for bracket, stories in made:
            bracket.replay(stories)
        self._tidy()

    def _next_bracket(self) -> Bracket:
        bracket = Bracket(self._sizes(self._top - self._begun % (self._top + 1)), self._eta)
        self._begun += 1
        self._open.append(bracket)
        return bracket

    def _tidy(self) -> None:
        self._open = [bracket for bracket in self._open if not bracket.is_over]

    def _sizes(self, s: int) -> list[tuple[int, int]]:
        """Return the rungs of the bracket that the paper calls s: trials and budget of each."""
        first = math.ceil((self._top + 1) * self._eta**s / (s + 1))
        return [(first // self._eta**level, max(1, self._most // self._eta ** (s - level))) for level in range(s + 1)]


def make(space: Space, arguments: Mapping[str, Any]) -> Hyperband:
    """Make the tuner that is called Hyperband."""
    maximize = arguments["optimize_mode"] == "maximize"
    return Hyperband(random_search.make(space, arguments), arguments["R"], arguments["eta"], maximize=maximize)
