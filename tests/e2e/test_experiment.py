"""Stories of whole experiments: real managers, real processes, on the sandbox and on this machine."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nni import errors
from nni.experiment import Experiment, ExperimentConfig
from nni.testing import experiments
from nni.testing.sandbox import Sandbox

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}

GOOD = """\
import nni
parameters = nni.get_next_parameter()
nni.report_intermediate_result({"default": parameters["x"] / 2, "note": "it's half"})
nni.report_final_result({"default": parameters["x"], "note": "it's done"})
"""
BAD = """\
import sys
import nni
nni.get_next_parameter()
print("epoch 1")
print("it's broken", file=sys.stderr)
sys.exit(3)
"""
ENDLESS = """\
import signal
import nni
nni.get_next_parameter()
nni.report_intermediate_result(1)
signal.pause()
"""


FADING = """\
import threading
import nni
x = nni.get_next_parameter()["x"]
for step in range(200 if x > 1 else 5):
    nni.report_intermediate_result(-x)
    threading.Event().wait(0.05 if x > 1 else 0)
nni.report_final_result(-x)
"""


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_trials_run_report_and_succeed(
    make: Callable[..., Experiment], free_port: int, platform: str, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = make(GOOD, platform, max_trial_number=3)

    assert experiment.run(free_port) is True

    results = experiment.export_data()
    assert [result.value["default"] for result in results] == [result.parameter["x"] for result in results]
    assert {result.value["note"] for result in results} == {"it's done"}
    assert len(results) == 3
    metrics = experiment.get_job_metrics()
    assert {one.type for per_trial in metrics.values() for one in per_trial} == {"PERIODICAL", "FINAL"}
    assert "best trial" in capsys.readouterr().out


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_a_failing_trial_says_why_and_the_experiment_goes_on(
    make: Callable[..., Experiment], free_port: int, platform: str
) -> None:
    experiment = make(BAD, platform, max_trial_number=2)

    assert experiment.run(free_port) is True

    for trial in experiment.list_trial_jobs():
        assert trial.status == "FAILED"
        assert trial.exitCode == 3
        assert trial.lastLines == ("it's broken",)
        assert trial.reason is not None
        assert trial.reason["class"] == "user"
        assert "exit code 3" in trial.reason["sentence"]


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_a_command_runs_as_written(make: Callable[..., Experiment], free_port: int, platform: str) -> None:
    command = """NAME="it's" && echo "$NAME me" | tr 'a-z' 'A-Z' > said.txt && python3 trial.py --note='it'"'"'s'"""
    experiment = make(GOOD, platform, command, max_trial_number=1)

    assert experiment.run(free_port) is True

    assert experiment.get_job_statistics() == [{"trialJobStatus": "SUCCEEDED", "trialJobNumber": 1}]


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_sigterm_to_the_manager_leaves_nothing_behind(
    make: Callable[..., Experiment], cluster: Sandbox, free_port: int, platform: str
) -> None:
    experiment = make(ENDLESS, platform, max_trial_number=4)
    experiment.start(free_port)
    experiments.until(experiment, lambda change: any(trial["intermediateCount"] for trial in change["trials"]))
    assert experiment._running is not None
    manager = experiment._running.process

    manager.send_signal(signal.SIGTERM)

    assert manager.wait(timeout=60) == 0
    assert experiments.objects_left(cluster) == []
    assert experiments.processes_of(experiment.id) == []


def test_a_manager_that_is_killed_takes_the_trials_of_this_machine_with_it(
    make: Callable[..., Experiment], free_port: int
) -> None:
    experiment = make(ENDLESS, "local", max_trial_number=4)
    experiment.start(free_port)
    experiments.until(experiment, lambda change: sum(trial["intermediateCount"] for trial in change["trials"]) > 0)
    assert experiment._running is not None
    experiment._running.process.kill()
    experiment._running.process.wait(timeout=10)

    # The trial's process says its last words to nobody for some seconds.
    assert experiments.gone(experiment.id, seconds=40)


def test_a_killed_trial_is_cancelled_and_its_place_filled(make: Callable[..., Experiment], free_port: int) -> None:
    experiment = make(ENDLESS, "local", trial_concurrency=1)
    experiment.start(free_port)
    first = experiments.until(experiment, lambda change: any(trial["intermediateCount"] for trial in change["trials"]))
    victim = first["trials"][0]["trialJobId"]

    experiment.kill_trial_job(victim)

    experiments.until(
        experiment, lambda change: change["counts"]["RUNNING"] == 1 and change["counts"]["USER_CANCELED"] == 1
    )
    assert experiment.get_trial_job(victim).status == "USER_CANCELED"


def test_a_trial_past_its_duration_is_stopped(make: Callable[..., Experiment], free_port: int) -> None:
    experiment = make(ENDLESS, "local", max_trial_number=1, max_trial_duration="1s")

    assert experiment.run(free_port) is True

    assert [trial.status for trial in experiment.list_trial_jobs()] == ["EARLY_STOPPED"]


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_said_before_anything_happens(
    make: Callable[..., Experiment], free_port: int, offset: int, tmp_path: Path
) -> None:
    experiment = make(GOOD, max_trial_number=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port + offset))
        taken.listen()

        with pytest.raises(errors.PortInUseError, match=f"Port {free_port + offset}"):
            experiment.run(free_port)

    assert not (tmp_path / "home" / "nni-experiments").exists()


def test_no_program_that_ends_leaves_its_manager_behind(cluster: Sandbox, free_port: int, tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(ENDLESS)
    program = f"""
from nni.experiment import Experiment
experiment = Experiment("local")
experiment.config.search_space = {SPACE!r}
experiment.config.tuner.name = "Random"
experiment.config.trial_command = "python3 trial.py"
experiment.config.trial_concurrency = 1
experiment.start({free_port})
print(experiment.id, experiment._running.process.pid, flush=True)
import os
import select
os._exit(0)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    experiment_id, pid = ended.stdout.split()

    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        descriptor = os.pidfd_open(int(pid))
        try:
            assert select.select([descriptor], [], [], 60)[0]
        finally:
            os.close(descriptor)
    assert experiments.processes_of(experiment_id) == []


def test_nnictl_from_yaml_to_stop(cluster: Sandbox, free_port: int, tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(ENDLESS)
    (tmp_path / "experiment.yml").write_text(
        """
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
tuner: {name: Random}
trialConcurrency: 1
trialCommand: python3 trial.py
trainingService: {platform: local}
"""
    )

    def nnictl(*words: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "nni", *words], capture_output=True, text=True, timeout=90, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    nnictl("create", "--config", str(tmp_path / "experiment.yml"), "--port", str(free_port))
    try:
        (known,) = json.loads(nnictl("experiment", "list", "--json"))
        assert (known["port"], known["platform"], known["status"]) == (free_port, "local", "RUNNING")
        experiment = Experiment.connect(free_port)
        experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 1)
        (trial,) = json.loads(nnictl("trial", "ls", "--json"))
        assert trial["status"] == "RUNNING"
        assert trial["trialJobId"] in nnictl("trial", "ls", known["id"][:4])
        assert nnictl("webui", "url").startswith(f"http://127.0.0.1:{free_port}/oview?token=")
        assert "1 running" in nnictl("experiment", "status")
    finally:
        nnictl("stop", "--all")
    assert json.loads(nnictl("experiment", "list", "--json")) == []
    (ended,) = json.loads(nnictl("experiment", "list", "--all", "--json"))
    assert ended["status"] == "STOPPED"


def test_every_mistake_in_a_file_is_said_at_once(cluster: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(
        "searchSpace: {x: {_type: unifrom, _value: [0, 1]}}\ntuner: {name: TPEE}\ntrainingService: {platform: local}\n"
    )

    ended = subprocess.run(
        [sys.executable, "-m", "nni", "create", "--config", str(path)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    for word in ("unifrom", "TPEE", "trialConcurrency", "trialCommand"):
        assert word.lower() in ended.stderr.lower().replace("_", "")


def test_a_whole_configuration_object_runs(cluster: Sandbox, free_port: int, tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(GOOD)
    config = ExperimentConfig(
        search_space=SPACE,
        trial_command="python3 trial.py",
        trial_code_directory=tmp_path,
        trial_concurrency=1,
        max_trial_number=1,
        tuner={"name": "TPE", "class_args": {"optimize_mode": "maximize"}},
        training_service={"platform": "local"},
    )
    experiment = Experiment(config)
    try:
        assert experiment.run(free_port) is True
    finally:
        experiment.stop()


def test_a_trial_without_promise_is_stopped_early_and_the_experiment_ends_when_the_tuner_has_no_more(
    make: Callable[..., Experiment], free_port: int
) -> None:
    experiment = make(
        FADING,
        "local",
        search_space={"x": {"_type": "choice", "_value": [0.3, 0.2, 0.1, 2.0]}},
        trial_concurrency=1,
    )
    experiment.config.tuner.name = "GridSearch"
    experiment.config.tuner.class_args = {"optimize_mode": "maximize"}
    experiment.config.assessor.name = "Medianstop"
    assert experiment.run(free_port)
    trials = experiment.list_trial_jobs()
    assert [trial.status for trial in trials] == ["SUCCEEDED"] * 3 + ["EARLY_STOPPED"]
    status = experiment._connected.get(f"trial-jobs/{trials[3].trialJobId}")
    assert status["reason"]["sentence"].startswith("It was stopped by the assessor Medianstop after ")
    assert status["intermediateCount"] < 200
    front = experiment._connected.get("pareto-front")
    assert [one["parameter"] for one in front] == [{"x": 0.1}]


def test_of_several_objectives_the_primary_one_decides_what_is_stopped_early(
    make: Callable[..., Experiment], free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    program = FADING.replace("result(-x)", 'result({"accuracy": -x, "cost": 9 - x})')
    order = [0.3, 0.2, 0.1, 2.0]
    experiment = make(program, "local", search_space={"x": {"_type": "choice", "_value": order}}, trial_concurrency=1)
    experiment.config.initial_parameters = [{"x": x} for x in order]
    experiment.config.tuner.name = "TPE"
    experiment.config.tuner.class_args = {"optimize": {"accuracy": "maximize", "cost": "minimize"}}
    experiment.config.assessor.name = "Medianstop"
    assert experiment.run(free_port)
    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 3 + ["EARLY_STOPPED"]
    assert [result.isParetoOptimal for result in experiment.export_data()] == [True] * 3
    assert "accuracy=-0.1  x=0.1" in capsys.readouterr().out


def test_the_primary_objective_can_be_named(
    make: Callable[..., Experiment], free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    program = FADING.replace("result(-x)", 'result({"accuracy": x, "cost": x})')
    order = [0.3, 0.2, 0.1, 2.0]
    experiment = make(program, "local", search_space={"x": {"_type": "choice", "_value": order}}, trial_concurrency=1)
    experiment.config.initial_parameters = [{"x": x} for x in order]
    experiment.config.tuner.name = "NSGA-II"
    optimize = {"accuracy": "maximize", "cost": "minimize"}
    experiment.config.tuner.class_args = {"optimize": optimize, "primary": "cost"}
    experiment.config.assessor.name = "Medianstop"
    assert experiment.run(free_port)
    # By its accuracy, which is named first, it would be the best of all.
    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 3 + ["EARLY_STOPPED"]
    assert "cost=0.1  x=0.1" in capsys.readouterr().out


ODD = """\
import nni
odd = [float("nan"), float("inf"), -float("inf"), "good", None, [1, 2], {"loss": 1}, {"default": "x"}, True, 1e300]
value = odd[nni.get_next_parameter()["x"]]
for _ in range(2):
    nni.report_intermediate_result(value)
nni.report_final_result(value)
"""


@pytest.mark.parametrize("tuner", ["Auto", "TPE", "Evolution"])
def test_whatever_trials_report_the_experiment_goes_on(
    make: Callable[..., Experiment], free_port: int, tuner: str
) -> None:
    experiment = make(ODD, "local", search_space={"x": {"_type": "choice", "_value": list(range(10))}})
    experiment.config.tuner.name = tuner
    experiment.config.assessor.name = "Medianstop"
    assert experiment.run(free_port)
    trials = experiment.list_trial_jobs()
    # Each is tried once, and shown with what it reported.
    assert len(trials) == 10
    assert {trial.status for trial in trials} <= {"SUCCEEDED", "EARLY_STOPPED"}
    metrics = experiment.get_job_metrics()
    assert len(metrics) == 10
    by_x = {trial.hyperParameters[0]["parameters"]["x"]: metrics[trial.trialJobId][-1].data for trial in trials}
    assert json.dumps([by_x[x] for x in range(10)]) == (
        '[NaN, Infinity, -Infinity, "good", null, [1, 2], {"loss": 1}, {"default": "x"}, true, 1e+300]'
    )


def test_where_no_tuner_is_named_it_is_auto(make: Callable[..., Experiment], free_port: int) -> None:
    experiment = make(GOOD, "local", max_trial_number=8)
    experiment.config.tuner.name = None
    assert experiment.run(free_port)
    assert experiment.get_experiment_profile()["params"]["tuner"] == {"name": "Auto", "classArgs": {}}
    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 8


def test_a_tuner_of_ones_own_runs_and_its_crash_is_one_sentence(
    make: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from nni.tuner import Tuner\n\n\nclass Mine(Tuner):\n    count = 0\n\n"
        "    def update_search_space(self, search_space):\n        self.names = list(search_space)\n\n"
        "    def generate_parameters(self, parameter_id, **kwargs):\n        self.count += 1\n"
        "        return {name: 1 / (4 - self.count) for name in self.names}\n\n"
        "    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):\n        pass\n"
    )
    experiment = make(GOOD, "local", trial_concurrency=1, max_trial_number=8)
    experiment.config.tuner.name = None
    experiment.config.tuner.class_name = "mine.Mine"
    experiment.config.tuner.code_directory = tmp_path
    assert not experiment.run(free_port)
    status = experiment._connected.get("check-status")
    assert status["status"] == "ERROR"
    (sentence,) = status["errors"]
    assert "The tuner mine.Mine failed: ZeroDivisionError: division by zero in " in sentence
    assert "mine.py:12" in sentence
    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 3


MENDED = """\
from nni.tuner import Tuner


class Mine(Tuner):
    def update_search_space(self, search_space):
        self.known = []

    def generate_parameters(self, parameter_id, **kwargs):
        if len(self.known) == 2:
            raise RuntimeError("it's broken")
        return {"x": 0.5 + 0.1 * len(self.known)}

    def import_data(self, data):
        self.known += [one["value"]["default"] for one in data]

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.known.append(value["default"])
"""


def test_a_tuner_is_mended_while_the_experiment_goes_on(
    make: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(MENDED)
    experiment = make(GOOD, "local", trial_concurrency=1, max_trial_number=4)
    experiment.config.tuner.name = None
    experiment.config.tuner.class_name = "mine.Mine"
    experiment.config.tuner.code_directory = tmp_path
    experiment.start(free_port)
    with pytest.raises(errors.RequestRefusedError, match=r"is RUNNING: nothing of it has failed\.$"):
        experiment.resume_tuner()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "ERROR")
    code.write_text("import absent\n" + MENDED)
    with pytest.raises(errors.RequestRefusedError, match="No module named 'absent'"):
        experiment.resume_tuner()
    assert experiment.get_status() == "ERROR"
    code.write_text(MENDED.replace("== 2", "== 7"))

    experiment.resume_tuner()

    assert experiment.get_errors() == []
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
    # It knows of the trials from before.
    assert [round(one.parameter["x"], 6) for one in experiment.export_data()] == [0.5, 0.6, 0.7, 0.8]
    health = {one["part"]: one["state"] for one in experiment._connected.get("health")}
    assert health["tuner"] == "ok"


def test_another_search_space_opens_an_exhausted_experiment_again_and_other_results_are_taken(
    make: Callable[..., Experiment], free_port: int
) -> None:
    experiment = make(GOOD, "local", search_space={"x": {"_type": "choice", "_value": [0.1]}})
    experiment.config.tuner.name = "GridSearch"
    experiment.config.tuner.class_args = {}
    assert experiment.run(free_port)
    experiment._connected.post("experiment/import-data", [{"parameter": {"x": 0.2}, "value": 0.5}])
    experiment.update_search_space({"x": {"_type": "choice", "_value": [0.1, 0.2, 0.3]}})
    experiments.until(
        experiment, lambda change: change["experiment"]["status"] == "DONE" and len(experiment.list_trial_jobs()) > 1
    )
    tried = [result.parameter for result in experiment.export_data()]
    # Neither what was tried nor what came from elsewhere is tried again.
    assert tried == [{"x": 0.1}, {"x": 0.3}]
    assert experiment.get_experiment_profile()["params"]["searchSpace"]["x"]["_value"] == [0.1, 0.2, 0.3]
