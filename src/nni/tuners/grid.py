"""Grid search: every point of a finite space, and of an endless one ever finer grids, the coarse ones first.

Categories and integers are gone through one by one. A real number begins at the middle of its range (for a normal one,
of its distribution), and each further grid halves the gaps, as NNI's GridSearch does.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from nni import errors
from nni.core import dimension as dimensions
from nni.core import model
from nni.core import space as spaces
from nni.core.dimension import Space
from nni.tuners import novelty, points


class GridSearch:
    """See ``algorithm.Algorithm``."""

    def __init__(self, space: Space) -> None:
        """Take the space."""
        self._space = space
        self._seen = novelty.Novelty(space, 0)
        self._points = self._all()

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        for parameters in self._points:
            if self._seen.take(parameters):
                return parameters
        raise errors.NoMoreTrialError("All points of the grid have been proposed.")

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._seen.take(parameters)

    def learn(self, outcome: model.Outcome) -> None:
        """Note what has been tried; how it did changes nothing."""
        self._seen.take(outcome.parameters)

    def _all(self) -> Iterator[model.Parameters]:
        """Yield the points of grid after grid; of a finite space what is left at the end."""
        size = points.size(self._space)
        finest = _finest(self._space) if size is not None else math.inf
        level = 0
        while 2 ** (level + 1) - 1 <= finest:
            yield from _Grid(self._space, level).walk()
            level += 1
        yield from (points.at(self._space, index) for index in range(size or 0))


def _finest(space: Space) -> int:
    """Return how many steps the finest dimension of a finite space has; 1 where none is quantised."""
    steps = [
        (points.size((one,)) or 1) - 1
        for one in spaces.walk(space)
        if isinstance(one, dimensions.Uniform | dimensions.Normal)
    ]
    return max(steps, default=1)


class _Grid:
    """The points of one grid: what is drawn is gone through as an odometer's wheels are."""

    def __init__(self, space: Space, level: int) -> None:
        self._space = space
        self._teeth: int = 2 ** (level + 1) - 1
        """How many numbers there are of a real one."""
        self._distinct = {one.key: self._numbers(one) for one in spaces.walk(space) if _is_quantised(one)}
        """The numbers of what is rounded, by key, without those that come to the same: of several dimensions with such,
        nearly every point would have been proposed before."""

    def walk(self) -> Iterator[dict[str, Any]]:
        # In the order in which the space asks for them: place and size of each.
        wheels: list[list[int]] = []
        while True:
            yield points.draw(self._space, self._reader(wheels))
            # The last wheel turns fastest. One behind it starts anew: after a choice it may be another dimension's.
            while wheels and wheels[-1][0] + 1 == wheels[-1][1]:
                wheels.pop()
            if not wheels:
                return
            wheels[-1][0] += 1

    def _reader(self, wheels: list[list[int]]) -> points.Take:
        """Return what reads one wheel after the other, adding those that are missing."""
        places = itertools.count()

        def take(key: str, domain: points.Domain) -> points.Number:
            place, distinct = next(places), self._distinct.get(key)
            size = self._size(domain) if distinct is None else len(distinct)
            if place == len(wheels):
                wheels.append([0, size])
            tooth = wheels[place][0]
            return self._number(domain, tooth) if distinct is None else distinct[tooth]

        return take

    def _numbers(self, one: dimensions.AnyDimension) -> list[points.Number]:
        """Return the numbers of a dimension that give different values, in order."""
        domain = points.domain(one)
        numbers = (self._number(domain, tooth) for tooth in range(self._size(domain)))
        return [next(equal) for _, equal in itertools.groupby(numbers, lambda number: points.value(one, number))]

    def _number(self, domain: points.Domain, tooth: int) -> points.Number:
        size = self._size(domain)
        share = (tooth + 1) / (size + 1) if isinstance(domain, points.Reals) else (tooth + 0.5) / size
        return points.at_share(domain, share)

    def _size(self, domain: points.Domain) -> int:
        match domain:
            case points.Categories(size):
                return size
            case points.Integers(low, high):
                return high - low + 1
            case points.Reals():
                return self._teeth


def _is_quantised(one: dimensions.AnyDimension) -> bool:
    return isinstance(one, dimensions.Uniform | dimensions.Normal) and one.q is not None


def make(space: Space, arguments: Mapping[str, Any]) -> GridSearch:
    """Make the tuner that is called GridSearch."""
    return GridSearch(space)
