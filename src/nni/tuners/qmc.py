"""Quasi-random search: the points of a scrambled Halton sequence, which fill a space more evenly than random ones.

A. B. Owen, A randomized Halton algorithm in R, 2017: the digits of the point's number, in another prime base for each
dimension, each digit permuted at random, are the digits of its coordinate in reverse. (scipy has the like, at a price
of 22 MB and 0.4 s for its statistics.)
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nni.core.dimension import Space
from nni.tuners.cube import Cube, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History

_MOST_DIMENSIONS = 200
"""Further ones are drawn at random: in their large bases the sequence would be no more even than that."""
_RESOLUTION = 2.0**-32


class QuasiRandom:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take the space and what scrambles the sequence."""
        self._cube, self._chance = cube, chance
        self._scrambled = [
            [chance.permutation(base) for _ in range(math.ceil(-math.log(_RESOLUTION, base)))]
            for base in _primes(min(len(cube), _MOST_DIMENSIONS))
        ]
        self._next: int | None = None

    def propose(self, past: History) -> Iterator[Vector]:
        """Yield the next points of the sequence; of the history only its length counts, after a restart."""
        if self._next is None:
            self._next = len(past) + len(past.pending)
        while True:
            shares = self._chance.random((1, len(self._cube)))
            shares[0, : len(self._scrambled)] = [_coordinate(self._next, digits) for digits in self._scrambled]
            self._next += 1
            yield self._cube.place(shares)[0]


def _coordinate(number: int, scrambled: list[npt.NDArray[np.int64]]) -> float:
    """Return one coordinate of a point, from 0 to 1, given the permutations of its digits."""
    share, worth = 0.0, 1.0
    for permutation in scrambled:
        number, digit = divmod(number, len(permutation))
        worth /= len(permutation)
        share += worth * float(permutation[digit])
    return share


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called QMC."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = QuasiRandom(cube, chance)
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
