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


class Kernel:
    """The covariance of places in one space, with an amplitude of 1 and without noise."""

    def __init__(self, cube: Cube) -> None:
        """Take the space."""
        self.size = len(cube)
        self.is_branch = np.array([column.is_branch for column in cube.columns])
        self._is_category = cube.is_category

    def distances(self, left: Matrix, right: Matrix) -> Distances:
        """Return how far places are apart in every dimension: dimension x left x right."""
        apart: Distances = np.abs(left.T[:, :, None] - right.T[:, None, :])
        apart[self._is_category] = apart[self._is_category] > 0
        return apart

    def by_place(self, place: Vector, places: Matrix, settings: Settings) -> tuple[Vector, Matrix]:
        """Return the covariance of one place with others, and its derivative by the coordinates of the one."""
        off = place[None, :] - places
        off[:, self._is_category] = off[:, self._is_category] != 0
        weights = np.exp(-settings.scales)
        parts = Covariance(np.abs(off).T[:, None, :], settings)
        together = (-5 / 3) * parts.steep[0][:, None] * off * weights**2
        roots = parts.roots[:, 0, :].T
        alone = (-1 / 3) * roots * (1 + roots) * parts.decays[:, 0, :].T
        alone = alone * np.sign(off) * weights * (_ROOT_5 * math.exp(-settings.ratio) / self.size)
        return parts.matrix[0], (1 - parts.summed) * together + parts.summed * alone


class Covariance:
    """The covariance of places, and what it is made of."""

    def __init__(self, apart: Distances, settings: Settings) -> None:
        """Take how far places are apart."""
        scaled = apart * np.exp(-settings.scales)[:, None, None]
        self.squares = scaled * scaled
        root = _ROOT_5 * np.sqrt(self.squares.sum(0))
        decay = np.exp(-root)
        self.steep = (1 + root) * decay
        self.together = self.steep + (root * root / 3) * decay
        self.roots = scaled * (_ROOT_5 * math.exp(-settings.ratio))
        self.decays = np.exp(-self.roots)
        self.alone = ((1 + self.roots + self.roots * self.roots / 3) * self.decays).mean(0)
        self.summed = 1 / (1 + math.exp(-settings.share))
        self.matrix: Matrix = (1 - self.summed) * self.together + self.summed * self.alone

    def gradient(self, outer: Matrix) -> Vector:
        """Return the sum of ``outer`` times the derivative by each of the settings but the noise."""
        size = len(self.squares)
        by_together = (5 / 3) * (self.squares.reshape(size, -1) @ (outer * self.steep).ravel())
        alone = self.roots * self.roots * (1 + self.roots) * self.decays
        by_alone = alone.reshape(size, -1) @ outer.ravel() / (3 * size)
        by_share = self.summed * (1 - self.summed) * float((outer * (self.alone - self.together)).sum())
        by_scales = (1 - self.summed) * by_together + self.summed * by_alone
        return np.append(by_scales, (self.summed * by_alone.sum(), by_share))
