"""Where a Gaussian process expects most of the next trial.

The logarithm of the expected improvement (D. R. Jones, M. Schonlau, W. J. Welch, Efficient Global Optimization, 1998),
which has a slope even where hardly any improvement is expected (S. Ament and others, Unexpected Improvements to
Expected Improvement, 2023).
"""

import math

import numpy as np
from scipy import optimize, special

from nni.tuners import cube as cubes
from nni.tuners.cube import Cube, Matrix, Vector
from nni.tuners.gaussian_process import Posterior
from nni.tuners.surrogate import Belief

_RANDOM = 300
"""Places of the first look that are drawn from the whole space."""
_NEAR_EACH = 40
"""Places of the first look around each of the best trials."""
_BEST = 5
_ROUNDS, _MUTANTS = 4, 60
"""Then so many rounds, each with so many neighbours of the best places so far, nearer and nearer."""
_POLISHED, _POLISH_STEPS = 2, 20
"""At the end so many of them are moved uphill along the gradient."""
_RETURNED = 300
"""Of a coarse grid the best ones may all have been tried."""
_LEAST_CHANCE = math.log(0.8)
"""A place whose chance to work is a smaller share of the largest chance does not come into question (M. A. Gelbart and
others, 2014: constraints that hold with a confidence)."""
_ROOT_2PI = math.sqrt(2 * math.pi)


def log_expected(means: Vector, deviations: Vector, best: float) -> Vector:
    """Return the logarithm of the expected improvement on the best loss."""
    return log_improvement((best - means) / deviations) + np.log(deviations)


def log_improvement(z: Vector) -> Vector:
    """Return ``log(pdf(z) + z cdf(z))`` of the normal distribution, right far out in the tail too."""
    z = np.asarray(z, dtype=float)
    pdf = -0.5 * z * z - math.log(_ROOT_2PI)
    near = np.maximum(z, -5.0)
    with np.errstate(divide="ignore"):
        plain = np.log(np.exp(-0.5 * near * near) / _ROOT_2PI + near * special.ndtr(near))
    # pdf(z) (1 + z cdf(z) / pdf(z)), the ratio by the scaled complementary error function.
    far = np.minimum(z, -5.0)
    ratio = math.sqrt(math.pi / 2) * special.erfcx(-far / math.sqrt(2))
    # Past -1e4 the difference is lost in rounding: it tends to 1 / z^2.
    rest = np.where(far > -1e4, np.maximum(1 + far * ratio, 1e-300), 1 / (far * far))
    improved: Vector = np.where(z > -5.0, plain, pdf + np.log(rest))
    return improved


class Search:
    """Looks for the place of largest expected improvement."""

    def __init__(self, cube: Cube, chance: np.random.Generator) -> None:
        """Take the space and where randomness comes from."""
        self._cube, self._chance = cube, chance

    def best(self, belief: Belief, good: Matrix) -> Matrix:
        """Return places, settled, the best first.

        Args:
            belief: What is believed.
            good: The best places so far, the best first.
        """
        near = [self._mutated(row, _NEAR_EACH, 0.1) for row in good[:_BEST]]
        found = _Found(belief)
        found.add(self._cube.random(_RANDOM, self._chance))
        found.add(np.concatenate(near))
        for turn in range(_ROUNDS):
            parents = found.top(_BEST)
            each = _MUTANTS // len(parents)
            found.add(np.concatenate([self._mutated(row, each, 0.1 / 3**turn) for row in parents]))
        for row in found.top(_POLISHED):
            found.add(self._polished(belief.posterior, row, belief.best)[None, :])
        return found.distinct(_RETURNED)

    def _mutated(self, row: Vector, count: int, width: float) -> Matrix:
        """Return neighbours of a place: a few of its dimensions changed, most of them a little."""
        size = len(self._cube)
        rows = np.repeat(row[None, :], count, axis=0)
        changes = self._chance.random((count, size)) < max(1.5 / size, 0.3)
        changes[np.arange(count), self._chance.integers(size, size=count)] = True
        widths = width * 10 ** self._chance.uniform(-1, 0.5, (count, 1))
        steps = self._chance.normal(size=(count, size)) * widths
        # An integer moves by one at least.
        one = np.sign(steps) * self._cube.steps
        steps = np.where(np.abs(steps) < self._cube.steps, one, steps)
        drawn = self._cube.random(count, self._chance)
        moved = np.where(self._cube.is_category, drawn, rows + steps)
        # What counts only since its parent was flipped has no number yet.
        changed = np.where(np.isnan(moved), drawn, moved)
        return self._cube.settle(np.where(changes | np.isnan(rows), changed, rows))

    def _polished(self, posterior: Posterior, row: Vector, best: float) -> Vector:
        """Return a place near by with more expected improvement: its real numbers moved uphill."""
        free = self._cube.is_real & ~np.isnan(row)
        if not free.any():
            return row
        place = cubes.hide_absent(row)

        def objective(numbers: Vector) -> tuple[float, Vector]:
            place[free] = numbers
            mean, deviation, by_mean, by_deviation = posterior.slopes(place)
            z = (best - mean) / deviation
            value = float(log_improvement(np.array(z)))
            # The derivative of the logarithm: cdf(z) / (pdf(z) + z cdf(z)).
            slope = math.exp(min(float(special.log_ndtr(z)) - value, 50.0))
            by_z = -(by_mean + z * by_deviation) / deviation
            gradient = slope * by_z + by_deviation / deviation
            return -(value + math.log(deviation)), -gradient[free]

        found = optimize.minimize(
            objective,
            place[free],
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * int(free.sum()),
            options={"maxiter": _POLISH_STEPS, "maxfun": _POLISH_STEPS + 10},
        )
        polished = row.copy()
        polished[free] = found.x
        settled: Vector = self._cube.settle(polished[None, :])[0]
        return settled


class _Found:
    """Places with their expected improvement, the best ones."""

    def __init__(self, belief: Belief) -> None:
        self._belief = belief
        self._rows: list[Matrix] = []
        self._improvements: list[Vector] = []
        self._chances: list[Vector] = []

    def add(self, rows: Matrix) -> None:
        places = cubes.hide_absent(rows)
        means, deviations = self._belief.posterior.predict(places)
        self._rows.append(rows)
        self._improvements.append(log_expected(means, deviations, self._belief.best))
        self._chances.append(self._belief.log_chance(places))

    def distinct(self, count: int) -> Matrix:
        """Return the best places, each once."""
        rows = self.top(sum(map(len, self._rows)))
        _, first = np.unique(cubes.hide_absent(rows), axis=0, return_index=True)
        once: Matrix = rows[np.sort(first)[:count]]
        return once

    def top(self, count: int) -> Matrix:
        improvements, chances = np.concatenate(self._improvements), np.concatenate(self._chances)
        values = np.where(chances < chances.max() + _LEAST_CHANCE, -np.inf, improvements + chances)
        values = np.where(np.isnan(values), -np.inf, values)
        chosen = np.argsort(-values, kind="stable")[:count]
        rows: Matrix = np.concatenate(self._rows)[chosen]
        return rows
