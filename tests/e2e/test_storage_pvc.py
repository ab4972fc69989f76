"""Experiments on a PersistentVolumeClaim, and what a claim and a share look like in a job."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from nni.core import model, spec
from nni.experiment import Experiment, K8sPvcConfig, KubeflowRoleConfig
from nni.platforms.kubeflow import client as own_client
from nni.platforms.kubeflow import kinds, names, platform, pods, secrets
from nni.sandbox import schema
from nni.storage import azure_access, pod
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
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox() as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("NNI_MOUNTS", raising=False)
        yield running


@pytest.fixture
def claim(cluster: Sandbox) -> Path:
    """The directory behind a claim of the name data."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        made = client.CoreV1Api(api).create_namespaced_persistent_volume_claim(
            "default", {"metadata": {"name": "data"}, "spec": wanted}
        )
    # The sandbox makes it for the first pod; a mount of it is there before.
    place = Path(cluster.kubeconfig.parent, "claims", made.metadata.uid)
    place.mkdir(parents=True)
    return place


def experiment(tmp_path: Path, **storage: Any) -> Experiment:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    made = Experiment("kubeflow")
    made.config.search_space = {"x": {"_type": "choice", "_value": [1, 2]}}
    made.config.tuner.name = "Random"
    made.config.max_trial_number = 1
    made.config.trial_concurrency = 1
    service = made.config.training_service
    service.operator = "pytorch-operator"
    service.storage = K8sPvcConfig(claim_name="data", **storage)
    service.master = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=code)
    return made


def test_an_experiment_on_a_claim(claim: Path, tmp_path: Path, free_port: int) -> None:
    running = experiment(tmp_path, sub_path="my/part", mount_path=claim)
    try:
        assert running.run(free_port) is True
        (trial,) = running.list_trial_jobs()
    finally:
        running.stop()

    assert trial.status == "SUCCEEDED"
    assert trial.logPath == f"http://127.0.0.1:{free_port}/trial/{trial.trialJobId}"
    place = claim / "my" / "part" / "nni" / running.id / trial.trialJobId / "1" / "master-0"
    assert (place / "stdout").read_text() == "it's here\n"
    assert (place / "output" / "model.bin").stat().st_size == 1000


def test_a_claim_is_found_where_nni_mounts_says(
    claim: Path, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNI_MOUNTS", f"pvc:/data={claim}")
    running = experiment(tmp_path)
    try:
        assert running.run(free_port) is True
    finally:
        running.stop()


def test_a_claim_that_is_not_mounted_here_keeps_the_outputs_and_the_logs_come(
    claim: Path, tmp_path: Path, free_port: int
) -> None:
    running = experiment(tmp_path)
    running.config.max_trial_number = 2
    running.config.trial_concurrency = 2
    try:
        assert running.run(free_port) is True
        trials = running.list_trial_jobs()
    finally:
        running.stop()

    assert [trial.status for trial in trials] == ["SUCCEEDED"] * 2
    home = Path.home() / "nni-experiments" / running.id / "volume" / "nni" / running.id
    for trial in trials:
        there = claim / "nni" / running.id / trial.trialJobId / "1" / "master-0"
        here = home / trial.trialJobId / "1" / "master-0"
        assert (there / "output" / "model.bin").stat().st_size == 1000
        assert (here / "stdout").read_text() == "it's here\n"
        assert (here / "metrics.jsonl").read_text().count("\n") == 1
        assert '"code": 0' in (here / "exit.json").read_text()
        assert not (here / "output").exists()
    # Each pod has fetched the runtime, and none has left half of it.
    assert len(list((claim / "nni" / running.id / "runtime").iterdir())) == 1
    assert len(list((claim / "nni" / running.id / "code").iterdir())) == 1


CLAIM = spec.PvcSpec(claim_name="data", sub_path="my/part")
SHARE = spec.AzureSpec(account="account", share="nni", key_vault_name="v", key_vault_key="k")


def job(side: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    role = spec.RoleSpec(name="master", replicas=1, command="true", code_directory="/code", image="x")
    described = spec.KubeflowSpec(
        operator="pytorch-operator", api_version="v1", namespace="default", roles=(role,), storage=CLAIM
    )
    volume = pods.Volume(volume=side[0], mount=side[1])
    return platform.example(kinds.KINDS["pytorch-operator"], "v1", described, volume, intake_url="http://10.0.0.5:8081")


@pytest.mark.parametrize(
    ("side", "volume", "mount"),
    [
        (
            pod.claim(CLAIM),
            {"name": "nni-volume", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "nni-volume", "mountPath": "/mnt/nni/volume", "subPath": "my/part"},
        ),
        (
            azure_access.pod_volume(SHARE, "the-secret"),
            {
                "name": "nni-volume",
                "csi": {
                    "driver": "file.csi.azure.com",
                    "readOnly": False,
                    "volumeAttributes": {
                        "shareName": "nni",
                        "secretName": "the-secret",
                        "mountOptions": "dir_mode=0777,file_mode=0777,cache=strict,actimeo=30,nosharesock",
                    },
                },
            },
            {"name": "nni-volume", "mountPath": "/mnt/nni/volume"},
        ),
    ],
)
def test_what_a_pod_mounts(side: Any, volume: dict[str, Any], mount: dict[str, Any]) -> None:
    built = job(side)
    template = built["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    assert template["volumes"][0] == volume
    assert template["containers"][0]["volumeMounts"][0] == mount
    _, report = schema.load().check("PyTorchJob", built)
    assert report == schema.load().check("PyTorchJob", job(pod.scratch()))[1]


async def test_what_mounts_need_is_in_the_experiments_secret_and_goes_with_it(cluster: Sandbox) -> None:
    connection = own_client.connect({"KUBECONFIG": str(cluster.kubeconfig)}, "default")
    experiment_id = model.ExperimentId("k3x9ab12")
    secret = secrets.TokenSecret(
        connection, experiment_id, lambda slot: f"token {slot}", {"azurestorageaccountkey": "a"}
    )
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        await secret.ensure(0)
        await secret.ensure(300)
        data = core.read_namespaced_secret(names.secret(experiment_id), "default").data
        assert base64.b64decode(data["azurestorageaccountkey"]) == b"a"
        assert base64.b64decode(data["slot-300"]) == b"token 300"
        await secret.delete()
        with pytest.raises(client.exceptions.ApiException, match="Not Found"):
            core.read_namespaced_secret(names.secret(experiment_id), "default")
    connection.close()
