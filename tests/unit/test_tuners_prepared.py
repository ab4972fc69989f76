"""The user's own parameters come first, each once, whatever happens in between."""

from typing import Any

from nni.core import space, spec
from nni.testing import tuner as scripted
from nni.tuners import prepared, registry

FIRST: list[dict[str, Any]] = [{"x": 3}, {"x": 1}, {"x": 2}]


def make(first: list[dict[str, Any]]) -> prepared.Prepared:
    entry, arguments = registry.arguments_of(spec.AlgorithmSpec(name="GridSearch"))
    parsed = space.parse({"x": {"_type": "choice", "_value": [1, 2, 3, 4, 5]}})
    return prepared.Prepared(entry.make(parsed, arguments), first)


def suggested(tuner: prepared.Prepared, count: int, first_id: int = 0) -> list[Any]:
    return [tuner.suggest(first_id + number)["x"] for number in range(count)]


def test_they_come_first_and_the_tuner_does_not_propose_them_again() -> None:
    assert suggested(make(FIRST), 5) == [3, 1, 2, 4, 5]


def test_a_trial_of_the_users_own_takes_none_of_their_places() -> None:
    """It has the parameter id 0."""
    assert suggested(make(FIRST), 3, first_id=1) == [3, 1, 2]


def test_those_that_ended_or_run_from_before_a_restart_are_not_tried_again() -> None:
    tuner = make(FIRST)
    tuner.remind(1, {"x": 1})
    tuner.learn(scripted.outcome(0, {"x": 3}, 0.5))
    assert suggested(tuner, 1, first_id=2) == [2]
    tuner.learn(scripted.outcome(1, {"x": 1}, 0.5))
    assert suggested(tuner, 2, first_id=3) == [4, 5]


def test_what_is_written_twice_is_tried_twice() -> None:
    tuner = make([{"x": 1}, {"x": 1}])
    first = tuner.suggest(0)
    tuner.learn(scripted.outcome(0, first, 0.5))
    assert suggested(tuner, 2, first_id=1) == [1, 2]
