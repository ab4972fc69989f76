"""Hyperband: brackets of successive halving, from many trials with small budgets to few with large ones.

L. Li and others, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018. A trial finds its
budget in the parameter ``TRIAL_BUDGET``; one that is promoted goes on in a new attempt, as with ``asha``. While a rung
of one bracket waits for its last trials, the next bracket begins, as with ``exec_mode: parallelism`` in NNI.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import budgets, novelty, random_search
from nni.tuners.budgets import BUDGET, Entrant


class _Bracket:
    """Successive halving of some trials, which go by the names of their parameters."""

    def __init__(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Take how many trials each rung has, and their budget."""
        self._sizes = list(sizes)
        self._level = 0
        self._given = 0
        self._running: set[str] = set()
        self._rung = budgets.Rung()
        self._chosen: dict[str, Entrant] = {}

    @property
    def level(self) -> int:
        """The rung that is being filled."""
        return self._level

    @property
    def is_over(self) -> bool:
        return self._level == len(self._sizes)

    @property
    def budget(self) -> int:
        """Of the rung that is being filled."""
        return self._sizes[self._level][1]

    @property
    def wants_new(self) -> bool:
        """Whether trials are missing on the first rung."""
        return self._level == 0 and self._given < self._sizes[0][0]

    def next(self) -> Entrant | None:
        """Return which trial is to go on, None while there is none."""
        return next(iter(self._chosen.values()), None)

    def begin(self, name: str) -> None:
        """Note that a trial has its budget."""
        self._given += 1
        self._running.add(name)
        self._chosen.pop(name, None)

    def end(self, entrant: Entrant, budget: Any, loss: float, first: Collection[str] = ()) -> bool:
        """Take in how a trial ended; return whether it was one of its own.

        Args:
            entrant: The trial.
            budget: What it had.
            loss: Infinity for a failure.
            first: Which trials go on in any case, because they did before a restart.
        """
        if self.is_over or budget != self.budget or entrant.name not in self._running:
            return False
        self._running.discard(entrant.name)
        self._rung.add(entrant, loss)
        self._climb(first)
        return True

    def close(self) -> None:
        """Wait for no more new trials."""
        if self.wants_new:
            self._sizes[0] = (self._given, self.budget)
            self._climb()

    def _climb(self, first: Collection[str] = ()) -> None:
        if self._running or self._given < self._sizes[self._level][0]:
            return
        ranked = sorted(self._rung.ranked(), key=lambda one: one.name not in first)
        self._level, self._given, self._rung = self._level + 1, 0, budgets.Rung()
        if self.is_over:
            return
        size, budget = self._sizes[self._level]
        self._chosen = {one.name: one for one in ranked[:size]}
        # Too many failed, perhaps: fewer go on.
        self._sizes[self._level] = (len(self._chosen), budget)
        if not self._chosen:
            self._level = len(self._sizes)


@dataclasses.dataclass(slots=True)
class _Story:
    """What is known from before a restart of one set of parameters: its losses by budget, None for one that runs."""

    born: int
    entrant: Entrant
    losses: dict[int, float | None]


class Hyperband:
    """See ``algorithm.Algorithm``, ``algorithm.Promoting`` and ``algorithm.Reminded``."""

    def __init__(self, fresh: random_search.RandomSearch, most: int, eta: int, *, maximize: bool) -> None:
        """Take where new parameters come from, the largest budget, and how sharply is halved."""
        self._fresh, self._most, self._eta = fresh, most, eta
        self._maximize = maximize
        self._top = max(level for level in range(most.bit_length() + 1) if eta**level <= most)
        self._begun = 0
        self._open: list[_Bracket] = []
        self._before: dict[str, _Story] | None = {}
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
        self._note(parameter_id, Entrant(None, rest), budget, None)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; a result of another experiment belongs to no bracket."""
        budget, rest = budgets.split(outcome.parameters)
        self._fresh.learn(dataclasses.replace(outcome, parameters=rest))
        entrant, loss = (
            Entrant(budgets.trial_of(outcome), rest),
            budgets.loss_of(outcome, maximize=self._maximize),
        )
        if self._before is not None:
            if outcome.parameter_id >= 0:
                self._note(outcome.parameter_id, entrant, budget, loss)
            return
        for bracket in self._open:
            if bracket.end(entrant, budget, loss):
                break
        self._tidy()

    def _note(self, parameter_id: int, entrant: Entrant, budget: Any, loss: float | None) -> None:
        if self._before is None or not isinstance(budget, int):
            return
        story = self._before.setdefault(entrant.name, _Story(parameter_id, entrant, {}))
        story.born = min(story.born, parameter_id)
        story.losses[budget] = loss
        if entrant.trial is not None:
            story.entrant = entrant

    def _take_up(self) -> None:
        """Put what was told before the first suggestion into brackets as they were filled then: in order of birth."""
        before, self._before = self._before, None
        members: dict[int, tuple[_Bracket, list[_Story]]] = {}
        for story in sorted((before or {}).values(), key=lambda one: one.born):
            bracket = self._bracket_for(min(story.losses))
            if bracket is not None:
                bracket.begin(story.entrant.name)
                members.setdefault(id(bracket), (bracket, []))[1].append(story)
        for bracket, stories in members.values():
            _replay(bracket, stories)
        self._tidy()

    def _bracket_for(self, budget: int) -> _Bracket | None:
        """Return the bracket that a trial with a first budget belongs to, None where none begins with it."""
        if all(budget != self._sizes(s)[0][1] for s in range(self._top + 1)):
            return None
        while True:
            for bracket in self._open:
                if bracket.wants_new and bracket.budget == budget:
                    return bracket
            self._next_bracket()

    def _next_bracket(self) -> _Bracket:
        bracket = _Bracket(self._sizes(self._top - self._begun % (self._top + 1)))
        self._begun += 1
        self._open.append(bracket)
        return bracket

    def _tidy(self) -> None:
        self._open = [bracket for bracket in self._open if not bracket.is_over]

    def _sizes(self, s: int) -> list[tuple[int, int]]:
        """Return the rungs of the bracket that the paper calls s: trials and budget of each."""
        first = math.ceil((self._top + 1) * self._eta**s / (s + 1))
        return [(first // self._eta**level, max(1, self._most // self._eta ** (s - level))) for level in range(s + 1)]


def _replay(bracket: _Bracket, stories: list[_Story]) -> None:
    """Let the trials of a bracket, which have begun on its first rung, end and climb as they did."""
    if any(len(story.losses) > 1 for story in stories):
        bracket.close()
    level = -1
    while not bracket.is_over and bracket.level > level:
        level, budget = bracket.level, bracket.budget
        here = [story for story in stories if budget in story.losses]
        further = {story.entrant.name for story in here if any(one > budget for one in story.losses)}
        if level:
            for story in here:
                bracket.begin(story.entrant.name)
        for story in here:
            loss = story.losses[budget]
            if loss is not None:
                bracket.end(story.entrant, budget, loss, further)


def make(space: Space, arguments: Mapping[str, Any]) -> Hyperband:
    """Make the tuner that is called Hyperband."""
    maximize = arguments["optimize_mode"] == "maximize"
    return Hyperband(random_search.make(space, arguments), arguments["R"], arguments["eta"], maximize=maximize)
