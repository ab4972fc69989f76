"""Names that users import from ``nni.utils``, with NNI's behaviour."""

import argparse
import math
from typing import Any

import pytest

from nni import utils


@pytest.mark.parametrize(
    ("metric", "number"), [(0.5, 0.5), (3, 3), (True, True), ({"default": 0.5, "x": "y"}, 0.5), (math.inf, math.inf)]
)
def test_the_number_that_a_metric_is_judged_by(metric: Any, number: float) -> None:
    assert utils.extract_scalar_reward(metric) == number
    assert utils.extract_scalar_history([metric, 1]) == [number, 1]


@pytest.mark.parametrize("metric", ["0.5", None, [1], {}, {"loss": 1}, {"default": "1"}])
def test_a_metric_without_a_number_is_an_error(metric: Any) -> None:
    with pytest.raises(RuntimeError, match="A metric must be a number, or a dict whose 'default' is one"):
        utils.extract_scalar_reward(metric)


def test_another_key_can_be_judged() -> None:
    assert utils.extract_scalar_reward({"loss": 2}, "loss") == 2


def test_parameters_are_put_over_defaults_in_place() -> None:
    base: dict[str, Any] = {"lr": 0.1, "layers": 2, "name": None}

    merged = utils.merge_parameter(base, {"lr": 1, "name": "a"})

    assert merged is base
    assert base == {"lr": 1.0, "layers": 2, "name": "a"}
    assert isinstance(base["lr"], float)


def test_a_namespace_too() -> None:
    base = argparse.Namespace(lr=0.1, layers=2)

    assert utils.merge_parameter(base, {"layers": 3}) == argparse.Namespace(lr=0.1, layers=3)


def test_nothing_changes_nothing() -> None:
    assert utils.merge_parameter({"a": 1}, None) == {"a": 1}


@pytest.mark.parametrize(
    ("base", "override", "sentence"),
    [
        ({"a": 1}, {"b": 1}, "The parameter 'b' has no default"),
        (argparse.Namespace(a=1), {"b": 1}, "The parameter 'b' has no default"),
        ({"a": 1}, {"a": 0.5}, "The parameter 'a' is 0.5 \\(float\\), but its default is a value of type int"),
        ({"a": "x"}, {"a": 1}, "The parameter 'a' is 1 \\(int\\), but its default is a value of type str"),
    ],
)
def test_parameters_that_do_not_fit_are_errors(base: Any, override: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        utils.merge_parameter(base, override)


def test_indexes_are_taken_out_of_nested_parameters() -> None:
    nested = {"net": {"_index": 1, "_value": {"_name": "b", "k": {"_index": 0, "_value": 3}}}, "x": 1}

    assert utils.split_index(nested) == {"net": {"_name": "b", "k": 3}, "x": 1}


def test_dicts_become_tuples() -> None:
    assert utils.convert_dict2tuple({"b": {"d": 1}, "a": 2}) == (("a", 2), ("b", (("d", 1),)))


class Validator(utils.ClassArgsValidator):
    def validate_class_args(self, **kwargs: Any) -> None:
        self.choices("mode", "min", "max").validate(kwargs["mode"])
        self.range("size", int, 1, 9).validate(kwargs["size"])
        self.path("file").validate(kwargs["file"])


GOOD = {"mode": "min", "size": 9, "file": "/"}


def test_arguments_that_fit_pass() -> None:
    Validator().validate_class_args(**GOOD)


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("mode", "other", "mode should be one of"),
        ("size", 10, "size should be of type int and from 1 to 9"),
        ("size", "5", "size should be of type int and from 1 to 9"),
        ("file", "/nowhere", "file should be an existing path"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(name: str, wrong: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Validator().validate_class_args(**{**GOOD, name: wrong})
