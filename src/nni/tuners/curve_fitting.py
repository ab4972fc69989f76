"""Stops trials whose learning curve, carried on to the last epoch, ends worse than the best trial.

T. Domhan, J. T. Springenberg, F. Hutter, Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by
Extrapolation of Learning Curves, 2015: saturating curves are fitted, and each counts as well as it fits. Here they are
three (exponential, power law, logistic in the logarithm), fitted by least squares.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import optimize

from nni.core import model
from nni.tuners.cube import Vector

_ROUNDS = 200
_CURVES: tuple[Callable[[Vector, Vector], Vector], ...] = (
    lambda steps, at: at[0] + at[1] * np.exp(-np.exp(at[2]) * steps),
    lambda steps, at: at[0] + at[1] * steps ** -np.exp(at[2]),
    lambda steps, at: at[0] + at[1] / (1 + (steps / np.exp(at[2])) ** 2),
)
"""Each has a last value, how far the first is from it, and a speed."""


class CurveFitting:
    """See ``algorithm.Assessor``."""

    def __init__(self, epochs: int, start_step: int, threshold: float, gap: int, *, maximize: bool) -> None:
        """Take NNI's arguments.

        Args:
            epochs: The last epoch, for which is predicted.
            start_step: From how many results on.
            threshold: How near to the best a trial must come: 0.95 lets it be 5 % worse.
            gap: Every how many results.
            maximize: Whether larger values are better.
        """
        self._epochs, self._start, self._gap = epochs, start_step, gap
        self._slack = 1 - threshold
        self._maximize = maximize
        self._last: dict[model.TrialId, float] = {}
        self._judged: dict[model.TrialId, int] = {}
        self._best: float | None = None

    def assess(self, trial: model.TrialId, history: Sequence[float]) -> bool:
        """See ``algorithm.Assessor``."""
        self._last[trial] = history[-1]
        step = len(history)
        if step < self._judged.get(trial, 0):
            # Another attempt of it, whose curve begins anew.
            del self._judged[trial]
        if (
            self._best is None
            or step < self._start
            or step >= self._epochs
            or step - self._judged.get(trial, -self._gap) < self._gap
        ):
            return True
        self._judged[trial] = step
        expected = predict(history, self._epochs)
        if expected is None:
            return True
        slack = self._slack * abs(self._best)
        return expected > self._best - slack if self._maximize else expected < self._best + slack

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See ``algorithm.Assessor``."""
        self._judged.pop(trial, None)
        last = self._last.pop(trial, None)
        if succeeded and last is not None and math.isfinite(last):
            better = max if self._maximize else min
            self._best = last if self._best is None else better(self._best, last)


def predict(history: Sequence[float], step: int) -> float | None:
    """Return the value that a curve is expected to have at a step, None where no curve can be fitted."""
    values = np.array(history, dtype=float)
    if not np.all(np.isfinite(values)):
        return None
    spread = float(values.max() - values.min())
    if spread == 0:
        return float(values[-1])
    seen = (values - values[-1]) / spread
    steps = np.arange(1, len(values) + 1, dtype=float)
    guesses, weights = [], []
    for curve in _CURVES:
        try:
            fitted = optimize.least_squares(
                lambda at, curve=curve: curve(steps, at) - seen,
                (0.0, seen[0], math.log(2 / len(values))),
                max_nfev=_ROUNDS,
            )
            guess = float(curve(np.array([float(step)]), fitted.x)[0])
        except (ValueError, FloatingPointError):
            continue
        if math.isfinite(guess):
            guesses.append(guess)
            weights.append(1 / (2 * fitted.cost / len(values) + 1e-6))
    if not guesses:
        return None
    return float(values[-1] + spread * np.average(guesses, weights=weights))


def make(arguments: Mapping[str, Any]) -> CurveFitting:
    """Make the assessor that is called Curvefitting."""
    return CurveFitting(
        arguments["epoch_num"],
        arguments["start_step"],
        arguments["threshold"],
        arguments["gap"],
        maximize=arguments["optimize_mode"] == "maximize",
    )
