"""A manager that somebody starts again: nothing of its experiment is lost when it ends, however it ends."""

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nni import errors
from nni.experiment import Experiment
from nni.testing import experiments
from nni.testing.sandbox import Connection, Sandbox

JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
GATED = """\
import os
import threading
import nni

x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x)
gate = os.path.join(os.environ["NNI_CHECKPOINT_DIR"], "..", "..", "go")
while not os.path.exists(gate):
    threading.Event().wait(0.02)
nni.report_final_result(x)
"""

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(supervise: Callable[..., Start]) -> Start:
    """Return what starts the manager, once more each time; it has ended at the end of the test."""
    # As on a cluster elsewhere: a manager that is started again has to be known by the same certificate.
    return supervise(GATED, tuner={"name": "TPE"}, maxTrialNumber=4, service={"intakeTls": True})


def jobs(cluster: Sandbox) -> dict[str, str]:
    """Return the uids of the jobs that are there, by their names."""
    found = Connection(cluster).call("GET", JOBS)[1]["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_trials_go_on_when_their_manager_ends(
    start: Start, cluster: Sandbox, free_port: int, number: signal.Signals
) -> None:
    first = start()
    experiment = Experiment.connect(free_port)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
    before = jobs(cluster)
    shown = ssl.get_server_certificate(("127.0.0.1", free_port + 1))

    first.send_signal(number)
    first.wait(timeout=30)
    assert first.returncode == (0 if number is signal.SIGTERM else -number)
    assert jobs(cluster) == before

    second = start()
    experiment = Experiment.connect(free_port)
    assert ssl.get_server_certificate(("127.0.0.1", free_port + 1)) == shown
    (cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    assert before.items() <= jobs(cluster).items()
    assert [(trial.status, trial.attempt) for trial in experiment.list_trial_jobs()] == [("SUCCEEDED", 1)] * 4
    results = experiment.export_data()
    assert [result.value for result in results] == [result.parameter["x"] for result in results]
    metrics = experiment.get_job_metrics()
    assert {len(its) for its in metrics.values()} == {2}
    experiment.stop()
    experiments_end(experiment)
    assert experiments.objects_left(cluster) == []
    # What was stopped stays so, whoever starts it again.
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=30) == 0
    third = start()
    assert Experiment.connect(free_port).get_status() == "STOPPED"
    third.send_signal(signal.SIGTERM)
    assert third.wait(timeout=30) == 0


def test_another_search_space_outlives_the_manager(start: Start, free_port: int, cluster: Sandbox) -> None:
    first = start()
    experiment = Experiment.connect(free_port)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
    experiment.update_search_space({"x": {"_type": "uniform", "_value": [5, 6]}})
    first.kill()
    first.wait(timeout=30)

    start()
    experiment = Experiment.connect(free_port)
    assert experiment.get_experiment_profile()["params"]["searchSpace"]["x"]["_value"] == [5, 6]
    (cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    tried = [trial.hyperParameters[0]["parameters"]["x"] for trial in experiment.list_trial_jobs()]
    assert [5 <= x <= 6 for x in tried] == [False, False, True, True]
    experiment.stop()
    experiments_end(experiment)
    with pytest.raises(errors.RequestRefusedError, match="has stopped; it can be looked at, not changed"):
        Experiment.connect(free_port).update_trial_concurrency(1)


def test_code_that_is_edited_while_the_manager_is_away_changes_nothing(
    supervise: Callable[..., Start], cluster: Sandbox, free_port: int, tmp_path: Path
) -> None:
    start = supervise(GATED, maxTrialNumber=4)
    first = start()
    experiment = Experiment.connect(free_port)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
    first.kill()
    first.wait(timeout=30)
    (tmp_path / "trial.py").write_text(GATED.replace("final_result(x)", "final_result(x + 100)"))

    start()
    experiment = Experiment.connect(free_port)
    own = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id
    (own / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    results = experiment.export_data()
    assert [result.value for result in results] == [result.parameter["x"] for result in results]
    assert len(results) == 4
    assert len(list((own / "code").iterdir())) == 1
    log = (Path.home() / "nni-experiments" / experiment.id / "log" / "nnimanager.log").read_text()
    assert log.count(f"The code in {tmp_path} has changed since the experiment began") == 1
    experiment.stop()
    experiments_end(experiment)


def test_the_code_directory_may_be_gone_when_the_manager_comes_back(
    supervise: Callable[..., Start], cluster: Sandbox, free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "trial.py").write_text(GATED)
    role = {"replicas": 1, "command": "python3 trial.py", "codeDirectory": "code", "dockerImage": "x"}
    start = supervise(GATED, maxTrialNumber=4, service={"master": role})
    first = start()
    experiment = Experiment.connect(free_port)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
    first.kill()
    first.wait(timeout=30)
    (tmp_path / "code").rename(tmp_path / "moved")

    start()
    experiment = Experiment.connect(free_port)
    (cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 4
    log = (Path.home() / "nni-experiments" / experiment.id / "log" / "nnimanager.log").read_text()
    gone = f"The code directory {tmp_path / 'code'} is not a directory of this machine; "
    assert log.count(f"The experiment keeps the code that it began with: {gone}") == 1
    experiment.stop()
    experiments_end(experiment)


def experiments_end(experiment: Experiment) -> None:
    """Wait until an experiment that was told to stop has stopped."""
    for change in Experiment.connect(experiment.port or 0)._connected.events():
        if change["experiment"]["status"] == "STOPPED":
            return


@pytest.mark.parametrize(
    ("changes", "words", "says"),
    [
        ({"experimentName": None}, ["--foreground"], "experimentName: is not set"),
        ({}, [], "--supervised needs --foreground"),
        ({"experimentName": "a b"}, ["--foreground"], "cannot be an experiment's id"),
    ],
)
def test_what_is_missing_is_said(
    cluster: Sandbox, tmp_path: Path, changes: dict[str, object], words: list[str], says: str
) -> None:
    described = {
        "experimentName": "name",
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialConcurrency": 1,
        "trialCommand": "true",
        "trainingService": {"platform": "local"},
        **changes,
    }
    (tmp_path / "experiment.yml").write_text(yaml.safe_dump(described))
    command = [sys.executable, "-m", "nni", "create", "-c", str(tmp_path / "experiment.yml"), "--supervised", *words]

    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60, check=False)

    assert ended.returncode == 1
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
