"""An experiment before it is started: its configuration, its id, and what it says to questions."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nni.experiment
from nni import errors
from nni.experiment import Experiment, ExperimentConfig, KubeflowConfig, LocalConfig
from nni.experiment import config as exported


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_platforms_name_makes_an_empty_configuration() -> None:
    assert Experiment("kubeflow").config == ExperimentConfig("kubeflow")
    assert isinstance(Experiment("kubeflow").config.training_service, KubeflowConfig)
    assert isinstance(Experiment("local").config.training_service, LocalConfig)
    assert Experiment().config == ExperimentConfig()


def test_a_configuration_is_taken_as_it_is() -> None:
    config = ExperimentConfig("local")

    assert Experiment(config).config is config


def test_ids_are_made_up_of_lower_case_letters_and_digits() -> None:
    ids = {Experiment("local").id for _ in range(50)}

    assert len(ids) == 50
    assert [one for one in ids if not re.fullmatch(r"[a-z][a-z0-9]{7}", one)] == []


@pytest.mark.parametrize("given", ["a", "My_Experiment-2", "x" * 32])
def test_an_id_of_the_users_own(given: str) -> None:
    assert Experiment("local", id=given).id == given


@pytest.mark.parametrize("given", ["", "../up", "a b", "x" * 33, "é", "a\n"])
def test_what_can_be_no_id(given: str) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        Experiment("local", id=given)

    assert str(raised.value) == (
        f"id: {given!r} cannot be an experiment's id; write 1 to 32 letters, digits, '-' and '_'"
    )


@pytest.mark.parametrize(
    "ask",
    [
        Experiment.get_status,
        Experiment.list_trial_jobs,
        Experiment.export_data,
        Experiment.get_experiment_profile,
        lambda experiment: experiment.update_trial_concurrency(2),
    ],
)
def test_an_experiment_that_does_not_run_answers_nothing(ask: Callable[[Experiment], object]) -> None:
    with pytest.raises(errors.ManagerUnreachableError) as raised:
        ask(Experiment("local", id="mine"))

    assert str(raised.value) == "Experiment mine is not running; start() it first."


def test_stopping_what_does_not_run_does_nothing() -> None:
    Experiment("local").stop()


def test_mistakes_are_named_before_anything_happens(home: Path, free_port: int) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        Experiment("local").start(free_port)

    assert [problem.path for problem in raised.value.problems] == [
        "trial_concurrency",
        "search_space",
        "trial_command",
    ]
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("port", [0, -1, 65535, 70000])
def test_a_port_that_cannot_be(port: int) -> None:
    with pytest.raises(ValueError, match=f"Port {port} cannot be used: choose one from 1 to 65534"):
        Experiment("local").run(port)


def test_connecting_to_a_port_where_none_runs() -> None:
    with pytest.raises(errors.ExperimentNotFoundError, match=r"No experiment runs on port 9 of this machine\."):
        Experiment.connect(9)


def test_describing_an_experiment_loads_nothing_of_running_one() -> None:
    program = (
        "import json, sys\nimport nni.experiment\nnni.experiment.ExperimentConfig('kubeflow')\n"
        "print(json.dumps(list(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    assert {"yaml", "aiohttp", "kubernetes", "optuna", "nni.experiment.experiment"} & set(loaded) == set()


def test_every_exported_name_is_there() -> None:
    for module in (nni.experiment, exported):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert set(nni.experiment.__all__) <= set(dir(nni.experiment))
    with pytest.raises(AttributeError, match="no attribute 'Experimnt'"):
        nni.experiment.Experimnt  # type: ignore[attr-defined]  # noqa: B018
