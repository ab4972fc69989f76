"""Annealing over the history: near good trials, nearer and nearer.

For every parameter a good trial is drawn (its rank from a geometric distribution) and then a number near to its, in a
window that shrinks with the number of trials; after ``hyperopt.anneal`` (J. Bergstra, D. Yamins, D. D. Cox, Making a
Science of Model Search, 2013).
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nni.core.dimension import Space
from nni.tuners.cube import Cube, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History

_MEAN_RANK = 2.0
_SHRINK = 0.1


class Annealing:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take the space and where randomness comes from."""
        self._cube, self._chance = cube, chance

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield places, each drawn anew."""
        while True:
            row = np.full(len(self._cube), np.nan)
            for index, column in enumerate(self._cube.columns):
                if column.parent is None or row[column.parent] == column.option:
                    row[index] = self._near_a_good_one(index, past)
            yield self._cube.settle(row[None, :])[0]

    def _near_a_good_one(self, index: int, past: History) -> float:
        size = self._cube.columns[index].options
        share = self._chance.random()
        tried = int(past.active[index])
        if not tried:
            return math.floor(share * size) if size else share
        rank = min(int(self._chance.geometric(1 / _MEAN_RANK)), tried) - 1
        good = next(itertools.islice(past.ranked(index), rank, None))
        width = 1 / (1 + _SHRINK * tried)
        if size:
            return math.floor(share * size) if self._chance.random() < width else good
        low, high = max(good - width / 2, 0.0), min(good + width / 2, 1.0)
        return low + share * (high - low)


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called Anneal."""
    cube = Cube(space)
    proposer = Annealing(cube, np.random.default_rng(arguments["seed"]))
    return CubeTuner(cube, proposer, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
