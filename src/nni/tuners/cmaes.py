"""CMA-ES, by the package cmaes: for numbers alone, best where many trials can be afforded.

N. Hansen, A. Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, 2001. A generation is made of
the trials that end, whoever proposed them (N. Hansen, Injecting External Solutions Into CMA-ES, 2011): so nothing waits
for the last of a generation, and after a restart those of before make the strategy what it was. Imported results were
drawn from another distribution and would widen this one: the best of those that are known before the first suggestion
says where to begin, and of later ones only such a one is taken in as is better than all that was known. A strategy that
has converged is followed by another one.
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
"""Of the distribution that a strategy begins with, the first one around the middle of the space."""
_NEAR = 1e-3
"""When a strategy begins, a trial this near to where the last one has converged, as a share of the range, is still of
that one."""


class CmaEs:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take a space that has a number (categories are drawn at random), and where randomness comes from."""
        self._cube, self._chance = cube, chance
        self._is_number = ~cube.is_category
        self._strategy: cmaes.CMA | None = None
        self._end: Vector | None = None
        """Where the strategy before it has converged."""
        self._taken = 0
        """How many ended trials it knows."""
        self._generation: list[tuple[Vector, float]] = []

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield places of the distribution; random ones until the first trial has succeeded."""
        strategy = self._up_to_date(past)
        while True:
            row = self._cube.random(1, self._chance)[0]
            if past.successes:
                row[self._is_number] = strategy.ask()
            yield self._cube.settle(row[None, :])[0]

    def _up_to_date(self, past: History) -> cmaes.CMA:
        """Let the distribution follow the trials that have ended.

        Failed ones are the last of their generation, which waits for others when more than half of it failed: the
        upper half says where to go.
        """
        is_first = self._strategy is None
        strategy = self._strategy or self._begun(self._known(past))
        size = strategy.population_size
        for number in range(self._taken, len(past)):
            place = cubes.hide_absent(past.rows[number, self._is_number])
            # Of those imported later the best one alone counts, where it is better than all that was known.
            if number in past.imported and (is_first or past.best(1) != [number]):
                continue
            if not strategy.generation and self._end is not None and np.abs(place - self._end).max() < _NEAR:
                continue
            self._generation.append((place, float(past.losses[number])))
            is_whole = len(self._generation) >= size
            self._generation = sorted(self._generation, key=lambda one: one[1])[:size]
            if is_whole and self._generation[size // 2 - 1][1] < math.inf:
                strategy.tell(self._generation)
                self._generation = []
                if strategy.should_stop():
                    self._end = strategy.mean
                    # The trial's number alone says where the next one begins, so that after a restart it is the same.
                    strategy = self._begun(np.random.default_rng(number).random(len(place)))
        self._taken, self._strategy = len(past), strategy
        return strategy

    def _known(self, past: History) -> Vector:
        """Return where the first strategy begins: at the best of imported results, else in the middle."""
        best = next((number for number in past.best(len(past)) if number in past.imported), None)
        if best is None:
            return np.full(int(self._is_number.sum()), 0.5)
        place: Vector = np.clip(cubes.hide_absent(past.rows[best, self._is_number]), 0, 1)
        return place

    def _begun(self, mean: Vector) -> cmaes.CMA:
        return cmaes.CMA(
            mean=mean,
            sigma=_FIRST_DEVIATION,
            bounds=np.tile([0.0, 1.0], (len(mean), 1)),
            n_max_resampling=10 * len(mean),
            seed=int(self._chance.integers(2**32)),
        )


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called CMA-ES."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = CmaEs(cube, chance)
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
