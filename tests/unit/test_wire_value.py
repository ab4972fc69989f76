"""The JSON text of metrics."""

import decimal
import math
from typing import Any

import numpy as np
import pytest

from nni import errors
from nni.wire import value


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (0.5, "0.5"),
        (3, "3"),
        (True, "true"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ({"default": 0.1, "it's": "ü\n"}, '{"default": 0.1, "it\'s": "\\u00fc\\n"}'),
        ([1, (2, 3)], "[1, [2, 3]]"),
        (np.float32(0.5), "0.5"),
        (np.float64(0.75), "0.75"),
        (np.float16("nan"), "NaN"),
        (np.longdouble(0.5), "0.5"),
        (np.int64(7), "7"),
        (np.bool_(True), "true"),
        (np.array(3), "3"),
        ({"default": np.float32(0.25)}, '{"default": 0.25}'),
        (np.arange(3.0), '{"__ndarray__": [0.0, 1.0, 2.0], "dtype": "float64", "shape": [3]}'),
        (np.array([[1, 2]]), '{"__ndarray__": [[1, 2]], "dtype": "int64", "shape": [1, 2], "Corder": true}'),
    ],
)
def test_metrics_become_json(metric: Any, text: str) -> None:
    assert value.encode(metric) == text
    value.check(text)


class Tensor:
    """A tensor of TensorFlow, as far as this goes: it becomes numpy's."""

    dtype = "float32"
    shape = ()

    def numpy(self) -> Any:
        return np.float32(0.5)


def test_a_tensor_without_tolist_goes_through_numpy() -> None:
    assert value.encode(Tensor()) == "0.5"


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    "metric", [object(), decimal.Decimal(1), {1, 2}, {(1, 2): 3}, b"bytes", 1j, np.complex64(1j), nested(100_000)]
)
def test_what_is_no_json_is_an_error_of_the_trial(metric: Any) -> None:
    with pytest.raises(errors.TrialError, match=r"^A metric must be a number, or a dict"):
        value.encode(metric)


@pytest.mark.parametrize("text", ["", "nan", "{", "'a'", "[" * 100_000, "1" * 1_000_001])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(errors.WireError):
        value.check(text)
