"""The brackets of Hyperband: successive halving of some trials, and how it is taken up again after a restart."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from nni.tuners import budgets
from nni.tuners.budgets import Entrant


class Bracket:
    """Successive halving of some trials, which go by the names of their parameters."""

    def __init__(self, sizes: Iterable[tuple[int, int]], eta: int) -> None:
        """Take how many trials each rung has, and their budget, and how sharply is halved."""
        self._sizes, self._eta = list(sizes), eta
        self._level = 0
        self._given = 0
        self._running: set[str] = set()
        self._rung = budgets.Rung()
        self._chosen: dict[str, Entrant] = {}

    @property
    def is_over(self) -> bool:
        """Whether no trial of it will go on."""
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

    def end(self, entrant: Entrant, budget: Any, loss: float, climbed: Collection[str] = ()) -> bool:
        """Take in how a trial ended; return whether it was one of its own.

        Args:
            entrant: The trial.
            budget: What it had.
            loss: Infinity for a failure.
            climbed: Which trials go on in any case, because they did before a restart.
        """
        if self.is_over or budget != self.budget or entrant.name not in self._running:
            return False
        self._running.discard(entrant.name)
        self._rung.add(entrant, loss)
        self._climb(climbed)
        return True

    def close(self) -> None:
        """Wait for no more new trials; with fewer of them, fewer go on."""
        if self.wants_new:
            self._sizes = [
                (max(1, self._given // self._eta**level) if level else self._given, budget)
                for level, (_, budget) in enumerate(self._sizes)
            ]
            self._climb()

    def replay(self, stories: Iterable["Story"]) -> None:
        """Let trials that have begun on the first rung end and climb as they did before a restart."""
        known = list(stories)
        if any(len(story.losses) > 1 for story in known):
            self.close()
        level = -1
        while not self.is_over and self._level > level:
            level, budget = self._level, self.budget
            here = [story for story in known if budget in story.losses]
            climbed = {story.entrant.name for story in here if any(one > budget for one in story.losses)}
            if level:
                for story in here:
                    self.begin(story.entrant.name)
            for story in here:
                loss = story.losses[budget]
                if loss is not None:
                    self.end(story.entrant, budget, loss, climbed)

    def _climb(self, climbed: Collection[str] = ()) -> None:
        if self._running or self._given < self._sizes[self._level][0]:
            return
        ranked = sorted(self._rung.ranked(), key=lambda one: one.name not in climbed)
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
class Story:
    """What is known from before a restart of one set of parameters."""

    born: int
    """The first parameter id that it had."""
    entrant: Entrant
    losses: dict[int, float | None]
    """By budget; None for the one that runs."""


class Past:
    """What was told of trials from before a restart."""

    def __init__(self) -> None:
        self._stories: dict[str, Story] = {}

    def note(self, parameter_id: int, entrant: Entrant, budget: Any, loss: float | None) -> None:
        """Take in how a trial did with a budget; None for one that runs."""
        if not isinstance(budget, int):
            return
        story = self._stories.setdefault(entrant.name, Story(parameter_id, entrant, {}))
        story.born = min(story.born, parameter_id)
        story.losses[budget] = loss
        if entrant.trial is not None:
            story.entrant = entrant

    def stories(self) -> list[Story]:
        """Return them in the order of birth, which is that in which brackets were filled."""
        return sorted(self._stories.values(), key=lambda one: one.born)
