"""Search spaces: reading them, every mistake by its path, and the way to parameters and back."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nni import errors
from nni.core import dimension, space


def entry(kind: str, *values: Any) -> dict[str, Any]:
    return {"_type": kind, "_value": list(values)}


@pytest.mark.parametrize(
    ("described", "read"),
    [
        (entry("choice", 16, "a", None, [1, 2]), dimension.Choice(name="x", key="x", options=(16, "a", None, [1, 2]))),
        (entry("randint", 1, 5), dimension.RandInt(name="x", key="x", low=1, high=5)),
        (entry("randint", 1e0, 1e3), dimension.RandInt(name="x", key="x", low=1, high=1000)),
        (entry("uniform", 0, 1.5), dimension.Uniform(name="x", key="x", low=0, high=1.5)),
        (entry("quniform", 0, 10, 2.5), dimension.Uniform(name="x", key="x", low=0, high=10, q=2.5)),
        (entry("loguniform", 1e-4, 1), dimension.Uniform(name="x", key="x", low=1e-4, high=1, is_log=True)),
        (entry("qloguniform", 1, 99, 2), dimension.Uniform(name="x", key="x", low=1, high=99, q=2, is_log=True)),
        (entry("normal", 0, 1), dimension.Normal(name="x", key="x", mu=0, sigma=1)),
        (entry("qnormal", -1, 2, 0.5), dimension.Normal(name="x", key="x", mu=-1, sigma=2, q=0.5)),
        (entry("lognormal", 0, 1), dimension.Normal(name="x", key="x", mu=0, sigma=1, is_log=True)),
        (entry("qlognormal", 0, 1, 3), dimension.Normal(name="x", key="x", mu=0, sigma=1, q=3, is_log=True)),
        ({"_type": "uniform", "_value": (0, 1)}, dimension.Uniform(name="x", key="x", low=0, high=1)),
    ],
)
def test_each_type(described: dict[str, Any], read: dimension.AnyDimension) -> None:
    assert space.parse({"x": described}) == (read,)


def test_numpy_numbers_become_pythons() -> None:
    (read,) = space.parse({"x": entry("choice", np.int64(3), np.float32(0.5))})

    assert isinstance(read, dimension.Choice)
    assert [(type(option), option) for option in read.options] == [(int, 3), (float, 0.5)]


NESTED = {
    "lr": entry("uniform", 0, 1),
    "net": entry(
        "choice",
        {"_name": "plain"},
        {
            "_name": "deep",
            "layers": entry("randint", 1, 5),
            "head": entry("choice", {"_name": "h", "w": entry("choice", 1, 2)}),
        },
    ),
}


def test_nested_choices_have_spaces_of_their_own() -> None:
    read = space.parse(NESTED)

    assert [one.key for one in space.walk(read)] == [
        "lr",
        "net",
        "net[deep].layers",
        "net[deep].head",
        "net[deep].head[h].w",
    ]


def choose(drawn: dict[str, Any]) -> Any:
    return lambda one: drawn[one.key]


def test_only_the_chosen_branch_counts() -> None:
    read = space.parse(NESTED)

    assert space.assemble(read, choose({"lr": 0.5, "net": 0})) == {"lr": 0.5, "net": {"_name": "plain"}}


def test_parameters_are_nested_and_found_again() -> None:
    read = space.parse(NESTED)
    drawn = {"lr": 0.5, "net": 1, "net[deep].layers": 2, "net[deep].head": 0, "net[deep].head[h].w": 1}

    made = space.assemble(read, choose(drawn))

    assert made == {"lr": 0.5, "net": {"_name": "deep", "layers": 2, "head": {"_name": "h", "w": 2}}}
    assert space.flatten(read, made) == drawn


def test_equal_options_of_different_types_are_told_apart() -> None:
    read = space.parse({"x": entry("choice", 1, True, 1.0)})

    assert [space.flatten(read, {"x": value}) for value in (1, True, 1.0)] == [{"x": 0}, {"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"lr": 1}, "'net' is missing"),
        ({"lr": 1, "net": {"_name": "plain"}, "x": 1}, "'x' is not in the search space"),
        ({"lr": 1, "net": {"_name": "wide"}}, "'wide' is not an option of 'net'"),
        ({"lr": 1, "net": {"_name": "deep", "layers": 1}}, "'net[deep].head' is missing"),
    ],
)
def test_parameters_that_do_not_fit(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 the words are compared below
        space.flatten(space.parse(NESTED), parameters)

    assert str(raised.value) == says


@pytest.mark.parametrize(
    ("described", "drawn", "settled"),
    [
        (entry("uniform", 0, 1), 0.3, 0.3),
        (entry("quniform", 0, 10, 2.5), 3.8, 5.0),
        # Half goes to the even multiple: 1.25 / 2.5 = 0.5 -> 0.
        (entry("quniform", 0, 10, 2.5), 1.25, 0.0),
        # On the grid of 4, then into the bounds.
        (entry("quniform", 1, 10, 4), 1.5, 1),
        (entry("quniform", 1, 10, 4), 9.9, 8),
        (entry("quniform", 1, 11, 4), 10.9, 11),
        (entry("qloguniform", 2, 9, 2), 8.9, 8),
        # Not bounded.
        (entry("qnormal", 0, 1, 0.5), -7.3, -7.5),
        (entry("lognormal", 0, 1), 3.3, 3.3),
    ],
)
def test_settling(described: dict[str, Any], drawn: float, settled: float) -> None:
    (read,) = space.parse({"x": described})

    assert isinstance(read, dimension.Uniform | dimension.Normal)
    assert read.settle(drawn) == settled


def test_a_grid_of_ints_gives_ints() -> None:
    (read,) = space.parse({"x": entry("quniform", 0, 10, 2)})

    assert isinstance(read, dimension.Uniform)
    assert isinstance(read.settle(3.3), int)


def mistakes() -> Iterator[tuple[Any, str]]:
    """Yield a search space and the one sentence that it earns."""
    yield None, "search_space: None is not a mapping of names to search spaces"
    yield [1], "search_space: [1] is not a mapping of names to search spaces"
    yield {}, "search_space: is empty; add a parameter at least"
    yield {1: entry("uniform", 0, 1)}, "search_space[1]: the name 1 is not text; put it in quotes"
    yield (
        {"x": [0, 1]},
        'search_space.x: [0, 1] is not a search space; write {"_type": "uniform", "_value": [0, 1]}',
    )
    yield (
        {"x": {"_type": "uniform"}},
        'search_space.x._value: is not set; write {"_type": "uniform", "_value": [0, 1]}',
    )
    yield (
        {"x": {"_value": [0, 1]}},
        'search_space.x._type: is not set; write {"_type": "uniform", "_value": [0, 1]}',
    )
    yield (
        {"x": {**entry("uniform", 0, 1), "_valeu": 1}},
        "search_space.x._valeu: is not known here; did you mean '_value'?",
    )
    yield {"x": entry("unifrom", 0, 1)}, "search_space.x._type: 'unifrom' is not a type; did you mean 'uniform'?"
    yield (
        {"x": entry("zzz", 0, 1)},
        "search_space.x._type: 'zzz' is not a type; use 'choice', 'randint', 'uniform', 'quniform', 'loguniform', "
        "'qloguniform', 'normal', 'qnormal', 'lognormal' or 'qlognormal'",
    )
    yield {"x": {"_type": "choice", "_value": "ab"}}, "search_space.x._value: 'ab' is not a list"
    yield {"x": entry("choice")}, "search_space.x._value: is empty; write the options to choose from"
    yield (
        {"x": entry("choice", {1})},
        "search_space.x._value[0]: {1} cannot be written as JSON; use text, numbers, lists, mappings",
    )
    yield {"x": entry("uniform", 0)}, "search_space.x._value: [0] does not have the 2 numbers of uniform: [low, high]"
    yield (
        {"x": entry("qnormal", 0, 1)},
        "search_space.x._value: [0, 1] does not have the 3 numbers of qnormal: [mu, sigma, q]",
    )
    yield {"x": entry("uniform", "1e-4", 1)}, "search_space.x._value[0]: '1e-4' is not a number"
    yield {"x": entry("uniform", 0, True)}, "search_space.x._value[1]: True is not a number"
    yield {"x": entry("uniform", 0, float("inf"))}, "search_space.x._value[1]: inf is not a number"
    yield {"x": entry("uniform", 1, 1)}, "search_space.x._value[1]: 1 is not above 1, the lower bound"
    yield (
        {"x": entry("uniform", 0, 10**400)},
        (f"search_space.x._value[1]: {str(10**400)[:57]}... is a whole number too large for others"),
    )
    yield (
        {"x": entry("uniform", -1e308, 1e308)},
        ("search_space.x._value: goes from -1e+308 to 1e+308, and nothing may be beyond 1e+300"),
    )
    yield (
        {"x": entry("loguniform", 1e-200, 1e200)},
        ("search_space.x._value: goes from 1e-200 to 1e+200, more orders of magnitude than numbers have"),
    )
    yield (
        {"x": entry("uniform", 1e16, 1e16 + 2)},
        ("search_space.x._value: goes from 1e+16 to 1e+16, so near to each other that hardly a number is between them"),
    )
    yield (
        {"x": entry("lognormal", 0, 1000)},
        (
            "search_space.x._value: [0, 1000] goes from e^-6000 to e^6000, beyond what numbers can be; mu and sigma "
            "are those of the logarithm"
        ),
    )
    yield (
        {"x": entry("quniform", 0, 1, 1e-20)},
        ("search_space.x._value[2]: 1e-20 is too fine a step for numbers up to 1"),
    )
    yield (
        {"x": entry("randint", 0, 10**30)},
        (f"search_space.x._value[1]: {10**30} is beyond {2**50}, where numbers are hard to tell apart"),
    )
    yield {"x": entry("randint", 3, 1)}, "search_space.x._value[1]: 1 is not above 3, the lower bound"
    yield {"x": entry("randint", 0.5, 3)}, "search_space.x._value[0]: 0.5 is not a whole number, and randint draws such"
    yield {"x": entry("loguniform", 0, 1)}, "search_space.x._value[0]: 0 is not above 0, and has no logarithm"
    yield {"x": entry("normal", 0, 0)}, "search_space.x._value[1]: 0 is not above 0, and sigma must be"
    yield {"x": entry("quniform", 0, 1, 0)}, "search_space.x._value[2]: 0 is not above 0, and q must be"
    yield (
        {"x": entry("choice", {"_name": "a"}, {"b": 1})},
        "search_space.x._value[1]: has no _name, and other options have one; name all or none",
    )
    yield (
        {"x": entry("choice", {"_name": "a"}, {"_name": "a"})},
        "search_space.x._value[1]._name: 'a' is there twice",
    )
    yield {"x": entry("choice", {"_name": 1})}, "search_space.x._value[0]._name: 1 is not text"
    yield (
        {"x": entry("choice", {"_name": "a", "size": 3})},
        'search_space.x._value[0].size: 3 is not a search space; write {"_type": "uniform", "_value": [0, 1]}',
    )
    yield (
        {"x": entry("choice", {"_name": "a", "lr": entry("loguniform", 0, 1)})},
        "search_space.x._value[0].lr._value[0]: 0 is not above 0, and has no logarithm",
    )
    yield (
        {"my lr": entry("uniform", 1, 0)},
        "search_space['my lr']._value[1]: 0 is not above 1, the lower bound",
    )
    yield (
        {"x": entry("choice", {"_name": "a", "y": entry("choice", 1)}), "x[a].y": entry("choice", 1)},
        "search_space: two parameters are called 'x[a].y'",
    )


@pytest.mark.parametrize(("described", "says"), list(mistakes()))
def test_every_mistake_is_named_by_its_path(described: Any, says: str) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        space.parse(described)

    assert str(raised.value) == says


def test_all_mistakes_come_together() -> None:
    described = {"a": entry("uniform", 1, 0), "b": entry("choice"), "c": entry("normal", "x", None)}

    with pytest.raises(errors.ConfigError) as raised:
        space.parse(described, "searchSpace")

    assert [problem.path for problem in raised.value.problems] == [
        "searchSpace.a._value[1]",
        "searchSpace.b._value",
        "searchSpace.c._value[0]",
        "searchSpace.c._value[1]",
    ]
