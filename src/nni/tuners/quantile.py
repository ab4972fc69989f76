"""Stops trials that are worse than most others were at the same step: the median rule, and that of any percentile.

D. Golovin and others, Google Vizier: A Service for Black-Box Optimization, 2017, section 3.2.2: the best value of a
trial so far is compared with the running averages that completed trials had at its step.
"""

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nni.core import model


class Quantile:
    """See ``algorithm.Assessor``."""

    def __init__(self, share: float, start_step: int, *, maximize: bool) -> None:
        """Say which share of the trials is good enough, and from which step on they are compared."""
        self._share, self._start = share, start_step
        self._sign = -1.0 if maximize else 1.0
        self._histories: dict[model.TrialId, list[float]] = {}
        self._averages: list[list[float]] = []
        """For each step the running averages of completed trials, sorted."""

    def assess(self, trial: model.TrialId, history: Sequence[float]) -> bool:
        """See ``algorithm.Assessor``."""
        losses = [self._sign * value for value in history]
        self._histories[trial] = losses
        step = len(losses)
        if step < max(self._start, 1) or step > len(self._averages):
            return True
        others = self._averages[step - 1]
        worst_good = others[min(math.floor(self._share * len(others)), len(others) - 1)]
        return min(losses) <= worst_good

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See ``algorithm.Assessor``."""
        losses = self._histories.pop(trial, [])
        if not succeeded:
            return
        for step, total in enumerate(itertools.accumulate(losses), 1):
            if step > len(self._averages):
                self._averages.append([])
            bisect.insort(self._averages[step - 1], total / step)


def make(arguments: Mapping[str, Any]) -> Quantile:
    """Make the assessor that is called Percentile."""
    maximize = arguments["optimize_mode"] == "maximize"
    return Quantile(arguments["percentile"] / 100, arguments["start_step"], maximize=maximize)


def make_median(arguments: Mapping[str, Any]) -> Quantile:
    """Make the assessor that is called Medianstop."""
    return make({**arguments, "percentile": 50.0})
