"""What JSON can hold, and what is said of the rest."""

from typing import Any

import numpy as np
import pytest

from nni.core import plain

ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"x": [1, 2.5, None, True, "it's"], "y": {"z": ()}}, None),
        ("\U0001f600", None),
        (10**300, None),
        ({"x": {"y": [0, {3}]}}, "x.y[1] is {3}, a set"),
        ({"x": {None: 1}}, "x has the name None, which is not text"),
        ({2: 1}, "it has the name 2, which is not text"),
        ({"x": -(10**400)}, "x is an integer too large for a number"),
        ({"x": float("-inf")}, "x is -inf, which JSON has no number for"),
        ({"x": "\ud83d"}, "x is '\\ud83d', which holds half a character"),
        ({"x": ITSELF}, "x[0][0][0][0][0][0][... is nested more than 100 deep"),
    ],
)
def test_what_json_cannot_hold_is_named(value: Any, fault: str | None) -> None:
    assert plain.fault(value) == fault
    assert plain.is_plain(value) is (fault is None)


def test_what_numpy_has_becomes_pythons() -> None:
    taken = {"a": np.float32(0.5), "b": [np.int8(3), np.bool_(1)], "c": np.eye(2, dtype=int), "d": np.array(4.0)}
    made = plain.of(taken)
    assert made == {"a": 0.5, "b": [3, True], "c": [[1, 0], [0, 1]], "d": 4.0}
    assert [type(made["a"]), type(made["b"][0]), type(made["b"][1]), type(made["d"])] == [float, int, bool, float]
    assert plain.fault(made) is None


def test_no_number() -> None:
    for value in (10**400, -(10**5000), float("nan"), True, "1", None, 1j):
        assert not plain.is_number(value)
        assert len(plain.shown(value)) <= 60
