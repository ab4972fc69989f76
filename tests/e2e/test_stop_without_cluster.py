"""A stop whose cluster does not answer: it says so, goes on without it when asked to, and names what it leaves."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from nni.experiment import Experiment
from nni.testing import experiments
from nni.testing.sandbox import Connection, Sandbox

pytestmark = pytest.mark.requires("kubectl")

NNICTL = str(Path(sys.executable).with_name("nnictl"))
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
DESCRIBED = {
    "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
    "tuner": {"name": "Random"},
    "trialConcurrency": 2,
    "trainingService": {
        "platform": "kubeflow",
        "operator": "pytorch-operator",
        "storage": {"storageType": "nfs", "server": "10.20.30.40", "path": "/mnt/nfs/nni"},
        "master": {"replicas": 1, "command": "sleep 600", "codeDirectory": "code"},
    },
}


class Place:
    """A cluster of its own, a home of its own, and an experiment of two trials that run."""

    def __init__(self, cluster: Sandbox, directory: Path, port: int) -> None:
        self.cluster = cluster
        self.directory = directory
        self.port = port
        (directory / "code").mkdir()
        (directory / "experiment.yml").write_text(yaml.safe_dump(DESCRIBED))
        self.ran("create", "--config", "experiment.yml", "--port", str(port))
        self.experiment = Experiment.connect(port)
        experiments.until(self.experiment, lambda change: change["counts"]["RUNNING"] == 2)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Run nnictl."""
        return subprocess.Popen(
            [NNICTL, *words], cwd=self.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def ran(self, *words: str) -> str:
        """Run nnictl to its end and return what it printed."""
        with self.begin(*words) as process:
            return process.communicate(timeout=90)[0]

    def jobs(self) -> Sequence[str]:
        """Return the names of the jobs on the cluster."""
        return sorted(job["metadata"]["name"] for job in Connection(self.cluster).call("GET", JOBS)[1]["items"])

    def is_removed_by(self, said: str) -> bool:
        """Run the command that was printed, and return whether the jobs have gone."""
        command = shlex.split(said.rpartition("This removes them: ")[2].splitlines()[0])
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
        return not self.jobs()


@pytest.fixture
def place(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        made = Place(cluster, tmp_path, free_port)
        try:
            yield made
        finally:
            os.kill(cluster.pid, signal.SIGCONT)
            made.ran("stop", "--all", "--force")


def test_a_second_ctrl_c_stops_without_the_cluster_and_what_is_left_is_named(place: Place) -> None:
    names = place.jobs()
    os.kill(place.cluster.pid, signal.SIGSTOP)
    with place.begin("stop") as stopping:
        assert stopping.stderr is not None
        assert stopping.stderr.readline() == "Waiting for the cluster to delete 2 jobs.\n"
        told = stopping.stderr.readline()
        assert told.startswith("Waiting for the cluster to delete 2 jobs; since ")
        assert "does not answer" in told
        assert told.endswith(f"`nnictl stop {place.experiment.id} --force` stops without the cluster.\n")
        stopping.send_signal(signal.SIGINT)
        assert stopping.stderr.readline().startswith("It goes on stopping; Ctrl-C once more")
        assert "does not answer" in stopping.stderr.readline()
        stopping.send_signal(signal.SIGINT)
        said, _ = stopping.communicate(timeout=60)
    assert said.startswith(f"Experiment {place.experiment.id} has stopped.\n")
    left = said.partition("These jobs may be left on the cluster: ")[2].partition(". ")[0]
    assert sorted(left.split(", ")) == names
    assert stopping.returncode == 1
    # Who comes later can read it, too.
    assert said.splitlines()[1] in place.ran("experiment", "status", place.experiment.id)

    os.kill(place.cluster.pid, signal.SIGCONT)
    assert place.is_removed_by(said)


def test_a_stop_may_be_told_at_once_not_to_wait_and_the_next_start_removes_what_it_left(place: Place) -> None:
    os.kill(place.cluster.pid, signal.SIGSTOP)
    said = place.ran("stop", place.experiment.id, "--force")
    os.kill(place.cluster.pid, signal.SIGCONT)
    left = place.jobs()
    assert len(left) == 2
    assert all(name in said for name in left)
    place.ran("resume", place.experiment.id, "--port", str(place.port))
    for name in left:
        Connection(place.cluster).until_gone(f"{JOBS}/{name}", timeout=60)


PROGRAM = """
import os, sys
from nni.experiment import Experiment, ExperimentConfig
from nni.testing import experiments

experiment = Experiment(ExperimentConfig.load("experiment.yml"))
experiment.start(int(sys.argv[1]))
experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
print(experiment.id, experiment._running.process.pid, flush=True)
sys.stdin.read()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_where_nobody_is_left_to_decide_the_manager_gives_the_cluster_up(
    place: Place, new_port: Callable[[], int]
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(new_port())]
    with subprocess.Popen(
        command, cwd=place.directory, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        experiment_id, pid = program.stdout.readline().split()
        names = [name for name in place.jobs() if experiment_id in name]
        os.kill(place.cluster.pid, signal.SIGSTOP)
        program.communicate()
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(int(pid))
        try:
            assert select.select([descriptor], [], [], 200)[0]
        finally:
            os.close(descriptor)
    said = place.ran("experiment", "status", experiment_id)
    left = said.partition("These jobs may be left on the cluster: ")[2].partition(". ")[0]
    assert sorted(left.split(", ")) == names
    log = (Path.home() / "nni-experiments" / experiment_id / "log" / "nnimanager.log").read_text()
    assert "nobody is there to wait for it: the stop goes on without it" in log
    assert "gave up cleaning up" not in log
    os.kill(place.cluster.pid, signal.SIGCONT)
    for name in names:
        Connection(place.cluster).call("DELETE", f"{JOBS}/{name}")


def test_what_a_stop_has_left_is_not_forgotten_by_a_deletion(
    place: Place, new_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(place.cluster.pid, signal.SIGSTOP)
    place.ran("stop", place.experiment.id, "--force")
    os.kill(place.cluster.pid, signal.SIGCONT)
    kubeconfig = place.cluster.kubeconfig.read_text()
    away = place.directory / "away"
    away.write_text(kubeconfig.replace(place.cluster.url, f"https://127.0.0.1:{new_port()}"))
    monkeypatch.setenv("KUBECONFIG", str(away))
    with place.begin("experiment", "delete", place.experiment.id, "--yes") as deleting:
        _, said = deleting.communicate(timeout=90)
    assert deleting.returncode == 1
    assert f"jobs of experiment {place.experiment.id} may still be there, so nothing is deleted" in said
    assert "add --keep-cluster" in said
