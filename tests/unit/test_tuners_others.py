"""Tuners with a plan of their own: grids, batches, budgets, populations, several objectives."""

import itertools
import json
import math
import operator
import random
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nni import errors
from nni.core import dimension, model, objectives, space, spec
from nni.testing import tuner as scripted
from nni.tuners import algorithm, budgets, points, registry

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}


def make(name: str, search_space: Mapping[str, Any], **arguments: Any) -> algorithm.Algorithm:
    mode = {} if "optimize" in arguments else {"optimize_mode": "minimize"}
    chosen = spec.AlgorithmSpec(name=name, class_args={**mode, **arguments})
    entry, complete = registry.arguments_of(chosen)
    made: algorithm.Algorithm = entry.make(space.parse(search_space), complete)
    return made


def all_of(tuner: algorithm.Algorithm, most: int = 1000) -> list[model.Parameters]:
    found: list[model.Parameters] = []
    try:
        while len(found) < most:
            found.append(tuner.suggest(len(found)))
    except errors.NoMoreTrialError:
        pass
    return found


def plays(
    tuner: algorithm.Algorithm, loss: Callable[[Mapping[str, Any]], float | None], count: int, pending: int = 1
) -> list[model.Parameters]:
    """Run so many trials, some of them at once, and return them in the order of their suggestions."""
    said: list[model.Parameters] = []
    for number in range(count):
        said.append(tuner.suggest(number))
        if number >= pending - 1:
            ended = number - pending + 1
            tuner.learn(scripted.outcome(ended, said[ended], loss(said[ended])))
    return said


def test_a_grid_goes_through_a_finite_space_once() -> None:
    search_space = {
        "a": {"_type": "choice", "_value": ["p", "q"]},
        "b": {"_type": "randint", "_value": [1, 4]},
        "c": {"_type": "quniform", "_value": [0.5, 3.6, 1.0]},
    }
    found = all_of(make("GridSearch", search_space))
    expected = itertools.product("pq", (1, 2, 3), (0.5, 1.0, 2.0, 3.0, 3.6))
    assert Counter((one["a"], one["b"], one["c"]) for one in found) == Counter(expected)


def test_a_grid_varies_the_last_parameter_fastest() -> None:
    search_space = {
        "a": {"_type": "choice", "_value": ["p", "q"]},
        "b": {"_type": "choice", "_value": [1, 2, 3]},
    }
    found = all_of(make("GridSearch", search_space))
    assert [(one["a"], one["b"]) for one in found] == [*(("p", n) for n in (1, 2, 3)), *(("q", n) for n in (1, 2, 3))]


def test_a_grid_of_real_numbers_becomes_finer_and_finer() -> None:
    found = [one["x"] for one in all_of(make("GridSearch", UNIT), 15)]
    assert found[:3] == [0.5, 0.25, 0.75]
    assert found[3:7] == [0.125, 0.375, 0.625, 0.875]
    assert len(set(found)) == 15


def test_a_grid_of_a_normal_number_halves_its_distribution() -> None:
    found = [one["x"] for one in all_of(make("GridSearch", {"x": {"_type": "normal", "_value": [5, 2]}}), 3)]
    assert found == pytest.approx([5, *(statistics.NormalDist(5, 2).inv_cdf(share) for share in (0.25, 0.75))])


def test_a_grid_of_a_nested_space() -> None:
    nested = {
        "net": {
            "_type": "choice",
            "_value": [
                {"_name": "none"},
                {
                    "_name": "dense",
                    "units": {"_type": "choice", "_value": [16, 32]},
                    "deep": {"_type": "randint", "_value": [0, 3]},
                },
            ],
        },
        "flag": {"_type": "choice", "_value": [True, False]},
    }
    found = all_of(make("GridSearch", nested))
    assert len({json.dumps(one) for one in found}) == len(found) == (1 + 6) * 2


def test_a_grid_leaves_out_what_was_tried_before() -> None:
    tuner = make("GridSearch", {"x": {"_type": "choice", "_value": [1, 2, 3]}})
    tuner.learn(scripted.outcome(99, {"x": 2}, 0.1))
    assert all_of(tuner) == [{"x": 1}, {"x": 3}]


def coarse(names: str) -> dict[str, Any]:
    return {name: {"_type": "quniform", "_value": [0, 2, 1]} for name in names}


@pytest.mark.parametrize(
    ("search_space", "asked"),
    [
        (coarse("abcd") | {"x": {"_type": "quniform", "_value": [0, 100, 0.1]}}, 1200),
        (coarse("abcd") | {"x": {"_type": "loguniform", "_value": [1e-4, 0.1]}}, 1200),
        (coarse("abc") | {"x": {"_type": "qnormal", "_value": [0, 10, 0.1]}}, 800),
        ({"net": {"_type": "choice", "_value": [{"_name": "a", **coarse("abcd"), **UNIT}, {"_name": "b"}]}}, 1200),
    ],
    ids=["quantised", "real", "normal", "nested"],
)
def test_a_grid_hardly_comes_by_what_rounding_makes_equal(
    search_space: Mapping[str, Any], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited, draw = itertools.count(), points.draw

    def counted(its: dimension.Space, take: points.Take) -> dict[str, Any]:
        next(visited)
        return draw(its, take)

    monkeypatch.setattr(points, "draw", counted)
    found = all_of(make("GridSearch", search_space), asked)
    assert len({json.dumps(one) for one in found}) == asked
    assert next(visited) < 2.5 * asked


def test_a_grid_of_rounded_numbers_keeps_its_order() -> None:
    search_space = {"a": {"_type": "quniform", "_value": [0, 2, 1]}, "x": {"_type": "quniform", "_value": [0, 8, 1]}}
    found = [(one["a"], one["x"]) for one in all_of(make("GridSearch", search_space))]
    assert found[0] == (1, 4)
    assert found[1:7] == [(0, 2), (0, 4), (0, 6), (1, 2), (1, 6), (2, 2)]
    assert Counter(found) == Counter(itertools.product(range(3), range(9)))


def test_a_batch_is_gone_through_in_its_order() -> None:
    sets: list[Any] = [{"lr": 0.1, "opt": "sgd"}, {"lr": 0.2}, {"lr": 0.3}]
    tuner = make("Batch", {"combinations": {"_type": "choice", "_value": sets}})
    tuner.learn(scripted.outcome(99, sets[1], 0.1))
    assert all_of(tuner) == [sets[0], sets[2]]


def test_equal_sets_of_a_batch_are_one() -> None:
    tuner = make("Batch", {"combinations": {"_type": "choice", "_value": [{"lr": 1}, {"lr": 2}, {"lr": 1}]}})
    assert all_of(tuner) == [{"lr": 1}, {"lr": 2}]


def test_evolution_has_its_population_and_changes_one_parameter_of_good_ones() -> None:
    search_space = {name: {"_type": "uniform", "_value": [0, 1]} for name in "abcd"}
    said = plays(make("Evolution", search_space, population_size=8, seed=1), lambda at: sum(at.values()), 60)
    for child in said[8:]:
        shared = [sum(child[name] == parent[name] for name in "abcd") for parent in said if parent is not child]
        assert max(shared) == 3
    assert statistics.mean(sum(one.values()) for one in said[-15:]) < statistics.mean(
        sum(one.values()) for one in said[:15]
    )


def test_cma_es_finds_a_minimum_among_numbers() -> None:
    search_space = {name: {"_type": "uniform", "_value": [-5, 5]} for name in "abc"}
    said = plays(make("CMA-ES", search_space, seed=1), lambda at: sum((v - 2) ** 2 for v in at.values()), 200)
    assert min(sum((v - 2) ** 2 for v in at.values()) for at in said) < 0.1


@pytest.mark.parametrize("asked_before", [0, 4, 30])
def test_cma_es_is_not_led_astray_by_results_that_were_imported(asked_before: int) -> None:
    search_space = {name: {"_type": "uniform", "_value": [-5, 5]} for name in "abcdef"}

    def loss(at: model.Parameters) -> float:
        return float(sum((value - 1.3) ** 2 for value in at.values()))

    def best(imported: int, seed: int) -> float:
        tuner, chance = make("CMA-ES", search_space, seed=seed), random.Random(seed)
        found = []
        for number in range(150 + asked_before):
            if number == asked_before:
                for other in range(imported):
                    known = {name: chance.uniform(-5, 5) for name in search_space}
                    tuner.learn(scripted.outcome(-1 - other, known, loss(known)))
            at = tuner.suggest(number)
            found.append(loss(at))
            tuner.learn(scripted.outcome(number, at, found[-1]))
        return min(found)

    without, with_it = ([best(imported, seed) for seed in range(9)] for imported in (0, 500))
    assert statistics.median(with_it) < 1.2 * statistics.median(without)


def test_cma_es_begins_anew_where_it_has_converged_and_goes_on_with_that_after_a_restart() -> None:
    search_space = {name: {"_type": "uniform", "_value": [-5, 5]} for name in "ab"}

    def away(at: model.Parameters) -> float:
        return max(abs(float(at["a"]) - 1), abs(float(at["b"]) + 2))

    def loss(at: model.Parameters) -> float:
        return float((at["a"] - 1) ** 2 + (at["b"] + 2) ** 2)

    said = plays(make("CMA-ES", search_space, seed=1), loss, 1000)
    assert len({json.dumps(at) for at in said}) == len(said)
    converged = next(number for number, at in enumerate(said) if away(at) < 1e-8)
    again = next(number for number, at in enumerate(said) if number > converged and away(at) > 0.1)
    assert max(map(away, said[again - 20 : again])) < 1e-5
    assert statistics.median(map(away, said[again : again + 50])) > 0.5
    assert max(map(away, said[again + 200 : again + 220])) < 0.1
    restored = make("CMA-ES", search_space, seed=1)
    for number, at in enumerate(said[: again + 200]):
        restored.learn(scripted.outcome(number, at, loss(at)))
    assert max(away(restored.suggest(number)) for number in range(2000, 2020)) < 0.1


@pytest.mark.parametrize(
    ("least", "most", "eta", "levels"),
    [(1, 81, 3, (1, 3, 9, 27, 81)), (1, 60, 3, (1, 3, 9, 27, 60)), (4, 4, 2, (4,)), (5, 3, 2, (5,))],
)
def test_budgets(least: int, most: int, eta: int, levels: tuple[int, ...]) -> None:
    assert budgets.geometric(least, most, eta) == levels


def test_pbt_members_go_on_from_their_checkpoints_and_the_weak_from_a_strong_ones() -> None:
    tuner = make("PBT", UNIT, all_checkpoint_dir="/shared/pbt", population_size=5, seed=1)
    said = plays(tuner, lambda at: at["x"], 40)
    assert [one["load_checkpoint_dir"] for one in said[:5]] == [f"/shared/pbt/{place}/none" for place in range(5)]
    saved = [one["save_checkpoint_dir"] for one in said]
    assert len(set(saved)) == 40
    for place, one in enumerate(said[5:], 5):
        # What is loaded has been saved before.
        assert one["load_checkpoint_dir"] in saved[:place]
    assert statistics.mean(one["x"] for one in said[-10:]) < statistics.mean(one["x"] for one in said[:5])


def test_pbt_takes_more_members_when_more_trials_run_at_once() -> None:
    tuner = make("PBT", UNIT, all_checkpoint_dir="/p", population_size=2, seed=1)
    assert len({tuner.suggest(number)["save_checkpoint_dir"] for number in range(6)}) == 6


def member_of(parameters: model.Parameters) -> tuple[int, int]:
    """Return the number of a member and that of its step."""
    _, number, step = parameters["save_checkpoint_dir"].rsplit("/", 2)
    return int(number), int(step)


def test_a_population_comes_to_life_again_after_a_restart() -> None:
    """What ended is told and what runs is reminded of: both tuners know the same, and go on alike."""
    arguments = {"all_checkpoint_dir": "/shared/pbt/", "population_size": 4, "seed": 1, "fraction": 0.3}
    before, after = (make("PBT", UNIT, **arguments) for _ in range(2))
    said = [before.suggest(number) for number in range(4)]
    ended = []
    for number in range(14):
        ended.append((number, said[number], said[number]["x"]))
        before.learn(scripted.outcome(*ended[-1]))
        said.append(before.suggest(number + 4))
    assert isinstance(after, algorithm.Reminded)
    for number in range(14, 18):
        after.remind(number, said[number])
    for one in ended:
        after.learn(scripted.outcome(*one))
    for number in range(14, 18):
        for tuner in (before, after):
            tuner.learn(scripted.outcome(number, said[number], said[number]["x"]))
    rest = [[tuner.suggest(100 + number) for number in range(4)] for tuner in (before, after)]
    assert [member_of(one) for one in rest[1]] == [member_of(one) for one in rest[0]]
    saved = {one["save_checkpoint_dir"] for one in said}
    for parameters in rest[1]:
        assert parameters["load_checkpoint_dir"] in saved
        assert parameters["save_checkpoint_dir"] not in saved
    # Those that are not among the weakest go on with the parameters that they had.
    kept = {member_of(one)[0]: one["x"] for one in said[14:]}
    assert sum(one["x"] == kept[member_of(one)[0]] for one in rest[1]) >= 2


def test_a_population_that_was_not_whole_before_a_restart_gets_other_members() -> None:
    before, after = (make("PBT", UNIT, all_checkpoint_dir="/p", population_size=4, seed=1) for _ in range(2))
    said = [before.suggest(number) for number in range(2)]
    assert isinstance(after, algorithm.Reminded)
    after.remind(1, said[1])
    after.learn(scripted.outcome(0, said[0], 0.5))
    more = [after.suggest(2), after.suggest(3)]
    assert [member_of(one) for one in more] == [(2, 0), (3, 0)]
    assert len({one["x"] for one in [*said, *more]}) == 4


def test_a_step_that_failed_is_not_gone_on_from() -> None:
    tuner = make("PBT", {"x": {"_type": "choice", "_value": [1]}}, all_checkpoint_dir="/p", population_size=2, seed=1)
    said = [tuner.suggest(0), tuner.suggest(1)]
    assert [one["x"] for one in said] == [1, 1]  # a space with few points is no end
    for number in range(2):
        tuner.learn(scripted.outcome(number, said[number], 0.5))
    again = tuner.suggest(2)
    assert again["load_checkpoint_dir"] == "/p/0/0"
    tuner.learn(scripted.outcome(2, again, None))
    tuner.suggest(3)
    third = tuner.suggest(4)
    assert (third["load_checkpoint_dir"], third["save_checkpoint_dir"]) == ("/p/1/0", "/p/0/2")


@pytest.mark.parametrize(
    "strange",
    [
        {"x": 0.5},
        {"save_checkpoint_dir": "/else/0/0", "load_checkpoint_dir": "/else/0/none"},
        {"save_checkpoint_dir": 3},
    ],
)
def test_trials_that_are_no_steps_of_a_member_are_passed_over(strange: dict[str, Any]) -> None:
    tuner = make("PBT", UNIT, all_checkpoint_dir="/p", population_size=2, seed=1)
    tuner.learn(scripted.outcome(-1, strange, 0.1))
    assert member_of(tuner.suggest(0)) == (0, 0)


@pytest.mark.parametrize("name", ["NSGA-II", "TPE"])
def test_several_objectives_are_traded_off(name: str) -> None:
    search_space = {name: {"_type": "uniform", "_value": [0, 1]} for name in "ab"}
    optimize = {"gain": "maximize", "cost": "minimize"}
    extra = {"population_size": 10} if name == "NSGA-II" else {}
    tuner = make(name, search_space, optimize=optimize, seed=1, **extra)
    waste = []
    for number in range(250):
        at = tuner.suggest(number)
        metric = {"gain": at["a"] - at["b"], "cost": at["a"] ** 2 + at["b"]}
        waste.append(at["b"])
        tuner.learn(
            model.Outcome(
                parameter_id=number, parameters=at, value=None, metric=json.dumps(metric), succeeded=number % 10 > 0
            )
        )
    # b is bad for both.
    assert statistics.mean(waste[-100:]) < 0.7 * 0.5


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ('{"a": 1, "b": 2.5, "c": "x"}', [2.5, 1.0]),
        ('{"b": 1}', None),
        ('{"a": NaN, "b": 1}', None),
        ('{"a": "1", "b": 1}', None),
        ("3", None),
        ("null", None),
    ],
)
def test_the_numbers_of_several_objectives(metric: str, values: list[float] | None) -> None:
    outcome = model.Outcome(parameter_id=0, parameters={}, value=None, metric=metric, succeeded=True)
    assert objectives.values(outcome, {"b": "minimize", "a": "maximize"}) == values


@pytest.mark.parametrize(
    ("arguments", "primary", "is_maximized"),
    [
        ({}, "default", False),
        ({"optimize_mode": "maximize"}, "default", True),
        ({"optimize": {"a": "maximize", "b": "minimize"}}, "a", True),
        ({"optimize": {"a": "maximize", "default": "minimize"}, "optimize_mode": "maximize"}, "default", False),
        ({"optimize": {"a": "minimize", "b": "maximize"}, "primary": "b"}, "b", True),
        ({"optimize": {"a": "minimize", "default": "maximize"}, "primary": "a"}, "a", False),
        # Another's argument of that name.
        ({"optimize": {"a": "minimize"}, "primary": 3}, "a", False),
        ({"optimize": "speed", "optimize_mode": "maximize"}, "default", True),
        ({"optimize": {"lr": "adam"}, "optimize_mode": "maximize"}, "default", True),
        ({"optimize": {"lr": "maximize", "speed": ["fast"]}, "primary": "lr"}, "default", False),
        ({"optimize": None}, "default", False),
    ],
)
def test_what_trials_are_compared_by(arguments: dict[str, Any], primary: str, is_maximized: bool) -> None:
    assert objectives.primary(arguments) == primary
    assert objectives.is_maximized(spec.AlgorithmSpec(name="TPE", class_args=arguments)) is is_maximized


MEDIANSTOP = spec.AlgorithmSpec(name="Medianstop")


@pytest.mark.parametrize(
    ("tuner", "assessor", "is_maximized"),
    [
        *((name, None, False) for name in ("TPE", "Anneal", "Random", "GridSearch", "Batch", "Auto", "ASHA", "QMC")),
        *((name, None, True) for name in ("Evolution", "Hyperband", "PBT", "PBTTuner", "GP", "gptuner")),
        ("TPE", MEDIANSTOP, False),
        ("Auto", MEDIANSTOP, False),
        ("Evolution", spec.AlgorithmSpec(name="Medianstop", class_args={"optimize_mode": "minimize"}), True),
        ("Random", MEDIANSTOP, True),
        ("GridSearch", spec.AlgorithmSpec(name="curvefitting"), True),
        ("Batch", spec.AlgorithmSpec(name="Medianstop", class_args={"optimize_mode": "minimize"}), False),
        ("Random", spec.AlgorithmSpec(name="Percentile"), False),
        (None, MEDIANSTOP, True),
        (None, spec.AlgorithmSpec(class_name="my.Assessor"), False),
    ],
)
def test_where_nothing_is_said_it_is_as_in_nni(
    tuner: str | None, assessor: spec.AlgorithmSpec | None, is_maximized: bool
) -> None:
    chosen = spec.AlgorithmSpec(name=tuner, class_name=None if tuner else "my.Tuner")
    assert objectives.is_maximized(chosen, assessor) is is_maximized
    said = spec.AlgorithmSpec(name=tuner, class_name=chosen.class_name, class_args={"optimize_mode": "minimize"})
    assert objectives.is_maximized(said, assessor) is False


@pytest.mark.parametrize("entry", registry.TUNERS.values(), ids=registry.names())
def test_by_whatever_name_a_tuner_is_chosen_its_direction_is_the_same(entry: registry.Entry) -> None:
    chosen = [spec.AlgorithmSpec(name=name) for name in (entry.name, entry.name.lower(), *entry.aliases)]
    mode = entry.arguments["optimize_mode"].default
    assert {objectives.is_maximized(one) for one in chosen} == {mode == "maximize"}
    assert len({objectives.is_maximized(one, MEDIANSTOP) for one in chosen}) == 1


def test_the_pareto_front_of_three_objectives_is_that_of_all_pairs() -> None:
    chance = random.Random(1)
    for count in (1, 2, 3):
        optimize: dict[str, objectives.Mode] = dict.fromkeys("abc"[:count], "minimize")
        points = {number: [float(chance.randrange(8)) for _ in range(count)] for number in range(60)}
        front = [
            number
            for number, own in points.items()
            if not any(other != own and all(map(operator.le, other, own)) for other in points.values())
        ]
        assert sorted(objectives.front(points, optimize)) == front


def test_the_pareto_front() -> None:
    points = {"cheap": [1.0, 0.1], "good": [5.0, 0.9], "both": [2.0, 0.8], "worse": [3.0, 0.7], "same": [2.0, 0.8]}
    assert objectives.front(points, {"cost": "minimize", "gain": "maximize"}) == ["cheap", "both", "same", "good"]
    assert objectives.front({}, {"cost": "minimize"}) == []


def test_a_rung_counts_failures_but_does_not_promote_them() -> None:
    rung = budgets.Rung()
    for number in range(4):
        rung.add(budgets.Entrant.of({"x": number}), math.inf if number < 2 else float(number))
    promoted = [rung.promote(2) for _ in range(3)]
    assert [one and one.parameters for one in promoted] == [{"x": 2}, {"x": 3}, None]
