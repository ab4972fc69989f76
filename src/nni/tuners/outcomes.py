"""Losses as a Gaussian process likes them: of mean 0 and deviation 1, their logarithm where that explains them better.

A logarithm is taken of the distance to the best loss, so that valleys whose walls rise by powers of ten keep their
ground (compare the power transforms of E. Snelson, C. E. Rasmussen, Z. Ghahramani, Warped Gaussian Processes, 2004,
and of A. I. Cowen-Rivers et al., HEBO, 2022). Which is better is told by the likelihood of the untransformed
losses: the transform's derivative counts.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from nni.tuners.cube import Vector

_FAR = 1000.0
"""A loss so many times further from the best than half of all counts as a failure."""
LARGEST = 1e100
"""Losses beyond are cut, so that their squares are still numbers."""
MARGIN = 0.3
"""By how much a logarithm's log-likelihood for each trial must be better."""


@dataclasses.dataclass(frozen=True, slots=True)
class Transform:
    """How losses are seen."""

    softness: float | None
    """The quantile of the distances to the best that is added before the logarithm is taken; None for no logarithm."""


PLAIN = Transform(None)
ALL = (PLAIN, Transform(0.5), Transform(0.1))


def apply(transform: Transform, losses: Vector) -> tuple[Vector, float]:
    """Return losses as a transform shows them, with the mean logarithm of its derivative.

    Args:
        transform: One of ``ALL``.
        losses: Finite.
    """
    far = losses - losses.min()
    if transform.softness is None:
        seen, steep = far, np.zeros(len(far))
    else:
        offset = float(np.quantile(far, transform.softness)) or float(far.mean()) or 1.0
        seen, steep = np.log(far + offset), -np.log(far + offset)
    deviation = float(seen.std()) or 1.0
    return (seen - seen.mean()) / deviation, float(steep.mean()) - math.log(deviation)


def usable(losses: Vector) -> npt.NDArray[np.bool_]:
    """Return which losses say something of their neighbours: not failures (infinity), and not giants."""
    finite = np.isfinite(losses)
    if not finite.any():
        return finite
    low, middle = (float(one) for one in np.quantile(losses[finite], (0.0, 0.5)))
    return finite & ((losses <= low + _FAR * (middle - low)) | (middle == low))
