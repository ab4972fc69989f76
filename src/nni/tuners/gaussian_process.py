"""A Gaussian process on the cube of a search space: what the loss may be where no trial has been.

C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5. The mean is a
constant and, like the amplitude, has the value that is best for the rest. The other hyper-parameters are those of
maximum posterior, with the log-normal prior on length-scales that grows with the square root of the dimension
(C. Hvarfner, E. O. Hellsten, L. Nardi, Vanilla Bayesian Optimization Performs Great in High Dimensions, 2024).
"""

import dataclasses
import math

import numpy as np
from scipy import linalg, optimize

from nni.tuners.cube import Matrix, Vector
from nni.tuners.kernel import Kernel, Settings

_SCALE_MEAN, _SCALE_SPREAD = math.sqrt(2) - 3, math.sqrt(3)
"""Of the length-scale's logarithm: the mode of the log-normal density, which is what that paper's search maximises."""
_OTHERS_MEAN = np.array([0.0, 0.0, math.log(1e-5)])
_OTHERS_SPREAD = np.array([1.0, 1.5, 2.5])
_SCALE_BOUNDS = (math.log(0.02), math.log(50.0))
_OTHERS_BOUNDS = [(-3.0, 3.0), (-6.0, 6.0)]
_LEAST_NOISE, _MOST_NOISE = 1e-8, 10.0
_BRANCH_MOST = 0.0
"""Logarithm of the largest length-scale of a choice that others hang on: one branch says little of another."""
_AMPLITUDE_WEIGHT = 1.0
"""How many trials the prior amplitude of 1 counts as."""
_LEAST_VARIANCE = 1e-12


class NotDefiniteError(Exception):
    """The covariance could not be decomposed."""


class Posterior:
    """What is believed after some trials."""

    def __init__(self, kernel: Kernel, places: Matrix, losses: Vector, settings: Settings) -> None:
        """Condition on trials.

        Args:
            kernel: The covariance.
            places: One trial a row, without NaN.
            losses: One for each.
            settings: The hyper-parameters.

        Raises:
            NotDefiniteError: The linear algebra failed.
        """
        self._kernel, self._places, self._settings = kernel, places, settings
        covariance = kernel.across(places, places, settings)
        covariance[np.diag_indices_from(covariance)] = 1 + math.exp(settings.noise)
        self._inverse = _inverted(_decomposed(covariance))
        ones = self._inverse @ np.ones(len(losses))
        whitened = self._inverse @ losses
        self._mean = float(ones @ whitened / (ones @ ones))
        whitened = whitened - self._mean * ones
        self._solved = self._inverse.T @ whitened
        self._amplitude = float((whitened @ whitened + _AMPLITUDE_WEIGHT) / (len(losses) + _AMPLITUDE_WEIGHT))

    @property
    def noise_deviation(self) -> float:
        """The standard deviation of what trials at the same place report."""
        return math.sqrt(self._amplitude * math.exp(self._settings.noise))

    def predict(self, places: Matrix) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the loss, without noise, at places."""
        covariance = self._kernel.across(places, self._places, self._settings)
        reached = covariance @ self._inverse.T
        left = np.maximum(1 - np.einsum("ij,ij->i", reached, reached), _LEAST_VARIANCE)
        return self._mean + covariance @ self._solved, np.sqrt(self._amplitude * left)

    def slopes(self, place: Vector) -> tuple[float, float, Vector, Vector]:
        """Return mean and standard deviation at a place, and their gradients; those of categories mean nothing."""
        covariance, by_place = self._kernel.by_place(place, self._places, self._settings)
        reached = self._inverse @ covariance
        left = max(1 - float(reached @ reached), _LEAST_VARIANCE)
        deviation = math.sqrt(self._amplitude * left)
        by_left = -2 * (self._inverse.T @ reached) @ by_place
        mean = self._mean + float(covariance @ self._solved)
        return mean, deviation, self._solved @ by_place, by_left * (self._amplitude / (2 * deviation))


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    """Hyper-parameters and how well they explain the trials."""

    settings: Settings
    log_likelihood: float
    """Without the prior."""


def start(kernel: Kernel) -> Settings:
    """Return hyper-parameters to begin with."""
    scales = np.full(kernel.size, math.log(0.5) + 0.25 * math.log(kernel.size))
    return Settings(np.minimum(scales, _longest(kernel)), 0.0, 0.0, math.log(1e-4))


def fit(
    kernel: Kernel,
    places: Matrix,
    losses: Vector,
    begin: Settings,
    rounds: int,
    *,
    least_noise: float = _LEAST_NOISE,
) -> Fit:
    """Return the hyper-parameters of maximum posterior.

    Args:
        kernel: The covariance.
        places: One trial a row, without NaN.
        losses: One for each, of mean 0 and deviation 1 or so.
        begin: Where the search begins.
        rounds: How many steps L-BFGS may make.
        least_noise: Its variance as a share of the amplitude.
    """
    objective = _Objective(kernel, places, losses, least_noise)
    noise_bounds = (math.log(least_noise), math.log(_MOST_NOISE))
    bounds = [*((_SCALE_BOUNDS[0], longest) for longest in _longest(kernel)), *_OTHERS_BOUNDS, noise_bounds]
    options = {"maxiter": rounds, "maxfun": 2 * rounds}
    found = optimize.minimize(objective, begin.numbers, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    settings = Settings.of(found.x) if np.all(np.isfinite(found.x)) else begin
    return Fit(settings, objective.log_likelihood(settings))


class _Objective:
    """The negative logarithm of the posterior of hyper-parameters, mean and amplitude put at their best."""

    def __init__(self, kernel: Kernel, places: Matrix, losses: Vector, least_noise: float = _LEAST_NOISE) -> None:
        self._losses = losses
        self._pairs = kernel.pairs(places)
        scale_mean = _SCALE_MEAN + 0.5 * math.log(kernel.size)
        self._expected = np.append(np.full(kernel.size, scale_mean), _OTHERS_MEAN)
        self._expected[-1] = max(self._expected[-1], math.log(least_noise))
        self._spread = np.append(np.full(kernel.size, _SCALE_SPREAD), _OTHERS_SPREAD)

    def __call__(self, numbers: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient."""
        off = (numbers - self._expected) / self._spread
        prior, by_prior = 0.5 * float(off @ off), off / self._spread
        try:
            value, gradient = self._likelihood(Settings.of(numbers))
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
        count, noise = len(self._losses), math.exp(settings.noise)
        lower = _decomposed(self._pairs.covariance(settings, 1 + noise))
        whitener = _inverted(lower)
        inverse = whitener.T @ whitener
        ones = inverse.sum(1)
        off = self._losses - float(ones @ self._losses / ones.sum())
        solved = inverse @ off
        degrees = count + _AMPLITUDE_WEIGHT
        amplitude = (float(off @ solved) + _AMPLITUDE_WEIGHT) / degrees
        value = 0.5 * degrees * math.log(amplitude) + float(np.log(np.diag(lower)).sum())
        # Half the trace of (inverse - solved solved' / amplitude) times the covariance's derivative.
        outer = 0.5 * (inverse - np.outer(solved, solved) / amplitude)
        return value, np.append(self._pairs.gradient(settings, outer), noise * float(np.trace(outer)))


def _longest(kernel: Kernel) -> Vector:
    """Return the largest logarithm that each length-scale may have."""
    return np.where(kernel.is_branch, _BRANCH_MOST, _SCALE_BOUNDS[1])


def _decomposed(covariance: Matrix) -> Matrix:
    """Return the lower Cholesky factor."""
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
