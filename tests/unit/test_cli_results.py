"""What ``nnictl experiment export`` writes."""

import csv
import io
import json
from typing import Any

import pytest

from nni.cli import results


def exported(parameter: Any, value: Any, **more: Any) -> dict[str, Any]:
    return {"parameter": parameter, "value": json.dumps(value), "trialJobId": "aaaaa", **more}


@pytest.mark.parametrize(
    ("result", "cells"),
    [
        (exported({"lr": 0.1}, 0.5), {"lr": "0.1", "reward": "0.5"}),
        (exported({"lr": 0.1}, {"default": 1, "cost": 2}), {"lr": "0.1", "default": "1", "cost": "2"}),
        (exported({"cost": 3}, {"cost": 2}), {"cost": "3", "metric.cost": "2"}),
        (exported({"net": {"_name": "a", "x": 1}}, "text"), {"net._name": "a", "net.x": "1", "reward": "text"}),
        (exported({"sizes": [1, 2], "on": True}, None), {"sizes": "[1, 2]", "on": "true", "reward": "null"}),
        (exported({}, float("nan")), {"reward": "nan"}),
        (
            exported({}, 1, isParetoOptimal=False, intermediate=[0.5, {"a": 1}]),
            {"reward": "1", "isParetoOptimal": "false", "intermediate": '[0.5, {"a": 1}]'},
        ),
    ],
)
def test_the_cells_of_a_trial(result: dict[str, Any], cells: dict[str, str]) -> None:
    written = io.StringIO()
    results._write_csv([result], written)
    (row,) = csv.DictReader(io.StringIO(written.getvalue()))
    assert row == {"trialJobId": "aaaaa", **cells}


def test_trials_with_different_parameters_share_a_table() -> None:
    written = io.StringIO()
    results._write_csv([exported({"a": 1}, 1), exported({"b": 2}, 2)], written)
    rows = list(csv.reader(io.StringIO(written.getvalue())))
    assert rows == [["trialJobId", "a", "reward", "b"], ["aaaaa", "1", "1", ""], ["aaaaa", "", "2", "2"]]


def test_no_results_are_a_head_alone() -> None:
    written = io.StringIO()
    results._write_csv([], written)
    assert written.getvalue() == "trialJobId\r\n"


def test_what_is_written_as_json_is_json_whatever_a_trial_reported() -> None:
    written = io.StringIO()
    results._write_json([exported({"x": 1}, {"default": float("nan"), "all": [float("inf"), 1.5]})], written)
    (read,) = json.loads(written.getvalue(), parse_constant=pytest.fail)
    assert read["value"] == {"default": "NaN", "all": ["Infinity", 1.5]}
