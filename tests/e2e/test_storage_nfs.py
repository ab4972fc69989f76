"""Experiments on an NFS export that this machine has not mounted."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nni import errors
from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig
from nni.testing import nfs as nfs_testing
from nni.testing.sandbox import Sandbox

TRAIN = """\
import pathlib
import nni

parameters = nni.get_next_parameter()
print("it's here", flush=True)
pathlib.Path("model.bin").write_bytes(b"m" * 1000)
nni.report_final_result(parameters["x"])
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "train.py").write_text(TRAIN)
    return directory


@pytest.fixture
def export(tmp_path: Path) -> Path:
    made = tmp_path / "export"
    made.mkdir()
    made.chmod(0o777)
    for folder in made.parents:
        if folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return made


@pytest.fixture
def unmounted(export: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A cluster whose nodes have the export, and this process as one that does not."""
    with Sandbox(nfs={"127.0.0.1:/export": export}) as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
        monkeypatch.delenv("NNI_MOUNTS", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield running


def experiment(code: Path, path: str) -> Experiment:
    made = Experiment("kubeflow")
    made.config.search_space = {"x": {"_type": "choice", "_value": [1, 2]}}
    made.config.tuner.name = "Random"
    made.config.max_trial_number = 2
    made.config.trial_concurrency = 2
    service = made.config.training_service
    service.operator = "pytorch-operator"
    service.api_version = "v1"
    service.storage = K8sNfsConfig(server="127.0.0.1", path=path)
    service.master = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=code)
    return made


@pytest.mark.requires("nfs")
def test_an_export_is_used_without_a_mount(unmounted: Sandbox, export: Path, code: Path, free_port: int) -> None:
    with nfs_testing.NfsServer({"/export": nfs_testing.Export(export)}):
        running = experiment(code, "/export")
        try:
            assert running.run(free_port) is True
            trials = running.list_trial_jobs()
        finally:
            running.stop()

    assert [trial.status for trial in trials] == ["SUCCEEDED", "SUCCEEDED"]
    for trial in trials:
        assert trial.logPath == f"nfs://127.0.0.1/export/nni/{running.id}/{trial.trialJobId}"
        place = export / "nni" / running.id / trial.trialJobId / "1" / "master-0"
        assert (place / "stdout").read_text() == "it's here\n"
        assert (place / "output" / "model.bin").stat().st_size == 1000
    (log,) = (Path.home() / "nni-experiments").glob("*/log/nnimanager.log")
    assert "storage: NFS export 127.0.0.1:/export, without a mount: NFSv3 through libnfs" in log.read_text()


def test_an_export_that_cannot_be_reached_is_told_with_all_that_was_tried(
    unmounted: Sandbox, code: Path, free_port: int
) -> None:
    if subprocess.run(["sh", "-c", "ldconfig -p | grep -q 'libnfs.so.1[34]'"], check=False).returncode:
        pytest.skip("no libnfs (apt-get install libnfs13)")
    running = experiment(code, "/export")
    with pytest.raises(errors.ManagerError) as caught:
        running.start(free_port)
    said = str(caught.value)
    assert "It is not mounted here: mount it, or set storage.mount_path or NNI_MOUNTS=127.0.0.1:/export=DIREC" in said
    assert "Without a mount: The NFS server 127.0.0.1 does not answer" in said
    assert "By a mount of our own: " in said
