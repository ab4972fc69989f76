"""The quickstart over each storage, chosen by one flag."""

import os
import signal
import socket
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


class Place(NamedTuple):
    cluster: Sandbox
    endpoint: str
    folders: dict[str, Path]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A cluster whose nodes have an export, a claim and a share."""
    (tmp_path / "shares" / "nni").mkdir(parents=True)
    (tmp_path / "export").mkdir()
    folders = {"nfs": tmp_path / "export", "azure": tmp_path / "shares" / "nni"}
    command = [sys.executable, "-m", "nni.testing.azure", str(tmp_path / "shares")]
    with (
        Sandbox(
            nfs={EXPORT: folders["nfs"]}, shares={"nni": folders["azure"]}, environment={"OMP_NUM_THREADS": "1"}
        ) as cluster,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        with config.new_client_from_config(str(cluster.kubeconfig)) as api:
            fields = {"azurestorageaccountname": double.ACCOUNT, "azurestorageaccountkey": double.KEY}
            core = client.CoreV1Api(api)
            core.create_namespaced_secret("default", {"metadata": {"name": "storage"}, "stringData": fields})
            wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
            claim = core.create_namespaced_persistent_volume_claim(
                "default", {"metadata": {"name": "nni"}, "spec": wanted}
            )
        folders["pvc"] = cluster.kubeconfig.parent / "claims" / claim.metadata.uid
        # The sandbox makes it for the first pod; a mount of it is there before.
        folders["pvc"].mkdir(parents=True)
        folders["manager"] = tmp_path / "home" / "nni-experiments"
        yield Place(cluster, process.stdout.readline().strip(), folders)
        process.communicate()


@pytest.mark.slow
@pytest.mark.requires("azure")
@pytest.mark.parametrize("storage", ["manager", "nfs", "azure", "pvc", "pvc, not mounted here"])
def test_the_quickstart(storage: str, place: Place, free_port: int, tmp_path: Path) -> None:
    azure = ["--azure", f"{double.ACCOUNT}/nni", "--key", "storage", "--azure-endpoint", place.endpoint]
    kind, _, is_far = storage.partition(", ")
    command = [sys.executable, str(QUICKSTART), "--storage", kind, "--trials", "2", "--concurrency", "2"]
    own = {"azure": azure, "pvc": [] if is_far else ["--mount-path", str(place.folders["pvc"])]}
    command += ["--port", str(free_port), *own.get(kind, [])]
    environment = {**os.environ, **place.cluster.environment, "HOME": str(tmp_path / "home")}

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "best trial" in ended.stdout
    bundles = list(place.folders[kind].rglob("code/*.tar.gz"))
    assert len(bundles) == 1
    assert len(list(place.folders[kind].rglob("master-0/stdout"))) == 2


def quickstart(*words: str, around: tuple[str, ...] = (), home: Path) -> subprocess.CompletedProcess[str]:
    command = [*around, sys.executable, str(QUICKSTART), "--trials", "2", "--concurrency", "2", *words]
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("has", "storage"),
    [
        ("", "manager"),
        (f"--nfs {EXPORT}", "nfs"),
        ("--claim nni", "pvc"),
        pytest.param("--azure", "azure", marks=pytest.mark.requires("azure")),
    ],
)
def test_the_quickstart_in_a_sandbox_that_has_the_storage(
    has: str, storage: str, free_port: int, tmp_path: Path
) -> None:
    around = (sys.executable, "-m", "nni", "sandbox", *has.split(), "--")
    ended = quickstart("--storage", storage, "--port", str(free_port), around=around, home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "best trial" in ended.stdout


def test_the_quickstart_says_what_to_give_for_azure(tmp_path: Path) -> None:
    ended = quickstart("--storage", "azure", home=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        "main.py: error: --storage azure needs a share and its key: --azure ACCOUNT/SHARE --key VAULT/SECRET (or the "
        "name of a Secret of the cluster), or a sandbox that has them: nnictl sandbox --azure -- python ..."
    )


def test_the_quickstart_says_what_is_wrong_in_sentences(free_port: int, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        ended = quickstart("--port", str(free_port), home=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: Port {free_port}, for the portal, cannot be used (Address already in use); choose another port.\n"
    )

    ended = quickstart("--port", str(free_port), "--concurrency", "0", "--nfs", "here:there", home=tmp_path)
    assert ended.returncode == 1
    first, second = ended.stderr.splitlines()
    assert first == "error: trial_concurrency: 0 is not above 0"
    assert second.startswith("training_service.storage.path: 'there' is not absolute; ")


def test_trials_that_wait_for_a_claim_name_it_to_who_looks(cluster: Sandbox, free_port: int) -> None:
    command = [sys.executable, str(QUICKSTART), "--storage", "pvc", "--claim", "nowhere", "--port", str(free_port)]
    environment = {name: value for name, value in os.environ.items() if name != "NNI_MOUNTS"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = [line.partition(" waits: ")[2] for line in iter(process.stderr.readline, "") if _ends(line, process)]
    assert said == [
        "The claim nowhere does not exist in namespace default: create it, or correct claim_name of the storage.\n"
    ]


def _ends(line: str, process: "subprocess.Popen[str]") -> bool:
    """Return whether a line says why something waits, and end the process then."""
    if not line.startswith("trial ") or " waits: " not in line:
        return False
    process.send_signal(signal.SIGINT)
    return True
