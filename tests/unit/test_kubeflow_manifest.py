"""What a trial's job looks like."""

import json
from pathlib import Path
from typing import Any

import pytest

from nni.core import model, spec
from nni.platforms.kubeflow import kinds, names, platform, pods
from nni.sandbox import schema
from nni.storage import nfs

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
    *roles: spec.RoleSpec, operator: str = "pytorch-operator", number: int = 1, restricted: bool = False, **changes: Any
) -> dict[str, Any]:
    kind = kinds.KINDS[operator]
    volume, mount = nfs.pod_volume(EXPORT)
    wanted = pods.Pods(
        experiment=model.ExperimentId("k3x9ab12"),
        order=model.JobOrder(attempt=model.AttemptKey(model.TrialId("k2f9z"), number), sequence=4, slot=7),
        volume=pods.Volume(volume=volume, mount=mount, runs_restricted=restricted),
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


def test_a_pytorch_job_is_as_it_was() -> None:
    expected = json.loads((GOLDEN / "pytorch_job.json").read_text())

    assert build(MASTER, WORKER) == expected


def test_every_field_is_one_that_the_operator_knows() -> None:
    _, report = schema.load().check("PyTorchJob", build(MASTER, WORKER))

    assert (report.unknown, report.findings) == ([], [])


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
