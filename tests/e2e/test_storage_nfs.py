"""Experiments on an NFS export that this machine has not mounted."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig
from nni.storage import libnfs
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


def experiment(code: Path, server: str = "127.0.0.1") -> Experiment:
    made = Experiment("kubeflow")
    made.config.search_space = {"x": {"_type": "choice", "_value": [1, 2]}}
    made.config.tuner.name = "Random"
    made.config.max_trial_number = 2
    made.config.trial_concurrency = 2
    service = made.config.training_service
    service.operator = "pytorch-operator"
    service.api_version = "v1"
    service.storage = K8sNfsConfig(server=server, path="/export")
    service.master = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=code)
    return made


@pytest.mark.requires("nfs")
def test_an_export_is_used_without_a_mount(unmounted: Sandbox, export: Path, code: Path, free_port: int) -> None:
    with nfs_testing.NfsServer({"/export": nfs_testing.Export(export)}):
        running = experiment(code)
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
    # Servers of other tests, which the portmapper tells of, are at 127.0.0.1 alone.
    running = experiment(code, "127.0.0.9")
    with pytest.raises(errors.ManagerError) as caught:
        running.start(free_port)
    said = str(caught.value)
    assert "It is not mounted here: mount it, or set storage.mount_path or NNI_MOUNTS=127.0.0.9:/export=DIREC" in said
    assert "Without a mount: The NFS server 127.0.0.9 does not answer" in said
    assert "By a mount of our own: " in said


REACH = """\
import asyncio, json, os
from pathlib import Path
from nni import errors
from nni.core import spec
from nni.manager import volumes

def mounts():
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if "/nni-nfs-" in line]

async def main():
    storage = spec.NfsSpec(server="127.0.0.1", path="/export")
    asked = volumes.Asked(environment=os.environ, directory=Path("."), experiment_id="ways", connect=None)
    try:
        backing = await volumes.back(storage, asked)
    except errors.VolumeError as error:
        return print(json.dumps({"said": str(error), "mounts": mounts()}))
    await backing.volume.put("by/hand", b"content")
    there = mounts()
    await backing.close()
    left = [*mounts(), *(one for one in there if Path(one).exists())]
    print(json.dumps({"said": backing.said, "mounts": there, "left": left}))

asyncio.run(main())
"""
# What mount(8) calls for a type of file system: SOURCE DIRECTORY -o OPTIONS.
HELPER = """\
#!/bin/sh
echo "$1 $4" > {told}
exec mount --bind {export} "$2"
"""


def reach(directory: Path, setup: str = "exec", **environment: str) -> dict[str, Any]:
    """Reach the export in a process whose mounts are its own, and that has no libnfs."""
    for name in libnfs.SONAMES:
        (directory / name).touch()
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{setup} "$0" -c "$1"']
    ended = subprocess.run(
        [*command, sys.executable, REACH],
        env={**os.environ, "LD_LIBRARY_PATH": str(directory), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.requires("mount.nfs")
def test_without_libnfs_the_export_is_mounted_by_a_process_that_may(export: Path, tmp_path: Path) -> None:
    told, helper = tmp_path / "told", tmp_path / "helper"
    helper.write_text(HELPER.format(told=told, export=export))
    helper.chmod(0o755)

    found = reach(tmp_path, f"mount --bind {helper} $(realpath /sbin/mount.nfs) && exec")

    assert found["said"] == "NFS export 127.0.0.1:/export, mounted for this experiment"
    assert (export / "by" / "hand").read_text() == "content"
    assert len(found["mounts"]) == 1
    assert found["left"] == []
    source, options = told.read_text().split()
    assert source == "127.0.0.1:/export"
    assert {"soft", "nolock"} <= set(options.split(","))


@pytest.mark.requires("nfs", "kernel-nfs", "mount.nfs")
def test_the_kernel_mounts_an_export_of_a_real_server(export: Path, tmp_path: Path) -> None:
    with nfs_testing.NfsServer({"/export": nfs_testing.Export(export)}):
        found = reach(tmp_path)

    assert found["said"] == "NFS export 127.0.0.1:/export, mounted for this experiment"
    assert (export / "by" / "hand").read_text() == "content"
    assert (len(found["mounts"]), found["left"]) == (1, [])


@pytest.mark.requires("mount.nfs")
def test_an_export_that_is_mounted_already_is_used_as_it_is(export: Path, tmp_path: Path) -> None:
    found = reach(tmp_path, NNI_MOUNTS=f"127.0.0.1:/export={export}")

    assert found["said"] == f"NFS export 127.0.0.1:/export, mounted here at {export}"
    assert (export / "by" / "hand").read_text() == "content"
    assert found["mounts"] == []


@pytest.mark.requires("mount.nfs")
@pytest.mark.parametrize(
    ("setup", "said"),
    [
        (
            "exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin",
            "this process may not mount.",
        ),
        (
            'PATH="{empty}" exec',
            "mount.nfs is not on this machine (apt-get install nfs-common).",
        ),
        (
            "mount --bind {refusing} $(realpath /sbin/mount.nfs) && exec",
            "access denied by server.",
        ),
    ],
)
def test_what_keeps_a_mount_from_being_made_is_said(setup: str, said: str, export: Path, tmp_path: Path) -> None:
    refusing, empty = tmp_path / "refusing", tmp_path / "empty"
    refusing.write_text("#!/bin/sh\necho access denied by server >&2\nexit 32\n")
    refusing.chmod(0o755)
    empty.mkdir()
    found = reach(tmp_path, setup.format(refusing=refusing, empty=empty))
    assert "Without a mount: neither libnfs.so.14 nor libnfs.so.13 is on this machine" in found["said"]
    assert f"By a mount of our own: {said}" in found["said"]
    assert found["mounts"] == []
