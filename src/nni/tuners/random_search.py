"""Random search: every suggestion is drawn from the search space alone."""

import math
import random
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import novelty, points

_TRIES = 20


class RandomSearch:
    """Draws parameters; where the space has finitely many points, each is proposed once."""

    def __init__(self, space: Space, seed: int | None) -> None:
        """Take the space and what fixes the draws."""
        self._space = space
        self._chance = random.Random(seed)  # noqa: S311 nothing here is secret
        self._novelty = novelty.Novelty(space, seed)

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        if (seed := self._novelty.new_seed()) is not None:
            self._chance.seed(seed)
        return self._new() or self._novelty.left() or self._draw()

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._novelty.take_others(parameters)

    def learn(self, outcome: model.Outcome) -> None:
        """Note what has been tried; how it did changes nothing."""
        self._novelty.take_others(outcome.parameters)

    def _new(self) -> model.Parameters | None:
        """Return what was never proposed, None when that is hard to find."""
        for _ in range(_TRIES):
            parameters = self._draw()
            if self._novelty.take(parameters):
                return parameters
        return None

    def _draw(self) -> model.Parameters:
        return points.draw(self._space, self._take)

    def _take(self, key: str, domain: points.Domain) -> points.Number:
        match domain:
            case points.Categories(size):
                return self._chance.randrange(size)
            case points.Integers(low, high):
                return self._chance.randint(low, high)
            case points.Reals(low, high, is_log=True):
                return min(max(math.exp(self._chance.uniform(math.log(low), math.log(high))), low), high)
            case points.Reals(low, high):
                return self._chance.uniform(low, high)


def make(space: Space, arguments: Mapping[str, Any]) -> RandomSearch:
    """Make the tuner that is called Random."""
    return RandomSearch(space, arguments["seed"])
