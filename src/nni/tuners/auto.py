"""Auto: one tuner for every search space.

It begins with points that fill the space (``qmc``), then looks where a Gaussian process expects most
(``gaussian_process``, ``improvement``) and, once trials have failed, another one that they work (``surrogate``); every
sixth suggestion is ``anneal``'s, whose luck does not depend on the process being right. Should the linear algebra fail,
annealing takes that suggestion too.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nni.core.dimension import Space
from nni.tuners import anneal, gaussian_process, improvement, qmc, surrogate
from nni.tuners import cube as cubes
from nni.tuners.cube import Cube, Matrix, Vector
from nni.tuners.cube_tuner import CubeTuner
from nni.tuners.history import History

_log = logging.getLogger(__name__)

_STARTS = 6
"""How many suggestions fill the space before any are learnt."""
_NEEDED = 4
"""So many results are needed before anything is learnt from them."""
_ANNEAL_EACH = 6
"""Every so many suggestions one is annealing's."""
_GOOD = 5
"""So many of the best trials are looked around."""
_LEAST_GAP = 1e-3
"""Of a suggestion from every running trial, as a share of the range, in one dimension at least."""


class Auto:
    """See ``cube_tuner.Proposer``."""

    def __init__(self, cube: Cube, chance: np.random.Generator, *, anneal_each: int | None = _ANNEAL_EACH) -> None:
        """Take the space, where randomness comes from, and how often annealing has its turn; never when None."""
        self._anneal_each = anneal_each
        self._annealing = anneal.Annealing(cube, chance)
        self._surrogate = surrogate.Surrogate(cube)
        self._search = improvement.Search(cube, chance)
        self._filling = qmc.QuasiRandom(cube, chance)

    def propose(self, past: History) -> Iterable[Vector]:
        """Return places, the most promising first, then such as annealing draws."""
        # Counted by what is known, so that it goes on after a restart where it was.
        turn = len(past) + len(past.pending) + 1
        if turn <= _STARTS or past.successes < _NEEDED:
            return self._filling.propose(past)
        if self._anneal_each and turn % self._anneal_each == 0:
            return self._annealing.propose(past)
        return self._expect(past)

    def _expect(self, past: History) -> Iterator[Vector]:
        try:
            belief = self._surrogate.believe(past)
            found = self._search.best(belief, past.rows[past.best(_GOOD)])
        except (gaussian_process.NotDefiniteError, np.linalg.LinAlgError, FloatingPointError, ValueError) as error:
            _log.warning("annealing takes this suggestion, since the Gaussian process failed: %r", error)
        else:
            yield from _apart(found, past.running)
        yield from self._annealing.propose(past)


def _apart(rows: Matrix, running: Matrix) -> Matrix:
    """Return the places that are not next to a running trial, which will tell as much."""
    if not len(running):
        return rows
    gaps = np.abs(cubes.hide_absent(rows)[:, None, :] - cubes.hide_absent(running)[None, :, :]).max(2)
    apart: Matrix = rows[gaps.min(1) > _LEAST_GAP]
    return apart


def make(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called Auto."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = Auto(cube, chance)
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])


def make_gp(space: Space, arguments: Mapping[str, Any]) -> CubeTuner:
    """Make the tuner that is called GP: the Gaussian process alone."""
    cube = Cube(space)
    chance = np.random.default_rng(arguments["seed"])
    proposer = Auto(cube, chance, anneal_each=None)
    return CubeTuner(cube, proposer, chance, maximize=arguments["optimize_mode"] == "maximize", seed=arguments["seed"])
