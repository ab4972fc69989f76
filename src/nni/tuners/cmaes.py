"""CMA-ES, by the package cmaes: for numbers alone, best where many trials can be afforded.

N. Hansen, A. Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, 2001. A generation is made of
the trials that end, whoever proposed them (N. Hansen, Injecting External Solutions Into CMA-ES, 2011): so nothing waits
for the last of a generation, and after a restart those of before make the strategy what it was.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import cmaes
import numpy as np

from nni.core.dimension import Space
from nni.tuners import cube as cubes
from nni.tuners.cube import Cube, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History

_FIRST_DEVIATION = 1 / 6
"""Of the distribution around the middle of the space that the search begins with."""


class CmaEs:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take a space that has a number (categories are drawn at random), and where randomness comes from."""
        self._cube, self._chance = cube, chance
        self._is_number = ~cube.is_category
        self._begun: cmaes.CMA | None = None
        self._taken = 0
        """How many ended trials it knows."""
        self._generation: list[tuple[Vector, float]] = []

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield places of the distribution; random ones until the first trial has succeeded."""
        strategy = self._begun = self._begun or self._fresh()
        self._take_in(past, strategy)
        while True:
            row = self._cube.random(1, self._chance)[0]
            if past.successes:
                row[self._is_number] = strategy.ask()
            yield self._cube.settle(row[None, :])[0]

    def _fresh(self) -> cmaes.CMA:
        size = int(self._is_number.sum())
        return cmaes.CMA(
            mean=np.full(size, 0.5),
            sigma=_FIRST_DEVIATION,
            bounds=np.tile([0.0, 1.0], (size, 1)),
            n_max_resampling=10 * size,
            seed=int(self._chance.integers(2**32)),
        )

    def _take_in(self, past: History, strategy: cmaes.CMA) -> None:
        """Let the distribution follow the trials that have ended.

        Failed ones are the last of their generation, which waits for others when more than half of it failed: the
        upper half says where to go.
        """
        size = strategy.population_size
        for number in range(self._taken, len(past)):
            place = cubes.hide_absent(past.rows[number, self._is_number])
            self._generation.append((place, float(past.losses[number])))
            is_whole = len(self._generation) >= size
            self._generation = sorted(self._generation, key=lambda one: one[1])[:size]
            if is_whole and self._generation[size // 2 - 1][1] < math.inf:
                strategy.tell(self._generation)
                self._generation = []
        self._taken = len(past)


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called CMA-ES."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = CmaEs(cube, chance)
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
