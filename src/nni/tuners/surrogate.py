"""The Gaussian process of a history: which trials it sees, how it sees their losses, when it is fitted anew.

Where trials failed there is a second one beside it: of whether they work.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

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
_LABEL_NOISE = 1.0
"""Of whether trials work, at least, as a share of the amplitude: it jumps, and with less every failure is an island."""


class Belief:
    """What is believed, running trials included."""

    def __init__(self, posterior: Posterior, best: float, working: Posterior | None) -> None:
        """Take the posterior and the loss to improve on, as it sees losses.

        Args:
            posterior: Of the loss.
            best: What is to be improved on.
            working: Of whether trials work, 1 for those that do and -1 for those that fail; None when all did.
        """
        self.posterior, self.best, self._working = posterior, best, working

    def log_chance(self, places: Matrix) -> Vector:
        """Return the logarithm of the chance that trials at places do not fail.

        Expected improvement is multiplied by it (M. A. Gelbart, J. Snoek, R. P. Adams, Bayesian Optimization with
        Unknown Constraints, 2014; J. R. Gardner and others, Bayesian Optimization with Inequality Constraints, 2014).
        """
        if self._working is None:
            return np.zeros(len(places))
        means, deviations = self._working.predict(places)
        chance: Vector = special.log_ndtr(means / np.hypot(deviations, self._working.noise_deviation))
        return chance


class Surrogate:
    """Keeps the hyper-parameters from one suggestion to the next."""

    def __init__(self, cube: Cube) -> None:
        """Take the space."""
        self._kernel = Kernel(cube)
        self._most = min(_MOST, max(_LEAST, math.isqrt(_MOST_NUMBERS // len(cube))))
        self._settings: dict[outcomes.Transform, Settings] = {}
        self._working: Settings | None = None
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
        is_due = is_new or len(past) - self._fitted_at > len(seen) // _REFIT_SLOWER
        if is_due:
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
        working = None if is_usable.all() else self._believe_working(rows, is_usable, is_due=is_due)
        return Belief(posterior, best, working)

    def _believe_working(self, places: Matrix, is_usable: npt.NDArray[np.bool_], *, is_due: bool) -> Posterior:
        """Return what is believed of where trials work: a process of its own, fitted to 1 and -1.

        Least-squares classification (C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning,
        2006, section 6.5): failures that have a reason have long length-scales in what it depends on, those by chance
        are noise.
        """
        labels = np.where(is_usable, 1.0, -1.0)
        if self._working is None or is_due:
            begin = self._working or gaussian_process.start(self._kernel)
            rounds = _COLD_ROUNDS if self._working is None else _WARM_ROUNDS
            fit = gaussian_process.fit(self._kernel, places, labels, begin, rounds, least_noise=_LABEL_NOISE)
            self._working = fit.settings
        return Posterior(self._kernel, places, labels, self._working)

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
