"""What stands before a tuner in its process."""

from collections.abc import Mapping
from typing import Any

import pytest

from nni import errors
from nni.core import model
from nni.testing import tuner as scripted
from nni.tuners import desk


class Counting:
    """A tuner that has some suggestions, and says how many it was asked for."""

    def __init__(self, most: int = 100) -> None:
        self.made, self._most = 0, most

    def suggest(self, parameter_id: int) -> model.Parameters:
        if self.made == self._most:
            raise errors.NoMoreTrialError("No more.")
        self.made += 1
        return {"x": self.made}

    def learn(self, outcome: model.Outcome) -> None:
        pass


def xs(answers: list[model.Suggestion]) -> list[Any]:
    return [answer.parameters["x"] for answer in answers]


def test_what_no_result_can_better_is_made_ahead_and_nothing_is_left_out() -> None:
    tuner = Counting()
    asked = desk.Desk(lambda space: tuner, {}, is_blind=True)
    assert xs(asked.ask([0, 1, 2])) == [1, 2, 3]
    asked.look_ahead()
    assert tuner.made == 6
    # The user added a trial, which took an id.
    assert xs(asked.ask([4, 5])) == [4, 5]
    assert tuner.made == 6
    assert xs(asked.ask([5, 0])) == [5, 1]
    asked.look_ahead()
    assert xs(asked.ask([6, 7, 8, 9])) == [6, 7, 8, 9]


def test_what_was_tried_elsewhere_meanwhile_is_not_tried_again() -> None:
    asked = desk.Desk(lambda space: Counting(), {}, is_blind=True)
    asked.ask([0, 1])
    asked.look_ahead()
    asked.tell([scripted.outcome(-1, {"x": 3}, 0.5), scripted.outcome(0, {"x": 4}, 0.5)])
    assert xs(asked.ask([2, 3])) == [4, 5]


def test_a_tuner_that_learns_is_asked_when_somebody_waits() -> None:
    tuner = Counting()
    asked = desk.Desk(lambda space: tuner, {})
    asked.ask([0, 1])
    asked.look_ahead()
    assert tuner.made == 2


@pytest.mark.parametrize("most", [2, 3, 5])
def test_looking_ahead_ends_where_the_space_does(most: int) -> None:
    asked = desk.Desk(lambda space: Counting(most), {}, is_blind=True)
    found: list[Any] = []
    for first in range(0, 8, 2):
        found += xs(asked.ask([first, first + 1]))
        asked.look_ahead()
    assert found == list(range(1, most + 1))


def test_another_search_space_makes_what_was_made_ahead_void() -> None:
    made: list[Mapping[str, Any]] = []

    def make(space: Mapping[str, Any]) -> Counting:
        made.append(space)
        return Counting()

    asked = desk.Desk(make, {"first": 1}, is_blind=True)
    assert xs(asked.ask([0, 1])) == [1, 2]
    asked.look_ahead()
    asked.update({"second": 2})
    assert made == [{"first": 1}, {"second": 2}]
    assert xs(asked.ask([1, 2])) == [2, 1]
