"""The Gaussian process of a history: which trials it sees, how it sees their losses, when it is fitted anew."""

import math

import numpy as np

from nni.tuners import cube as cubes
from nni.tuners import gaussian_process, outcomes
from nni.tuners.cube import Cube, Matrix, Vector
from nni.tuners.gaussian_process import Posterior
from nni.tuners.history import History
from nni.tuners.kernel import Kernel, Settings

_MOST, _LEAST = 150, 60
"""How many trials it sees at most: half of them the best, a quarter the latest; fewer in more than 15 dimensions."""
_MOST_NUMBERS = 15 * _MOST**2
_REFIT_SLOWER = 45
"""With every so many trials one more result is waited for before it is fitted anew."""
_COLD_EACH = 5
_COMPARE_EACH = 4
_COLD_ROUNDS, _WARM_ROUNDS = 20, 8
_NOISY = 0.1
"""From this deviation of the noise on, the best loss seen may be luck."""


class Belief:
    """What is believed, running trials included."""

    def __init__(self, posterior: Posterior, best: float, kernel: Kernel, successes: Matrix, failures: Matrix) -> None:
        """Take the posterior, the loss to improve on as it sees losses, and where trials worked and failed."""
        self.posterior, self.best, self._kernel = posterior, best, kernel
        self._successes, self._failures = successes, failures

    def log_chance(self, places: Matrix) -> Vector:
        """Return the logarithm of the chance that trials at places do not fail: a vote of the trials near by.

        Expected improvement is multiplied by it (M. A. Gelbart, J. Snoek, R. P. Adams, Bayesian Optimization with
        Unknown Constraints, 2014); the vote is that of E. A. Nadaraya and G. S. Watson, 1964.
        """
        if not len(self._failures):
            return np.zeros(len(places))
        good = self._kernel.nearness(places, self._successes).sum(1)
        bad = self._kernel.nearness(places, self._failures).sum(1)
        chance: Vector = np.log((good + 1) / (good + bad + 1))
        return chance


class Surrogate:
    """Keeps the hyper-parameters from one suggestion to the next."""

    def __init__(self, cube: Cube) -> None:
        """Take the space."""
        self._kernel = Kernel(cube)
        self._most = min(_MOST, max(_LEAST, math.isqrt(_MOST_NUMBERS // len(cube))))
        self._settings: dict[outcomes.Transform, Settings] = {}
        self._chosen = outcomes.PLAIN
        self._fits = 0
        self._fitted_at = 0

    def believe(self, past: History) -> Belief:
        """Return what a history makes believe.

        Raises:
            NotDefiniteError: The linear algebra failed.
        """
        seen = self._seen(past)
        is_usable = outcomes.usable(past.losses[seen])
        rows = cubes.hide_absent(past.rows[seen])
        places, failures, losses = rows[is_usable], rows[~is_usable], past.losses[seen][is_usable]
        is_new = self._chosen not in self._settings
        if is_new or len(past) - self._fitted_at > len(seen) // _REFIT_SLOWER:
            self._fit(places, losses)
            self._fitted_at = len(past)
        shown, _ = outcomes.apply(self._chosen, losses)
        settings = self._settings[self._chosen]
        posterior = Posterior(self._kernel, places, shown, settings)
        best = float(shown.min())
        unknown = np.concatenate([failures, cubes.hide_absent(past.running)])
        if len(unknown):
            # A running trial is taken to end as expected, at best as well as the best so far: then nothing is
            # expected of it any more (D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to parallelize
            # optimization, 2010: the kriging believer). So is one that failed.
            expected = np.maximum(posterior.predict(unknown)[0], best)
            posterior = Posterior(
                self._kernel, np.concatenate([places, unknown]), np.concatenate([shown, expected]), settings
            )
        if posterior.noise_deviation > _NOISY:
            best = float(posterior.predict(places)[0].min())
        return Belief(posterior, best, self._kernel, places, failures)

    def _seen(self, past: History) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Return the numbers of the trials to look at: all, or the best, the latest and some others."""
        most = self._most
        if len(past) <= most:
            return np.arange(len(past))
        chosen = set(past.best(most // 2)) | set(range(len(past) - most // 4, len(past)))
        # The others stay the same between two fits.
        chance = np.random.default_rng(self._fits)
        while len(chosen) < most:
            chosen.update(int(one) for one in chance.integers(len(past), size=most - len(chosen)))
        return np.array(sorted(chosen))

    def _fit(self, places: Matrix, losses: Vector) -> None:
        is_comparing = self._fits % _COMPARE_EACH == 0
        is_cold = self._fits % _COLD_EACH == 0
        self._fits += 1
        likelihoods = {}
        for transform in outcomes.ALL if is_comparing else (self._chosen,):
            shown, steepness = outcomes.apply(transform, losses)
            begin = None if is_cold and transform == self._chosen else self._settings.get(transform)
            rounds = _COLD_ROUNDS if begin is None else _WARM_ROUNDS
            fit = gaussian_process.fit(
                self._kernel, places, shown, begin or gaussian_process.start(self._kernel), rounds
            )
            self._settings[transform] = fit.settings
            likelihoods[transform] = fit.log_likelihood / len(losses) + steepness
        if is_comparing:
            best = max(likelihoods, key=likelihoods.__getitem__)
            is_better = likelihoods[best] > likelihoods[outcomes.PLAIN] + outcomes.MARGIN
            self._chosen = best if is_better else outcomes.PLAIN
