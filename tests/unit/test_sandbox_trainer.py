"""The JobSets that Trainer makes of TrainJobs, and what its webhooks refuse: tables."""

import datetime as dt
import json
from typing import Any

import pytest

from nni.sandbox import kinds, registry, schema, status, store
from nni.sandbox.operators import fleet, trainjob_jobset

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
TYPES = schema.load()


@pytest.fixture
def objects() -> registry.Registry:
    stored = store.Store()
    made = registry.Registry(stored, TYPES, lambda: MOMENT, fleet.webhooks(stored))
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    made.create(kinds.TRAINING_RUNTIME, "default", runtime())
    return made


def runtime(policy: schema.Object | None = None, **pod: Any) -> schema.Object:
    spec = {"containers": [{"name": "node", "image": "base", "env": [{"name": "A", "value": "base"}]}], **pod}
    labels = {trainjob_jobset.STEP: "trainer"}
    node = {"name": "node", "template": {"metadata": {"labels": labels}, "spec": {"template": {"spec": spec}}}}
    template = {"metadata": {"labels": {"from": "runtime"}}, "spec": {"replicatedJobs": [node]}}
    return {"metadata": {"name": "rt"}, "spec": {"mlPolicy": policy or {"torch": {}}, "template": template}}


def train_job(**spec: Any) -> schema.Object:
    return {
        "metadata": {"name": "t"},
        "spec": {"runtimeRef": {"name": "rt", "kind": "TrainingRuntime"}, **spec},
    }


def patched(name: str = "node", manager: str = "a.io/b", job: str = "node", **container: Any) -> schema.Object:
    pod = {"metadata": {"labels": {"l": "p"}}, "spec": {"containers": [{"name": name, **container}]}}
    jobs_ = [{"name": job, "template": {"spec": {"template": pod}}}]
    return {"manager": manager, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs_}}}}


def refusal_of(objects: registry.Registry, kind: kinds.Kind, body: schema.Object) -> tuple[int, str]:
    with pytest.raises(status.Refusal) as caught:
        objects.create(kind, "default", body)
    return caught.value.code, str(caught.value)


_TRAIN = 'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request: '
_PATCHES = "spec.runtimePatches: Invalid value: "


@pytest.mark.parametrize(
    ("spec", "start", "end"),
    [
        (
            {"runtimeRef": {"name": "none"}},
            'spec.runtimeRef: Invalid value: {"name":"none","apiGroup":"trainer.kubeflow.org",'
            '"kind":"ClusterTrainingRuntime"}: ClusterTrainingRuntime.trainer.kubeflow.org "none" not found: ',
            "specified clusterTrainingRuntime must be created before the TrainJob is created",
        ),
        (
            {"runtimeRef": {"name": "none", "kind": "TrainingRuntime"}},
            'spec.runtimeRef: Invalid value: {"name":"none","kind":"TrainingRuntime",'
            '"apiGroup":"trainer.kubeflow.org"}: TrainingRuntime.trainer.kubeflow.org "none" not found: ',
            "specified trainingRuntime must be created before the TrainJob is created",
        ),
        (
            {"runtimeRef": {"name": "rt", "kind": "Deployment", "apiGroup": "apps"}},
            "", "unsupported runtime: Deployment.apps",
        ),
        (
            {"trainer": {"env": [{"name": "PET_NNODES", "value": "2"}, {"name": "MINE", "value": "1"}]}},
            "spec.trainer.env: Invalid value: [",
            "]: must not have reserved envs, invalid envs configured: [PET_NNODES]",
        ),
        (
            {"runtimePatches": [patched(job="other")]},
            _PATCHES, ": must not have replicated job that doesn't exist in the runtime job template",
        ),
        (
            {"runtimePatches": [patched(name="other")]},
            _PATCHES, ": must not have container that doesn't exist in the runtime job node",
        ),
        (
            {"runtimePatches": [patched(env=[{"name": "A", "value": "b"}])]},
            _PATCHES, ": must not have envs for the dataset-initializer, model-initializer, node containers",
        ),
        (
            {"runtimePatches": [patched(manager="me")]},
            'spec.runtimePatches.manager: Invalid value: "me"',
            ': must be a domain-prefixed path (such as "acme.io/foo")',
        ),
    ],
)  # fmt: skip
def test_what_the_webhook_of_trainjobs_refuses(
    objects: registry.Registry, spec: schema.Object, start: str, end: str
) -> None:
    code, message = refusal_of(objects, kinds.TRAIN_JOB, train_job(**spec))
    assert (code, message[: len(_TRAIN + start)], message[-len(end) :]) == (403, _TRAIN + start, end)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"trainer": {"numNodes": 1}}, {"trainer": {"numNodes": 2}}, (422, "spec.trainer: ", "field is immutable")),
        (
            {"activeDeadlineSeconds": 5},
            {"activeDeadlineSeconds": 6},
            (422, "spec.activeDeadlineSeconds: ", "immutable"),
        ),
        (
            {"runtimePatches": [patched()]},
            {"runtimePatches": []},
            (403, "spec.runtimePatches: Forbidden: ", "the update"),
        ),
        ({"suspend": True, "runtimePatches": [patched()]}, {"runtimePatches": []}, None),
        ({"suspend": True}, {"suspend": False}, None),
    ],
)
def test_what_may_change_in_a_trainjob(
    objects: registry.Registry, before: Any, after: Any, expected: tuple[int, str, str] | None
) -> None:
    made = objects.create(kinds.TRAIN_JOB, "default", train_job(**before))
    changed = {**made, "spec": {**made["spec"], **after}}
    if expected is None:
        assert objects.replace(kinds.TRAIN_JOB, "default", "t", changed)["spec"] == changed["spec"]
        return
    with pytest.raises(status.Refusal) as caught:
        objects.replace(kinds.TRAIN_JOB, "default", "t", changed)
    assert caught.value.code == expected[0]
    assert expected[1] in str(caught.value)
    assert str(caught.value).endswith(expected[2])


def test_patches_wait_until_no_job_of_the_set_is_active(objects: registry.Registry) -> None:
    made = objects.create(kinds.TRAIN_JOB, "default", train_job(runtimePatches=[patched()]))
    jobset = objects.create(kinds.JOB_SET, "default", {"metadata": {"name": "t"}, "spec": {"replicatedJobs": []}})
    objects.set_status(kinds.JOB_SET, jobset, {"replicatedJobsStatus": [{"name": "node", "active": 1}]})
    changed = {**made, "spec": {**made["spec"], "runtimePatches": [], "suspend": True}}
    with pytest.raises(status.Refusal) as caught:
        objects.replace(kinds.TRAIN_JOB, "default", "t", changed)
    rule = "RuntimePatches cannot be modified when the JobSet's ReplicatedJob node is still active"
    assert str(caught.value) == f"{_TRAIN}spec.runtimePatches: Forbidden: {rule}"


def test_the_name_of_a_trainjob_is_a_label(objects: registry.Registry) -> None:
    body = train_job() | {"metadata": {"name": "4t"}}
    code, message = refusal_of(objects, kinds.TRAIN_JOB, body)
    assert (code, message) == (
        422,
        'TrainJob.trainer.kubeflow.org "4t" is invalid: <nil>: Invalid value: "object": '
        "metadata.name must match RFC 1035 DNS label format",
    )


def test_runtimes_have_one_replica_of_each_job(objects: registry.Registry) -> None:
    body = runtime()
    body["spec"]["template"]["spec"]["replicatedJobs"][0]["replicas"] = 2
    body["metadata"]["name"] = "other"
    assert refusal_of(objects, kinds.TRAINING_RUNTIME, body) == (
        403,
        'admission webhook "validator.trainingruntime.trainer.kubeflow.org" denied the request: '
        "spec.template.spec.replicatedJobs[0].replicas: Invalid value: 2: always must be 1",
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"trainer": {"image": "x", "gpus": 1}},
        {"runtimePatches": [patched(resources={"limits": {"cpu": "1"}})]},
        {"runtimePatches": [patched(ports=[{"containerPort": 1}])]},
        {"podTemplateOverrides": []},
        {"labels": {"a": "b"}},
    ],
)
def test_what_cannot_be_patched_is_an_unknown_field(objects: registry.Registry, spec: schema.Object) -> None:
    strict = registry.Manner(is_strict=True)
    with pytest.raises(status.Refusal, match="strict decoding error: unknown field"):
        objects.create(kinds.TRAIN_JOB, "default", train_job(**spec), strict)


def container_of(job: schema.Object, given: schema.Object | None = None) -> schema.Object:
    jobset = trainjob_jobset.build(TYPES, job, given or runtime())
    node = jobset["spec"]["replicatedJobs"][0]
    return dict(node["template"]["spec"]["template"]["spec"]["containers"][0])


def variables(container: schema.Object) -> dict[str, str]:
    return {each["name"]: each.get("value", "?") for each in container["env"]}


def test_torch_variables_come_with_a_trainer_alone() -> None:
    assert variables(container_of(train_job())) == {"A": "base"}
    trainer = {"numNodes": 2, "numProcPerNode": 4, "env": [{"name": "A", "value": "mine"}]}
    assert variables(container_of(train_job(trainer=trainer))) == {
        "A": "mine", "PET_NNODES": "2", "PET_NPROC_PER_NODE": "4", "PET_NODE_RANK": "?",
        "PET_MASTER_ADDR": "t-node-0-0.t", "PET_MASTER_PORT": "29500",
    }  # fmt: skip
    assert variables(container_of(train_job(trainer=trainer), runtime({"numNodes": 1}))) == {"A": "mine"}


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, "auto"),
        ({"numProcPerNode": 3}, "3"),
        ({"resourcesPerNode": {"requests": {"cpu": "8"}}}, "8"),
        ({"resourcesPerNode": {"requests": {"cpu": "2500m"}}}, "3"),
        ({"resourcesPerNode": {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}}, "2"),
        ({"resourcesPerNode": {"requests": {"memory": "1Gi"}}}, "1"),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": "2", "cpu": "8"}}}, "auto"),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": "2"}}, "numProcPerNode": 2}, "2"),
    ],
)
def test_without_gpus_the_cpus_are_the_processes(trainer: schema.Object, expected: str) -> None:
    assert trainjob_jobset.processes_per_node(trainer) == expected


def test_a_jobset_is_the_runtime_with_the_trainer_and_the_patches() -> None:
    resources = {"requests": {"cpu": "1"}}
    trainer = {"image": "mine", "command": ["a"], "args": ["b"], "numNodes": 3, "resourcesPerNode": resources}
    mount = {"name": "v", "mountPath": "/v"}
    given = patched(volumeMounts=[mount])
    given["trainingRuntimeSpec"]["template"]["metadata"] = {"labels": {"on": "jobset"}}
    job = train_job(trainer=trainer, runtimePatches=[given], suspend=True)
    made = trainjob_jobset.build(TYPES, job, runtime())
    assert made["metadata"] == {"name": "t", "labels": {"from": "runtime", "on": "jobset"}}
    node = made["spec"]["replicatedJobs"][0]
    spec = node["template"]["spec"]
    assert (made["spec"]["suspend"], node["replicas"], spec["parallelism"], spec["completions"]) == (True, 1, 3, 3)
    assert spec["template"]["metadata"]["labels"] == {"l": "p"}
    container = spec["template"]["spec"]["containers"][0]
    picked = {name: container[name] for name in ("image", "command", "args", "resources", "volumeMounts", "ports")}
    assert picked == {
        "image": "mine", "command": ["a"], "args": ["b"], "resources": resources, "volumeMounts": [mount],
        "ports": [{"containerPort": 29500}],
    }  # fmt: skip


def test_building_a_jobset_leaves_the_runtime_as_it_was() -> None:
    given = runtime()
    before = json.dumps(given)
    trainjob_jobset.build(TYPES, train_job(trainer={"image": "mine"}), given)
    assert json.dumps(given) == before


def test_initializers_get_their_source() -> None:
    given = runtime()
    pod = {"containers": [{"name": "dataset-initializer", "image": "x"}]}
    labels = {trainjob_jobset.STEP: "dataset-initializer"}
    first = {
        "name": "dataset-initializer",
        "template": {"metadata": {"labels": labels}, "spec": {"template": {"spec": pod}}},
    }
    given["spec"]["template"]["spec"]["replicatedJobs"].insert(0, first)
    source = {"storageUri": "hf://d", "env": [{"name": "B", "value": "1"}], "secretRef": {"name": "s"}}
    container = container_of(train_job(initializer={"dataset": source}), given)
    assert variables(container) == {"STORAGE_URI": "hf://d", "B": "1"}
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}]
