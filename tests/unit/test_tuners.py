"""What tuners propose: types, distributions, repetition, exhaustion, learning."""

import bisect
import json
import math
import random
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from nni import errors
from nni.core import model, space, spec
from nni.testing import tuner as scripted
from nni.tuners import algorithm, points, registry

DRAWING = ["Auto", "TPE", "Random", "Anneal", "Evolution", "QMC", "NSGA-II", "GP"]
SAMPLING = [*DRAWING, "CMA-ES", "ASHA", "Hyperband", "PBT"]
"""Those too that cannot have every space, or give their trials more than parameters."""
NEEDED: Mapping[str, Mapping[str, Any]] = {"PBT": {"all_checkpoint_dir": "/p", "population_size": 300}}


def one_of(*options: Any) -> Mapping[str, Any]:
    return {"_type": "choice", "_value": list(options)}


NESTED = {
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "dense", "units": {"_type": "choice", "_value": [16, 32]}, "deep": one_of("a", "b")},
            {"_name": "none"},
            {"_name": "conv", "kernel": {"_type": "choice", "_value": [{"_name": "x", "k": one_of(1, 2, 3)}]}},
        ],
    },
    "flag": one_of(True, False),
}


def make(name: str, search_space: Mapping[str, Any], **arguments: Any) -> algorithm.Algorithm:
    chosen = spec.AlgorithmSpec(
        name=name, class_args={"optimize_mode": "minimize", **NEEDED.get(name, {}), **arguments}
    )
    tuner, all_arguments = registry.arguments_of(chosen)
    made: algorithm.Algorithm = tuner.make(space.parse(search_space), all_arguments)
    return made


def one(kind: str, *values: Any) -> Mapping[str, Any]:
    return {"x": {"_type": kind, "_value": list(values)}}


def drawn(name: str, search_space: Mapping[str, Any], count: int, **arguments: Any) -> list[Any]:
    """Return values of x, as trials get them."""
    tuner = make(name, search_space, seed=1, **arguments)
    return [json.loads(json.dumps(tuner.suggest(number)))["x"] for number in range(count)]


def all_points(tuner: algorithm.Algorithm) -> list[model.Parameters]:
    found: list[model.Parameters] = []
    while True:
        try:
            found.append(tuner.suggest(len(found)))
        except errors.NoMoreTrialError:
            return found


TYPES: list[tuple[str, tuple[float, ...], type, tuple[float, float]]] = [
    # The type, its value, what the trial gets, and the bounds; six standard deviations are as good as none.
    ("uniform", (-1, 3), float, (-1, 3)),
    ("loguniform", (0.01, 100), float, (0.01, 100)),
    ("normal", (5, 2), float, (5 - 12, 5 + 12)),
    ("lognormal", (0, 1), float, (math.exp(-6), math.exp(6))),
    ("randint", (0, 10_000), int, (0, 9_999)),
    ("quniform", (0, 20_000, 2), int, (0, 20_000)),
    ("quniform", (0, 1_000, 0.5), float, (0, 1_000)),
    ("qloguniform", (10_000, 1_000_000, 1), int, (10_000, 1_000_000)),
    ("qnormal", (5_000, 2_000, 1), int, (5_000 - 12_000, 5_000 + 12_000)),
    ("qlognormal", (9, 1, 1), int, (math.exp(3), math.exp(15))),
]


def as_nni_draws(kind: str, values: tuple[float, ...]) -> list[float]:
    """Draw many values of a type, with what its description says and nothing else."""
    chance = random.Random(1)
    plain = kind.removeprefix("q") if len(values) == 3 else kind

    def draw() -> float:
        match plain:
            case "randint":
                return chance.randrange(int(values[0]), int(values[1]))
            case "uniform":
                return chance.uniform(*values[:2])
            case "loguniform":
                return math.exp(chance.uniform(math.log(values[0]), math.log(values[1])))
            case "normal":
                return chance.gauss(*values[:2])
            case _:
                return math.exp(chance.gauss(*values[:2]))

    drawn = [draw() for _ in range(5_000)]
    if len(values) == 3:
        drawn = [round(one / values[2]) * values[2] for one in drawn]
        if plain in ("uniform", "loguniform"):
            drawn = [min(max(one, values[0]), values[1]) for one in drawn]
    return sorted(drawn)


def distance(found: Sequence[float], expected: Sequence[float]) -> float:
    """Return how far two distributions are apart at most (A. N. Kolmogorov, N. V. Smirnov)."""
    ordered = sorted(found)
    return max(
        abs(bisect.bisect_right(ordered, at) / len(ordered) - bisect.bisect_right(expected, at) / len(expected))
        for at in ordered
    )


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize(("kind", "values", "of_type", "bounds"), TYPES)
def test_how_the_values_of_a_type_are_distributed(
    *, name: str, kind: str, values: tuple[float, ...], of_type: type, bounds: tuple[float, float]
) -> None:
    found = drawn(name, one(kind, *values), 300)
    assert_of_type(found, kind, values, of_type, bounds)
    # Farther apart is one draw of 300 in a thousand.
    assert distance(found, as_nni_draws(kind, values)) < 0.12


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize(("kind", "values", "of_type", "bounds"), TYPES)
def test_what_a_tuner_proposes_by_what_it_has_learnt_is_of_the_type_too(
    *, name: str, kind: str, values: tuple[float, ...], of_type: type, bounds: tuple[float, float]
) -> None:
    few = {"population_size": 8} if name in ("PBT", "Evolution", "NSGA-II") else {}
    tuner = make(name, {**one(kind, *values), "y": {"_type": "uniform", "_value": [0, 1]}}, seed=1, **few)
    found = []
    for number in range(18):
        parameters = json.loads(json.dumps(tuner.suggest(number)))
        found.append(parameters["x"])
        # The best lies at the upper bound.
        tuner.learn(scripted.outcome(number, parameters, -parameters["x"] - parameters["y"]))
    assert_of_type(found, kind, values, of_type, bounds)


def assert_of_type(
    found: Sequence[float], kind: str, values: tuple[float, ...], of_type: type, bounds: tuple[float, float]
) -> None:
    assert {type(value) for value in found} == {of_type}
    assert min(found) >= bounds[0]
    assert max(found) <= bounds[1]
    if kind.startswith("q"):
        assert {abs(value / values[2] - round(value / values[2])) < 1e-9 for value in found} == {True}


@pytest.mark.parametrize(
    ("described", "ends"),
    [
        (one("uniform", -1, 3), (-1, 3)),
        (one("loguniform", 0.01, 100), (0.01, 100)),
        (one("randint", 3, 7), (3, 6)),
        (one("quniform", 0.5, 3.6, 1.0), (0.5, 3.6)),
        (one("choice", "a", "b"), ("a", "b")),
    ],
)
def test_which_ends_of_a_range_belong_to_it(described: Mapping[str, Any], ends: tuple[Any, Any]) -> None:
    parsed = space.parse(described)
    drawn = [points.draw(parsed, lambda key, domain: points.at_share(domain, share))["x"] for share in (0.0, 1.0)]  # noqa: B023 it is called at once
    assert tuple(drawn) == pytest.approx(ends) if isinstance(ends[0], float) else tuple(drawn) == ends


@pytest.mark.parametrize("name", [*DRAWING, "CMA-ES"])
def test_both_ends_of_an_integer_range_are_drawn_and_the_upper_bound_is_not(name: str) -> None:
    assert set(drawn(name, one("randint", 3, 7), 4)) == {3, 4, 5, 6}


@pytest.mark.parametrize("name", DRAWING)
def test_a_choice_keeps_the_type_of_its_options(name: str) -> None:
    options: list[Any] = [1, 1.5, True, None, "it's", [1, {"a": 2}], {"b": []}, "1"]
    found = drawn(name, {"x": one_of(*options)}, 8)
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, options))


@pytest.mark.parametrize("name", [*DRAWING, "CMA-ES"])
def test_a_grid_between_bounds_that_are_not_on_it_ends_in_the_bounds(name: str) -> None:
    found = drawn(name, one("quniform", 0.5, 3.6, 1.0), 5)
    assert sorted(found) == [0.5, 1.0, 2.0, 3.0, 3.6]


@pytest.mark.parametrize("name", DRAWING)
def test_a_finite_space_is_exhausted_point_by_point(name: str) -> None:
    search_space = {"a": one_of(*range(5)), "b": {"_type": "randint", "_value": [0, 4]}, **one("quniform", 0, 1, 0.5)}
    tuner = make(name, search_space, seed=1)
    found = all_points(tuner)
    assert len(found) == 5 * 4 * 3
    assert len({json.dumps(point) for point in found}) == 5 * 4 * 3
    for _ in range(3):
        with pytest.raises(errors.NoMoreTrialError):
            tuner.suggest(99)


@pytest.mark.parametrize("name", [*SAMPLING[:-1], "GridSearch", "Batch"])
def test_with_eight_trials_at_once_each_point_of_a_finite_space_is_tried_once(name: str) -> None:
    search_space = {"a": {"_type": "randint", "_value": [0, 6]}, **one("quniform", 0, 4, 1)}
    if name == "Batch":
        options = [{"a": a, "x": x} for a in range(6) for x in range(5)]
        search_space = {"all": one_of(*options, *options)}
    tuner = make(name, search_space, **({} if name in ("GridSearch", "Batch") else {"seed": 1}))
    running: list[tuple[int, model.Parameters]] = []
    tried: list[tuple[int, int]] = []
    while len(tried) < 100:
        try:
            running.append((len(tried), tuner.suggest(len(tried))))
        except errors.NoMoreTrialError:
            break
        tried.append((running[-1][1]["a"], running[-1][1]["x"]))
        if len(running) == 8:
            number, point = running.pop(0)
            tuner.learn(scripted.outcome(number, point, None if number % 5 == 0 else point["a"] + point["x"]))
    assert sorted(tried) == [(a, x) for a in range(6) for x in range(5)]


@pytest.mark.parametrize("name", DRAWING)
def test_a_nested_space_is_exhausted_too(name: str) -> None:
    found = all_points(make(name, NESTED, seed=1))
    assert Counter(point["net"]["_name"] for point in found) == {"dense": 8, "none": 2, "conv": 6}
    assert len({json.dumps(point) for point in found}) == 16
    assert {json.dumps(point["net"]) for point in found if point["net"]["_name"] == "none"} == {'{"_name": "none"}'}


@pytest.mark.parametrize("name", DRAWING)
def test_options_that_are_equal_are_one_point(name: str) -> None:
    assert all_points(make(name, {"x": one_of(1, 1, 2)}, seed=1)) in ([{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 1}])


@pytest.mark.parametrize("name", DRAWING)
def test_a_branch_without_parameters_comes_once_beside_one_that_never_ends(name: str) -> None:
    endless = {"_name": "some", "x": {"_type": "uniform", "_value": [0, 1]}}
    tuner = make(name, {"net": {"_type": "choice", "_value": [{"_name": "none"}, endless]}}, seed=1)
    found = []
    for number in range(60):
        parameters = tuner.suggest(number)
        found.append(parameters["net"]["_name"])
        # However good it is.
        tuner.learn(scripted.outcome(number, parameters, 0.0 if found[-1] == "none" else 1 + parameters["net"]["x"]))
    assert Counter(found) == {"none": 1, "some": 59}


@pytest.mark.parametrize("name", SAMPLING)
def test_the_same_seed_gives_the_same_suggestions(name: str) -> None:
    search_space = {**scripted.SEARCH_SPACE, "mean": {"_type": "normal", "_value": [0, 1]}}
    if name == "CMA-ES":
        del search_space["act"]

    def story(seed: int) -> list[model.Parameters]:
        few = {"population_size": 4} if name in ("PBT", "Evolution", "NSGA-II") else {}
        tuner = make(name, search_space, seed=seed, **few)
        said = []
        for number in range(18):
            said.append(tuner.suggest(number))
            if number >= 3:
                told = said[number - 3]
                tuner.learn(scripted.outcome(number - 3, told, None if number % 7 == 0 else told["lr"]))
        return said

    assert story(4) == story(4)
    assert story(4) != story(5)


@pytest.mark.parametrize("name", DRAWING)
def test_what_was_tried_before_a_restart_is_not_proposed_again(name: str) -> None:
    tuner = make(name, {"x": one_of(*range(6))}, seed=1)
    for number in (0, 3, 5):
        tuner.learn(scripted.outcome(100 + number, {"x": number}, None if number == 3 else 0.1))
    assert sorted(point["x"] for point in all_points(tuner)) == [1, 2, 4]


@pytest.mark.parametrize(("mode", "sign"), [("minimize", 1), ("maximize", -1)])
@pytest.mark.parametrize("learning", ["Auto", "TPE", "Anneal", "GP"])
def test_what_is_good_is_found(mode: str, sign: int, learning: str) -> None:
    search_space = {"x": {"_type": "uniform", "_value": [-10, 10]}, "c": one_of("bad", "good", "ugly")}

    def loss(point: model.Parameters) -> float:
        return float((point["x"] - 3) ** 2 + (0 if point["c"] == "good" else 20))

    def best(name: str) -> float:
        tuner = make(name, search_space, seed=1, optimize_mode=mode)
        losses = []
        for number in range(80):
            point = tuner.suggest(number)
            losses.append(loss(point))
            tuner.learn(scripted.outcome(number, point, sign * losses[-1]))
        return statistics.median(losses[-30:])

    assert best(learning) < best("Random") / 5


@pytest.mark.parametrize("name", ["Auto", "TPE", "GP", "CMA-ES", "NSGA-II", "Evolution"])
def test_where_trials_fail_fewer_and_fewer_are_tried(name: str) -> None:
    """The loss becomes better and better up to where trials fail, in two fifths of the space."""
    search_space = {key: {"_type": "uniform", "_value": [0, 1]} for key in "abc"}

    def failed(tuner: str, **arguments: Any) -> float:
        shares = []
        for seed in range(2):
            made = make(tuner, search_space, seed=seed, **arguments)
            fails: list[bool] = []
            for number in range(120):
                point = made.suggest(number)
                fails.append(point["a"] > 0.6)
                made.learn(scripted.outcome(number, point, None if fails[-1] else -sum(point.values())))
            shares.append(sum(fails[60:]) / 60)
        return sum(shares) / 2

    few = {"population_size": 16} if name in ("NSGA-II", "Evolution") else {}
    # TPE takes places for good where the best are, at the edge.
    assert failed(name, **few) < failed("Random") * (1 if name == "TPE" else 0.75)


@pytest.mark.parametrize("name", ["TPE", "Auto", "GP", "CMA-ES", "NSGA-II", "Anneal"])
def test_a_tuner_of_which_all_trials_fail_goes_on(name: str) -> None:
    tuner = make(name, one("uniform", 0, 1), seed=1)
    found = []
    for number in range(40):
        found.append(tuner.suggest(number)["x"])
        tuner.learn(scripted.outcome(number, {"x": found[-1]}, None))
    assert statistics.pstdev(found[20:]) > 0.15


def test_auto_finds_the_best_point_of_a_coarse_grid() -> None:
    best = {"a": 7, "b": 3, "c": 6}
    found = []
    for seed in range(5):
        tuner = make("Auto", {key: {"_type": "qnormal", "_value": [5, 2, 1]} for key in best}, seed=seed)
        points = []
        for number in range(30):
            points.append(tuner.suggest(number))
            loss = sum((points[-1][key] - best[key]) ** 2 for key in best)
            tuner.learn(scripted.outcome(number, points[-1], float(loss)))
        found.append(best in points)
    assert sum(found) >= 4


@pytest.mark.parametrize("name", ["Auto", "TPE", "Anneal", "GP"])
def test_trials_of_before_a_restart_are_learnt_from(name: str) -> None:
    tuner = make(name, one("uniform", 0, 1), seed=1)
    for number in range(40):
        point = {"x": number / 40}
        tuner.learn(scripted.outcome(number, point, abs(point["x"] - 0.2)))
    after = [tuner.suggest(100 + number)["x"] for number in range(10)]
    assert statistics.median(abs(x - 0.2) for x in after) < 0.1


@pytest.mark.parametrize("name", DRAWING)
def test_what_is_not_of_the_space_is_passed_over(name: str) -> None:
    tuner = make(name, one("loguniform", 0.1, 1), seed=1)
    strange: list[dict[str, Any]] = [{}, {"x": -1}, {"x": 5}, {"x": "a"}, {"x": True}, {"x": None}, {"y": 0.5}]
    for number, point in enumerate(strange):
        tuner.learn(scripted.outcome(number, point, 0.1))
    assert 0.1 <= tuner.suggest(99)["x"] <= 1


SPACES = [
    one("uniform", 0, 1),
    one("loguniform", 1e-5, 1),
    one("normal", 1, 2),
    one("lognormal", 1, 2),
    one("quniform", 0.5, 9.3, 0.1),
    one("qnormal", 0, 10, 3),
    one("qlognormal", 3, 1, 2),
    one("randint", -5, 5),
    NESTED,
    scripted.SEARCH_SPACE,
]


@pytest.mark.parametrize("search_space", SPACES, ids=lambda it: json.dumps(it)[:40])
def test_parameters_are_found_by_their_numbers(search_space: Mapping[str, Any]) -> None:
    parsed = space.parse(search_space)
    tuner = make("Random", search_space, seed=1)
    for number in range(10):
        parameters = tuner.suggest(number)
        located = points.locate(parsed, parameters)
        assert located is not None
        again = points.draw(parsed, lambda key, domain: located[key][1])  # noqa: B023 it is called at once
        assert again == pytest.approx(parameters) if "x" in parameters else again == parameters


@pytest.mark.parametrize(
    ("search_space", "size"),
    [
        (one("uniform", 0, 1), None),
        (one("normal", 0, 1), None),
        # Six standard deviations to either side.
        (one("qnormal", 0, 1, 1), 13),
        (one("qnormal", 0.5, 2, 5), 5),
        (one("qlognormal", 0, 1, 100), 5),
        (one("randint", 0, 10**15), 10**15),
        (one("quniform", 0, 1, 0.1), 11),
        (one("qloguniform", 1, 100, 5), 21),
        (NESTED, 16),
        ({"a": one_of(1, 2, 3), "b": {"_type": "uniform", "_value": [0, 1]}}, None),
    ],
)
def test_how_many_points_a_space_has(search_space: Mapping[str, Any], size: int | None) -> None:
    assert points.size(space.parse(search_space)) == size


@pytest.mark.parametrize("search_space", [NESTED, one("qnormal", 0.5, 2, 5), one("qlognormal", 0, 1, 100)])
def test_every_point_of_a_space_has_its_number(search_space: Mapping[str, Any]) -> None:
    parsed = space.parse(search_space)
    size = points.size(parsed)
    assert size is not None
    found = [points.at(parsed, index) for index in range(size)]
    assert len(set(map(json.dumps, found))) == size
    assert all(points.locate(parsed, one) is not None for one in found)


@pytest.mark.parametrize("name", [*DRAWING, "CMA-ES", "GridSearch"])
def test_a_quantised_normal_number_is_exhausted_point_by_point(name: str) -> None:
    tuner = make(name, one("qnormal", 10, 1, 1), **({} if name == "GridSearch" else {"seed": 1}))
    assert sorted(point["x"] for point in all_points(tuner)) == list(range(4, 17))
