"""``nnictl`` while an experiment runs: another search space, other limits, results in and out, a mended tuner."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nni import errors
from nni.experiment import Experiment
from nni.testing import experiments

if TYPE_CHECKING:
    from subprocess import CompletedProcess

NNICTL = str(Path(sys.executable).with_name("nnictl"))
Run = Callable[..., "CompletedProcess[str]"]

TRIAL = """\
import nni
x = nni.get_next_parameter()
width = x["net"]["width"] if x["net"]["_name"] == "wide" else 0
nni.report_intermediate_result({"accuracy": 0.1, "cost": 1})
nni.report_final_result({"accuracy": width / 10, "cost": width if width < 3 else 9 - width})
"""
SPACE = {
    "net": {
        "_type": "choice",
        "_value": [{"_name": "none"}, {"_name": "wide", "width": {"_type": "randint", "_value": [1, 5]}}],
    }
}
DESCRIBED: dict[str, Any] = {
    "searchSpace": SPACE,
    "tuner": {"name": "NSGA-II", "classArgs": {"optimize": {"accuracy": "maximize", "cost": "minimize"}, "seed": 1}},
    "trialConcurrency": 1,
    "trialCommand": "python3 trial.py",
    "trainingService": {"platform": "local"},
}


@pytest.fixture
def nnictl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs nnictl in a directory with a trial and a home of its own; nothing runs any more at the end."""
    from subprocess import run  # noqa: PLC0415

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "trial.py").write_text(TRIAL)

    def call(*words: str) -> "CompletedProcess[str]":
        return run([NNICTL, *words], cwd=tmp_path, text=True, timeout=90, check=False, capture_output=True)

    yield call
    assert call("stop", "--all").returncode == 0


@pytest.fixture
def start(nnictl: Run, tmp_path: Path, free_port: int) -> Callable[..., Experiment]:
    """Starts an experiment with nnictl, and returns it."""

    def begin(**changes: Any) -> Experiment:
        (tmp_path / "experiment.yml").write_text(yaml.safe_dump({**DESCRIBED, **changes}))
        begun = nnictl("create", "--config", "experiment.yml", "--port", str(free_port))
        assert begun.returncode == 0, begun.stderr
        return Experiment.connect(free_port)

    return begin


def is_done(change: dict[str, Any]) -> bool:
    return bool(change["experiment"]["status"] == "DONE")


def test_results_go_out_with_all_objectives_and_into_another_experiment(
    nnictl: Run, start: Callable[..., Experiment], tmp_path: Path
) -> None:
    experiment = start()
    experiments.until(experiment, is_done)

    exported = nnictl("experiment", "export", "--type", "csv", "--filename", "out.csv")

    assert (exported.returncode, exported.stdout) == (0, "5 results are in out.csv.\n"), exported.stderr
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert next(iter(rows[0])) == "trialJobId"
    assert set(rows[0]) == {"trialJobId", "net._name", "net.width", "accuracy", "cost", "isParetoOptimal"}
    by_width = {row["net.width"]: (float(row["accuracy"]), float(row["cost"])) for row in rows}
    assert by_width == {"": (0.0, 0.0), "1": (0.1, 1.0), "2": (0.2, 2.0), "3": (0.3, 6.0), "4": (0.4, 5.0)}
    assert {row["net.width"] for row in rows if row["isParetoOptimal"] == "true"} == {"", "1", "2", "4"}
    front = {result.trialJobId for result in experiment.export_data() if result.isParetoOptimal}
    assert front == {one["trialJobId"] for one in experiment._connected.get("pareto-front")}
    ranked = nnictl("trial", "ls", "--head", "2", "--json")
    assert [one["finalValue"] for one in json.loads(ranked.stdout)] == [0.4, 0.3]

    written = nnictl("experiment", "export", "--intermediate")
    results = json.loads(written.stdout)
    assert [one["intermediate"] for one in results] == [[{"accuracy": 0.1, "cost": 1}]] * 5
    assert nnictl("stop").returncode == 0
    (tmp_path / "results.json").write_text(json.dumps([*results[:4], {"parameter": {"else": 1}, "value": 3}]))
    again = start(tuner={"name": "GridSearch"}, maxTrialNumber=1)
    nnictl("experiment", "import", "--filename", "results.json")
    assert nnictl("update", "trialnum", "--value", "9").returncode == 0
    experiments.until(again, is_done)
    # What came from elsewhere is not tried again; the first trial may have been before it came.
    assert len(again.list_trial_jobs()) <= 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "cannot be understood"),
        ("x: {_type: unifrom, _value: [0, 1]}", "search_space.x._type: 'unifrom' is not a type"),
        (
            "x: {_type: uniform, _value: [1, 0]}\ny: {_type: choice, _value: []}",
            "search_space.x._value[1]: 0 is not above 1, the lower bound\nsearch_space.y._value: is empty",
        ),
        ("x: {_type: choice, _value: [1, 2]}", "has the choice 'x', and CMA-ES takes numbers alone"),
    ],
)
def test_a_search_space_that_cannot_be_is_refused_without_harm(
    *, nnictl: Run, start: Callable[..., Experiment], tmp_path: Path, text: str, says: str
) -> None:
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    experiment = start(searchSpace=space, tuner={"name": "CMA-ES"}, maxTrialNumber=1)
    (tmp_path / "space.yml").write_text(text)

    refused = nnictl("update", "searchspace", "--filename", "space.yml")

    assert refused.returncode == 1
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert experiment.get_experiment_profile()["params"]["searchSpace"] == space
    assert experiment.get_status() != "ERROR"


def test_limits_change_and_another_search_space_is_taken(
    nnictl: Run, start: Callable[..., Experiment], tmp_path: Path
) -> None:
    space = {"net": {"_type": "choice", "_value": [{"_name": "none"}]}}
    experiment = start(searchSpace=space, tuner={"name": "Random"})
    experiments.until(experiment, is_done)
    crowded = nnictl("update", "concurrency", "--value", "99999")
    assert crowded.stderr.startswith("warning: All trials run on this machine, whose ")
    for words in (("concurrency", "2"), ("duration", "2h"), ("trialnum", "4")):
        changed = nnictl("update", words[0], "--value", words[1])
        assert (changed.returncode, changed.stderr) == (0, "")
    (tmp_path / "space.json").write_text(json.dumps(SPACE))

    changed = nnictl("update", "searchspace", "--filename", "space.json")

    assert (changed.returncode, changed.stdout) == (0, f"Experiment {experiment.id} is changed.\n")
    experiments.until(experiment, lambda change: is_done(change) and change["counts"]["SUCCEEDED"] == 4)
    params = experiment.get_experiment_profile()["params"]
    assert (params["trialConcurrency"], params["maxTrialNumber"], params["maxExperimentDuration"]) == (2, 4, "7200s")
    tried = [json.dumps(result.parameter) for result in experiment.export_data()]
    assert len(set(tried)) == 4


BROKEN = """\
from nni.tuner import Tuner


class Mine(Tuner):
    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id, **kwargs):
        return {"net": nothing}
"""


def test_a_tuner_that_was_mended_goes_on(nnictl: Run, start: Callable[..., Experiment], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    experiment = start(tuner={"className": "mine.Mine", "codeDirectory": "."}, maxTrialNumber=2)
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "ERROR")
    shown = nnictl("experiment", "status")
    assert "NameError: name 'nothing' is not defined in generate_parameters" in shown.stdout
    assert f"{tmp_path}/mine.py:9" in shown.stdout
    (tmp_path / "mine.py").write_text(BROKEN.replace("nothing", '{"_name": "none"}'))

    resumed = nnictl("resume")

    assert (resumed.returncode, resumed.stdout) == (0, f"Experiment {experiment.id} goes on.\n"), resumed.stderr
    experiments.until(experiment, lambda change: is_done(change) and change["counts"]["SUCCEEDED"] == 2)
    assert nnictl("resume").stderr == f"error: Experiment {experiment.id} is DONE: nothing of it has failed.\n"


REMEMBERING = """\
from nni.tuner import Tuner


class Mine(Tuner):
    known = 0

    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id, **kwargs):
        if self.known == 2:
            raise RuntimeError("it's broken")
        return {"net": {"_name": "wide", "width": 1 + self.known}}

    def import_data(self, data):
        self.known += len(data)

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.known += 1
"""


def test_an_experiment_that_was_stopped_goes_on_with_a_mended_tuner(
    *, nnictl: Run, start: Callable[..., Experiment], tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "mine.py").write_text(REMEMBERING)
    (tmp_path / "trial.py").write_text(TRIAL.replace("accuracy", "default"))
    chosen = {"className": "mine.Mine", "codeDirectory": "."}
    experiment = start(tuner=chosen, maxTrialNumber=3, assessor={"name": "Medianstop"})
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "ERROR")
    nnictl("update", "trialnum", "--value", "4")
    assert nnictl("stop").returncode == 0
    assert nnictl("resume", "nowhere", "--port", str(free_port)).returncode == 1
    (tmp_path / "mine.py").write_text(REMEMBERING.replace("== 2", "== 9"))

    resumed = nnictl("resume", experiment.id, "--port", str(free_port))

    assert resumed.returncode == 0, resumed.stderr
    again = Experiment.connect(free_port)
    assert again.id == experiment.id
    experiments.until(again, is_done)
    assert [one.parameter["net"]["width"] for one in again.export_data()] == [1, 2, 3, 4]
    assert [trial.sequenceId for trial in again.list_trial_jobs()] == [0, 1, 2, 3]
    assert nnictl("resume").stderr == f"error: Experiment {experiment.id} is DONE: nothing of it has failed.\n"


def test_a_pause_outlives_the_manager_and_ends_as_it_began(
    nnictl: Run, start: Callable[..., Experiment], tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "trial.py").write_text("import time; time.sleep(600)")
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    experiment = start(trialConcurrency=3, tuner={"name": "Random"}, searchSpace=space)
    nnictl("update", "concurrency", "--value", "0")
    assert f"paused: nnictl resume {experiment.id} goes on" in nnictl("experiment", "status").stdout
    nnictl("stop")
    nnictl("resume", experiment.id, "--port", str(free_port))
    again = Experiment.connect(free_port)
    assert again.get_experiment_profile()["params"]["trialConcurrency"] == 0

    assert nnictl("resume").stdout == f"Experiment {experiment.id} goes on.\n"

    assert again.get_experiment_profile()["params"]["trialConcurrency"] == 3
    experiments.until(again, lambda change: change["counts"]["RUNNING"] == 3)


def test_an_experiment_is_resumed_in_python_with_the_code_that_it_began_with(
    *, nnictl: Run, start: Callable[..., Experiment], tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = start(maxTrialNumber=2)
    experiments.until(begun, is_done)
    with pytest.raises(errors.ManagerError, match="runs; there is nothing to resume"):
        Experiment(id=begun.id).resume(free_port)
    assert nnictl("stop").returncode == 0
    (tmp_path / "trial.py").write_text("raise SystemExit(1)")

    resumed = Experiment(id=begun.id)
    assert resumed.resume(free_port)

    assert f"The code in {tmp_path} has changed since the experiment began" in capsys.readouterr().err
    assert resumed.config.max_trial_number == 2
    assert [trial.status for trial in resumed.list_trial_jobs()] == ["SUCCEEDED"] * 2
    resumed.update_max_trial_number(3)
    experiments.until(resumed, lambda change: is_done(change) and change["counts"]["SUCCEEDED"] == 3)
    resumed.stop()
    with pytest.raises(errors.ExperimentNotFoundError):
        Experiment(id="nowhere").resume(free_port)
