"""What the Training Operator writes into pods and refuses, and which addresses containers find: tables."""

import datetime as dt
import json
from typing import Any

import pytest

from nni.sandbox import kinds, registry, schema, status, store, tables
from nni.sandbox.node import network
from nni.sandbox.operators import abnormal, fleet, pytorch, tensorflow

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> registry.Registry:
    stored = store.Store()
    made = registry.Registry(stored, schema.load(), lambda: MOMENT, fleet.webhooks(stored))
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    return made


def replica(name: str, count: Any = 1, **container: Any) -> schema.Object:
    main = {"name": name, "image": "x", **container}
    return {"replicas": count, "template": {"spec": {"containers": [main]}}}


def tf_job(spec: schema.Object | None = None, **roles: int) -> schema.Object:
    replicas = {role: replica("tensorflow", count) for role, count in roles.items()}
    return {"metadata": {"name": "j", "namespace": "ns"}, "spec": {"tfReplicaSpecs": replicas, **(spec or {})}}


def pytorch_job(spec: schema.Object | None = None, **roles: int) -> schema.Object:
    replicas = {role: replica("pytorch", count) for role, count in roles.items()}
    return {"metadata": {"name": "j", "namespace": "ns"}, "spec": {"pytorchReplicaSpecs": replicas, **(spec or {})}}


def refusal_of(objects: registry.Registry, kind: kinds.Kind, body: schema.Object) -> tuple[int, str]:
    with pytest.raises(status.Refusal) as caught:
        objects.create(kind, "default", body)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("job", "role", "index", "expected"),
    [
        (tf_job(Worker=1), "Worker", 0, None),
        (tf_job(Chief=1), "Chief", 0, None),
        (
            tf_job(PS=1, Worker=2), "Worker", 1,
            {
                "cluster": {
                    "ps": ["j-ps-0.ns.svc:2222"], "worker": ["j-worker-0.ns.svc:2222", "j-worker-1.ns.svc:2222"],
                },
                "task": {"type": "worker", "index": 1}, "environment": "cloud",
            },
        ),
        (
            tf_job(Chief=1, Evaluator=1), "Evaluator", 0,
            {
                "cluster": {"chief": ["j-chief-0.ns.svc:2222"]},
                "task": {"type": "evaluator", "index": 0}, "environment": "cloud",
            },
        ),
        (
            tf_job({"enableDynamicWorker": True}, PS=1, Worker=2), "Worker", 1,
            {
                "sparseCluster": {"worker": {"1": "j-worker-1.ns.svc:2222"}, "ps": ["j-ps-0.ns.svc:2222"]},
                "task": {"type": "worker", "index": 1},
            },
        ),
    ],
)  # fmt: skip
def test_only_distributed_tfjobs_get_a_tf_config(
    job: schema.Object, role: str, index: int, expected: schema.Object | None
) -> None:
    pod = tensorflow.FRAMEWORK.pod(job, role, index, tensorflow.adapt)
    found = {each["name"]: each["value"] for each in pod["spec"]["containers"][0].get("env", [])}
    assert {name: json.loads(value) for name, value in found.items()} == ({"TF_CONFIG": expected} if expected else {})


def test_a_tfjobs_pod_has_its_labels_its_port_and_no_restarts() -> None:
    pod = tensorflow.FRAMEWORK.pod(tf_job(Worker=2), "Worker", 0, tensorflow.adapt)
    assert pod["metadata"] == {
        "name": "j-worker-0",
        "labels": {
            "training.kubeflow.org/job-name": "j",
            "training.kubeflow.org/operator-name": "tfjob-controller",
            "training.kubeflow.org/replica-type": "worker",
            "training.kubeflow.org/replica-index": "0",
            "training.kubeflow.org/job-role": "master",
        },
    }
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["containers"][0]["ports"] == [{"name": "tfjob-port", "containerPort": 2222, "protocol": "TCP"}]
    assert tensorflow.FRAMEWORK.service(tf_job(Worker=2), "Worker", 0)["spec"]["ports"] == [
        {"name": "tfjob-port", "port": 2222, "targetPort": 2222}
    ]


def test_an_own_port_is_the_one_that_others_are_told() -> None:
    job = tf_job(PS=1, Worker=1)
    ports = [{"name": "tfjob-port", "containerPort": 3333}]
    job["spec"]["tfReplicaSpecs"]["PS"] = replica("tensorflow", ports=ports)
    config = json.loads(tensorflow.configuration(job, "Worker", 0))
    assert config["cluster"] == {"ps": ["j-ps-0.ns.svc:3333"], "worker": ["j-worker-0.ns.svc:2222"]}


@pytest.mark.parametrize(
    ("job", "role", "index", "expected"),
    [
        (
            pytorch_job(Master=1, Worker=2), "Worker", 1,
            {
                "PYTHONUNBUFFERED": "1", "MASTER_ADDR": "j-master-0", "MASTER_PORT": "23456", "WORLD_SIZE": "3",
                "RANK": "2", "PET_MASTER_ADDR": "j-master-0", "PET_MASTER_PORT": "23456", "PET_NODE_RANK": "2",
                "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "3",
            },
        ),
        (
            pytorch_job(Worker=2), "Worker", 1,
            {"PYTHONUNBUFFERED": "1", "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "2"},
        ),
        (
            pytorch_job({"elasticPolicy": {"minReplicas": 1, "maxReplicas": 3, "maxRestarts": 4}}, Worker=2),
            "Worker", 0,
            {
                "PYTHONUNBUFFERED": "1", "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "1:3", "PET_MAX_RESTARTS": "4",
                "PET_RDZV_BACKEND": "c10d", "PET_RDZV_ENDPOINT": "j-worker-0:23456",
            },
        ),
    ],
)  # fmt: skip
def test_the_variables_of_a_pytorchjob(job: schema.Object, role: str, index: int, expected: dict[str, str]) -> None:
    assert pytorch.environment(job, role, index) == expected


@pytest.mark.parametrize(("per_node", "size"), [("2", "6"), ("gpu", "3"), ("auto", "3")])
def test_the_world_counts_processes_where_their_number_is_given(per_node: str, size: str) -> None:
    job = pytorch_job({"nprocPerNode": per_node}, Master=1, Worker=2)
    assert pytorch.environment(job, "Master", 0)["WORLD_SIZE"] == size


def test_the_operators_variables_come_after_the_users() -> None:
    job = pytorch_job(Master=1)
    own = [{"name": "MASTER_ADDR", "value": "mine"}]
    job["spec"]["pytorchReplicaSpecs"]["Master"] = replica("pytorch", env=own)
    env = pytorch.FRAMEWORK.pod(job, "Master", 0, pytorch.adapt)["spec"]["containers"][0]["env"]
    assert [each["value"] for each in env if each["name"] == "MASTER_ADDR"] == ["mine", "j-master-0"]


def test_workers_of_a_master_wait_for_it_in_an_init_container() -> None:
    waiting = pytorch.FRAMEWORK.pod(pytorch_job(Master=1, Worker=1), "Worker", 0, pytorch.adapt)["spec"]
    assert [each["name"] for each in waiting["initContainers"]] == ["init-pytorch"]
    alone = pytorch.FRAMEWORK.pod(pytorch_job(Worker=1), "Worker", 0, pytorch.adapt)["spec"]
    assert "initContainers" not in alone


_TF = 'admission webhook "validator.tfjob.training-operator.kubeflow.org" denied the request: '
_CONTAINERS = "spec.tfReplicaSpecs[Worker].template.spec.containers"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (tf_job(Chief=1, Master=1), "spec.tfReplicaSpecs: Forbidden: must not have more than 1 Chief or Master role"),
        (
            {"spec": {"tfReplicaSpecs": {"Worker": replica("main")}}},
            f"{_CONTAINERS}: Required value: must have at least one container with name tensorflow",
        ),
        (
            {"spec": {"tfReplicaSpecs": {"Worker": replica("tensorflow", image="")}}},
            f"{_CONTAINERS}[0].image: Required value: must be required",
        ),
        (
            {"spec": {"tfReplicaSpecs": {"Worker": {"replicas": 1}}}},
            f"[{_CONTAINERS}: Required value: must be specified, "
            f"{_CONTAINERS}: Required value: must have at least one container with name tensorflow]",
        ),
        (
            tf_job({"runPolicy": {"managedBy": "me"}}, Worker=1),
            'spec.runPolicy.managedBy: Unsupported value: "me": supported values: "kubeflow.org/training-operator", '
            '"kueue.x-k8s.io/multikueue"',
        ),
    ],
)
def test_what_the_webhook_of_tfjobs_refuses(objects: registry.Registry, body: schema.Object, sentence: str) -> None:
    job = {**body, "metadata": {"name": "j"}}
    assert refusal_of(objects, kinds.TF_JOB, job) == (403, _TF + sentence)


def test_the_webhook_of_tfjobs_does_not_look_at_roles(objects: registry.Registry) -> None:
    body = {"metadata": {"name": "j"}, "spec": {"tfReplicaSpecs": {"worker": replica("tensorflow")}}}
    made = objects.create(kinds.TF_JOB, "default", body)
    assert tensorflow.FRAMEWORK.replicas(made) == {"Worker": 1}


def test_what_is_wrong_with_pods_is_told() -> None:
    def pod(name: str, **state: Any) -> schema.Object:
        return {"metadata": {"name": name}, "status": state}

    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    quiet = {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}
    crashed = {"name": "c", "state": {"terminated": {"reason": "Error", "exitCode": 2}}}
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    pods = [
        pod("a", phase="Pending", containerStatuses=[waiting]),
        pod("b", phase="Pending", containerStatuses=[quiet]),
        pod("c", phase="Running", containerStatuses=[crashed]),
        pod("d", phase="Pending", conditions=[unplaced]),
        pod("e", phase="Failed", containerStatuses=[crashed]),
    ]
    assert list(abnormal.findings(pods)) == [
        ("ImagePullBackOff", "Error pod a container c waiting message: no such image"),
        ("Error", "Error pod c container c exitCode: 2 terminated message: "),
        ("Unschedulable", "Error pod d condition message: 0/1 nodes"),
    ]


def training_pod(job: str, uid: str) -> schema.Object:
    labels = {"training.kubeflow.org/job-name": job}
    owner = {"uid": uid, "controller": True}
    return {"metadata": {"namespace": "default", "labels": labels, "ownerReferences": [owner]}}


def set_pod(jobset: str, uid: str) -> schema.Object:
    labels = {"jobset.sigs.k8s.io/jobset-name": jobset, "jobset.sigs.k8s.io/jobset-uid": uid}
    return {"metadata": {"namespace": "default", "labels": labels}}


def test_every_replica_of_a_tfjob_has_a_port_of_its_own() -> None:
    shared = network.SharedNetwork()
    given = {"TF_CONFIG": tensorflow.configuration(tf_job(PS=1, Worker=2), "Worker", 0)}
    config = json.loads(shared.translate(training_pod("j", "1"), given)["TF_CONFIG"])
    endpoints = [each for role in config["cluster"].values() for each in role]
    assert all(each.startswith("127.0.0.1:") for each in endpoints)
    assert len(set(endpoints)) == 3
    again = json.loads(shared.translate(training_pod("j", "1"), given)["TF_CONFIG"])
    other = json.loads(shared.translate(training_pod("j", "2"), given)["TF_CONFIG"])
    assert config == again
    assert config["task"] == {"type": "worker", "index": 0}
    assert not set(endpoints) & {each for role in other["cluster"].values() for each in role}


@pytest.mark.parametrize("roles", [{"PS": 1, "Worker": 2}, {"Worker": 2}])
def test_the_sparse_form_of_a_tf_config_is_translated_too(roles: dict[str, int]) -> None:
    job, shared = tf_job({"enableDynamicWorker": True}, **roles), network.SharedNetwork()
    given = {"TF_CONFIG": tensorflow.configuration(job, "Worker", 1)}
    found = json.loads(shared.translate(training_pod("j", "1"), given)["TF_CONFIG"])["sparseCluster"]
    assert found["worker"]["1"].startswith("127.0.0.1:")
    assert all(each.startswith("127.0.0.1:") for each in found["ps"] or [])


def test_a_tf_config_that_is_not_json_stays() -> None:
    given = {"TF_CONFIG": "mine"}
    assert network.SharedNetwork().translate(training_pod("j", "1"), given) == given


@pytest.mark.parametrize(
    ("pod", "given", "is_translated"),
    [
        (training_pod("j", "1"), {"PET_MASTER_ADDR": "j-master-0", "PET_MASTER_PORT": "23456"}, True),
        (set_pod("t", "1"), {"PET_MASTER_ADDR": "t-node-0-0.t", "PET_MASTER_PORT": "29500"}, True),
        (set_pod("t", "1"), {"PET_MASTER_ADDR": "elsewhere.example.org", "PET_MASTER_PORT": "29500"}, False),
        (training_pod("j", "1"), {"PET_MASTER_ADDR": "j", "PET_MASTER_PORT": "23456"}, False),
    ],
)
def test_the_master_is_found_on_the_shared_network(
    pod: schema.Object, given: dict[str, str], is_translated: bool
) -> None:
    found = network.SharedNetwork().translate(pod, given)
    if is_translated:
        assert found["PET_MASTER_ADDR"] == "127.0.0.1"
        assert found["PET_MASTER_PORT"] != given["PET_MASTER_PORT"]
    else:
        assert found == given


def cells(kind: kinds.Kind, found: schema.Object) -> list[Any]:
    metadata = {"name": "j", "creationTimestamp": "2026-01-02T03:04:00Z"}
    one = {**found, "metadata": {**metadata, **found.get("metadata", {})}}
    made = tables.table(kind, [one], {}, "None", MOMENT)
    shown = [each["priority"] == 0 for each in made["columnDefinitions"]]
    return [cell for cell, is_shown in zip(made["rows"][0]["cells"], shown, strict=True) if is_shown]


@pytest.mark.parametrize(
    ("kind", "found", "expected"),
    [
        (
            kinds.JOB, {"spec": {"completions": 2}, "status": {"succeeded": 1, "startTime": "2026-01-02T03:04:02Z"}},
            ["j", "Running", "1/2", "3s", "5s"],
        ),
        (
            kinds.JOB,
            {
                "spec": {"parallelism": 3},
                "status": {"succeeded": 1, "conditions": [{"type": "Failed", "status": "True"}]},
            },
            ["j", "Failed", "1/1 of 3", "", "5s"],
        ),
        (
            kinds.JOB_SET,
            {
                "spec": {"suspend": False},
                "status": {"terminalState": "Completed", "restarts": 0,
                           "conditions": [{"type": "Completed", "status": "True"}]},
            },
            ["j", "Completed", 0, "True", False, "5s"],
        ),
        (kinds.TF_JOB, {"status": {"conditions": [{"type": "Created"}]}}, ["j", "Created", "5s"]),
        (kinds.TRAIN_JOB, {}, ["j", None, "5s"]),
    ],
)  # fmt: skip
def test_the_tables_of_the_job_kinds(kind: kinds.Kind, found: schema.Object, expected: list[Any]) -> None:
    spec = {**found.get("spec", {}), "template": {"spec": {"containers": []}}}
    assert cells(kind, {**found, "spec": spec}) == expected
