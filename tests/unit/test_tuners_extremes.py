"""Whatever search space is accepted, every tuner can draw from it."""

import contextlib
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nni import errors
from nni.core import model, space, spec
from nni.tuners import registry

BOUNDS = [
    *(-(10**400), -1.7e308, -1e300, -1e150, -2.5, -1, -5e-324, 0, 5e-324, 1e-308, 1e-300, 1e-16, 0.1, 1, 1 + 2.3e-16),
    *(2, 709, 2**50, 2**50 + 2, 1e16, 1e150, 10**300, 1.7e308, 10**400),
]
STEPS = [5e-324, 1e-300, 1e-9, 0.1, 1, 7, 1e150, 1.7e308, 10**400]
ACCEPTED = 200
"""How many of the search spaces are tried, by chance."""


def is_accepted(described: Mapping[str, Any]) -> bool:
    try:
        space.parse({"x": described})
    except errors.ConfigError:
        return False
    return True


def extremes() -> Iterator[dict[str, Any]]:
    for kind in space.TYPES:
        if kind != "choice":
            steps: list[tuple[float, ...]] = [(q,) for q in STEPS] if kind.startswith("q") else [()]
            for low, high, step in itertools.product(BOUNDS, BOUNDS, steps):
                yield {"_type": kind, "_value": [low, high, *step]}


@pytest.fixture(scope="module")
def accepted() -> list[dict[str, Any]]:
    found = list(filter(is_accepted, extremes()))
    assert {one["_type"] for one in found} == set(space.TYPES) - {"choice"}
    return random.Random(1).sample(found, ACCEPTED)


def make(name: str, described: Mapping[str, Any]) -> Any:
    more: dict[str, Mapping[str, Any]] = {
        "PBT": {"all_checkpoint_dir": "/p", "population_size": 4},
        "TPE": {"tpe_args": {"n_startup_jobs": 4}},
        **{key: {"population_size": 4} for key in ("Evolution", "NSGA-II")},
    }
    entry, arguments = registry.arguments_of(spec.AlgorithmSpec(name=name, class_args=more.get(name, {})))
    return entry.make(space.parse(described), arguments)


def wrong(described: Mapping[str, Any], value: Any) -> bool:
    low, high = map(float, described["_value"][:2])
    if described["_type"] == "randint":
        return not isinstance(value, int) or not low <= value < high
    return not math.isfinite(value) or ("uniform" in described["_type"] and not low <= value <= high)


def learn(tuner: Any, number: int, parameters: Mapping[str, Any]) -> None:
    value = float(number * 7 % 5)
    tuner.learn(model.Outcome(parameter_id=number, parameters=parameters, value=value, metric=None, succeeded=True))


@pytest.mark.parametrize("name", [name for name in registry.names() if name not in ("Batch", "GridSearch")])
def test_every_tuner_draws_from_every_space(name: str, accepted: list[dict[str, Any]]) -> None:
    for start in range(0, ACCEPTED, 10):
        described = {f"x{place}": one for place, one in enumerate(accepted[start : start + 10])}
        tuner = make(name, described)
        for number in range(12):
            parameters = tuner.suggest(number)
            assert {one["_type"]: one for key, one in described.items() if wrong(one, parameters[key])} == {}
            learn(tuner, number, parameters)


def test_a_grid_has_points_in_every_space(accepted: list[dict[str, Any]]) -> None:
    for one in accepted:
        tuner = make("GridSearch", {"x": one})
        assert not wrong(one, tuner.suggest(0)["x"])
        with contextlib.suppress(errors.NoMoreTrialError):
            assert not any(wrong(one, tuner.suggest(number)["x"]) for number in range(1, 5))
