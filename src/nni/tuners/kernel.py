"""How alike two places of a cube are: the covariance of a Gaussian process.

It is a mixture of two. In the one all parameters act together: Matern 5/2 with a length-scale for every dimension
(C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, chapters 4 and 5). In the other
each has an effect of its own and the effects add up (D. Duvenaud, H. Nickisch, C. E. Rasmussen, Additive Gaussian
Processes, 2011), so that what a trial says of one parameter holds wherever the others stand. Categories are compared by
"same or different".
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from nni.tuners.cube import Cube, Matrix, Vector

Distances = npt.NDArray[np.float64]
_ROOT_5 = math.sqrt(5)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Hyper-parameters as the search for them sees them."""

    scales: Vector
    """Logarithms of the length-scales."""
    ratio: float
    """Logarithm of how many times longer they are for single effects."""
    share: float
    """Logit of the share that the sum of single effects has."""
    noise: float
    """Logarithm of the noise's variance as a share of the amplitude."""

    @classmethod
    def of(cls, numbers: Vector) -> "Settings":
        """Return the settings in a vector, in their order."""
        return cls(numbers[:-3], *(float(one) for one in numbers[-3:]))

    @property
    def numbers(self) -> Vector:
        """All in one vector."""
        return np.append(self.scales, (self.ratio, self.share, self.noise))

    @property
    def summed(self) -> float:
        """The share that the sum of single effects has, from 0 to 1."""
        return 1 / (1 + math.exp(-self.share))


class Kernel:
    """The covariance of places in one space, with an amplitude of 1 and without noise."""

    def __init__(self, cube: Cube) -> None:
        """Take the space."""
        self.size = len(cube)
        self.is_branch = np.array([column.is_branch for column in cube.columns])
        self._is_category = cube.is_category

    def pairs(self, places: Matrix) -> "Pairs":
        """Return all pairs of places."""
        first, second = np.triu_indices(len(places), 1)
        return Pairs(self._apart(places.T[:, first], places.T[:, second]), first, second)

    def across(self, left: Matrix, right: Matrix, settings: Settings) -> Matrix:
        """Return the covariance of each place on the left with each on the right."""
        weights, summed = np.exp(-settings.scales), settings.summed
        alone_by = weights * (_ROOT_5 * math.exp(-settings.ratio))
        squares = np.zeros((len(left), len(right)))
        alone, apart, room = (np.zeros_like(squares) for _ in range(3))
        for index in range(self.size):
            np.subtract(left[:, index, None], right[None, :, index], out=apart)
            if self._is_category[index]:
                np.not_equal(apart, 0, out=apart)
            np.abs(apart, out=apart)
            np.multiply(apart, alone_by[index], out=room)
            alone += _matern(room)
            apart *= weights[index]
            apart *= apart
            squares += apart
        squares *= 5
        together = _matern(np.sqrt(squares, out=squares))
        together *= 1 - summed
        alone *= summed / self.size
        together += alone
        return together

    def by_place(self, place: Vector, places: Matrix, settings: Settings) -> tuple[Vector, Matrix]:
        """Return the covariance of one place with others, and its derivative by the coordinates of the one."""
        off = place[None, :] - places
        off[:, self._is_category] = off[:, self._is_category] != 0
        weights, summed = np.exp(-settings.scales), settings.summed
        scaled = np.abs(off) * weights
        root = _ROOT_5 * np.sqrt((scaled * scaled).sum(1))
        steep = (1 + root) * np.exp(-root)
        together = (-5 / 3) * steep[:, None] * off * weights**2
        by_root = _ROOT_5 * math.exp(-settings.ratio)
        roots = scaled * by_root
        decays = np.exp(-roots)
        alone = (-1 / 3) * roots * (1 + roots) * decays * np.sign(off) * weights * (by_root / self.size)
        covariance = (1 - summed) * (steep + root * root / 3 * np.exp(-root))
        covariance += summed * ((1 + roots + roots * roots / 3) * decays).mean(1)
        return covariance, (1 - summed) * together + summed * alone

    def _apart(self, left: Matrix, right: Matrix) -> Distances:
        """Return how far places, one a column, are apart in every dimension."""
        apart: Distances = np.abs(left - right)
        apart[self._is_category] = apart[self._is_category] > 0
        return apart


class Pairs:
    """All pairs of some places: their covariance under one setting after another, and its derivatives.

    Room is taken once and worked in: taking it anew for each step costs more than the arithmetic.
    """

    def __init__(self, apart: Distances, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> None:
        """Take the distances, dimension x pair, and the numbers of the places in each pair."""
        self._apart, self._first, self._second = apart, first, second
        self._squares = apart * apart
        self._roots, self._decays, self._room = (np.empty_like(apart) for _ in range(3))
        self._together, self._alone, self._steep = (np.empty(apart.shape[1]) for _ in range(3))

    def covariance(self, settings: Settings, diagonal: float) -> Matrix:
        """Return the covariance as a matrix with one number on its diagonal."""
        size, weights = len(self._apart), np.exp(-settings.scales)
        root = np.sqrt(5 * (weights**2 @ self._squares))
        decay = np.exp(-root)
        self._steep = (1 + root) * decay
        self._together = self._steep + root * root * decay / 3
        by_root = weights * (_ROOT_5 * math.exp(-settings.ratio))
        roots, decays, room = self._roots, self._decays, self._room
        np.multiply(self._apart, by_root[:, None], out=roots)
        np.exp(np.negative(roots, out=decays), out=decays)
        np.multiply(roots, 1 / 3, out=room)
        room += 1
        room *= roots
        room += 1
        room *= decays
        self._alone = np.full(size, 1 / size) @ room
        count = round((1 + math.sqrt(1 + 8 * len(self._first))) / 2)
        matrix: Matrix = np.empty((count, count))
        matrix[np.diag_indices(count)] = diagonal
        mixed = (1 - settings.summed) * self._together + settings.summed * self._alone
        matrix[self._first, self._second] = mixed
        matrix[self._second, self._first] = mixed
        return matrix

    def gradient(self, settings: Settings, outer: Matrix) -> Vector:
        """Return the sum of ``outer`` times the derivative of the last covariance by each setting but the noise.

        Args:
            settings: Those of the last covariance.
            outer: A symmetric matrix.
        """
        size, summed = len(self._apart), settings.summed
        weight = 2 * outer[self._first, self._second]
        by_together = np.exp(-2 * settings.scales) * (self._squares @ (weight * self._steep)) * (5 / 3)
        np.add(self._roots, 1, out=self._room)
        self._room *= self._roots
        self._room *= self._roots
        self._room *= self._decays
        by_alone = (self._room @ weight) / (3 * size)
        by_share = summed * (1 - summed) * float(weight @ (self._alone - self._together))
        return np.append((1 - summed) * by_together + summed * by_alone, (summed * by_alone.sum(), by_share))


def _matern(roots: Matrix) -> Matrix:
    """Return Matern 5/2 of distances that are multiplied by the square root of 5."""
    decays = np.negative(roots)
    np.exp(decays, out=decays)
    covariance = roots / 3
    covariance += 1
    covariance *= roots
    covariance += 1
    covariance *= decays
    return covariance
