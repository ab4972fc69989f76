"""What a configuration says of search: the tuner that is taken, what it cannot have, what is tried first."""

from pathlib import Path
from typing import Any

import pytest

from nni import check, errors
from nni.experiment import ExperimentConfig

SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1]},
    "act": {"_type": "choice", "_value": ["relu", "tanh"]},
}


def configured(directory: Path, **fields: Any) -> ExperimentConfig:
    config = ExperimentConfig("local")
    config.search_space = SPACE
    config.trial_command = "true"
    config.trial_code_directory = directory
    config.trial_concurrency = 1
    for name, value in fields.items():
        setattr(config, name, value)
    return config


RUNNING = {
    "tuner": {"name": "Auto"},
    "initial_parameters": [{"x": 0.5, "act": "relu"}, {"x": 0.1, "act": "tanh"}],
}


@pytest.mark.parametrize(
    ("changes", "space", "problems"),
    [
        ({}, SPACE, []),
        ({}, None, ["search_space: None is not a mapping of names to search spaces"]),
        ({}, {}, ["search_space: is empty; add a parameter at least"]),
        (
            {},
            {"x": {"_type": "uniform", "_value": [1, 0]}, "y": {"_type": "normal", "_value": [0, -1]}},
            [
                "search_space.x._value[1]: 0 is not above 1, the lower bound",
                "search_space.y._value[1]: -1 is not above 0, and sigma must be",
            ],
        ),
        (
            {},
            {**SPACE, "act": {"_type": "choice", "_value": ["elu"]}},
            [
                # The first ones have been tried.
                "initial_parameters[1]: has not been tried yet, and is not of the new search space: "
                "'tanh' is not an option of 'act'"
            ],
        ),
        (
            {"tuner": {"name": "CMA-ES"}, "initial_parameters": None, "search_space": {"x": SPACE["x"]}},
            SPACE,
            ["search_space: has the choice 'act', and CMA-ES takes numbers alone; use 'Auto', or take the choice out"],
        ),
        (
            {"tuner": {"class_name": "mine.Tuner", "code_directory": "."}, "initial_parameters": None},
            {"anything": 1},
            [],
        ),
    ],
)
def test_another_search_space_for_a_running_experiment_is_checked_as_the_first_one_was(
    tmp_path: Path, changes: dict[str, Any], space: Any, problems: list[str]
) -> None:
    running = check.checked(configured(tmp_path, **{**RUNNING, **changes}))
    tried = [{"act": "relu", "x": 0.5}, {"act": "relu", "x": 0.7}]
    assert [str(one) for one in check.space_problems(running, space, tried)] == problems


def says(config: ExperimentConfig) -> list[str]:
    return [str(problem) for problem in check.problems(config)]


def test_where_no_tuner_is_named_it_is_auto(tmp_path: Path) -> None:
    spec = check.checked(configured(tmp_path))
    assert (spec.tuner.name, spec.tuner.class_args) == ("Auto", {})
    assert spec.canonical["tuner"] == {"name": "Auto", "classArgs": {}}


def test_a_tuner_that_cannot_have_the_search_space_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.tuner.name = "CMA-ES"
    assert says(config) == [
        "search_space: has the choice 'act', and CMA-ES takes numbers alone; use 'Auto', or take the choice out"
    ]


def test_an_advisor_is_read_as_a_tuner(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.advisor.name = "Hyperband"
    assert check.checked(config).tuner.name == "Hyperband"
    config.advisor.name = "BOHB"
    assert says(config) == [
        "advisor.name: the tuner 'BOHB' is not carried over from NNI; use 'ASHA' for budgets, 'Auto' for its model"
    ]


def test_an_advisor_of_ones_own_is_refused_and_told_what_to_write(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.advisor.class_name = "mine.Advisor"
    config.advisor.code_directory = tmp_path
    assert says(config) == [
        "advisor: an advisor of one's own cannot be run; derive a tuner from nni.tuner.Tuner and name it in tuner"
    ]


def test_initial_parameters_are_kept_in_their_order(tmp_path: Path) -> None:
    first = [{"x": 0.5, "act": "relu"}, {"x": 1, "act": "tanh"}]
    assert check.checked(configured(tmp_path, initial_parameters=first)).initial_parameters == tuple(first)


@pytest.mark.parametrize(
    ("initial", "problem"),
    [
        ([{"x": 0.5}], "initial_parameters[0]: is not of the search space: 'act' is missing"),
        (
            [{"x": 0.5, "act": "relu"}, {"x": 1, "act": "elu"}],
            "initial_parameters[1]: is not of the search space: 'elu' is not an option of 'act'",
        ),
        ([3], "initial_parameters[0]: 3 is not a mapping of names to values"),
    ],
)
def test_initial_parameters_of_another_space(tmp_path: Path, initial: list[Any], problem: str) -> None:
    config = configured(tmp_path, initial_parameters=initial)
    assert says(config) == [problem]
    with pytest.raises(errors.ConfigError):
        check.checked(config)


def test_budgets_that_shrink_and_an_assessor_beside_promotions_are_refused(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.tuner.name = "ASHA"
    config.tuner.class_args = {"min_budget": 9, "max_budget": 3}
    config.assessor.name = "Medianstop"
    assert says(config) == [
        "tuner.class_args.max_budget: is 3, less than min_budget (9)",
        "assessor: is not for ASHA, which spares bad trials the larger budgets itself; leave it out",
    ]
    config.tuner.class_args = {"min_budget": 3, "max_budget": 3}
    config.assessor.name = None
    assert says(config) == []


@pytest.mark.parametrize("name", ["ASHA", "Hyperband"])
def test_a_parameter_that_is_called_as_the_budget_is_refused(tmp_path: Path, name: str) -> None:
    config = configured(tmp_path)
    config.search_space = {"TRIAL_BUDGET": {"_type": "choice", "_value": [1, 2]}}
    config.tuner.name = name
    assert says(config) == [
        "search_space: has the parameter 'TRIAL_BUDGET', which this tuner sets itself; give yours another name"
    ]


def test_initial_parameters_are_not_for_tuners_with_budgets(tmp_path: Path) -> None:
    config = configured(tmp_path, initial_parameters=[{"x": 0.5, "act": "relu"}])
    config.tuner.name = "ASHA"
    assert says(config) == [
        "initial_parameters: is not for ASHA, whose trials get more than parameters; leave it out, or use 'Auto'"
    ]


def test_mistakes_of_an_assessor_have_their_paths(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.assessor.name = "Medianstop"
    config.assessor.class_args = {"start": 3}
    assert says(config) == [
        "assessor.class_args.start: is not an argument of Medianstop; there are optimize_mode, start_step"
    ]
    config.assessor.name, config.assessor.class_args = "Median", {}
    assert says(config) == ["assessor.name: there is no assessor 'Median'; did you mean 'Medianstop'?"]
