"""The Gaussian process of a history: which trials it sees, how it sees their losses, when it is fitted anew."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from nni.tuners import cube as cubes
from nni.tuners import gaussian_process, kernel, outcomes
from nni.tuners.cube import Cube, Vector
from nni.tuners.gaussian_process import Posterior
from nni.tuners.history import History

if TYPE_CHECKING:
    from nni.tuners.kernel import Settings

_MOST_BEST, _MOST_LATEST, _MOST_OTHERS = 90, 45, 45
_MOST = _MOST_BEST + _MOST_LATEST + _MOST_OTHERS
_REFIT_EACH = 5
"""After how many results it is fitted anew, once it sees not all trials."""
_COLD_EACH = 5
_COMPARE_EACH = 4
_COLD_ROUNDS, _WARM_ROUNDS = 40, 12
_NOISY = 0.1
"""From this deviation of the noise on, the best loss seen may be luck."""


@dataclasses.dataclass(frozen=True, slots=True)
class Belief:
    """What is believed, running trials included."""

    posterior: Posterior
    best: float
    """The loss to improve on, as the posterior sees losses."""


class Surrogate:
    """Keeps the hyper-parameters from one suggestion to the next."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take the space and where randomness comes from."""
        self._chance = chance
        self._kernel = kernel.Kernel(cube)
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
        places = cubes.hide_absent(past.rows[seen])
        losses = outcomes.tame(past.losses[seen])
        if self._chosen not in self._settings or len(past) - self._fitted_at >= (
            _REFIT_EACH if len(past) > _MOST else 1
        ):
            self._fit(places, losses)
            self._fitted_at = len(past)
        shown, _ = outcomes.apply(self._chosen, losses)
        settings = self._settings[self._chosen]
        posterior = Posterior(self._kernel, places, shown, settings)
        best = float(shown.min())
        if past.pending:
            # A running trial is taken to end as expected, at best as well as the best so far: then nothing is
            # expected of it any more (D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to parallelize
            # optimization, 2010: the kriging believer).
            running = cubes.hide_absent(np.stack(list(past.pending.values())))
            expected = np.maximum(posterior.predict(running)[0], best)
            posterior = Posterior(
                self._kernel, np.concatenate([places, running]), np.concatenate([shown, expected]), settings
            )
        if posterior.noise_deviation > _NOISY:
            best = float(posterior.predict(places)[0].min())
        return Belief(posterior, best)

    def _seen(self, past: History) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Return the numbers of the trials to look at: all, or the best, the latest and some others."""
        if len(past) <= _MOST:
            return np.arange(len(past))
        chosen = set(past.best(_MOST_BEST)) | set(range(len(past) - _MOST_LATEST, len(past)))
        # The others stay the same between two fits.
        chance = np.random.default_rng(self._fits)
        while len(chosen) < _MOST:
            chosen.update(int(one) for one in chance.integers(len(past), size=_MOST - len(chosen)))
        return np.array(sorted(chosen))

    def _fit(self, places: cubes.Matrix, losses: Vector) -> None:
        is_comparing = self._fits % _COMPARE_EACH == 0
        is_cold = self._fits % _COLD_EACH == 0
        self._fits += 1
        likelihoods = {}
        for transform in outcomes.ALL if is_comparing else (self._chosen,):
            shown, steepness = outcomes.apply(transform, losses)
            begin = None if is_cold else self._settings.get(transform)
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
