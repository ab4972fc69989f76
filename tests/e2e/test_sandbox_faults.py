"""Each fault of the sandbox, as the official Kubernetes client sees it."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from nni import errors
from nni.testing import faults, sandbox

GROUP = ("kubeflow.org", "v1", "default", "pytorchjobs")
JOBS = "pytorchjobs.kubeflow.org"
QUICK = (1.0, 1.0)
"""Connect and read, in seconds."""


@pytest.fixture(scope="module")
def running() -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(node_count=2) as made:
        yield made


@pytest.fixture
def connected(running: sandbox.Sandbox) -> Iterator[client.ApiClient]:
    """A client without retries of its own: what it meets is what the sandbox did."""
    with config.new_client_from_config(str(running.kubeconfig)) as made:
        made.configuration.retries = False
        made.rest_client.pool_manager.connection_pool_kw["retries"] = False
        yield made


@pytest.fixture
def core(connected: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(connected)


@pytest.fixture
def jobs(connected: client.ApiClient) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(connected)


@pytest.fixture(autouse=True)
def swept(core: client.CoreV1Api) -> Iterator[None]:
    """No pod of one test is met by another."""
    yield
    api = client.CustomObjectsApi(core.api_client)
    api.delete_collection_namespaced_custom_object(*GROUP)
    core.delete_collection_namespaced_pod("default", grace_period_seconds=0)
    until(core, lambda found: found is None, name="")


def pod(name: str, script: str = "sleep 1000", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example/train:1", "command": ["sh", "-c", script]}
    container |= spec.pop("container", {})
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def job(name: str, script: str = "sleep 1000") -> dict[str, Any]:
    container = {"name": "pytorch", "image": "x", "command": ["sh", "-c", script]}
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    replica = {"replicas": 1, "restartPolicy": "Never", "template": template}
    spec = {"runPolicy": {"cleanPodPolicy": "Running"}, "pytorchReplicaSpecs": {"Master": replica}}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name}, "spec": spec}


def until(core: client.CoreV1Api, is_so: Callable[[Any], bool], name: str = "") -> Any:
    """Follow a pod (all, without a name) until something holds; None stands for a pod that is gone."""
    chosen = {"field_selector": f"metadata.name={name}"} if name else {}
    present = core.list_namespaced_pod("default", **chosen)
    found = {each.metadata.name: each for each in present.items}
    current = next(iter(found.values()), None)
    if is_so(current):
        return current
    version = present.metadata.resource_version
    stream = watch.Watch().stream(
        core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=15, **chosen
    )
    for event in stream:
        found[event["object"].metadata.name] = event["object"]
        if event["type"] == "DELETED":
            del found[event["object"].metadata.name]
        current = next(iter(found.values()), None)
        if is_so(current):
            return current
    raise TimeoutError(f"{name} never came to it, it is {current}")


def is_running(found: Any) -> bool:
    return found is not None and found.status.phase == "Running"


def is_failed(found: Any) -> bool:
    return found is not None and found.status.phase == "Failed"


def waits_for(reason: str) -> Callable[[Any], bool]:
    def look(found: Any) -> bool:
        states = (found.status.container_statuses or []) if found else []
        return any(each.state.waiting and each.state.waiting.reason == reason for each in states)

    return look


def condition(found: Any, name: str) -> Any:
    return next((each for each in (found.status.conditions or []) if each.type == name), None)


def event_of(core: client.CoreV1Api, name: str, reason: str) -> Any:
    """Wait for an event about an object."""
    selector = f"involvedObject.name={name}"
    stream = watch.Watch().stream(core.list_namespaced_event, "default", field_selector=selector, timeout_seconds=15)
    return next(event["object"] for event in stream if event["object"].reason == reason)


# Requests


def test_an_answer_comes_late(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.ApiLatency(latency=0.4, verbs=["list"], resources=["pods"])) as made:
        began = time.monotonic()
        core.list_namespaced_pod("default")
        assert time.monotonic() - began >= 0.4
        core.list_node()
        core.list_namespaced_secret("default")
        assert made[0].hits == 1
        with pytest.raises(urllib3.exceptions.HTTPError):
            core.list_namespaced_pod("default", _request_timeout=(1, 0.1))


def test_too_many_requests_are_told_when_to_come_back(running: sandbox.Sandbox, jobs: client.CustomObjectsApi) -> None:
    with running.faults(faults.TooManyRequests(verbs=["create"], resources=[JOBS], retry_after=7, count=1)) as made:
        with pytest.raises(ApiException) as refused:
            jobs.create_namespaced_custom_object(*GROUP, job("busy", "true"))
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "7")
        assert '"reason":"TooManyRequests"' in refused.value.body
        jobs.create_namespaced_custom_object(*GROUP, job("busy", "true"))
        assert made[0].hits == 1


@pytest.mark.parametrize(("code", "reason"), [(500, "InternalError"), (503, "ServiceUnavailable")])
def test_the_server_fails(running: sandbox.Sandbox, core: client.CoreV1Api, code: int, reason: str) -> None:
    with running.faults(faults.ServerError(code=code, path="/api/v1/namespaces/*", methods=["GET"])):
        with pytest.raises(ApiException) as refused:
            core.list_namespaced_pod("default")
        assert (refused.value.status, f'"reason":"{reason}"' in refused.value.body) == (code, True)
        core.list_node()
    core.list_namespaced_pod("default")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.ServerError(code=500, is_done=True, verbs=["create"]), ApiException),
        (faults.ConnectionReset(is_done=True, verbs=["create"]), urllib3.exceptions.HTTPError),
        (faults.HalfOpen(is_done=True, verbs=["create"]), urllib3.exceptions.HTTPError),
    ],
)
def test_a_request_can_be_carried_out_and_its_answer_lost(
    running: sandbox.Sandbox, core: client.CoreV1Api, fault: faults.Fault, error: type[Exception]
) -> None:
    with running.faults(fault), pytest.raises(error):
        core.create_namespaced_pod("default", pod("unheard"), _request_timeout=QUICK)
    assert core.read_namespaced_pod("unheard", "default").metadata.name == "unheard"


def test_a_connection_is_reset(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.ConnectionReset(verbs=["create"], labels="app=cut", count=1)):
        with pytest.raises(urllib3.exceptions.ProtocolError, match=r"reset|aborted|closed"):
            core.create_namespaced_pod("default", pod("cut"))
        core.create_namespaced_pod("default", pod("whole"))
        core.create_namespaced_pod("default", pod("cut"))


def test_a_half_open_connection_answers_nothing(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.HalfOpen(resources=["nodes"])), pytest.raises(urllib3.exceptions.ReadTimeoutError):
        core.list_node(_request_timeout=(1, 0.3))
    assert len(core.list_node().items) == 2


# Watches


def names(stream: Iterator[Any]) -> Iterator[str]:
    return (event["object"].metadata.name for event in stream)


def test_an_open_watch_falls_silent_and_does_not_end(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    core.create_namespaced_config_map("default", {"metadata": {"name": "seen"}})
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, "default", timeout_seconds=1, _request_timeout=(1, 2)
    )
    assert next(names(stream)) == "seen"
    with running.faults(faults.SilentWatch(resources=["configmaps"])):
        core.create_namespaced_config_map("default", {"metadata": {"name": "unseen"}})
        # The server was asked to end it after 1 s: only the client's own patience ends it.
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            list(stream)
    for name in ("seen", "unseen"):
        core.delete_namespaced_config_map(name, "default")


def test_an_open_watch_is_dropped(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    for is_reset in (False, True):
        answer = core.list_namespaced_secret("default", watch=True, _preload_content=False)
        with running.faults(faults.DroppedWatch(resources=["secrets"], is_reset=is_reset)):
            if is_reset:
                with pytest.raises(urllib3.exceptions.ProtocolError):
                    list(answer.stream())
            else:
                assert list(answer.stream()) == []


def test_a_watch_can_be_dropped_some_time_after_its_beginning(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.DroppedWatch(resources=["secrets"], after=0.3)) as made:
        began = time.monotonic()
        list(core.list_namespaced_secret("default", watch=True, _preload_content=False).stream())
        assert time.monotonic() - began >= 0.3
        assert made[0].hits == 1


def test_a_watch_expires(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    first = core.list_namespaced_pod("default")
    since = {"resource_version": first.metadata.resource_version}
    open_one = watch.Watch().stream(core.list_namespaced_pod, "default", **since)
    seen: list[int] = []

    def follow() -> None:
        with pytest.raises(ApiException) as refused:
            list(open_one)
        seen.append(refused.value.status)

    follower = threading.Thread(target=follow)
    follower.start()
    core.create_namespaced_config_map("default", {"metadata": {"name": "one"}})
    pages = core.list_namespaced_config_map("default", limit=1)
    core.create_namespaced_config_map("default", {"metadata": {"name": "two"}})
    pages = core.list_namespaced_config_map("default", limit=1)
    core.delete_namespaced_config_map("one", "default")
    with running.faults(faults.ExpiredWatch(resources=["pods"])):
        with pytest.raises(ApiException) as refused:
            list(watch.Watch().stream(core.list_namespaced_pod, "default", **since))
        assert refused.value.status == 410
        follower.join(timeout=10)
    assert seen == [410]
    with pytest.raises(ApiException) as refused:
        core.list_namespaced_config_map("default", limit=1, _continue=pages.metadata._continue)
    assert refused.value.status == 410
    core.delete_namespaced_config_map("two", "default")


# Credentials


def test_credentials_expire_and_are_good_again(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.ExpiredCredentials()):
        with pytest.raises(ApiException) as refused:
            core.list_node()
        assert (refused.value.status, refused.value.reason) == (401, "Unauthorized")
    core.list_node()


def test_credentials_are_rotated(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.ExpiredCredentials(is_rotated=True)):
        with pytest.raises(ApiException):
            core.list_node()
        with config.new_client_from_config(str(running.kubeconfig)) as renewed:
            assert len(client.CoreV1Api(renewed).list_node().items) == 2
        with config.new_client_from_config(str(running.restricted_kubeconfig)) as renewed:
            with pytest.raises(ApiException) as refused:
                client.CoreV1Api(renewed).list_node()
            assert refused.value.status == 403  # known, and without rights
    with config.new_client_from_config(str(running.kubeconfig)) as renewed:
        client.CoreV1Api(renewed).list_node()


# Before a pod runs


def test_an_image_cannot_be_pulled(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.ImagePullFailure(image="registry.example/*")):
        core.create_namespaced_pod("default", pod("unpulled", "true"))
        found = until(core, waits_for("ImagePullBackOff"), "unpulled")
        waiting = found.status.container_statuses[0].state.waiting
        assert "registry.example/train:1: not found" in waiting.message
        assert (found.status.phase, event_of(core, "unpulled", "Failed").type) == ("Pending", "Warning")
    until(core, lambda found: found.status.phase == "Succeeded", "unpulled")


def test_a_pod_finds_no_node(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.Unschedulable(labels="app=homeless", message="Insufficient nvidia.com/gpu")):
        core.create_namespaced_pod("default", pod("homeless", "true"))
        found = until(core, lambda found: found and condition(found, "PodScheduled"), "homeless")
        scheduled = condition(found, "PodScheduled")
        assert (scheduled.status, scheduled.reason) == ("False", "Unschedulable")
        assert scheduled.message.startswith("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")
        core.create_namespaced_pod("default", pod("settled", "true"))
        until(core, lambda found: found.status.phase == "Succeeded", "settled")
    until(core, lambda found: found.status.phase == "Succeeded", "homeless")


def test_a_volume_cannot_be_mounted(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    volumes = [{"name": "work", "emptyDir": {}}]
    with running.faults(faults.MountFailure(message="mount.nfs: access denied by server", count=1)):
        core.create_namespaced_pod("default", pod("unmounted", "true", volumes=volumes))
        assert "access denied by server" in event_of(core, "unmounted", "FailedMount").message
        core.create_namespaced_pod("default", pod("mounted", "true", volumes=volumes))
        until(core, lambda found: found.status.phase == "Succeeded", "mounted")
        assert core.read_namespaced_pod("unmounted", "default").status.phase == "Pending"
    until(core, lambda found: found.status.phase == "Succeeded", "unmounted")


def test_a_secret_is_not_found(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    core.create_namespaced_secret("default", {"metadata": {"name": "keys"}, "stringData": {"t": "word"}})
    variable = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "t"}}}
    with running.faults(faults.MissingSecret(secret="keys")):
        core.create_namespaced_pod("default", pod("keyless", "echo $T", container={"env": [variable]}))
        found = until(core, waits_for("CreateContainerConfigError"), "keyless")
        assert found.status.container_statuses[0].state.waiting.message == 'secret "keys" not found'
    until(core, lambda found: found.status.phase == "Succeeded", "keyless")
    read = core.read_namespaced_secret("keys", "default")
    assert base64.b64decode(read.data["t"]) == b"word"
    core.delete_namespaced_secret("keys", "default")


def test_a_pod_starts_slowly(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.SlowStart(delay=0.5)):
        began = time.monotonic()
        core.create_namespaced_pod("default", pod("sleepy", "true"))
        until(core, waits_for("ContainerCreating"), "sleepy")
        until(core, lambda found: found.status.phase == "Succeeded", "sleepy")
        assert time.monotonic() - began >= 0.5


def test_a_quota_is_exceeded(
    running: sandbox.Sandbox, core: client.CoreV1Api, jobs: client.CustomObjectsApi
) -> None:  # fmt: skip
    with running.faults(faults.QuotaExceeded(resources=["pods", JOBS], hard=1)):
        jobs.create_namespaced_custom_object(*GROUP, job("first"))
        until(core, is_running, "first-master-0")
        with pytest.raises(ApiException) as refused:
            jobs.create_namespaced_custom_object(*GROUP, job("second"))
        assert refused.value.status == 403
        assert "exceeded quota: compute-quota, requested: count/pytorchjobs.kubeflow.org=1" in refused.value.body
        with pytest.raises(ApiException, match="requested: pods=1, used: pods=1, limited: pods=1"):
            core.create_namespaced_pod("default", pod("third"))


def test_a_quota_stops_the_operator_too(
    running: sandbox.Sandbox, core: client.CoreV1Api, jobs: client.CustomObjectsApi
) -> None:
    with running.faults(faults.QuotaExceeded()):
        jobs.create_namespaced_custom_object(*GROUP, job("podless"))
        found = event_of(core, "podless", "FailedCreatePod")
        assert 'pods "podless-master-0" is forbidden: exceeded quota: compute-quota' in found.message


# While a pod runs


def test_a_container_runs_out_of_memory(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.OutOfMemory(count=1)):
        core.create_namespaced_pod("default", pod("greedy"))
        ended = until(core, is_failed, "greedy").status.container_statuses[0].state.terminated
    assert (ended.reason, ended.exit_code) == ("OOMKilled", 137)


def test_a_pod_is_evicted_by_its_node(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.Eviction(name="evicted")):
        core.create_namespaced_pod("default", pod("evicted"))
        found = until(core, is_failed, "evicted")
    assert (found.status.reason, "low on resource: memory" in found.status.message) == ("Evicted", True)
    assert condition(found, "DisruptionTarget").reason == "TerminationByKubelet"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.Preemption(name="victim"), "PreemptionByScheduler"),
        (faults.Eviction(name="victim", is_drain=True), "EvictionByEvictionAPI"),
    ],
)
def test_a_pod_makes_way(
    running: sandbox.Sandbox, core: client.CoreV1Api, fault: faults.Fault, reason: str
) -> None:  # fmt: skip
    core.create_namespaced_pod("default", pod("victim"))
    until(core, is_running, "victim")
    version = core.list_namespaced_pod("default").metadata.resource_version
    with running.faults(fault):
        stream = watch.Watch().stream(
            core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=15
        )  # fmt: skip
        last = next(event["object"] for event in stream if event["type"] == "DELETED")
    assert (condition(last, "DisruptionTarget").reason, last.metadata.deletion_timestamp is None) == (reason, False)


def test_a_lost_node_keeps_its_pods_until_it_comes_back(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    core.create_namespaced_pod("default", pod("stranded"))
    node = until(core, is_running, "stranded").spec.node_name
    with running.faults(faults.NodeLoss(node=node, toleration=0)):
        found = until(core, lambda found: bool(found.metadata.deletion_timestamp), "stranded")
        assert condition(found, "DisruptionTarget").reason == "DeletionByTaintManager"
        ready = condition(core.read_node(node), "Ready")
        assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
        # Its grace is over after 1 s, and nobody tells of its end: here another node takes pods, and it is still there.
        core.create_namespaced_pod("default", pod("elsewhere", "sleep 1.5"))
        until(core, lambda found: found.status.phase == "Succeeded", "elsewhere")
        assert core.read_namespaced_pod("elsewhere", "default").spec.node_name != node
        assert core.read_namespaced_pod("stranded", "default").status.phase == "Running"
    until(core, lambda found: found is None, "stranded")
    assert condition(core.read_node(node), "Ready").status == "True"


def test_a_node_that_was_away_for_a_moment_has_lost_its_processes(
    running: sandbox.Sandbox, core: client.CoreV1Api
) -> None:
    core.create_namespaced_pod("default", pod("rebooted"))
    node = until(core, is_running, "rebooted").spec.node_name
    with running.faults(faults.NodeLoss(node=node)):
        assert condition(core.read_node(node), "Ready").status == "Unknown"
        assert core.read_namespaced_pod("rebooted", "default").status.phase == "Running"
    ended = until(core, is_failed, "rebooted").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (255, "Unknown")


# What else can be gone


def test_an_operator_that_is_down_catches_up(
    running: sandbox.Sandbox, core: client.CoreV1Api, jobs: client.CustomObjectsApi
) -> None:
    with running.faults(faults.OperatorDown(operator="training-operator")):
        jobs.create_namespaced_custom_object(*GROUP, job("ignored", "true"))
        # A pod that was made later has run from its beginning to its end in the meantime.
        core.create_namespaced_pod("default", pod("noticed", "true"))
        until(core, lambda found: found.status.phase == "Succeeded", "noticed")
        assert "status" not in jobs.get_namespaced_custom_object(*GROUP, "ignored")
    until(core, lambda found: found is not None and found.status.phase == "Succeeded", "ignored-master-0")


def test_a_namespace_is_deleted(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    core.create_namespace({"metadata": {"name": "team"}})
    core.create_namespaced_pod("team", pod("member"))
    version = core.list_namespace().metadata.resource_version
    with running.faults(faults.NamespaceDeleted(namespace="team")):
        stream = watch.Watch().stream(core.list_namespace, resource_version=version, timeout_seconds=15)
        assert any(event["type"] == "DELETED" and event["object"].metadata.name == "team" for event in stream)
    with pytest.raises(ApiException, match=r"namespaces .*team.* not found"):
        core.create_namespaced_pod("team", pod("late"))


# The control API


def test_a_fault_ends_by_itself_when_its_time_is_over(running: sandbox.Sandbox, core: client.CoreV1Api) -> None:
    with running.faults(faults.Unschedulable(duration=0.3)):
        core.create_namespaced_pod("default", pod("patient", "true"))
        until(core, lambda found: found.status.phase == "Succeeded", "patient")


def test_faults_are_listed_and_taken_back_one_by_one(running: sandbox.Sandbox) -> None:
    api = sandbox.Connection(running)
    body = {"faults": [{"kind": "ApiLatency", "latency": 0}, {"kind": "HalfOpen", "path": "/nowhere"}]}
    code, made = api.call("POST", "/sandbox/faults", body)
    ids = [each["id"] for each in made["faults"]]
    assert (code, [each["kind"] for each in api.call("GET", "/sandbox/faults")[1]["faults"]]) == (
        201, ["ApiLatency", "HalfOpen"],
    )  # fmt: skip
    assert api.call("DELETE", f"/sandbox/faults/{ids[0]}")[0] == 200
    assert api.call("DELETE", f"/sandbox/faults/{ids[0]}")[0] == 404
    assert api.call("DELETE", "/sandbox/faults")[0] == 200
    assert api.call("GET", "/sandbox/faults")[1] == {"faults": []}


def test_the_control_api_is_the_admins(running: sandbox.Sandbox) -> None:
    answer = sandbox.Connection(running).call("GET", "/sandbox/faults", Authorization="Bearer other")
    assert (answer[0], answer[1]["reason"]) == (401, "Unauthorized")


def test_an_unknown_operator_is_told_with_those_that_there_are(running: sandbox.Sandbox) -> None:
    with pytest.raises(errors.SandboxError, match=r"mpi-operator is none of .*training-operator"):
        running.faults(faults.OperatorDown(operator="mpi-operator")).__enter__()
