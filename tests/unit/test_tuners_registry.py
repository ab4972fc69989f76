"""The tuners by name, and every mistake in choosing one."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from nni import errors
from nni.core import spec
from nni.tuners import registry


def mistakes(name: str | None, **arguments: Any) -> list[tuple[str, str]]:
    found = registry.problems(spec.AlgorithmSpec(name=name, class_args=arguments), "tuner")
    return [(one.path, one.message) for one in found]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
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
        ("Grid", "there is no tuner 'Grid'; use 'TPE' or 'Random'"),
        ("gridsearch", "the tuner 'GridSearch' is not in this release; use 'TPE' or 'Random'"),
        ("Anneal", "the tuner 'Anneal' is not in this release; use 'TPE' or 'Random'"),
        ("SMAC", "the tuner 'SMAC' is not carried over from NNI; use 'TPE' or 'Random'"),
        ("PPOTuner", "the tuner 'PPOTuner' is not carried over from NNI; use 'TPE' or 'Random'"),
        (None, "is not set; use 'TPE' or 'Random'"),
    ],
)
def test_names_that_are_no_tuner(name: str | None, sentence: str) -> None:
    assert mistakes(name) == [("tuner.name", sentence)]


@pytest.mark.parametrize(
    ("arguments", "path", "sentence"),
    [
        ({"optimise_mode": "x"}, "optimise_mode", "is not an argument of TPE; there are optimize_mode, seed, tpe_args"),
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


def test_a_tuner_of_ones_own() -> None:
    own = spec.AlgorithmSpec(class_name="mine.Tuner", code_directory="/code")
    assert [tuple(one) for one in registry.problems(own, "tuner")] == [
        (
            "tuner.class_name",
            "tuners of one's own are not in this release; use a built-in one: 'TPE' or 'Random'",
        )
    ]


def test_defaults_are_filled_in() -> None:
    chosen = spec.AlgorithmSpec(name="tpe", class_args={"tpe_args": {"n_startup_jobs": 3}, "seed": 7})
    tuner, arguments = registry.arguments_of(chosen)
    assert tuner.name == "TPE"
    assert arguments == {
        "optimize_mode": "minimize",
        "seed": 7,
        "tpe_args": {"n_startup_jobs": 3, "n_ei_candidates": 24, "constant_liar_type": "worst"},
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
