"""Auto's parts: the cube, the Gaussian process and its derivatives, the improvement, the guards."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from nni.core import space
from nni.testing import tuner as scripted
from nni.tuners import anneal, auto, cube, gaussian_process, history, improvement, kernel, outcomes, surrogate
from nni.tuners.cube_tuner import CubeTuner

MIXED = {
    "a": {"_type": "uniform", "_value": [0, 1]},
    "b": {"_type": "loguniform", "_value": [0.001, 1]},
    "c": {"_type": "choice", "_value": ["x", "y", "z"]},
    "d": {"_type": "randint", "_value": [0, 9]},
    "e": {
        "_type": "choice",
        "_value": [{"_name": "none"}, {"_name": "some", "f": {"_type": "uniform", "_value": [5, 6]}}],
    },
}


def a_cube(described: Mapping[str, Any] = MIXED) -> cube.Cube:
    return cube.Cube(space.parse(described))


def test_a_place_becomes_parameters_and_is_found_again() -> None:
    its = a_cube()
    for row in its.random(50, np.random.default_rng(0)):
        again = its.encode(its.decode(row))
        assert again is not None
        assert again == pytest.approx(row, nan_ok=True)


def test_where_parameters_lie() -> None:
    found = a_cube().encode({"a": 0.25, "b": 0.1, "c": "z", "d": 0, "e": {"_name": "none"}})
    assert found is not None
    assert found == pytest.approx([0.25, 2 / 3, 2, 0.5 / 9, 0, math.nan], nan_ok=True)
    assert a_cube().encode({"a": 7}) is None


def test_settling_rounds_clips_and_leaves_out_what_does_not_count() -> None:
    rows = np.array([[1.5, -0.5, 7.0, 0.49, 0.0, 0.3], [0.1, 0.2, 0.4, 0.0, 1.0, math.nan]])
    assert a_cube().settle(rows) == pytest.approx(
        np.array([[1.0, 0.0, 2.0, 4.5 / 9, 0.0, math.nan], [0.1, 0.2, 0.0, 0.5 / 9, 1.0, 0.5]]), nan_ok=True
    )


def some_trials(count: int) -> tuple[cube.Cube, kernel.Kernel, cube.Matrix, cube.Vector]:
    its = a_cube()
    places = cube.hide_absent(its.random(count, np.random.default_rng(1)))
    losses = np.sin(4 * places[:, 0]) + places[:, 1] ** 2 + (places[:, 2] == 1) + 0.3 * places[:, 3]
    return its, kernel.Kernel(its), places, (losses - losses.mean()) / losses.std()


def test_the_posteriors_gradient_by_the_hyper_parameters_is_that_of_its_value() -> None:
    _, its, places, losses = some_trials(25)
    objective = gaussian_process._Objective(its, places, losses)
    at = gaussian_process.start(its).numbers + 0.1
    _, gradient = objective(at)
    for index, step in enumerate(np.eye(len(at)) * 1e-6):
        slope = (objective(at + step)[0] - objective(at - step)[0]) / 2e-6
        assert gradient[index] == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_the_slopes_of_mean_and_deviation_are_those_of_what_is_predicted() -> None:
    _, its, places, losses = some_trials(25)
    posterior = gaussian_process.Posterior(its, places, losses, gaussian_process.start(its))
    at = places[3] + np.array([0.05, 0.02, 0, 0.01, 0, 0])
    mean, deviation, by_mean, by_deviation = posterior.slopes(at)
    assert [float(one[0]) for one in posterior.predict(at[None, :])] == pytest.approx([mean, deviation])
    for index in (0, 1, 3):
        step = np.zeros(len(at))
        step[index] = 1e-6
        above, below = posterior.predict((at + step)[None, :]), posterior.predict((at - step)[None, :])
        assert by_mean[index] == pytest.approx(float(above[0][0] - below[0][0]) / 2e-6, rel=1e-4, abs=1e-6)
        assert by_deviation[index] == pytest.approx(float(above[1][0] - below[1][0]) / 2e-6, rel=1e-3, abs=1e-6)


def test_a_fitted_process_predicts_what_it_has_not_seen() -> None:
    _, its, places, losses = some_trials(80)
    fit = gaussian_process.fit(its, places[:60], losses[:60], gaussian_process.start(its), 40)
    means, deviations = gaussian_process.Posterior(its, places[:60], losses[:60], fit.settings).predict(places[60:])
    assert np.abs(means - losses[60:]).mean() < 0.1
    assert np.mean(np.abs(means - losses[60:]) < 3 * deviations) > 0.9


@pytest.mark.parametrize("z", [-1e6, -1e3, -40.0, -8.0, -5.0001, -4.9999, -1.0, 0.0, 3.0])
def test_the_logarithm_of_the_improvement_is_right_far_out_too(z: float) -> None:
    found = float(improvement.log_improvement(np.array(z)))
    if z > -5:
        pdf = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        assert found == pytest.approx(math.log(pdf + z * 0.5 * math.erfc(-z / math.sqrt(2))), rel=1e-9)
    else:
        # Mills' ratio: pdf(z) / z^2 (1 - 3 / z^2 + 15 / z^4 - ...)
        expected = -z * z / 2 - math.log(math.sqrt(2 * math.pi)) - 2 * math.log(-z) + math.log1p(-3 / z**2 + 15 / z**4)
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("losses", "usable"),
    [
        ([1, 2, 3, math.inf, 4], [True, True, True, False, True]),
        ([1, 2, 3, 4, 5, 1e90], [True, True, True, True, True, False]),
        ([1, 1, 1, 1, 900], [True, True, True, True, True]),
        ([math.inf, math.inf], [False, False]),
    ],
)
def test_failures_and_giants_say_nothing_of_their_neighbours(losses: list[float], usable: list[bool]) -> None:
    assert list(outcomes.usable(np.array(losses))) == usable


@pytest.mark.parametrize("transform", outcomes.ALL)
def test_a_transform_keeps_the_order_and_knows_its_derivative(transform: outcomes.Transform) -> None:
    losses = np.array([3.0, 1.0, 2.0, 40.0, 1000.0])
    seen, steepness = outcomes.apply(transform, losses)
    assert list(np.argsort(seen)) == list(np.argsort(losses))
    assert (seen.mean(), seen.std()) == pytest.approx((0, 1))
    step = 1e-5
    slopes = []
    for index in (0, 2, 3):
        moved = losses.copy()
        moved[index] += step
        slopes.append((outcomes.apply(transform, moved)[0][index] - seen[index]) / step)
    assert all(slope > 0 for slope in slopes)
    assert math.isfinite(steepness)
    assert outcomes.apply(transform, np.ones(4))[0] == pytest.approx([0, 0, 0, 0])


def a_tuner(described: Mapping[str, Any], seed: int = 1) -> tuple[CubeTuner, auto.Auto]:
    its = a_cube(described)
    chance = np.random.default_rng(seed)
    proposer = auto.Auto(its, chance)
    return CubeTuner(its, proposer, chance, maximize=False, seed=seed), proposer


def test_failing_linear_algebra_leaves_the_suggestion_to_annealing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fail(*_: Any) -> None:
        asked.append(1)
        raise gaussian_process.NotDefiniteError

    monkeypatch.setattr(surrogate.Surrogate, "believe", fail)
    tuner, _ = a_tuner({"x": {"_type": "uniform", "_value": [0, 1]}})
    for number in range(40):
        parameters = tuner.suggest(number)
        tuner.learn(scripted.outcome(number, parameters, (parameters["x"] - 0.3) ** 2))
    assert len(asked) > 20
    assert abs(tuner.suggest(99)["x"] - 0.3) < 0.3


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300, None])
def test_odd_results_hold_nothing_up(odd: float | None) -> None:
    tuner, _ = a_tuner({name: {"_type": "uniform", "_value": [-1, 1]} for name in "ab"})
    losses = []
    for number in range(50):
        parameters = tuner.suggest(number)
        loss = (parameters["a"] - 0.3) ** 2 + (parameters["b"] + 0.5) ** 2
        losses.append(loss)
        tuner.learn(scripted.outcome(number, parameters, odd if number % 4 == 3 else loss))
    assert min(losses) < 1e-3


def believed(fails: Callable[[cube.Vector], bool]) -> tuple[cube.Cube, surrogate.Belief]:
    its = a_cube({name: {"_type": "uniform", "_value": [0, 1]} for name in "ab"})
    past = history.History(its)
    for row in its.random(60, np.random.default_rng(0)):
        past.add(row, math.inf if fails(row) else float(row[1]))
    return its, surrogate.Surrogate(its).believe(past)


def test_where_trials_fail_for_a_reason_hardly_any_is_expected_to_work() -> None:
    _, belief = believed(lambda row: bool(row[0] > 0.6))
    good, edge, bad = np.exp(belief.log_chance(np.array([[0.2, 0.5], [0.6, 0.5], [0.9, 0.5]])))
    assert good > 0.8
    assert 0.2 < edge < 0.8
    assert bad < 0.2


def test_failures_by_chance_make_no_place_worse_than_others() -> None:
    chance = np.random.default_rng(1)
    its, belief = believed(lambda _: bool(chance.random() < 0.1))
    chances = np.exp(belief.log_chance(its.random(100, np.random.default_rng(2))))
    assert chances.min() > 0.8 * chances.max()


def test_where_nothing_failed_the_chance_changes_nothing() -> None:
    its, belief = believed(lambda _: False)
    assert not belief.log_chance(its.random(5, np.random.default_rng(2))).any()


def test_what_comes_into_question_comes_into_question_once() -> None:
    branch = {"_name": "some", "x": {"_type": "uniform", "_value": [0, 1]}}
    its = a_cube({"net": {"_type": "choice", "_value": [{"_name": "none"}, branch]}})
    past, chance = history.History(its), np.random.default_rng(1)
    for row in its.random(12, chance):
        past.add(row, 0.0 if row[0] == 0 else 1 + row[1])
    belief = surrogate.Surrogate(its).believe(past)
    places = cube.hide_absent(improvement.Search(its, chance).best(belief, past.rows[past.best(5)]))
    assert 100 < len(places) == len(np.unique(places, axis=0))


def test_running_trials_are_not_proposed_again_nor_their_neighbours() -> None:
    tuner, _ = a_tuner({"x": {"_type": "uniform", "_value": [0, 1]}})
    for number in range(12):
        parameters = tuner.suggest(number)
        tuner.learn(scripted.outcome(number, parameters, (parameters["x"] - 0.3) ** 2))
    running = [tuner.suggest(100 + number)["x"] for number in range(8)]
    assert min(abs(one - other) for place, one in enumerate(running) for other in running[:place]) > 1e-4


def test_all_results_alike_and_identical_trials_are_harmless() -> None:
    tuner, _ = a_tuner(MIXED)
    for number in range(30):
        tuner.learn(
            scripted.outcome(1000 + number, {"a": 0.5, "b": 0.1, "c": "x", "d": 3, "e": {"_name": "none"}}, 1.0)
        )
    for number in range(10):
        tuner.learn(scripted.outcome(number, tuner.suggest(number), 1.0))


def test_annealing_narrows_its_window() -> None:
    its = a_cube({"x": {"_type": "uniform", "_value": [0, 1]}})
    past = history.History(its)
    past.add(np.array([0.5]), 0.0)
    proposer = anneal.Annealing(its, np.random.default_rng(0)).propose(past)
    wide = [abs(float(next(proposer)[0]) - 0.5) for _ in range(200)]
    for _ in range(200):
        past.add(np.array([0.5]), 0.0)
    narrow = [abs(float(next(proposer)[0]) - 0.5) for _ in range(200)]
    assert max(wide) > 0.4
    assert max(narrow) < 0.05


def test_annealing_keeps_away_from_running_trials() -> None:
    its = a_cube({"x": {"_type": "uniform", "_value": [0, 1]}})
    past = history.History(its)
    for _ in range(20):
        past.add(np.array([0.5]), 0.0)
    gaps = []
    for running in ({}, {7: np.array([0.5])}):
        past.pending = running
        proposer = anneal.Annealing(its, np.random.default_rng(0), candidates=2).propose(past)
        gaps.append(np.mean([abs(float(next(proposer)[0]) - 0.5) for _ in range(200)]))
    assert gaps[1] > 1.2 * gaps[0]


def test_a_history_ranks_and_counts() -> None:
    its = a_cube({"x": {"_type": "uniform", "_value": [0, 1]}})
    past = history.History(its)
    for number in range(200):
        past.add(np.array([number / 200]), math.inf if number % 2 else abs(number - 100))
    assert (len(past), past.successes) == (200, 100)
    assert past.best(3) == [100, 98, 102]
    assert next(past.ranked(0)) == 0.5
