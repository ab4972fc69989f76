"""The quickstart over each storage, chosen by one flag."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kubernetes import client, config

from nni.testing import azure as double
from nni.testing.sandbox import Sandbox

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "main.py"
EXPORT = "10.20.30.40:/mnt/nfs/nni"

pytestmark = [pytest.mark.slow, pytest.mark.requires("azure")]


class Place(NamedTuple):
    cluster: Sandbox
    endpoint: str
    folders: dict[str, Path]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A cluster whose nodes have an export, a claim and a share."""
    (tmp_path / "shares" / "nni").mkdir(parents=True)
    (tmp_path / "claim").mkdir()
    (tmp_path / "export").mkdir()
    folders = {"nfs": tmp_path / "export", "pvc": tmp_path / "claim", "azure": tmp_path / "shares" / "nni"}
    mapped = {EXPORT: folders["nfs"], "pvc:/nni": folders["pvc"], "azure:/nni": folders["azure"]}
    command = [sys.executable, "-m", "nni.testing.azure", str(tmp_path / "shares")]
    with (
        Sandbox(nfs=mapped, environment={"OMP_NUM_THREADS": "1"}) as cluster,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        with config.new_client_from_config(str(cluster.kubeconfig)) as api:
            fields = {"azurestorageaccountname": double.ACCOUNT, "azurestorageaccountkey": double.KEY}
            client.CoreV1Api(api).create_namespaced_secret(
                "default", {"metadata": {"name": "storage"}, "stringData": fields}
            )
        folders["manager"] = tmp_path / "home" / "nni-experiments"
        yield Place(cluster, process.stdout.readline().strip(), folders)
        process.communicate()


@pytest.mark.parametrize("storage", ["manager", "nfs", "azure", "pvc"])
def test_the_quickstart(storage: str, place: Place, free_port: int, tmp_path: Path) -> None:
    azure = ["--azure", f"{double.ACCOUNT}/nni", "--key", "storage", "--azure-endpoint", place.endpoint]
    command = [sys.executable, str(QUICKSTART), "--storage", storage, "--trials", "2", "--concurrency", "2"]
    command += ["--port", str(free_port), *(azure if storage == "azure" else [])]
    environment = {**os.environ, **place.cluster.environment, "HOME": str(tmp_path / "home")}

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "best trial" in ended.stdout
    bundles = list(place.folders[storage].rglob("code/*.tar.gz"))
    assert len(bundles) == 1
    assert len(list(place.folders[storage].rglob("master-0/stdout"))) == 2
