"""Which trials assessors stop."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from nni.core import model, spec
from nni.tuners import algorithm, curve_fitting, registry


def make(name: str, **arguments: Any) -> algorithm.Assessor:
    chosen = spec.AlgorithmSpec(name=name, class_args={"optimize_mode": "maximize", **arguments})
    entry, complete = registry.arguments_of(chosen, registry.ASSESSORS)
    made: algorithm.Assessor = entry.make(complete)
    return made


def plays(assessor: algorithm.Assessor, trial: str, values: Sequence[float], *, succeeded: bool = True) -> int | None:
    """Return after how many values a trial was stopped, None when it came to its end."""
    for step in range(1, len(values) + 1):
        if not assessor.assess(model.TrialId(trial), values[:step]):
            assessor.end(model.TrialId(trial), succeeded=False)
            return step
    assessor.end(model.TrialId(trial), succeeded=succeeded)
    return None


GOOD, MIDDLE, BAD = [0.5, 0.6, 0.7], [0.3, 0.4, 0.5], [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("arguments", "values", "stopped"),
    [
        ({}, GOOD, None),
        ({}, MIDDLE, None),
        # Below the median of running averages, 0.3, at once.
        ({}, BAD, 1),
        ({"start_step": 3}, BAD, 3),
        # Its best value so far counts, not the last one.
        ({}, [0.45, 0.1, 0.1], None),
        ({"optimize_mode": "minimize"}, GOOD, 1),
        ({"optimize_mode": "minimize"}, BAD, None),
        # Nobody else has come so far.
        ({}, [0.4, 0.4, 0.41, 0.0], None),
    ],
)
def test_medianstop(arguments: dict[str, Any], values: list[float], stopped: int | None) -> None:
    assessor = make("Medianstop", **{"start_step": 0, **arguments})
    for place, curve in enumerate((GOOD, MIDDLE, BAD)):
        # All come to their end together.
        assessor.assess(model.TrialId(f"old{place}"), curve)
    for place in range(3):
        assessor.end(model.TrialId(f"old{place}"), succeeded=True)
    assert plays(assessor, "new", values) == stopped


def test_medianstop_compares_with_completed_trials_alone() -> None:
    assessor = make("Medianstop")
    assert plays(assessor, "failed", GOOD, succeeded=False) is None
    assert plays(assessor, "bad", BAD) is None


def test_percentile_is_stricter_or_milder() -> None:
    for percentile, stopped in ((10, 1), (90, None)):
        assessor = make("Percentile", percentile=percentile)
        for place in range(10):
            assessor.assess(model.TrialId(f"old{place}"), [place / 10])
        for place in range(10):
            assessor.end(model.TrialId(f"old{place}"), succeeded=True)
        assert plays(assessor, "new", [0.45]) == stopped


def test_asha_lets_the_best_third_pass_its_steps() -> None:
    assessor = make("ASHA", min_step=1, eta=3)
    curves = {f"t{place}": [place / 10 + step / 100 for step in range(9)] for place in (1, 2, 9, 3, 8, 4, 7)}
    stopped = {trial: plays(assessor, trial, curve) for trial, curve in curves.items()}
    # The first two have nobody to be compared with; afterwards only those in the upper third go on.
    assert stopped == {"t1": None, "t2": None, "t9": None, "t3": 1, "t8": 1, "t4": 1, "t7": 1}


def test_asha_looks_at_its_steps_alone() -> None:
    assessor = make("ASHA", min_step=4, eta=2)
    for place in range(6):
        plays(assessor, f"t{place}", [1.0] * 3)
    assert plays(assessor, "bad", [0.0] * 3) is None


def test_an_attempt_that_is_repeated_counts_once_at_each_step() -> None:
    assessor = make("ASHA", min_step=2, eta=2)
    for _ in range(4):
        # No attempt comes to its end, by no fault of the trial's.
        assert all(assessor.assess(model.TrialId("best"), [0.9] * step) for step in (1, 2, 3))
    stopped = {value: plays(assessor, f"other{value}", [value] * 3) for value in (0.4, 0.6, 0.7)}
    # The last is the second of four.
    assert stopped == {0.4: 2, 0.6: 2, 0.7: None}


def test_an_attempt_that_is_repeated_is_judged_by_what_it_has_now() -> None:
    assessor = make("ASHA", min_step=1, eta=2)
    assert plays(assessor, "other", [0.5]) is None
    assert assessor.assess(model.TrialId("tried"), [0.6])
    assert not assessor.assess(model.TrialId("tried"), [0.4])
    assert plays(assessor, "third", [0.45]) == 1


def test_curvefitting_judges_an_attempt_that_is_repeated_from_its_beginning() -> None:
    assessor = make("Curvefitting", epoch_num=20, start_step=4)
    assert plays(assessor, "best", curve(0.9, 20)) is None
    tried = model.TrialId("tried")
    assert all(assessor.assess(tried, curve(0.9, steps)) for steps in range(1, 13))
    assert plays(assessor, "tried", curve(0.3, 20)) == 4


def curve(last: float, steps: int, speed: float = 0.3) -> list[float]:
    return [last * (1 - math.exp(-speed * step)) for step in range(1, steps + 1)]


@pytest.mark.parametrize(
    ("values", "step", "expected"),
    [
        (curve(0.9, 8), 20, 0.9),
        ([1 - 0.5 * step**-0.5 for step in range(1, 9)], 100, 0.95),
        ([0.4] * 8, 20, 0.4),
        (curve(-3.0, 8), 20, -3.0),
    ],
)
def test_learning_curves_are_carried_on(values: list[float], step: int, expected: float) -> None:
    assert curve_fitting.predict(values, step) == pytest.approx(expected, abs=0.03 * abs(expected) + 0.02)


def test_no_curve_goes_through_what_is_not_finite() -> None:
    assert curve_fitting.predict([0.1, math.inf, 0.3], 20) is None


def test_curvefitting_stops_what_will_not_come_near_the_best() -> None:
    assessor = make("Curvefitting", epoch_num=20, start_step=6)
    assert plays(assessor, "first", curve(0.9, 20)) is None
    assert plays(assessor, "worse", curve(0.5, 20)) == 6
    assert plays(assessor, "as good", curve(0.89, 20)) is None
    assert plays(assessor, "better", curve(0.95, 20)) is None


def test_curvefitting_in_the_other_direction_and_in_its_gaps() -> None:
    assessor = make("Curvefitting", epoch_num=20, start_step=6, gap=4, optimize_mode="minimize")
    assert plays(assessor, "first", [1 - one for one in curve(0.9, 20)]) is None
    assert plays(assessor, "worse", [1 - one for one in curve(0.5, 20)]) == 6
