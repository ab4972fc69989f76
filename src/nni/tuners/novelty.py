"""Keeps tuners from proposing the same parameters twice, by the same randomness too, and finds new ones."""

import json
import math
import random

from nni import errors
from nni.core import model
from nni.core.dimension import Space
from nni.tuners import points

_TRIES = 20


class Novelty:
    """Knows which parameters of a space have been proposed or tried."""

    def __init__(self, space: Space, seed: int | None) -> None:
        """Take a space of which nothing is known.

        Args:
            space: The search space.
            seed: Fixes in which order points are found, and by what randomness goes on after a restart.
        """
        self._space, self._seed = space, seed
        self._size = points.size(space)
        self._seen: set[str] = set()
        self._visited = 0
        self._chance = random.Random(seed)  # noqa: S311 nothing here is secret
        self._start = self._chance.randrange(self._size or 1)
        self._stride = _coprime(self._size or 1, self._chance)
        self._others = 0
        """Of those proposed elsewhere, how many."""
        self._is_stale = False

    def take(self, parameters: model.Parameters) -> bool:
        """Note parameters and return whether they are new."""
        before = len(self._seen)
        self._seen.add(name(parameters))
        return len(self._seen) > before

    def take_others(self, parameters: model.Parameters) -> None:
        """Note parameters of a trial that may have been proposed elsewhere: before a restart, or by the user."""
        if self.take(parameters):
            self._others += 1
            self._is_stale = True

    def new_seed(self) -> int | None:
        """Return what randomness is to be seeded with now, below 2**32; None where it is to go on as it is.

        Asked before each suggestion. A tuner that is made anew, with the same seed, would draw what it drew before:
        so it is seeded by the number of trials that it did not propose, too.
        """
        if self._seed is None or not self._is_stale:
            return None
        self._is_stale = False
        self._chance.seed(f"{self._seed}/{self._others}")
        return self._chance.getrandbits(32)

    def left(self) -> model.Parameters | None:
        """Return new parameters, noted already; None in a space without a size where chance finds none.

        Goes through all points once in a scattered order; over all calls this costs no more than the space has points.
        In a space without a size it draws some: a few of its points, a branch without parameters say, may be all that
        a tuner proposes.

        Raises:
            NoMoreTrialError: All points are taken.
        """
        if self._size is None:
            drawn = (points.draw(self._space, self._at_random) for _ in range(_TRIES))
            return next(filter(self.take, drawn), None)
        while self._visited < self._size:
            index = (self._start + self._visited * self._stride) % self._size
            self._visited += 1
            parameters = points.at(self._space, index)
            if self.take(parameters):
                return parameters
        raise errors.NoMoreTrialError("All points of the search space have been proposed.")

    def _at_random(self, key: str, domain: points.Domain) -> points.Number:
        return points.at_share(domain, self._chance.random())


def name(parameters: model.Parameters) -> str:
    """Return a text that equal parameters have in common."""
    return json.dumps(parameters, sort_keys=True)


def _coprime(count: int, chance: random.Random) -> int:
    """Return a stride that visits every one of so many points."""
    while True:
        stride = chance.randrange(1, count + 1)
        if math.gcd(stride, count) == 1:
            return stride
