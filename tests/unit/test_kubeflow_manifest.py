"""What a trial's job looks like."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from nni.core import model, spec
from nni.platforms.kubeflow import kinds, manifest, names, platform, pods
from nni.storage import azure_access, nfs, pod

EXPORT = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni")
MASTER = spec.RoleSpec(
    name="master", replicas=1, command="python3 model.py", code_directory="/code", image="my/image:1", cpus=1,
    memory_mib=4096,
)  # fmt: skip
WORKER = spec.RoleSpec(
    name="worker", replicas=2, command="python3 model.py", code_directory="/code", image="my/image:1", cpus=0.5,
    memory_mib=512, gpus=1,
)  # fmt: skip
GOLDEN = Path(__file__).parent / "golden"


def build(
    *roles: spec.RoleSpec,
    operator: str = "pytorch-operator",
    number: int = 1,
    side: tuple[dict[str, Any], dict[str, Any]] | None = None,
    restricted: bool = False,
    fetching: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> dict[str, Any]:
    kind = kinds.KINDS[operator]
    volume, mount = side or nfs.pod_volume(EXPORT)
    wanted = pods.Pods(
        experiment=model.ExperimentId("k3x9ab12"),
        order=model.JobOrder(attempt=model.AttemptKey(model.TrialId("k2f9z"), number), sequence=4, slot=7),
        volume=pods.Volume(volume=volume, mount=mount, runs_restricted=restricted, **fetching),
        intake_url="http://10.0.0.5:8081",
        container=kind.container,
        index_field=kind.index_field,
        token_key="slot-7",
    )
    described = spec.KubeflowSpec(
        operator=operator, api_version="v1", namespace="default", roles=roles, storage=EXPORT, **changes
    )
    return platform.render(kind, "v1alpha1" if operator == "trainer" else "v1", described, wanted)


def template(built: dict[str, Any], role: str) -> dict[str, Any]:
    found: dict[str, Any] = built["spec"]["pytorchReplicaSpecs"][role]["template"]
    return found


def container(built: dict[str, Any], role: str) -> dict[str, Any]:
    (found,) = template(built, role)["spec"]["containers"]
    return dict(found)


def named(name: str, replicas: int = 1, **fields: Any) -> spec.RoleSpec:
    return dataclasses.replace(MASTER, name=name, replicas=replicas, **fields)


EVERYTHING = spec.PodSpec(
    environment={"DATA": "/data", "TOKEN": {"secretKeyRef": {"name": "hub", "key": "token"}}},
    requests={"cpu": "500m", "memory": "1Gi"},
    shm_mib=64,
    labels={"team": "vision"},
    annotations={"example.org/note": "it's mine"},
    fields={
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "serviceAccountName": "trainer",
        "imagePullSecrets": [{"name": "hub"}],
    },
    volumes=({"name": "data", "persistentVolumeClaim": {"claimName": "data"}},),
    mounts=({"name": "data", "mountPath": "/data", "readOnly": True},),
    registry_credentials="/home/me/.docker/config.json",
)

CLAIM = pod.claim(spec.PvcSpec(claim_name="data", sub_path="my/part"))
SHARE = spec.AzureSpec(account="account", share="share", key_vault_name="vault", key_vault_key="key")
# A runtime's sha256, which differs from version to version.
SENT = {"runtime": "0123abcd", "storage": "manager"}

JOBS: Mapping[str, dict[str, Any]] = {
    "pytorch_job": build(MASTER, WORKER),
    "tf_job": build(named("chief"), named("worker", 2), named("ps"), named("evaluator"), operator="tf-operator"),
    "train_job": build(named("worker", 2, gpus=1), operator="trainer"),
    "batch_job": build(named("worker", 2), operator="job"),
    "pytorch_job_shaped": build(
        dataclasses.replace(MASTER, pod=EVERYTHING), queue="team-a", queue_priority="high", restricted=True
    ),
    "train_job_shaped": build(
        named("worker", pod=EVERYTHING), operator="trainer", queue="team-a", queue_priority="high", restricted=True
    ),
    "training_runtime": manifest.training_runtime(),
    "pytorch_job_manager": build(MASTER, WORKER, side=pod.scratch(), restricted=True, fetching=SENT),
    "train_job_manager": build(
        named("worker", 2), operator="trainer", side=pod.scratch(), restricted=True, fetching=SENT
    ),
    "pytorch_job_azure": build(
        MASTER, side=azure_access.pod_volume(SHARE, names.secret(model.ExperimentId("k3x9ab12"))), restricted=True
    ),
    "pytorch_job_claim": build(MASTER, side=CLAIM, restricted=True),
    "pytorch_job_claim_unmounted": build(MASTER, side=CLAIM, restricted=True, fetching={**SENT, "storage": "claim"}),
}

RESTRICTED = ("manager", "azure", "claim", "claim_unmounted")


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_as_it_was(name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())

    assert JOBS[name] == expected


CRDS = {
    "PyTorchJob": "kubeflow.org_pytorchjobs.yaml",
    "TFJob": "kubeflow.org_tfjobs.yaml",
    "TrainJob": "trainer.kubeflow.org_trainjobs.yaml",
    "TrainingRuntime": "trainer.kubeflow.org_trainingruntimes.yaml",
}
CRD_FOLDER = Path(os.environ.get("NNI_TEST_CRDS") or Path(__file__).parents[3] / "shared" / "crds")
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


def misfits(value: Any, schema: Mapping[str, Any], path: str = "") -> list[str]:
    """Return where a value does not fit a schema of a custom resource; unknown fields do not."""
    if schema.get("x-kubernetes-int-or-string"):
        return [] if isinstance(value, int | str) else [path]
    if not isinstance(value, TYPES[schema["type"]]):
        return [f"{path} is no {schema['type']}"]
    if isinstance(value, list):
        return [found for i, one in enumerate(value) for found in misfits(one, schema["items"], f"{path}[{i}]")]
    if not isinstance(value, dict):
        return [] if value in schema.get("enum", [value]) else [f"{path} may not be {value}"]
    known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
    found = [f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, one in value.items():
        if name in known or others:
            found += misfits(one, known.get(name, others), f"{path}.{name}")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.append(f"{path}.{name} is unknown")
    return found


@pytest.mark.skipif(not CRD_FOLDER.is_dir(), reason="no folder with the operators' CRDs here; name it in NNI_TEST_CRDS")
@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job["kind"] in CRDS])
def test_every_field_is_one_that_the_operator_knows(name: str) -> None:
    job = JOBS[name]
    definition = yaml.load((CRD_FOLDER / CRDS[job["kind"]]).read_text(), yaml.CSafeLoader)
    (schema,) = [
        one["schema"]["openAPIV3Schema"]
        for one in definition["spec"]["versions"]
        if job["apiVersion"].endswith("/" + one["name"])
    ]

    assert misfits(job["spec"], schema["properties"]["spec"]) == []


@pytest.mark.parametrize("name", ["pytorch_job_shaped", "train_job_shaped"])
def test_a_queue_gets_a_suspended_job_with_its_labels(name: str) -> None:
    job = JOBS[name]

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "high"
    assert job["spec"].get("runPolicy", job["spec"])["suspend"] is True


@pytest.mark.parametrize("name", ["pytorch_job_shaped", *(f"pytorch_job_{one}" for one in RESTRICTED)])
def test_a_restricted_pod_keeps_to_the_standard(name: str) -> None:
    built = template(JOBS[name], "Master")["spec"]

    assert built["securityContext"]["runAsNonRoot"] is True
    assert built["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in built["containers"]:
        assert one["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize(
    ("memory", "shm", "size"),
    [(4096, None, "1024Mi"), (262144, None, "16384Mi"), (None, None, None), (4096, 100, "100Mi"), (None, 100, "100Mi")],
)
def test_shared_memory_has_a_size(memory: int | None, shm: int | None, size: str | None) -> None:
    built = build(dataclasses.replace(MASTER, memory_mib=memory, pod=spec.PodSpec(shm_mib=shm)))
    (volume,) = [one for one in template(built, "Master")["spec"]["volumes"] if one["name"] == "nni-shm"]

    assert volume["emptyDir"] == {"medium": "Memory", **({"sizeLimit": size} if size else {})}


def test_a_pod_template_has_the_last_word() -> None:
    patch = {"spec": {"hostNetwork": True, "volumes": None, "securityContext": {"runAsUser": 7}}, "metadata": {"x": {}}}

    built = template(build(dataclasses.replace(MASTER, pod=spec.PodSpec(template=patch))), "Master")

    assert built["spec"]["hostNetwork"] is True
    assert "volumes" not in built["spec"]
    assert built["spec"]["securityContext"] == {"runAsUser": 7}
    assert built["spec"]["containers"][0]["name"] == "pytorch"


def test_a_variable_of_the_user_s_replaces_ours() -> None:
    own = spec.PodSpec(environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    env = container(build(dataclasses.replace(MASTER, pod=own)), "Master")["env"]

    assert [one["value"] for one in env if one["name"] == "NVIDIA_VISIBLE_DEVICES"] == ["all"]


@pytest.mark.parametrize(
    ("role", "resources"),
    [
        ({"cpus": None, "memory_mib": None, "gpus": 0}, {}),
        ({"cpus": 4.0, "memory_mib": 8192, "gpus": 0}, {"cpu": "4", "memory": "8192Mi"}),
        ({"cpus": 0.25, "memory_mib": None, "gpus": 2}, {"cpu": "250m", "nvidia.com/gpu": "2"}),
    ],
)
def test_what_is_asked_for_is_what_is_granted(role: dict[str, Any], resources: dict[str, str]) -> None:
    fields: dict[str, Any] = {"name": "master", "replicas": 1, "command": "x", "code_directory": "/", "image": "i"}
    built = container(build(spec.RoleSpec(**fields | role)), "Master")["resources"]

    assert built == ({"requests": resources, "limits": resources} if resources else {})


@pytest.mark.parametrize(("gpus", "sees"), [(0, {"NVIDIA_VISIBLE_DEVICES": "void"}), (1, {})])
def test_a_role_without_gpus_sees_none(gpus: int, sees: dict[str, str]) -> None:
    role = spec.RoleSpec(name="master", replicas=1, command="x", code_directory="/", image="i", gpus=gpus)
    env = {one["name"]: one.get("value") for one in container(build(role), "Master")["env"]}

    assert {name: value for name, value in env.items() if name.startswith("NVIDIA")} == sees


def test_the_token_is_a_reference_and_no_value() -> None:
    (token,) = [one for one in container(build(MASTER), "Master")["env"] if one["name"] == "NNI_TRIAL_TOKEN"]

    assert token == {
        "name": "NNI_TRIAL_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "nni-exp-k3x9ab12", "key": "slot-7"}},
    }


def test_two_attempts_differ_in_name_and_digest() -> None:
    first, second = build(MASTER), build(MASTER, number=2)

    assert first["metadata"]["name"] != second["metadata"]["name"]
    digests = {one["metadata"]["annotations"][names.SPEC_DIGEST] for one in (first, second, build(WORKER))}
    assert len(digests) == 3
    assert build(MASTER) == first


def test_labels_are_on_the_pods_too() -> None:
    built = build(MASTER, WORKER)

    for role in ("Master", "Worker"):
        expected = {**built["metadata"]["labels"], "nni/role": role.lower()}
        assert template(built, role)["metadata"]["labels"] == expected
