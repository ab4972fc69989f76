"""What nnictl doctor and render say, on the sandbox."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from nni.testing.sandbox import Sandbox

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes an experiment's file, with changes of its training service or of its master."""

    def write_one(master: dict[str, Any] | None = None, **service: Any) -> Path:
        role = {"replicas": 1, "command": "true", "codeDirectory": ".", "dockerImage": "my/image:1", "cpuNumber": 1}
        described = {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "tuner": {"name": "Random"},
            "trialConcurrency": 1,
            "trainingService": {
                "platform": "kubeflow",
                "operator": "pytorch-operator",
                "storage": {"storageType": "nfs", "server": "10.20.30.40", "path": "/mnt/nfs/nni"},
                "master": {**role, **(master or {})},
                **service,
            },
        }
        path = tmp_path / "experiment.yml"
        path.write_text(yaml.safe_dump(described))
        return path

    return write_one


def nnictl(*words: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "nni", *words], capture_output=True, text=True, timeout=90, check=False
    )
    assert "Traceback" not in ended.stderr
    return ended


def verdicts(ended: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    return {one["what"]: (one["verdict"], one["sentence"]) for one in json.loads(ended.stdout)}


@pytest.mark.requires("kubectl")
def test_all_is_well(cluster: Sandbox, write: Write, free_port: int) -> None:
    ended = nnictl("doctor", "--config", str(write()), "--port", str(free_port))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["ok"] * 11
    assert "A pod reaches 127.0.0.1 port" in ended.stdout
    left = subprocess.run(["kubectl", "get", "pods", "-o", "name"], capture_output=True, text=True, check=True).stdout
    assert "probe" not in left


def test_a_pod_reaches_the_intake_by_tls(cluster: Sandbox, write: Write, free_port: int) -> None:
    ended = nnictl("doctor", "--config", str(write(intakeTls=True)), "--port", str(free_port), "--json")

    expected = ("ok", f"A pod reaches 127.0.0.1 port {free_port + 1} by TLS.")
    assert verdicts(ended)["intake from a pod"] == expected, ended.stdout


@pytest.mark.parametrize(
    ("changes", "what", "verdict", "says"),
    [
        ({"namespace": "nowhere"}, "namespace", "failed", "There is no namespace nowhere: make it with `kubectl"),
        ({"master": {"gpuNumber": 9}}, "GPUs", "failed", "No node has 9 nvidia.com/gpu (the most is 8)"),
        ({"master": {"gpuNumber": 1}, "gpu_resource": "amd.com/gpu"}, "GPUs", "failed", "No node has 1 amd.com/gpu"),
        ({"master": {"dockerImage": None}}, "images", "warning", "docker_image of master is not set"),
        (
            {"master": {"volumes": [{"name": "x", "emptyDirr": {}}]}},
            "job",
            "failed",
            "The cluster refuses a trial's PyTorchJob kubeflow.org/v1: ",
        ),
        ({"apiVersion": "v1alpha2"}, "api_version", "warning", "kubeflow.org/v1 is used"),
    ],
)
def test_what_is_wrong_is_said(
    *, cluster: Sandbox, write: Write, changes: dict[str, Any], what: str, verdict: str, says: str
) -> None:
    ended = nnictl("doctor", "--config", str(write(**changes)), "--no-probe", "--json")

    found, sentence = verdicts(ended)[what]
    assert (found, says in sentence) == (verdict, True), sentence
    assert ended.returncode == (1 if verdict == "failed" else 0)


@pytest.fixture
def claim(cluster: Sandbox) -> Iterator[Path]:
    """The directory behind a claim of the name mine."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        made = core.create_namespaced_persistent_volume_claim("default", {"metadata": {"name": "mine"}, "spec": wanted})
        yield Path(cluster.kubeconfig.parent, "claims", made.metadata.uid)
        core.delete_namespaced_persistent_volume_claim("mine", "default")


@pytest.mark.parametrize(
    ("storage", "here", "there"),
    [
        (None, "Nothing is shared: pods fetch the code from the manager", "A pod writes on its volume."),
        ({"claimName": "mine"}, "Claim mine is not mounted here", "A pod writes on its volume."),
        (
            {"claimName": "mine", "mountPath": "{claim}"},
            "This machine writes on it: claim mine, mounted here at",
            "A pod writes on the volume what the manager reads.",
        ),
    ],
)
def test_each_storage_is_tried(
    *,
    cluster: Sandbox,
    claim: Path,
    write: Write,
    free_port: int,
    storage: dict[str, str] | None,
    here: str,
    there: str,
) -> None:
    claim.mkdir(parents=True, exist_ok=True)
    described = storage and {name: value.format(claim=claim) for name, value in storage.items()}

    ended = nnictl("doctor", "--config", str(write(storage=described)), "--port", str(free_port), "--json")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = verdicts(ended)
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert here in found["storage"][1]
    assert found["storage from a pod"][1] == there
    assert "intake from a pod" in found
    assert ("porter" in found) is ("claimName" in (storage or {}) and "mountPath" not in (storage or {}))
    assert [one for one in claim.rglob("*") if one.is_file()] == []


def test_an_export_that_is_not_mounted_is_said(cluster: Sandbox, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNI_MOUNTS")

    ended = nnictl("doctor", "--config", str(write()))

    assert ended.returncode == 1
    assert "10.20.30.40:/mnt/nfs/nni cannot be used from this machine. It is not mounted here" in ended.stdout


def test_a_port_that_is_taken_is_said(cluster: Sandbox, write: Write) -> None:
    taken = int(cluster.url.rpartition(":")[2])

    ended = nnictl("doctor", "--config", str(write()), "--port", str(taken - 1), "--json")

    assert verdicts(ended)["probe"][0] == "warning"
    assert f"Port {taken} cannot be listened on" in verdicts(ended)["probe"][1]


def test_no_experiment_starts_where_something_is_wrong(cluster: Sandbox, write: Write, free_port: int) -> None:
    path = write(master={"gpuNumber": 9}, namespace="nowhere")

    ended = nnictl("create", "--config", str(path), "--port", str(free_port))

    assert ended.returncode == 1
    assert "There is no namespace nowhere" in ended.stderr
    assert "No node has 9 nvidia.com/gpu" in ended.stderr


@pytest.mark.parametrize(("operator", "kinds"), [("pytorch-operator", ["PyTorchJob"]), ("job", ["Job"])])
def test_render_prints_what_a_trial_creates_and_needs_no_cluster(
    write: Write, operator: str, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/no/such")
    roles = {} if operator == "pytorch-operator" else {"master": None, "worker": {"command": "true", "replicas": 2}}
    path = write(operator=operator)
    described = yaml.safe_load(path.read_text())
    described["trainingService"].update(roles)
    path.write_text(yaml.safe_dump(described))

    ended = nnictl("render", "--config", str(path))

    assert ended.returncode == 0, ended.stderr
    assert [one["kind"] for one in yaml.safe_load_all(ended.stdout)] == kinds
    assert "https://MANAGER:8081" in ended.stdout
    assert "NNI_INTAKE_CERT_SHA256" in ended.stdout


@pytest.mark.parametrize(
    ("storage", "kind", "fetches"),
    [
        (None, "emptyDir", True),
        ({"storageType": "manager"}, "emptyDir", True),
        ({"server": "10.20.30.40", "path": "/mnt/nfs/nni"}, "nfs", False),
        ({"azureAccount": "abc", "azureShare": "share", "keyVaultName": "vault", "keyVaultKey": "key"}, "csi", False),
        ({"claimName": "mine"}, "persistentVolumeClaim", True),
        ({"claimName": "mine", "mountPath": "/"}, "persistentVolumeClaim", False),
    ],
)
def test_render_knows_every_storage_and_touches_none(
    write: Write, storage: dict[str, str] | None, kind: str, *, fetches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/no/such")
    monkeypatch.delenv("NNI_MOUNTS", raising=False)

    ended = nnictl("render", "--config", str(write(storage=storage)))

    assert ended.returncode == 0, ended.stderr
    (job,) = yaml.safe_load_all(ended.stdout)
    pod = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    assert kind in pod["volumes"][0]
    assert (pod["containers"][0]["command"][0] == "python3") is fetches
    assert ("securityContext" in pod) is (kind != "nfs")


def test_a_claim_that_is_not_there_is_told_of_before_a_pull_would_have_had_its_time(
    cluster: Sandbox, write: Write, free_port: int
) -> None:
    described = str(write(storage={"storageType": "pvc", "claimName": "nowhere"}))
    # Nothing that depends on the machine: nnictl() gives up before a probe would that waits to its end.
    ended = nnictl("doctor", "--config", described, "--port", str(free_port), "--json")

    verdict, sentence = verdicts(ended)["probe"]
    assert verdict == "warning"
    assert "The claim nowhere does not exist in namespace default: create it" in sentence
