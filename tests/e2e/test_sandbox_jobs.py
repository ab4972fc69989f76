"""Every job kind on the sandbox, with real processes: how they succeed, fail, wait, find each other and go."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config

from nni.testing import sandbox

NAMESPACED = "/{}/namespaces/default/{}"
PODS = NAMESPACED.format("api/v1", "pods")
JOBS = NAMESPACED.format("apis/batch/v1", "jobs")
PYTORCH_JOBS = NAMESPACED.format("apis/kubeflow.org/v1", "pytorchjobs")
TF_JOBS = NAMESPACED.format("apis/kubeflow.org/v1", "tfjobs")
TRAIN_JOBS = NAMESPACED.format("apis/trainer.kubeflow.org/v1alpha1", "trainjobs")
RUNTIMES = NAMESPACED.format("apis/trainer.kubeflow.org/v1alpha1", "trainingruntimes")
JOB_SETS = NAMESPACED.format("apis/jobset.x-k8s.io/v1alpha2", "jobsets")
MERGE = {"Content-Type": "application/merge-patch+json"}

MEET = """
import json, os, socket, sys

def meet(index, host, port):
    '''The first listens, the second calls until it is heard.'''
    if index == 0:
        with socket.create_server((host, port)) as server:
            server.accept()[0].sendall(b"hello")
        return
    while True:
        try:
            with socket.create_connection((host, port)) as line:
                print(line.makefile().read())
                return
        except ConnectionRefusedError:
            pass

env = os.environ
if "TF_CONFIG" in env:
    config = json.loads(env["TF_CONFIG"])
    host, port = config["cluster"]["worker"][0].split(":")
    meet(config["task"]["index"], host, int(port))
else:
    meet(int(env["PET_NODE_RANK"]), env["PET_MASTER_ADDR"], int(env["PET_MASTER_PORT"]))
"""
MEET_COMMAND = ["python3", "-c", MEET]
SLEEP = ["sleep", "1000"]


@pytest.fixture(scope="module")
def running() -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox() as made:
        api = sandbox.Connection(made)
        pod = {"restartPolicy": "Never", "containers": [{"name": "node", "image": "base"}]}
        labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
        job = {"metadata": {"labels": labels}, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}
        jobset = {"failurePolicy": {"maxRestarts": 0}, "replicatedJobs": [{"name": "node", "template": job}]}
        spec = {"mlPolicy": {"numNodes": 1, "torch": {}}, "template": {"spec": jobset}}
        body = {"metadata": {"name": "rt"}, "spec": spec}
        assert api.call("POST", f"{RUNTIMES}?fieldValidation=Strict", _typed(RUNTIMES, body))[0] == 201
        yield made


@pytest.fixture
def api(running: sandbox.Sandbox) -> sandbox.Connection:
    return sandbox.Connection(running)


KINDS = {
    JOBS: ("batch/v1", "Job"),
    PYTORCH_JOBS: ("kubeflow.org/v1", "PyTorchJob"),
    TF_JOBS: ("kubeflow.org/v1", "TFJob"),
    TRAIN_JOBS: ("trainer.kubeflow.org/v1alpha1", "TrainJob"),
    RUNTIMES: ("trainer.kubeflow.org/v1alpha1", "TrainingRuntime"),
}


def _typed(path: str, body: dict[str, Any]) -> dict[str, Any]:
    version, kind = KINDS[path]
    return {"apiVersion": version, "kind": kind, **body}


def make(path: str, name: str, command: list[str], count: int = 1, **spec: Any) -> dict[str, Any]:
    """Write a job of the kind that is served at a path: so many processes of one command."""
    if path in (PYTORCH_JOBS, TF_JOBS):
        container = "pytorch" if path == PYTORCH_JOBS else "tensorflow"
        main = {"name": container, "image": "x", "command": command}
        pod = {"terminationGracePeriodSeconds": 0, "containers": [main]}
        replica = {"restartPolicy": "Never", "template": {"spec": pod}}
        field = "pytorchReplicaSpecs" if path == PYTORCH_JOBS else "tfReplicaSpecs"
        roles: dict[str, Any] = {"Worker": {"replicas": count, **replica}}
        if path == PYTORCH_JOBS:
            roles = {"Master": {"replicas": 1, **replica}}
            if count > 1:
                roles["Worker"] = {"replicas": count - 1, **replica}
        made: dict[str, Any] = {field: roles, "runPolicy": {"cleanPodPolicy": "None", **spec}}
    elif path == JOBS:
        main = {"name": "main", "image": "x", "command": command}
        body = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [main]}
        made = {"completions": count, "parallelism": count, "template": {"spec": body}, **spec}
    else:
        trainer = {"image": "x", "command": command, "numNodes": count}
        pods = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0}}}}
        jobs = {"template": {"spec": {"replicatedJobs": [{"name": "node", "template": pods}]}}}
        patches = [{"manager": "example.org/tests", "trainingRuntimeSpec": jobs}]
        reference = {"name": "rt", "kind": "TrainingRuntime"}
        made = {"runtimeRef": reference, "trainer": trainer, "runtimePatches": patches, **spec}
    return _typed(path, {"metadata": {"name": name}, "spec": made})


def submit(api: sandbox.Connection, path: str, name: str, command: list[str], count: int = 1, **spec: Any) -> str:
    code, answer = api.call("POST", f"{path}?fieldValidation=Strict", make(path, name, command, count, **spec))
    assert code == 201, answer
    return f"{path}/{name}"


def has(*conditions: str) -> Any:
    def look(found: dict[str, Any]) -> bool:
        true = [each["type"] for each in found.get("status", {}).get("conditions", []) if each["status"] == "True"]
        return any(name in true for name in conditions)

    return look


SUCCESS, FAILURE, SUSPENDED = has("Succeeded", "Complete"), has("Failed"), has("Suspended")
ALL = pytest.mark.parametrize(
    "path", [JOBS, PYTORCH_JOBS, TF_JOBS, TRAIN_JOBS], ids=["job", "pytorchjob", "tfjob", "trainjob"]
)
DISTRIBUTED = pytest.mark.parametrize(
    "path", [PYTORCH_JOBS, TF_JOBS, TRAIN_JOBS], ids=["pytorchjob", "tfjob", "trainjob"]
)


def pods_of(api: sandbox.Connection, name: str) -> list[dict[str, Any]]:
    found = api.call("GET", PODS)[1]["items"]
    return [each for each in found if each["metadata"]["name"].startswith(f"{name}-")]


def until_pod_runs(api: sandbox.Connection, name: str) -> None:
    for event in api.watch(f"{PODS}?watch=1&timeoutSeconds=15"):
        found = event["object"]
        is_it = found["metadata"]["name"].startswith(f"{name}-") and not found["metadata"].get("deletionTimestamp")
        if is_it and found["status"].get("phase") == "Running":
            return
    raise TimeoutError(f"no pod of {name} ever ran")


def until_pods_are_gone(api: sandbox.Connection, name: str) -> None:
    for pod in pods_of(api, name):
        api.until_gone(f"{PODS}/{pod['metadata']['name']}")


def logs(api: sandbox.Connection, name: str) -> str:
    text = ""
    for pod in pods_of(api, name):
        with api.open("GET", f"{PODS}/{pod['metadata']['name']}/log") as answer:
            text += answer.read().decode()
    return text


def delete(api: sandbox.Connection, place: str, policy: str = "Background") -> None:
    """Delete a job with its pods: those of batch/v1 Jobs stay unless this is said."""
    assert api.call("DELETE", place, {"propagationPolicy": policy})[0] == 200


@ALL
def test_a_job_succeeds(api: sandbox.Connection, path: str) -> None:
    place = submit(api, path, "good", ["echo", "done"])
    api.until(place, SUCCESS)
    assert logs(api, "good") == "done\n"
    delete(api, place)
    until_pods_are_gone(api, "good")


@ALL
def test_a_job_fails_and_keeps_its_pod_for_its_logs(api: sandbox.Connection, path: str) -> None:
    limit = {"backoffLimit": 0} if path == JOBS else {}
    place = submit(api, path, "bad", ["sh", "-c", "echo oh; exit 3"], **limit)
    api.until(place, FAILURE)
    assert logs(api, "bad") == "oh\n"
    assert not SUCCESS(api.call("GET", place)[1])
    delete(api, place)
    until_pods_are_gone(api, "bad")


@DISTRIBUTED
def test_two_processes_meet_at_the_address_they_are_given(api: sandbox.Connection, path: str) -> None:
    place = submit(api, path, "pair", MEET_COMMAND, 2)
    api.until(place, SUCCESS)
    # A job is over with its first replica; the second one's last words may still be on their way.
    for pod in pods_of(api, "pair"):
        api.until(f"{PODS}/{pod['metadata']['name']}", lambda found: found["status"]["phase"] == "Succeeded")
    assert logs(api, "pair") == "hello\n"
    delete(api, place)
    until_pods_are_gone(api, "pair")


@ALL
def test_a_job_is_suspended_and_resumed(api: sandbox.Connection, path: str) -> None:
    def switch(is_suspended: bool) -> None:
        policy = {"suspend": is_suspended}
        spec = {"runPolicy": policy} if path in (PYTORCH_JOBS, TF_JOBS) else policy
        assert api.call("PATCH", place, {"spec": spec}, **MERGE)[0] == 200

    place = submit(api, path, "paused", SLEEP, suspend=True)
    api.until(place, SUSPENDED)
    assert pods_of(api, "paused") == []
    switch(False)
    until_pod_runs(api, "paused")
    found = api.call("GET", place)[1]["status"]["conditions"]
    assert [each["status"] for each in found if each["type"] == "Suspended"] == ["False"]
    switch(True)
    api.until(place, SUSPENDED)
    until_pods_are_gone(api, "paused")
    assert not FAILURE(api.call("GET", place)[1])
    delete(api, place)
    api.until_gone(place)


@ALL
@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_deleted_job_takes_everything_along(api: sandbox.Connection, path: str, policy: str) -> None:
    place = submit(api, path, "doomed", SLEEP)
    until_pod_runs(api, "doomed")
    delete(api, place, policy)
    api.until_gone(place)
    if policy == "Background":
        until_pods_are_gone(api, "doomed")
    for each in (PODS, JOBS, JOB_SETS, NAMESPACED.format("api/v1", "services")):
        names = [found["metadata"]["name"] for found in api.call("GET", each)[1]["items"]]
        assert [name for name in names if name.startswith("doomed")] == []


@pytest.mark.parametrize(("policy", "is_left"), [("None", True), ("Running", False)])
def test_parameter_servers_run_on_unless_they_are_cleaned_away(
    api: sandbox.Connection, policy: str, is_left: bool
) -> None:
    body = make(TF_JOBS, "served", ["true"], cleanPodPolicy=policy)
    container = {"name": "tensorflow", "image": "x", "command": SLEEP}
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    body["spec"]["tfReplicaSpecs"]["PS"] = {"replicas": 1, "template": template}
    assert api.call("POST", TF_JOBS, body)[0] == 201
    api.until(f"{TF_JOBS}/served", SUCCESS)
    if not is_left:
        api.until_gone(f"{PODS}/served-ps-0")
    found = {each["metadata"]["name"]: each["status"]["phase"] for each in pods_of(api, "served")}
    assert "served-ps-0" in found or not is_left
    assert found["served-worker-0"] == "Succeeded"
    delete(api, f"{TF_JOBS}/served")
    until_pods_are_gone(api, "served")


@pytest.mark.parametrize("path", [JOBS, TRAIN_JOBS], ids=["job", "trainjob"])
def test_a_deadline_fires_by_itself(api: sandbox.Connection, path: str) -> None:
    place = submit(api, path, "late", SLEEP, activeDeadlineSeconds=1)
    found = api.until(place, FAILURE)
    assert found["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    until_pods_are_gone(api, "late")
    delete(api, place)


def test_an_indexed_job_of_the_official_client(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    batch = client.BatchV1Api(config.new_client_from_config(str(running.kubeconfig)))
    command = ["sh", "-c", "echo I am $JOB_COMPLETION_INDEX"]
    body = make(JOBS, "indexed", command, 3, completionMode="Indexed", parallelism=2)
    batch.create_namespaced_job("default", body)
    api.until(f"{JOBS}/indexed", SUCCESS)
    state = batch.read_namespaced_job("indexed", "default").status
    assert (state.succeeded, state.completed_indexes, state.completion_time is not None) == (3, "0-2", True)
    assert sorted(logs(api, "indexed").splitlines()) == ["I am 0", "I am 1", "I am 2"]
    batch.delete_namespaced_job("indexed", "default", propagation_policy="Foreground")
    api.until_gone(f"{JOBS}/indexed")
    assert pods_of(api, "indexed") == []


@pytest.mark.parametrize(
    ("path", "spec", "message"),
    [
        (
            TF_JOBS,
            {"tfReplicaSpecs": {"Worker": {"template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}}}},
            'admission webhook "validator.tfjob.training-operator.kubeflow.org" denied the request: '
            "spec.tfReplicaSpecs[Worker].template.spec.containers: Required value: "
            "must have at least one container with name tensorflow",
        ),
        (
            TRAIN_JOBS, {"runtimeRef": {"name": "none"}},
            'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request: spec.runtimeRef: Invalid '
            'value: {"name":"none","apiGroup":"trainer.kubeflow.org","kind":"ClusterTrainingRuntime"}: '
            'ClusterTrainingRuntime.trainer.kubeflow.org "none" not found: specified clusterTrainingRuntime must be '
            "created before the TrainJob is created",
        ),
    ],
    ids=["tfjob", "trainjob"],
)  # fmt: skip
def test_a_webhook_refuses_in_its_own_words(
    running: sandbox.Sandbox, path: str, spec: dict[str, Any], message: str
) -> None:
    objects = client.CustomObjectsApi(config.new_client_from_config(str(running.kubeconfig)))
    version, kind = KINDS[path]
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "refused"}, "spec": spec}
    with pytest.raises(client.ApiException) as caught:
        objects.create_namespaced_custom_object(*version.split("/"), "default", path.rpartition("/")[2], body)
    assert (caught.value.status, json.loads(caught.value.body)["message"]) == (403, message)


def test_a_batch_job_leaves_its_pods_behind_unless_it_is_told_otherwise(api: sandbox.Connection) -> None:
    place = submit(api, JOBS, "careless", ["true"])
    api.until(place, SUCCESS)
    api.call("DELETE", place)
    api.until_gone(place)
    (pod,) = pods_of(api, "careless")
    assert "ownerReferences" not in pod["metadata"] or pod["metadata"]["ownerReferences"] == []
    api.call("DELETE", f"{PODS}/{pod['metadata']['name']}")
    until_pods_are_gone(api, "careless")


@pytest.mark.requires("kubectl")
def test_kubectl_knows_the_job_kinds(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    def kubectl(*words: str) -> str:
        command = ["kubectl", "--kubeconfig", str(running.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    submit(api, TRAIN_JOBS, "shown", ["true"])
    kubectl("wait", "--for=condition=Complete", "trainjob/shown", "job/shown-node-0", "--timeout=15s")
    listed = {line.split()[0]: line.split()[1] for line in kubectl("get", "trainjobs", "--no-headers").splitlines()}
    assert listed["shown"] == "Complete"
    job = kubectl("get", "job", "shown-node-0", "--no-headers").split()
    assert job[:3] == ["shown-node-0", "Complete", "1/1"]
    assert kubectl("get", "jobsets", "shown", "--no-headers").split()[:4] == ["shown", "Completed", "0", "True"]
    kubectl("delete", "trainjob", "shown", "--cascade=foreground", "--timeout=15s")
    assert pods_of(api, "shown") == []
