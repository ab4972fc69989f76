"""``nnictl experiment delete``, after experiments that really ran."""

import ctypes
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nni.experiment import Experiment, K8sManagerStorageConfig, K8sNfsConfig, K8sStorageConfig, KubeflowRoleConfig
from nni.records import registry
from nni.testing import experiments
from nni.testing.sandbox import Connection, Sandbox

TRAIN = """\
import pathlib
import nni

nni.get_next_parameter()
pathlib.Path("model.bin").write_bytes(bytes(3 << 20))
nni.report_final_result(1)
"""

Run = Callable[[K8sStorageConfig], str]


@pytest.fixture
def run(cluster: Sandbox, tmp_path: Path, free_port: int) -> Run:
    """Return what runs an experiment to its end and returns its id."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)

    def run_one(storage: K8sStorageConfig) -> str:
        experiment = Experiment("kubeflow")
        experiment.config.search_space = {"x": {"_type": "choice", "_value": [1]}}
        experiment.config.tuner.name = "Random"
        experiment.config.max_trial_number = 1
        experiment.config.trial_concurrency = 1
        service = experiment.config.training_service
        service.operator = "pytorch-operator"
        service.storage = storage
        service.master = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=code)
        try:
            assert experiment.run(free_port) is True
        finally:
            experiment.stop()
        return experiment.id

    return run_one


def nnictl(*arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run nnictl, with somebody at the keyboard when something is typed."""
    command = [sys.executable, "-m", "nni", "experiment", *arguments]
    if typed is None:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        return subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_experiments_files_are_shown_asked_about_and_deleted(cluster: Sandbox, run: Run) -> None:
    storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    first, second = run(storage), run(storage)
    volume = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni"
    home = Path.home() / "nni-experiments"

    refused = nnictl("delete", first)
    assert (refused.returncode, "add --yes" in refused.stderr) == (1, True), refused.stderr
    declined = nnictl("delete", first, typed="n\n")
    assert (declined.returncode, "Nothing is deleted" in declined.stdout) == (1, True)
    assert (volume / first).exists()
    assert (home / first).exists()

    done = nnictl("delete", first, typed="y\n")

    assert done.returncode == 0, done.stderr
    assert f"nfs://10.20.30.40/mnt/nfs/nni/nni/{first}\n" in done.stdout
    assert "3.2 MiB" in done.stdout or "3.1 MiB" in done.stdout, done.stdout
    assert not (volume / first).exists()
    assert not (home / first).exists()
    assert (volume / second).exists()
    assert first not in nnictl("list", "--all").stdout
    assert second in nnictl("list", "--all").stdout


def test_what_the_manager_kept_goes_with_its_directory(run: Run) -> None:
    experiment_id = run(K8sManagerStorageConfig())
    place = Path.home() / "nni-experiments" / experiment_id
    assert list(place.rglob("model.bin"))

    done = nnictl("delete", experiment_id, "--yes")

    assert done.returncode == 0, done.stderr
    assert not place.exists()


def test_a_volume_that_cannot_be_reached_keeps_the_records(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment_id = run(K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni"))
    monkeypatch.setenv("NNI_MOUNTS", "10.20.30.40:/mnt/nfs=/nowhere")

    failed = nnictl("delete", experiment_id, "--yes")

    assert (failed.returncode, "is not a directory" in failed.stderr) == (1, True), failed.stderr
    assert "--keep-volume deletes what is on this machine alone." in failed.stderr
    assert (Path.home() / "nni-experiments" / experiment_id).exists()

    kept = nnictl("delete", experiment_id, "--yes", "--keep-volume")

    assert kept.returncode == 0, kept.stderr
    assert not (Path.home() / "nni-experiments" / experiment_id).exists()


def test_one_that_runs_is_not_deleted(cluster: Sandbox, tmp_path: Path, free_port: int) -> None:
    experiment = Experiment("local")
    experiment.config.search_space = {"x": {"_type": "choice", "_value": [1]}}
    experiment.config.tuner.name = "Random"
    experiment.config.trial_concurrency = 1
    experiment.config.trial_command = "sleep 1000"
    experiment.config.trial_code_directory = tmp_path
    experiment.start(free_port)
    try:
        refused = nnictl("delete", experiment.id, "--yes")
    finally:
        experiment.stop()
    assert (refused.returncode, f"nnictl stop {experiment.id}" in refused.stderr) == (1, True), refused.stderr


def _without_override() -> None:
    """Let the program that comes next be refused what file modes refuse, root's too."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def listed(home: Path, experiment_id: str) -> Path:
    """Enter an experiment that has ended in the list of this home, and return its directory."""
    place = home / "nni-experiments" / experiment_id
    place.mkdir(parents=True)
    registry.Registry(home / "nni-experiments" / ".experiments").write(
        registry.Known(
            id=experiment_id,
            name=None,
            platform="local",
            port=8080,
            url_prefix=None,
            pid=1,
            process_mark="of another boot",
            status="STOPPED",
            start_time=1.0,
            end_time=2.0,
            directory=place,
            working_directory=place.parent,
        )
    )
    return place


@pytest.mark.slow
def test_an_experiment_with_directories_of_any_depth_is_deleted(run: Run) -> None:
    place = listed(Path.home(), "deep")
    folder = os.open(place, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 100):
        os.mkdir("deep", dir_fd=folder)
        folder, above = os.open("deep", os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(folder)

    ended = nnictl("delete", "deep", "--yes")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert not place.exists()


def test_what_cannot_be_removed_here_is_named_and_stays_in_the_list(tmp_path: Path) -> None:
    place = listed(tmp_path, "stuck")
    closed = place / "log" / "closed"
    for parent in (closed, place / "more"):
        parent.mkdir(parents=True)
        (parent / "file").touch()
    closed.chmod(0o555)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nni", "experiment", *words],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=_without_override,
        )

    failed = run("delete", "stuck", "--yes")

    assert failed.returncode == 1
    assert failed.stderr == (
        f"error: {closed}/file cannot be removed (Permission denied), so experiment stuck is still listed: mend it, "
        "and give `nnictl experiment delete stuck` once more.\n"
    )
    assert "is deleted" not in failed.stdout
    assert not (place / "more").exists()
    assert "stuck" in run("list", "--all").stdout

    closed.chmod(0o755)
    assert run("delete", "stuck", "--yes").returncode == 0
    assert not place.exists()
    assert "stuck" not in run("list", "--all").stdout


def test_notes_that_cannot_be_read_say_what_deletes_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    place = listed(tmp_path, "torn")
    (place / "storage.json").write_text('{"kind": "NfsSp')

    for words in ([], ["--keep-volume"], ["--keep-cluster"]):
        failed = nnictl("delete", "torn", "--yes", *words)
        assert failed.returncode == 1
        assert failed.stderr.startswith(
            f"error: {place}/storage.json does not say where the experiment's files and jobs"
        )
        assert failed.stderr.endswith(
            "remove them by hand, and then what is here with --keep-cluster and --keep-volume.\n"
        )
    done = nnictl("delete", "torn", "--yes", "--keep-volume", "--keep-cluster")
    assert done.returncode == 0, done.stderr
    assert not place.exists()


WAITS = """\
import pathlib, time
import nni

nni.get_next_parameter()
pathlib.Path("model.bin").write_bytes(bytes(1 << 20))
nni.report_intermediate_result(1)
time.sleep(1000)
"""


@pytest.fixture
def killed(make: Callable[..., Experiment], tmp_path: Path, free_port: int) -> Callable[..., Experiment]:
    """Return what runs an experiment until its manager is killed with SIGKILL, in the midst of two trials."""
    auth = tmp_path / "auth.json"
    auth.write_text('{"auths": {}}')

    def kill_one(operator: str = "pytorch-operator", role: str = "master") -> Experiment:
        secret = {"private_registry_auth_path": auth}
        experiment = make(WAITS, operator=operator, roles={role: 1}, role=secret, max_trial_number=2)
        experiment.start(free_port)
        experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
        assert experiment._running is not None
        experiment._running.process.kill()
        experiment._running.process.wait()
        return experiment

    return kill_one


def left_of(cluster: Sandbox, experiment: Experiment) -> list[str]:
    """Return what is on the cluster of one experiment."""
    return [one for one in experiments.objects_left(cluster) if experiment.id in one]


@pytest.mark.parametrize(("operator", "role"), [("pytorch-operator", "master"), ("trainer", "worker")])
def test_what_a_killed_manager_left_running_goes_too(
    cluster: Sandbox, killed: Callable[..., Experiment], operator: str, role: str
) -> None:
    experiment = killed(operator, role)
    volume = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id
    home = Path.home() / "nni-experiments" / experiment.id
    assert len([one for one in left_of(cluster, experiment) if one.startswith("Secret")]) == 2

    declined = nnictl("delete", experiment.id, typed="n\n")
    left = left_of(cluster, experiment)
    done = nnictl("delete", experiment.id, typed="y\n")

    assert "2 jobs on the cluster (2 still run)\n" in declined.stdout, (declined.stdout, declined.stderr)
    assert f"Delete experiment {experiment.id} and its 2 jobs on the cluster (2 still run)? [y/N]" in declined.stdout
    assert len(left) >= 6, left
    assert done.returncode == 0, done.stderr
    assert left_of(cluster, experiment) == []
    assert not volume.exists()
    assert not home.exists()
    assert experiments.gone(experiment.id, seconds=20)


def test_jobs_on_a_cluster_that_cannot_be_reached_keep_all(
    cluster: Sandbox, killed: Callable[..., Experiment], tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = killed()
    home = Path.home() / "nni-experiments" / experiment.id
    away = tmp_path / "away"
    away.write_text(cluster.kubeconfig.read_text().replace(cluster.url, f"https://127.0.0.1:{free_port}"))
    with Sandbox() as another:
        monkeypatch.setenv("KUBECONFIG", str(another.kubeconfig))
        elsewhere = nnictl("delete", experiment.id, "--yes")
    monkeypatch.setenv("KUBECONFIG", str(away))
    refused = nnictl("delete", experiment.id, "--yes")

    for failed, why in ((elsewhere, f"ran on {cluster.url}, and the kubeconfig points to"), (refused, "not answer")):
        assert failed.returncode == 1
        assert why in failed.stderr
        assert f"jobs of experiment {experiment.id} may still be there, so nothing is deleted" in failed.stderr
        assert "add --keep-cluster to leave alone what is there" in failed.stderr
    assert len(left_of(cluster, experiment)) >= 6
    assert home.exists()

    kept = nnictl("delete", experiment.id, "--yes", "--keep-cluster")

    assert kept.returncode == 0, kept.stderr
    assert not home.exists()
    left = left_of(cluster, experiment)
    assert len(left) >= 6
    # Other tests have the same cluster, and look for what is left.
    api = Connection(cluster)
    for name in (one.partition(" ")[2] for one in left):
        api.call("DELETE", f"/api/v1/namespaces/default/secrets/{name}")
        api.call("DELETE", f"/apis/kubeflow.org/v1/namespaces/default/pytorchjobs/{name}")
    for name in (one.partition(" ")[2] for one in left):
        api.until_gone(f"/api/v1/namespaces/default/pods/{name}", timeout=60)
    assert left_of(cluster, experiment) == []


def test_notes_of_an_earlier_release_that_name_no_cluster(cluster: Sandbox, killed: Callable[..., Experiment]) -> None:
    experiment = killed()
    notes = Path.home() / "nni-experiments" / experiment.id / "storage.json"
    whole = notes.read_text()
    fields = json.loads(whole)
    del fields["cluster"]
    notes.write_text(json.dumps(fields))

    failed = nnictl("delete", experiment.id, "--yes")

    assert failed.returncode == 1
    assert "storage.json, of an earlier release, does not say which cluster the jobs are on; " in failed.stderr
    assert (
        f"nni/experiment={experiment.id}), and then add --keep-cluster to leave alone what is there." in failed.stderr
    )
    assert notes.exists()
    # Other tests have the same cluster, and look for what is left.
    notes.write_text(whole)
    assert nnictl("delete", experiment.id, "--yes").returncode == 0
    assert left_of(cluster, experiment) == []


def test_one_that_was_stopped_needs_no_cluster(
    run: Run, cluster: Sandbox, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = run(K8sManagerStorageConfig())
    away = tmp_path / "away"
    away.write_text(cluster.kubeconfig.read_text().replace(cluster.url, f"https://127.0.0.1:{free_port}"))
    monkeypatch.setenv("KUBECONFIG", str(away))

    done = nnictl("delete", experiment_id, "--yes")

    assert done.returncode == 0, done.stderr
    assert "the experiment was stopped, so nothing of it should be there" in done.stderr
    assert not (Path.home() / "nni-experiments" / experiment_id).exists()
