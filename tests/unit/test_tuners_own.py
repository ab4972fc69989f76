"""The base classes of users' own tuners and assessors."""

import inspect
import logging
from typing import Any

import pytest

from nni import assessor, errors, tuner


class Countdown(tuner.Tuner):
    def __init__(self) -> None:
        self.left = 3

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        if self.left == 0:
            raise errors.NoMoreTrialError("none left")
        self.left -= 1
        return {"left": self.left, "id": parameter_id, **kwargs}


def test_several_parameters_are_generated_one_by_one_until_there_are_no_more() -> None:
    own = Countdown()
    assert own.generate_multiple_parameters([4, 5], extra=1) == [
        {"left": 2, "id": 4, "extra": 1},
        {"left": 1, "id": 5, "extra": 1},
    ]
    assert own.generate_multiple_parameters([6, 7, 8]) == [{"left": 0, "id": 6}]
    assert own.generate_multiple_parameters([9]) == []


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("update_search_space", ({},)), ("generate_parameters", (0,)), ("receive_trial_result", (0, {}, 1.0))],
)
def test_what_a_tuner_must_define_says_so(method: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(NotImplementedError, match=rf"^Tuner does not define {method}\("):
        getattr(tuner.Tuner(), method)(*arguments)


def test_what_a_tuner_may_define_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    own = tuner.Tuner()
    own.trial_end(0, True, trial_job_id="abc")
    own.load_checkpoint()
    own.save_checkpoint()
    with caplog.at_level(logging.WARNING):
        own.import_data([{"parameter": {}, "value": 1}])
    assert caplog.messages == ["Tuner has no import_data, so 1 results are passed over."]


def test_an_assessor_must_define_how_it_assesses() -> None:
    with pytest.raises(NotImplementedError, match=r"^Assessor does not define assess_trial\("):
        assessor.Assessor().assess_trial("abc", [1.0])
    assessor.Assessor().trial_end("abc", False)
    assert [(result.name, result.value) for result in assessor.AssessResult] == [("Good", True), ("Bad", False)]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (tuner.Tuner.update_search_space, ["search_space"]),
        (tuner.Tuner.generate_parameters, ["parameter_id", "kwargs"]),
        (tuner.Tuner.generate_multiple_parameters, ["parameter_id_list", "kwargs"]),
        (tuner.Tuner.receive_trial_result, ["parameter_id", "parameters", "value", "kwargs"]),
        (tuner.Tuner.trial_end, ["parameter_id", "success", "kwargs"]),
        (tuner.Tuner.import_data, ["data"]),
        (assessor.Assessor.assess_trial, ["trial_job_id", "trial_history"]),
        (assessor.Assessor.trial_end, ["trial_job_id", "success"]),
    ],
    ids=lambda its: its.__qualname__ if callable(its) else "",
)
def test_arguments_have_the_names_that_users_write(method: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters)[1:] == parameters
