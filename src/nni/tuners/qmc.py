"""Quasi-random search: the points of a scrambled Sobol sequence, which fill a space more evenly than random ones.

A. B. Owen, Scrambling Sobol' and Niederreiter-Xing Points, 1998.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.stats import qmc

from nni.core.dimension import Space
from nni.tuners.cube import Cube, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History

_MOST_DIMENSIONS = 20_000
"""scipy's sequence has so many."""


class QuasiRandom:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take the space and what scrambles the sequence."""
        self._cube, self._chance = cube, chance
        self._sequence = qmc.Sobol(len(cube), scramble=True, rng=chance) if len(cube) <= _MOST_DIMENSIONS else None

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield the next points of the sequence; of the history only its length counts, after a restart."""
        known = len(past) + len(past.pending)
        if self._sequence and known and not self._sequence.num_generated:
            self._sequence.fast_forward(known)
        while True:
            shares = self._sequence.random(1) if self._sequence else self._chance.random((1, len(self._cube)))
            yield self._cube.place(shares)[0]


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called QMC."""
    cube = Cube(space)
    proposer = QuasiRandom(cube, np.random.default_rng(arguments["seed"]))
    return CubeTuner(cube, proposer, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
