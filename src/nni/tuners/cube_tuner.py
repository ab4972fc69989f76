"""A tuner made of a proposer: keeps the history, the running trials, and proposes nothing twice."""

import itertools
import math
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from nni.core import model
from nni.tuners import novelty
from nni.tuners.cube import Cube, Vector
from nni.tuners.history import History

_TRIES = 300


class Proposer(Protocol):
    """Says where to look next."""

    def propose(self, past: History) -> Iterable[Vector]:
        """Return places, settled, the most promising first; the first one that is new is tried."""
        ...


class CubeTuner:
    """See ``algorithm.Algorithm``."""

    def __init__(
        self, cube: Cube, proposer: Proposer, chance: np.random.Generator, *, maximize: bool, seed: int | None
    ) -> None:
        """Take the space and who proposes.

        Args:
            cube: The search space.
            proposer: Used by this tuner alone.
            chance: Where the proposer has its randomness from.
            maximize: Whether larger values are better.
            seed: What that was seeded with.
        """
        self._cube, self._proposer, self._chance = cube, proposer, chance
        self._sign = -1.0 if maximize else 1.0
        self._novelty = novelty.Novelty(cube.space, seed)
        self._past = History(cube)

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        if (seed := self._novelty.new_seed()) is not None:
            self._chance.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        parameters = self._new() or self._novelty.left() or self._repeated()
        self.remind(parameter_id, parameters)
        return parameters

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._novelty.take_others(parameters)
        row = self._cube.encode(parameters)
        if row is not None:
            self._past.pending[parameter_id] = row

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``."""
        row = self._past.pending.pop(outcome.parameter_id, None)
        if row is None:
            self._novelty.take_others(outcome.parameters)
            row = self._cube.encode(outcome.parameters)
        if row is not None:
            is_good = outcome.succeeded and outcome.value is not None
            loss = self._sign * (outcome.value or 0.0) if is_good else math.inf
            self._past.add(row, loss, is_imported=outcome.parameter_id < 0)

    def _new(self) -> model.Parameters | None:
        """Return what was never proposed, None when that is hard to find."""
        for row in itertools.islice(self._proposer.propose(self._past), _TRIES):
            parameters = self._cube.decode(row)
            if self._novelty.take(parameters):
                return parameters
        return None

    def _repeated(self) -> model.Parameters:
        """Return what was proposed before: the points of a space without a size may be hard to tell apart."""
        return self._cube.decode(next(iter(self._proposer.propose(self._past))))
