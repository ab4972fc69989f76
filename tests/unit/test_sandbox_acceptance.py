"""Whatever a job lacks, the API refuses it or the operators live with it: nothing that is accepted brings one down."""

import asyncio
import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from nni.sandbox import kinds, patches, registry, schema, status, store
from nni.sandbox.operators import fleet

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
TYPES = schema.load()
STEP = "trainer.kubeflow.org/trainjob-ancestor-step"
METADATA = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
VARIABLE = {"name": "A", "value": "b"}


def template(container: str) -> schema.Object:
    main = {"name": container, "image": "x", "ports": [{"name": "p", "containerPort": 1}], "env": [VARIABLE]}
    return {"metadata": METADATA, "spec": {"restartPolicy": "Never", "containers": [main]}}


def replicated(name: str, step: str) -> schema.Object:
    job = {"metadata": {"labels": {STEP: step}}, "spec": {"backoffLimit": 0, "template": template(name)}}
    return {"name": name, "template": job}


POLICY = {"cleanPodPolicy": "Running", "backoffLimit": 1, "activeDeadlineSeconds": 4, "ttlSecondsAfterFinished": 4}
ELASTIC = {"minReplicas": 1, "maxReplicas": 2, "maxRestarts": 1, "rdzvConf": [{"key": "a", "value": "b"}]}
SET = {
    "failurePolicy": {"maxRestarts": 1},
    "successPolicy": {"operator": "All", "targetReplicatedJobs": ["node"]},
    "network": {"enableDNSHostnames": True},
    "replicatedJobs": [
        replicated("dataset-initializer", "dataset-initializer"),
        {**replicated("node", "trainer"), "dependsOn": [{"name": "dataset-initializer", "status": "Ready"}]},
    ],
}
RUNTIME = {"mlPolicy": {"numNodes": 1, "torch": {}}, "template": {"metadata": METADATA, "spec": SET}}
MOUNTED = {"name": "node", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
PATCHED = {
    "template": {"metadata": METADATA, "spec": {"containers": [MOUNTED], "volumes": [{"name": "v", "emptyDir": {}}]}}
}
PATCH = {
    "manager": "a.io/b",
    "trainingRuntimeSpec": {
        "template": {
            "metadata": METADATA,
            "spec": {"replicatedJobs": [{"name": "node", "template": {"metadata": METADATA, "spec": PATCHED}}]},
        }
    },
}
SPECS: dict[str, tuple[kinds.Kind, schema.Object]] = {
    "pytorchjob": (
        kinds.PYTORCH_JOB,
        {
            "runPolicy": POLICY, "elasticPolicy": ELASTIC, "nprocPerNode": "2",
            "pytorchReplicaSpecs": {
                "Master": {"replicas": 1, "restartPolicy": "Never", "template": template("pytorch")},
                "Worker": {"replicas": 2, "restartPolicy": "ExitCode", "template": template("pytorch")},
            },
        },
    ),
    "tfjob": (
        kinds.TF_JOB,
        {
            "runPolicy": POLICY, "successPolicy": "", "enableDynamicWorker": False,
            "tfReplicaSpecs": {
                "PS": {"replicas": 1, "restartPolicy": "OnFailure", "template": template("tensorflow")},
                "Worker": {"replicas": 2, "restartPolicy": "Never", "template": template("tensorflow")},
            },
        },
    ),
    "job": (
        kinds.JOB,
        {
            "completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 1, "suspend": False,
            "activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 5, "template": template("main"),
        },
    ),
    "jobset": (kinds.JOB_SET, SET),
    "trainingruntime": (kinds.TRAINING_RUNTIME, RUNTIME),
    "trainjob": (
        kinds.TRAIN_JOB,
        {
            "runtimeRef": {"name": "rt", "kind": "TrainingRuntime"}, "activeDeadlineSeconds": 100, "suspend": False,
            "trainer": {
                "image": "x", "command": ["a"], "args": ["b"], "env": [VARIABLE], "numNodes": 2,
                "resourcesPerNode": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            },
            "initializer": {"dataset": {"storageUri": "a://b", "env": [VARIABLE], "secretRef": {"name": "s"}}},
            "runtimePatches": [PATCH],
        },
    ),
}  # fmt: skip
JOBS = (kinds.PYTORCH_JOB, kinds.TF_JOB, kinds.JOB, kinds.JOB_SET, kinds.TRAIN_JOB)


def lacking(body: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Yield the body without each of its parts, and with each of them empty."""
    part = body
    for step in path:
        part = part[step]
    steps = list(part) if isinstance(part, dict) else list(range(len(part))) if isinstance(part, list) else []
    for step in steps:
        for is_gone in (True, False) if isinstance(part[step], dict | list) else (True,):
            made = copy.deepcopy(body)
            place = made
            for each in path:
                place = place[each]
            if is_gone:
                del place[step]
            else:
                place[step] = {}
            yield made
        yield from lacking(body, (*path, step))


async def settle(objects: registry.Registry) -> None:
    quiet = 0
    while quiet < 15:
        before = objects.store.version
        await asyncio.sleep(0)
        quiet = quiet + 1 if objects.store.version == before else 0


async def live(objects: registry.Registry, kind: kinds.Kind, body: schema.Object) -> bool:
    """Make the object, let its pods fail, suspend what runs on; say whether it was accepted."""
    try:
        objects.create(kind, "default", body)
        if kind is kinds.TRAINING_RUNTIME:
            objects.create(kinds.TRAIN_JOB, "default", {"metadata": {"name": "t"}, "spec": SPECS["trainjob"][1]})
    except status.Refusal:
        return False
    await settle(objects)
    for pod in objects.all(kinds.POD):
        objects.set_status(kinds.POD, pod, {"phase": "Failed"})
    await settle(objects)
    for each in JOBS:
        is_training = each.group == "kubeflow.org"
        spec = {"runPolicy": {"suspend": True}} if is_training else {"suspend": True}
        for found in objects.all(each):
            objects.patch(each, "default", found["metadata"]["name"], {"spec": spec}, patches.MERGE)
    await settle(objects)
    return True


async def outcome(kind: kinds.Kind, body: schema.Object) -> bool:
    stored = store.Store()
    objects = registry.Registry(stored, TYPES, lambda: MOMENT, fleet.webhooks(stored))
    objects.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    if kind is kinds.TRAIN_JOB:
        objects.create(kinds.TRAINING_RUNTIME, "default", {"metadata": {"name": "rt"}, "spec": RUNTIME})
    async with asyncio.TaskGroup() as group:
        for run in fleet.operators(objects, kinds.Kinds()).values():
            group.create_task(run())
        is_accepted = await live(objects, kind, body)
        stored.close()
    return is_accepted


@pytest.mark.parametrize("name", SPECS)
async def test_no_job_brings_an_operator_down(name: str) -> None:
    kind, spec = SPECS[name]
    metadata = {"name": "rt" if kind is kinds.TRAINING_RUNTIME else "j"}
    assert await outcome(kind, {"metadata": metadata, "spec": spec})
    assert {await outcome(kind, {"metadata": metadata, **body}) for body in lacking({"spec": spec})} == {True, False}
