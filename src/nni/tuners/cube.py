"""A search space as a cube: one number from 0 to 1 for every dimension, and the way back to parameters.

Tuners that measure distances work on it. A real number is placed by its share of the range (of the range of its
logarithm where that is uniform), an integer at the middle of its share, and of a category the number is its index,
which says nothing but whether two are the same. A dimension below an option that was not chosen is NaN.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nni.core import dimension as dimensions
from nni.core import model
from nni.core.dimension import Space
from nni.tuners import points

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One dimension."""

    key: str
    domain: points.Domain
    parent: int | None
    """The column of the nested choice that it is below."""
    option: int
    """Which option of the parent makes it count."""
    is_branch: bool
    """Whether other columns are below it."""
    options: int
    """How many categories; 0 for a number."""
    step: float
    """How far one integer is from the next; 0 for a real number."""


class Cube:
    """The columns of a space."""

    def __init__(self, space: Space) -> None:
        """Take a space that has at least one dimension."""
        self.space = space
        self.columns: list[Column] = []
        self._collect(space, None, 0)
        self._index = {column.key: place for place, column in enumerate(self.columns)}
        self.is_category = np.array([column.options > 0 for column in self.columns])
        self.is_real = ~self.is_category & np.array([column.step == 0 for column in self.columns])
        self.steps = np.array([column.step for column in self.columns])

    def __len__(self) -> int:
        return len(self.columns)

    def encode(self, parameters: model.Parameters) -> Vector | None:
        """Return where parameters lie, None when they are not of this space."""
        located = points.locate(self.space, parameters)
        if located is None:
            return None
        vector = np.full(len(self), np.nan)
        for key, (domain, number) in located.items():
            vector[self._index[key]] = _share(domain, number)
        return vector

    def decode(self, vector: Vector) -> dict[str, Any]:
        """Return the parameters at a place; of the columns that do not count any number is passed over."""
        return points.draw(self.space, lambda key, domain: _number(domain, float(vector[self._index[key]])))

    def random(self, count: int, chance: np.random.Generator) -> Matrix:
        """Return places drawn from the space, one a row."""
        return self.place(chance.random((count, len(self))))

    def place(self, shares: Matrix) -> Matrix:
        """Turn rows of independent uniform numbers into places: categories by their share, absent columns NaN."""
        placed = shares.copy()
        for index, column in enumerate(self.columns):
            if column.options:
                placed[:, index] = np.minimum(np.floor(placed[:, index] * column.options), column.options - 1)
            elif column.step:
                placed[:, index] = _middle(placed[:, index], column.step)
        return self.settle(placed)

    def settle(self, rows: Matrix) -> Matrix:
        """Return places as trials get them: inside the cube, integers at their middles, absent columns NaN.

        A column that counts but has no number yet gets a middle one.
        """
        settled = rows.copy()
        for index, column in enumerate(self.columns):
            values = settled[:, index]
            if column.options:
                values = np.where(np.isnan(values), 0, np.clip(np.round(values), 0, column.options - 1))
            else:
                values = np.clip(np.where(np.isnan(values), 0.5, values), 0, 1)
                values = _middle(values, column.step) if column.step else values
            if column.parent is not None:
                values = np.where(settled[:, column.parent] == column.option, values, np.nan)
            settled[:, index] = values
        return settled

    def _collect(self, space: Space, parent: int | None, option: int) -> None:
        for one in space:
            branches: tuple[dimensions.Branch, ...] = one.branches if isinstance(one, dimensions.NestedChoice) else ()
            domain = points.domain(one)
            place = len(self.columns)
            self.columns.append(
                Column(
                    key=one.key,
                    domain=domain,
                    parent=parent,
                    option=option,
                    is_branch=bool(branches),
                    options=domain.size if isinstance(domain, points.Categories) else 0,
                    step=1 / (domain.high - domain.low + 1) if isinstance(domain, points.Integers) else 0.0,
                )
            )
            for number, branch in enumerate(branches):
                self._collect(branch.below, place, number)


def _middle(values: Vector, step: float) -> Vector:
    """Return the middles of the integers' shares that values fall into."""
    count = round(1 / step)
    middles: Vector = (np.minimum(np.floor(values * count), count - 1) + 0.5) / count
    return middles


def _share(domain: points.Domain, number: points.Number) -> float:
    match domain:
        case points.Categories():
            return float(number)
        case points.Integers(low, high):
            return (number - low + 0.5) / (high - low + 1)
        case points.Reals(low, high, is_log=True):
            return math.log(number / low) / math.log(high / low)
        case points.Reals(low, high):
            return (number - low) / (high - low)


def _number(domain: points.Domain, place: float) -> points.Number:
    if isinstance(domain, points.Categories):
        return min(max(round(place), 0), domain.size - 1)
    return points.at_share(domain, place)


def hide_absent(rows: Matrix) -> Matrix:
    """Return places with a middle number where there is none."""
    return np.where(np.isnan(rows), 0.5, rows)
