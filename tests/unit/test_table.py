"""All trials by columns."""

import json
from typing import Any

import pytest

from nni.core import event, model
from nni.server import table, views
from nni.testing import story

START = 1_795_441_600


@pytest.fixture
def tale() -> story.Story:
    tale = story.Story()
    tale.happens(event.Started())
    return tale


def columns(tale: story.Story) -> dict[str, Any]:
    """Return the table as a browser reads it."""
    text = views.compact(table.columns(list(tale.state.trials.values()), tale.state.started_at or 0.0))
    read: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return read


def test_times_are_steps_of_a_tenth_of_a_second(tale: story.Story) -> None:
    tale.passes(1.25)
    tale.proposes("aaaaa")
    tale.passes(0.3)
    tale.proposes("bbbbb")
    tale.creates("aaaaa")
    tale.passes(10)
    tale.observes("aaaaa", model.JobPhase.RUNNING)
    tale.passes(5.5)
    tale.ends("aaaaa")
    read = columns(tale)
    assert (read["origin"], read["tick"]) == (START * 1000, 100)
    assert (read["submitTime"], read["startTime"], read["endTime"]) == ([12, 3], [103, None], [158, None])


def test_numbers_have_six_digits_and_what_json_cannot_hold_has_a_name(tale: story.Story) -> None:
    tale.proposes("aaaaa", lr=0.000123456789, big=123456789.5, odd=float("nan"), net={"_name": "cnn", "k": 1 / 3})
    tale.proposes("bbbbb", own=[1, 2.00000001])
    parameters = {its["name"]: its["values"] for its in columns(tale)["parameters"]}
    assert parameters == {
        "x": [0, 1],
        "lr": [0.000123457, None],
        "big": [123457000, None],
        "odd": ["NaN", None],
        "net": [{"_name": "cnn", "k": 0.333333}, None],
        "own": [None, [1, 2]],
    }


def test_the_last_value_stands_where_a_trial_goes_on_or_has_no_final_one(tale: story.Story) -> None:
    tale.runs("aaaaa", "bbbbb")
    tale.reports("aaaaa", "0.1", final='{"default": 0.5, "loss": 2, "note": "x"}')
    tale.reports("bbbbb", "0.25")
    tale.ends("aaaaa")
    read = columns(tale)
    assert (read["finalValue"], read["lastValue"], read["intermediateCount"]) == ([0.5, None], [[1, 0.25]], [1, 1])
    assert read["metrics"] == [{"name": "loss", "values": [[0, 2]]}]
    assert [read["statuses"][code] for code in read["status"]] == ["SUCCEEDED", "RUNNING"]


def test_a_trial_that_still_runs_has_a_last_value_beside_its_final_one_and_the_time_of_its_last_report(
    tale: story.Story,
) -> None:
    tale.runs("aaaaa", "bbbbb", "ccccc")
    tale.passes(3)
    for trial in ("aaaaa", "bbbbb"):
        tale.reports(trial, "0.25", final="0.5")
    tale.passes(3)
    tale.ends("bbbbb")
    read = columns(tale)
    assert (read["finalValue"], read["lastValue"]) == ([0.5, 0.5, None], [[0, 0.25]])
    assert read["reportTime"] == [[0, 30]]


def test_a_reason_that_many_trials_share_stands_once(tale: story.Story) -> None:
    tale.runs("aaaaa", "bbbbb", "ccccc")
    for trial in ("aaaaa", "ccccc"):
        tale.ends(trial, code=1, lines=["boom"])
    read = columns(tale)
    sentence = "The command of master-0 ended with exit code 1: boom"
    assert read["reasons"] == [{"class": "user", "sentence": sentence}]
    assert read["reason"] == [[0, 0, START * 1000], [2, 0, START * 1000]]
    assert read["exitCode"] == [[0, 1], [2, 1]]


def test_no_trial(tale: story.Story) -> None:
    assert columns(tale)["id"] == []


def test_attempts_before_the_current_one_are_told_with_their_causes(tale: story.Story) -> None:
    tale.runs("aaaaa", "bbbbb")
    tale.passes(2)
    tale.loses("bbbbb")
    read = columns(tale)
    assert (read["attempt"], read["cause"]) == ([[1, 2]], [[1, "infrastructure"]])
    assert read["past"] == [[1, [["first", 0, 20]]]]
