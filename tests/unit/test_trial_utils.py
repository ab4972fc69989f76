"""Names that users import from ``nni.utils``, with NNI's behaviour."""

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nni import parameter_expressions, utils


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


NESTED = {
    "x": {"_type": "quniform", "_value": [0, 1, 0.1]},
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "wide", "units": {"_type": "choice", "_value": [1, 9, [2, 3]]}},
            {"_name": "deep", "rate": {"_type": "loguniform", "_value": [0.01, 1]}},
        ],
    },
}
NAMES = [
    "root[x]-quniform",
    "root[net]-choice[0][units]-choice",
    "root[net]-choice[1][rate]-loguniform",
    "root[net]-choice",
]


def test_the_dimensions_of_a_search_space_have_names() -> None:
    assert utils.json2space(NESTED) == NAMES
    deep = {"x": 0.5, "net": {"_index": 1, "_value": {"_name": "deep", "rate": 0.1}}}
    assert utils.json2space(NESTED, deep) == [NAMES[0], NAMES[2], NAMES[3]]
    with pytest.raises(RuntimeError, match=r"^The option \{'units': 1\} of a choice has no '_name'\.$"):
        utils.json2space({"net": {"_type": "choice", "_value": [{"units": 1}]}})


def test_parameters_are_drawn_anew_where_it_is_said() -> None:
    chance = np.random.RandomState(1)
    parents = [utils.json2parameter(NESTED, dict.fromkeys(NAMES, True), chance) for _ in range(50)]
    assert {parent["net"]["_index"] for parent in parents} == {0, 1}
    for parent in parents:
        number = 1 if parent["net"]["_index"] else 0
        below = NAMES[1 + number]
        child = utils.json2parameter(NESTED, {name: name == below for name in NAMES}, chance, parent)
        assert child["x"] == parent["x"]
        assert utils.split_index(child)["net"]["_name"] == ("wide", "deep")[number]
    rates = [parent["net"]["_value"]["rate"] for parent in parents if parent["net"]["_index"] == 1]
    assert all(0.01 <= rate <= 1 for rate in rates)
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize(
    ("kind", "values", "is_right"),
    [
        ("choice", (["a", "b"],), lambda value: value in ("a", "b")),
        ("randint", (1, 4), lambda value: value in (1, 2, 3)),
        ("uniform", (2, 3), lambda value: 2 <= value <= 3),
        ("quniform", (1, 10, 4), lambda value: value in (1, 4, 8, 10)),
        ("loguniform", (0.001, 10), lambda value: 0.001 <= value <= 10),
        ("qloguniform", (1, 10, 4), lambda value: value in (1, 4, 8, 10)),
        ("normal", (5, 0.1), lambda value: 4 < value < 6),
        ("qnormal", (0, 3, 2), lambda value: value % 2 == 0),
        ("lognormal", (0, 1), lambda value: value > 0),
        ("qlognormal", (1, 1, 0.5), lambda value: value >= 0 and value % 0.5 == 0),
    ],
)
def test_draws_from_each_type(kind: str, values: tuple[Any, ...], is_right: Callable[[Any], bool]) -> None:
    chance = np.random.RandomState(0)
    drawn = [getattr(parameter_expressions, kind)(*values, chance) for _ in range(200)]
    assert [value for value in drawn if not is_right(value)] == []
    assert len(set(drawn)) > 1
