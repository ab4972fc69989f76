"""A Gaussian process on the cube of a search space: what the loss may be where no trial has been.

Matern 5/2 with a length-scale for every dimension, categories compared by "same or different" (C. E. Rasmussen and
C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, chapters 2, 4 and 5). The mean is a constant and,
like the amplitude, has the value that is best for the rest. Length-scales and noise are those of maximum posterior,
with the log-normal prior on length-scales that grows with the square root of the dimension (C. Hvarfner, E. O.
Hellsten, L. Nardi, Vanilla Bayesian Optimization Performs Great in High Dimensions, 2024).
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from nni.tuners.cube import Matrix, Vector

_SCALE_MEAN, _SCALE_SPREAD = math.sqrt(2) - 3, math.sqrt(3)
"""Of the length-scale's logarithm: the mode of the log-normal density, which is what that paper's search maximises."""
_NOISE_MEAN, _NOISE_SPREAD = math.log(1e-5), 2.5
_BOUNDS_SCALE = (math.log(0.02), math.log(50.0))
_BOUNDS_NOISE = (math.log(1e-8), math.log(10.0))
_BRANCH_MOST = 0.0
"""Logarithm of the largest length-scale of a choice that others hang on: one branch says little of another."""
_AMPLITUDE_WEIGHT = 1.0
"""How many trials the prior amplitude of 1 counts as."""


class NotDefiniteError(Exception):
    """The covariance could not be decomposed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """How distances are taken between places."""

    is_category: npt.NDArray[np.bool_]
    is_branch: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        """The number of dimensions."""
        return len(self.is_category)

    def squares(self, left: Matrix, right: Matrix) -> npt.NDArray[np.float64]:
        """Return the squared distance in every dimension: dimension x left x right."""
        apart = left.T[:, :, None] - right.T[:, None, :]
        squares: npt.NDArray[np.float64] = apart * apart
        squares[self.is_category] = squares[self.is_category] > 0
        return squares

    def distances(self, left: Matrix, right: Matrix, weights: Vector) -> Matrix:
        """Return the weighted sum of ``squares`` over all dimensions."""
        numeric = ~self.is_category
        root = np.sqrt(weights[numeric])
        a, b = left[:, numeric] * root, right[:, numeric] * root
        sums = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * a @ b.T
        for index in np.flatnonzero(self.is_category):
            sums += weights[index] * (left[:, index][:, None] != right[:, index][None, :])
        distances: Matrix = np.maximum(sums, 0.0)
        return distances


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Hyper-parameters, all as logarithms: of the length-scales, and of the noise as a share of the amplitude."""

    scales: Vector
    noise: float

    @property
    def weights(self) -> Vector:
        """What squared distances are multiplied by."""
        weights: Vector = np.exp(-2 * self.scales)
        return weights


class Posterior:
    """What is believed after some trials."""

    def __init__(self, metric: Metric, places: Matrix, losses: Vector, settings: Settings) -> None:
        """Condition on trials.

        Args:
            metric: How distances are taken.
            places: One trial a row, without NaN.
            losses: One for each.
            settings: The hyper-parameters.

        Raises:
            NotDefiniteError: The linear algebra failed.
        """
        self._metric, self._places, self.settings = metric, places, settings
        self._weights = settings.weights
        covariance = _matern(metric.distances(places, places, self._weights))
        covariance[np.diag_indices_from(covariance)] = 1 + math.exp(settings.noise)
        lower = _cholesky(covariance)
        self._inverse = _inverted(lower)
        ones = self._inverse @ np.ones(len(losses))
        whitened = self._inverse @ losses
        self.mean = float(ones @ whitened / (ones @ ones))
        whitened = whitened - self.mean * ones
        self._solved = self._inverse.T @ whitened
        self.amplitude = float((whitened @ whitened + _AMPLITUDE_WEIGHT) / (len(losses) + _AMPLITUDE_WEIGHT))

    def predict(self, places: Matrix) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the loss, without noise, at places."""
        covariance = _matern(self._metric.distances(places, self._places, self._weights))
        means = self.mean + covariance @ self._solved
        reached = covariance @ self._inverse.T
        left = np.maximum(1 - np.einsum("ij,ij->i", reached, reached), 1e-12)
        return means, np.sqrt(self.amplitude * left)

    def slopes(self, place: Vector) -> tuple[float, float, Vector, Vector]:
        """Return mean and standard deviation at a place, and their gradients; those of categories mean nothing."""
        apart = place[None, :] - self._places
        apart[:, self._metric.is_category] = apart[:, self._metric.is_category] != 0
        root = np.sqrt(5 * np.maximum((apart * apart) @ self._weights, 0.0))
        decay = np.exp(-root)
        covariance = (1 + root + root * root / 3) * decay
        # The derivative of the covariance by the coordinates of the place.
        by_place = (-5 / 3) * ((1 + root) * decay)[:, None] * apart * self._weights
        reached = self._inverse @ covariance
        left = max(1 - float(reached @ reached), 1e-12)
        deviation = math.sqrt(self.amplitude * left)
        by_left = -2 * (self._inverse.T @ reached) @ by_place
        mean = self.mean + float(covariance @ self._solved)
        return mean, deviation, self._solved @ by_place, by_left * (self.amplitude / (2 * deviation))

    @property
    def noise_deviation(self) -> float:
        """The standard deviation of what trials at the same place report."""
        return math.sqrt(self.amplitude * math.exp(self.settings.noise))


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    """Hyper-parameters and how well they explain the trials."""

    settings: Settings
    log_likelihood: float
    """Without the prior."""


def start(metric: Metric) -> Settings:
    """Return hyper-parameters to begin with."""
    return Settings(
        np.minimum(np.full(metric.size, math.log(0.5) + 0.25 * math.log(metric.size)), _most(metric)), math.log(1e-4)
    )


def fit(metric: Metric, places: Matrix, losses: Vector, begin: Settings, rounds: int) -> Fit:
    """Return the hyper-parameters of maximum posterior.

    Args:
        metric: How distances are taken.
        places: One trial a row, without NaN.
        losses: One for each, of mean 0 and deviation 1 or so.
        begin: Where the search begins.
        rounds: How many steps L-BFGS may make.
    """
    objective = _Objective(metric, places, losses)
    bounds = [*((_BOUNDS_SCALE[0], most) for most in _most(metric)), _BOUNDS_NOISE]
    first = np.append(begin.scales, begin.noise)
    found = optimize.minimize(
        objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": rounds, "maxfun": 2 * rounds}
    )
    best = found.x if np.all(np.isfinite(found.x)) else first
    settings = Settings(best[:-1], float(best[-1]))
    return Fit(settings, objective.log_likelihood(settings))


class _Objective:
    """The negative logarithm of the posterior of hyper-parameters, mean and amplitude put at their best."""

    def __init__(self, metric: Metric, places: Matrix, losses: Vector) -> None:
        self._count = len(losses)
        self._losses = losses
        self._squares = metric.squares(places, places).reshape(metric.size, -1)
        self._scale_mean = _SCALE_MEAN + 0.5 * math.log(metric.size)

    def __call__(self, logs: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient."""
        settings = Settings(logs[:-1], float(logs[-1]))
        off_scale = (settings.scales - self._scale_mean) / _SCALE_SPREAD
        off_noise = (settings.noise - _NOISE_MEAN) / _NOISE_SPREAD
        prior = 0.5 * float(off_scale @ off_scale) + 0.5 * off_noise**2
        by_prior = np.append(off_scale / _SCALE_SPREAD, off_noise / _NOISE_SPREAD)
        try:
            value, gradient = self._likelihood(settings)
        except NotDefiniteError:
            return 1e10, by_prior
        return value + prior, gradient + by_prior

    def log_likelihood(self, settings: Settings) -> float:
        """Return it, or minus infinity where it cannot be computed."""
        try:
            return -self._likelihood(settings)[0]
        except NotDefiniteError:
            return -math.inf

    def _likelihood(self, settings: Settings) -> tuple[float, Vector]:
        count, weights, noise = self._count, settings.weights, math.exp(settings.noise)
        root = np.sqrt(5 * np.maximum(weights @ self._squares, 0.0)).reshape(count, count)
        decay = np.exp(-root)
        covariance = (1 + root + root * root / 3) * decay
        covariance[np.diag_indices(count)] = 1 + noise
        lower = _cholesky(covariance)
        inverse, failed = linalg.lapack.dpotri(lower, lower=1)
        if failed:
            raise NotDefiniteError
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        ones = inverse.sum(1)
        mean = float(ones @ self._losses / ones.sum())
        off = self._losses - mean
        solved = inverse @ off
        degrees = count + _AMPLITUDE_WEIGHT
        amplitude = (float(off @ solved) + _AMPLITUDE_WEIGHT) / degrees
        value = 0.5 * degrees * math.log(amplitude) + float(np.log(np.diag(lower)).sum())
        # Half the trace of (inverse - solved solved' / amplitude) times the covariance's derivative.
        outer = 0.5 * (inverse - np.outer(solved, solved) / amplitude)
        by_square = outer * ((-5 / 6) * (1 + root) * decay)
        by_scales = -2 * weights * (self._squares @ by_square.ravel())
        return value, np.append(by_scales, noise * float(np.trace(outer)))


def _most(metric: Metric) -> Vector:
    """Return the largest logarithm that each length-scale may have."""
    return np.where(metric.is_branch, _BRANCH_MOST, _BOUNDS_SCALE[1])


def _matern(squares: Matrix) -> Matrix:
    root = np.sqrt(5 * squares)
    covariance: Matrix = (1 + root + root * root / 3) * np.exp(-root)
    return covariance


def _cholesky(covariance: Matrix) -> Matrix:
    lower, failed = linalg.lapack.dpotrf(covariance, lower=1, clean=1)
    if failed or not np.all(np.isfinite(lower)):
        raise NotDefiniteError
    decomposed: Matrix = lower
    return decomposed


def _inverted(lower: Matrix) -> Matrix:
    inverse, failed = linalg.lapack.dtrtri(lower, lower=1)
    if failed:
        raise NotDefiniteError
    inverted: Matrix = inverse
    return inverted
