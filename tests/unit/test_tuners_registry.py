"""The tuners by name, and every mistake in choosing one."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from nni import errors
from nni.core import space, spec
from nni.tuners import registry


def mistakes(name: str | None, **arguments: Any) -> list[tuple[str, str]]:
    found = registry.problems(spec.AlgorithmSpec(name=name, class_args=arguments), "tuner")
    return [(one.path, one.message) for one in found]


ALL = (
    "use 'Auto', 'TPE', 'Random', 'GridSearch', 'Anneal', 'Evolution', 'Batch', 'GP', 'CMA-ES', 'QMC', 'NSGA-II', "
    "'Hyperband', 'ASHA' or 'PBT'"
)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("auto", {"seed": 3}),
        ("GridSearch", {"optimize_mode": "maximize"}),
        ("Evolution", {"population_size": 8}),
        ("BatchTuner", {}),
        ("GPTuner", {}),
        ("cma-es", {}),
        ("NSGA-II", {"optimize": {"accuracy": "maximize", "latency": "minimize"}, "population_size": 10}),
        ("NSGA-II", {"optimize": {"accuracy": "maximize", "latency": "minimize"}, "optimize_mode": "maximize"}),
        ("Hyperband", {"R": 60, "eta": 3, "exec_mode": "parallelism"}),
        ("ASHA", {"min_budget": 1, "max_budget": 27, "eta": 3}),
        ("PBT", {"all_checkpoint_dir": "/shared/pbt", "factor": 0.3, "fraction": 1}),
        ("TPE", {}),
        ("tpe", {"optimize_mode": "maximize", "seed": 0}),
        ("TPE", {"seed": None, "tpe_args": None}),
        ("TPE", {"tpe_args": {"n_startup_jobs": 0, "n_ei_candidates": 1, "constant_liar_type": None}}),
        ("TPE", {"tpe_args": {"constant_liar_type": "worst"}}),
        ("random", {"optimize_mode": "minimize", "seed": 2**32 - 1}),
    ],
)
def test_right_choices(name: str, arguments: Mapping[str, Any]) -> None:
    assert mistakes(name, **arguments) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("TEP", "there is no tuner 'TEP'; did you mean 'TPE'?"),
        ("Grid", f"there is no tuner 'Grid'; {ALL}"),
        ("BOHB", "the tuner 'BOHB' is not carried over from NNI; use 'ASHA' for budgets, 'Auto' for its model"),
        ("smac", "the tuner 'SMAC' is not carried over from NNI; use 'Auto'"),
        ("Metis", "the tuner 'Metis' is not carried over from NNI; use 'Auto'"),
        ("DNGOTuner", "the tuner 'DNGOTuner' is not carried over from NNI; use 'Auto'"),
        (
            "PPOTuner",
            "the tuner 'PPOTuner' is not carried over from NNI; use 'Evolution' over a search space of architectures",
        ),
        (
            "NetworkMorphism",
            "the tuner 'NetworkMorphism' is not carried over from NNI; use 'Auto' over a search space of architectures",
        ),
        (None, f"is not set; {ALL}"),
    ],
)
def test_names_that_are_no_tuner(name: str | None, sentence: str) -> None:
    assert mistakes(name) == [("tuner.name", sentence)]


@pytest.mark.parametrize(
    ("arguments", "path", "sentence"),
    [
        (
            {"optimise_mode": "x"},
            "optimise_mode",
            "is not an argument of TPE; there are optimize_mode, seed, tpe_args, optimize, primary",
        ),
        ({"optimize_mode": "max"}, "optimize_mode", "must be 'minimize' or 'maximize', not 'max'"),
        ({"optimize_mode": None}, "optimize_mode", "must be 'minimize' or 'maximize', not None"),
        ({"seed": -1}, "seed", "must be an integer from 0 to 4294967295 or null, not -1"),
        ({"seed": True}, "seed", "must be an integer from 0 to 4294967295 or null, not True"),
        ({"seed": "1"}, "seed", "must be an integer from 0 to 4294967295 or null, not '1'"),
        (
            {"tpe_args": 3},
            "tpe_args",
            "must be a mapping with any of n_startup_jobs, n_ei_candidates, constant_liar_type, not 3",
        ),
        (
            {"tpe_args": {"n_startup_jobs": 1.5}},
            "tpe_args.n_startup_jobs",
            "must be an integer of at least 0, not 1.5",
        ),
        (
            {"tpe_args": {"n_ei_candidates": 0}},
            "tpe_args.n_ei_candidates",
            "must be an integer of at least 1, not 0",
        ),
        (
            {"tpe_args": {"candidates": 0}},
            "tpe_args.candidates",
            "is not one of tpe_args; there are n_startup_jobs, n_ei_candidates, constant_liar_type",
        ),
        (
            {"tpe_args": {"gamma": 0.25}},
            "tpe_args.gamma",
            "has no counterpart in this tuner; leave it out, it is fixed in this tuner",
        ),
        (
            {"tpe_args": {"constant_liar_type": "best"}},
            "tpe_args.constant_liar_type",
            "'best' has no counterpart in this tuner; use 'worst', which counts running trials as bad ones, or null",
        ),
        (
            {"tpe_args": {"constant_liar_type": "none"}},
            "tpe_args.constant_liar_type",
            "must be 'worst' or null, not 'none'",
        ),
    ],
)
def test_wrong_arguments(arguments: Mapping[str, Any], path: str, sentence: str) -> None:
    assert mistakes("TPE", **arguments) == [(f"tuner.class_args.{path}", sentence)]


def test_all_mistakes_come_together() -> None:
    assert [path for path, _ in mistakes("Random", optimize_mode=1, sed=2, seed="x")] == [
        "tuner.class_args.optimize_mode",
        "tuner.class_args.sed",
        "tuner.class_args.seed",
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "path", "sentence"),
    [
        (
            "PBT",
            {},
            "all_checkpoint_dir",
            "is not set; it must be a directory on a storage that all trials share, as they see it",
        ),
        ("PBT", {"all_checkpoint_dir": "/x", "fraction": 2}, "fraction", "must be a number from 0 to 1, not 2"),
        ("NSGA-II", {"optimize": {"a": "up"}}, "optimize.a", "must be 'minimize' or 'maximize', not 'up'"),
        (
            "NSGA-II",
            {"optimize": {"accuracy": "maximize", "cost": "minimize"}, "primary": "costs"},
            "primary",
            "'costs' is not one of the objectives; did you mean 'cost'?",
        ),
        (
            "TPE",
            {"primary": "cost"},
            "primary",
            "names one of several objectives; write them as optimize: {NAME: minimize, ...}",
        ),
        ("TPE", {"optimize": {"cost": "minimize"}, "primary": 3}, "primary", "must be a text or null, not 3"),
        (
            "TPE",
            {"optimize": {"cost": "minimize"}, "optimize_mode": "maximize"},
            "optimize_mode",
            "is 'maximize', and optimize has 'cost' minimized; leave optimize_mode out",
        ),
        (
            "NSGA-II",
            {"optimize": {"cost": "minimize", "gain": "maximize"}, "primary": "gain", "optimize_mode": "minimize"},
            "optimize_mode",
            "is 'minimize', and optimize has 'gain' maximized; leave optimize_mode out",
        ),
        (
            "Hyperband",
            {"exec_mode": "serial"},
            "exec_mode",
            "'serial' has no counterpart in this tuner; leave it out; brackets overlap, so that no node waits",
        ),
    ],
)
def test_wrong_arguments_of_other_tuners(*, name: str, arguments: Mapping[str, Any], path: str, sentence: str) -> None:
    assert mistakes(name, **arguments) == [(f"tuner.class_args.{path}", sentence)]


@pytest.mark.parametrize(
    ("name", "kind", "values", "refused"),
    [
        ("CMA-ES", "uniform", [0, 1], None),
        ("CMA-ES", "choice", [1, 2], "has the choice 'x', and CMA-ES takes numbers alone; use 'Auto', or take the "),
        ("Batch", "choice", [{"a": 1}, {"a": 2}], None),
        ("Batch", "choice", [{"a": 1}, 2], "has an option that is not a mapping; with Batch each option is the whole"),
        ("Batch", "uniform", [0, 1], "is not one choice; with Batch it is a single choice whose options are the "),
    ],
)
def test_what_a_tuner_cannot_do_is_said_before(name: str, kind: str, values: list[Any], refused: str | None) -> None:
    described = space.parse({"x": {"_type": kind, "_value": values}})
    found = registry.space_problems(spec.AlgorithmSpec(name=name), described)
    if refused is None:
        assert found == []
    else:
        assert [(one.path, one.message[: len(refused)]) for one in found] == [("search_space", refused)]


def test_a_tuner_of_ones_own_is_not_looked_at_before_it_runs() -> None:
    own = spec.AlgorithmSpec(class_name="mine.Tuner", code_directory="/code", class_args={"any": 1})
    assert registry.problems(own, "tuner") == []


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("Medianstop", {"optimize_mode": "maximize", "start_step": 3}, []),
        ("curvefitting", {"epoch_num": 20, "start_step": 6, "threshold": 0.95, "gap": 1}, []),
        ("Percentile", {"percentile": 25}, []),
        ("ASHA", {}, []),
        (
            "Median",
            {},
            [
                (
                    "assessor.name",
                    "there is no assessor 'Median'; did you mean 'Medianstop'?",
                )
            ],
        ),
        (
            "Medianstop",
            {"start": 3},
            [("assessor.class_args.start", "is not an argument of Medianstop; there are optimize_mode, start_step")],
        ),
    ],
)
def test_assessors(name: str, arguments: Mapping[str, Any], found: list[tuple[str, str]]) -> None:
    chosen = spec.AlgorithmSpec(name=name, class_args=arguments)
    assert [(one.path, one.message) for one in registry.assessor_problems(chosen, "assessor")] == found


def test_defaults_are_filled_in() -> None:
    chosen = spec.AlgorithmSpec(name="tpe", class_args={"tpe_args": {"n_startup_jobs": 3}, "seed": 7})
    tuner, arguments = registry.arguments_of(chosen)
    assert tuner.name == "TPE"
    assert arguments == {
        "optimize_mode": "minimize",
        "seed": 7,
        "tpe_args": {"n_startup_jobs": 3, "n_ei_candidates": 24, "constant_liar_type": "worst"},
        "optimize": None,
        "primary": None,
    }
    with pytest.raises(errors.ConfigError, match=r"tuner\.class_args\.seed: must be"):
        registry.arguments_of(spec.AlgorithmSpec(name="tpe", class_args={"seed": -1}))


def test_nothing_heavy_is_imported_for_it() -> None:
    check = (
        "import sys; from nni.tuners import process, registry; "
        "heavy = {'optuna', 'numpy', 'scipy'} & set(sys.modules); sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_where_nothing_is_said_a_tuner_goes_the_way_of_nnis() -> None:
    needed = {"PBT": {"all_checkpoint_dir": "/p"}}
    chosen = (spec.AlgorithmSpec(name=name, class_args=needed.get(name, {})) for name in registry.names())
    modes = {entry.name: filled["optimize_mode"] for entry, filled in map(registry.arguments_of, chosen)}
    maximizing = {name for name, mode in modes.items() if mode == "maximize"}
    assert maximizing == {"Evolution", "GP", "Hyperband", "PBT"}


NNIS = {
    "Random": ["seed", "optimize_mode"],
    "GridSearch": ["optimize_mode"],
    "TPE": ["optimize_mode", "seed", "tpe_args"],
    "Anneal": ["optimize_mode", "parallel_optimize", "constant_liar_type"],
    "Evolution": ["optimize_mode", "population_size"],
    "GP": [
        *("optimize_mode", "utility", "kappa", "xi", "nu", "alpha", "cold_start_num", "selection_num_warm_up"),
        "selection_num_starting_points",
    ],
    "PBT": [
        *("optimize_mode", "all_checkpoint_dir", "population_size", "factor", "resample_probability", "fraction"),
        # Its validator has this one.
        "factors",
    ],
    "Hyperband": ["optimize_mode", "R", "eta", "exec_mode"],
}
"""What NNI 3.0's tuners take."""
TPE_ARGS = ["constant_liar_type", "n_startup_jobs", "n_ei_candidates", "linear_forgetting", "prior_weight", "gamma"]


def test_every_argument_of_nnis_tuners_is_taken_or_says_what_to_do_instead() -> None:
    for name, arguments in NNIS.items():
        for argument in arguments:
            found = [message for path, message in mistakes(name, **{argument: object()}) if path.endswith(argument)]
            assert "is not an argument of" not in found[0], (name, argument)
    for argument in TPE_ARGS:
        ((_, message),) = mistakes("TPE", tpe_args={argument: object()})
        assert "is not one of" not in message, argument


@pytest.mark.parametrize(
    ("name", "argument", "instead"),
    [
        ("GP", "utility", "leave it out, it is the expected improvement"),
        ("GP", "kappa", "leave it out, the expected improvement needs none"),
        ("GPTuner", "nu", "leave it out, it is 2.5, NNI's default"),
        ("GP", "cold_start_num", "leave it out, or give initial_parameters to begin with"),
        ("Anneal", "parallel_optimize", "leave it out, running trials always count"),
        ("TPE", "constant_liar_type", "write it in tpe_args"),
        ("GridSearch", "seed", "leave it out, nothing is drawn by chance"),
        ("PBT", "factors", "write factor"),
        ("Hyperband", "max_budget", "write R, the largest budget, or name 'ASHA', which takes it"),
        (
            "Auto",
            "optimize",
            "name 'NSGA-II' or 'TPE', which take several objectives, or write optimize_mode for the one called "
            "'default'",
        ),
    ],
)
def test_what_to_use_instead(name: str, argument: str, instead: str) -> None:
    found = dict(mistakes(name, **{argument: {"a": "minimize", "b": "minimize"}}))
    assert found[f"tuner.class_args.{argument}"] == f"has no counterpart in this tuner; {instead}"
