"""Evolution as NNI has it: a population, tournaments of two, one parameter of the winner changed.

After E. Real and others, Large-Scale Evolution of Image Classifiers, 2017.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nni.core.dimension import Space
from nni.tuners.cube import Cube, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History


class Evolution:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator, population: int) -> None:
        """Take the space, where randomness comes from, and how many of the best trials may have offspring."""
        self._cube, self._chance, self._population = cube, chance, population

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield random places until the population is there, offspring of it from then on."""
        while True:
            drawn = self._cube.random(1, self._chance)[0]
            if past.successes + len(past.pending) < self._population or not past.successes:
                yield drawn
                continue
            members = past.best(self._population)
            # Of two members the one with the lower rank wins.
            row = past.rows[members[min(self._chance.integers(len(members), size=2))]].copy()
            active = np.flatnonzero(~np.isnan(row))
            changed = self._chance.choice(active)
            row[changed] = drawn[changed] if not np.isnan(drawn[changed]) else self._chance.random()
            # What a changed choice brings to life is drawn too.
            row = np.where(np.isnan(row), self._cube.place(self._chance.random((1, len(row))))[0], row)
            yield self._cube.settle(row[None, :])[0]


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called Evolution."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = Evolution(cube, chance, arguments["population_size"])
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
