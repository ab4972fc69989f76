"""Pods and jobs on the sandbox, as its users see them: the official client and plain HTTPS; both ways of mounting."""

import json
import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config

from nni.testing import sandbox

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
EVENTS = "/api/v1/namespaces/default/events"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
EXPORT = "10.0.0.1:/data"


@pytest.fixture(scope="module", params=["namespaces", "rewrite"])
def running(request: pytest.FixtureRequest) -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(nfs={EXPORT: None}, isolation=request.param, environment={"OMP_NUM_THREADS": "1"}) as made:
        yield made


@pytest.fixture
def api(running: sandbox.Sandbox) -> sandbox.Connection:
    return sandbox.Connection(running)


def is_over(found: dict[str, Any]) -> bool:
    return found["status"].get("phase") in ("Succeeded", "Failed")


def is_running(found: dict[str, Any]) -> bool:
    return bool(found["status"].get("phase") == "Running")


def has(condition: str) -> Any:
    def look(found: dict[str, Any]) -> bool:
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    return look


def run_pod(api: sandbox.Connection, name: str, script: str, container: Any = None, **spec: Any) -> None:
    main = {"name": "main", "image": "x", "command": ["sh", "-c", script], **(container or {})}
    body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [main], **spec}}
    code, answer = api.call("POST", PODS, body)
    assert code == 201, answer


def terminated(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["status"]["containerStatuses"][0]["state"]["terminated"])


def log_of(api: sandbox.Connection, name: str, query: str = "") -> str:
    with api.open("GET", f"{PODS}/{name}/log{query}") as answer:
        return answer.read().decode()


def reasons(api: sandbox.Connection, name: str) -> list[str]:
    found = api.call("GET", f"{EVENTS}?fieldSelector=involvedObject.name%3D{name}")[1]
    return [each["reason"] for each in found["items"]]


def replica(script: str, count: int = 1, **container: Any) -> dict[str, Any]:
    main = {"name": "pytorch", "image": "x", "command": ["sh", "-c", script], **container}
    volumes = [{"name": "data", "nfs": {"server": "10.0.0.1", "path": "/data"}}, {"name": "pod", "emptyDir": {}}]
    template = {"spec": {"containers": [main], "volumes": volumes, "terminationGracePeriodSeconds": 1}}
    return {"replicas": count, "restartPolicy": "Never", "template": template}


def make_job(name: str, policy: dict[str, Any] | None = None, **replicas: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {"runPolicy": policy or {"cleanPodPolicy": "Running"}, "pytorchReplicaSpecs": replicas},
    }


def test_a_job_of_the_official_client_runs_on_a_shared_volume(
    running: sandbox.Sandbox, api: sandbox.Connection
) -> None:
    place = ("kubeflow.org", "v1", "default", "pytorchjobs")
    objects = client.CustomObjectsApi(config.new_client_from_config(str(running.kubeconfig)))
    mounts = [{"name": "data", "mountPath": "/mnt/nni/volume"}, {"name": "pod", "mountPath": "/mnt/nni/pod"}]
    script = (
        "python3 -c 'import os, json; print(json.dumps(dict(os.environ)))' > /mnt/nni/volume/$MARK.json"
        " && echo mine > /mnt/nni/pod/x && test $(ls /mnt/nni/pod | wc -l) = 1"
    )
    # Everybody's file is looked at: nobody may be cleaned away because the master was first.
    policy = {"cleanPodPolicy": "None"}
    mark = {"name": "MARK", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    part: dict[str, Any] = {"volumeMounts": mounts, "env": [mark]}
    objects.create_namespaced_custom_object(
        *place, make_job("shared", policy, Master=replica(script, **part), Worker=replica(script, 2, **part))
    )
    state = api.until(f"{JOBS}/shared", has("Succeeded"))["status"]
    assert [(each["type"], each["status"]) for each in state["conditions"]] == [
        ("Created", "True"), ("Running", "False"), ("Succeeded", "True"),
    ]  # fmt: skip
    folder, found = running.exports[EXPORT], {}
    for name in ("shared-master-0", "shared-worker-0", "shared-worker-1"):
        api.until(f"{PODS}/{name}", is_over)
        found[name] = json.loads((folder / f"{name}.json").read_text())
    assert found["shared-master-0"]["RANK"] == "0"
    assert {(each["WORLD_SIZE"], each["MASTER_ADDR"], each["PET_NNODES"]) for each in found.values()} == {
        ("3", "127.0.0.1", "3")
    }
    known = {"MARK", "PATH", "HOME", "HOSTNAME", "LANG", "OMP_NUM_THREADS", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    known |= {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "PYTHONUNBUFFERED"}
    assert [name for name in found["shared-master-0"] if name not in known and not name.startswith("PET_")] == []
    objects.delete_namespaced_custom_object(*place, "shared")
    for replica_name in ("shared-master-0", "shared-worker-0", "shared-worker-1"):
        api.until_gone(f"{PODS}/{replica_name}")
    assert not pathlib.Path("/mnt/nni").exists()


def test_volumes_of_every_kind_stand_where_they_should(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    api.call("POST", SECRETS, {"metadata": {"name": "volume-keys"}, "stringData": {"t": "word"}})
    api.call("POST", MAPS, {"metadata": {"name": "volume-settings"}, "data": {"colour": "red", "size": "9"}})
    paths = {
        "s": "/etc/nni-test/s",
        "c": "/etc/nni-test/c",
        "d": "/opt/nni-test/d",
        "n": "/data-x",
        "e": "/scratch/a/b",
        "f": "/data-x/deep",
    }
    run_pod(
        api,
        "volumes",
        "cat /etc/nni-test/s/t /etc/nni-test/c/my-colour /opt/nni-test/d/name; echo; ls /etc/nni-test/c; "
        "echo out > /data-x/f && cat /data-x/f; ls /scratch/a/b | wc -l; echo y > /data-x/deep/y; ls /data-x",
        {"volumeMounts": [{"name": name, "mountPath": path} for name, path in paths.items()]},
        volumes=[
            {"name": "s", "secret": {"secretName": "volume-keys"}},
            {"name": "c", "configMap": {"name": "volume-settings", "items": [{"key": "colour", "path": "my-colour"}]}},
            {"name": "d", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"name": "n", "nfs": {"server": "10.0.0.1", "path": "/data"}},
            {"name": "e", "emptyDir": {}},
            {"name": "f", "emptyDir": {}},
        ],
    )
    api.until(f"{PODS}/volumes", is_over)
    assert log_of(api, "volumes").split()[:4] == ["wordredvolumes", "my-colour", "out", "0"]
    assert (running.exports[EXPORT] / "f").read_text() == "out\n"
    assert [path for path in paths.values() if pathlib.Path(path).exists()] == []


def test_an_exit_code_and_the_last_words_are_told(api: sandbox.Connection) -> None:
    script = 'echo one; echo "it\'s broken" >&2; exit 3'
    run_pod(api, "failing", script, {"terminationMessagePolicy": "FallbackToLogsOnError"})
    found = api.until(f"{PODS}/failing", is_over)
    ended = terminated(found)
    assert (found["status"]["phase"], ended["exitCode"], ended["reason"], ended["message"]) == (
        "Failed", 3, "Error", "one\nit's broken\n",
    )  # fmt: skip
    assert reasons(api, "failing") == ["Scheduled", "Pulled", "Created", "Started"]


def test_a_command_that_is_not_there_fails_with_a_sentence(api: sandbox.Connection) -> None:
    run_pod(api, "missing", "", {"command": ["no-such-program"]})
    ended = terminated(api.until(f"{PODS}/missing", is_over))
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert ended["message"].endswith('exec: "no-such-program": executable file not found in $PATH')


def test_a_log_is_followed_as_it_comes_and_cut_as_asked(api: sandbox.Connection) -> None:
    run_pod(api, "talker", "echo first; read line < /dev/null; sleep 0.3; echo second; printf third")
    api.until(f"{PODS}/talker", lambda found: is_running(found) or is_over(found))
    with api.open("GET", f"{PODS}/talker/log?follow=true") as answer:
        assert [answer.readline() for _ in range(3)] == [b"first\n", b"second\n", b"third"]
    api.until(f"{PODS}/talker", is_over)
    assert log_of(api, "talker", "?tailLines=2") == "second\nthird"
    assert log_of(api, "talker", "?tailLines=1") == "third"
    assert log_of(api, "talker", "?limitBytes=8") == "first\nse"
    stamped = log_of(api, "talker", "?timestamps=true").split("\n")
    assert [(line[10], line.split()[1]) for line in stamped] == [("T", "first"), ("T", "second"), ("T", "third")]


def test_a_stopped_container_has_its_grace_and_is_killed_with_all_it_started(
    running: sandbox.Sandbox, api: sandbox.Connection
) -> None:
    script = "trap '' TERM; (sleep 4321 & sleep 4321) & echo up; sleep 4321; sleep 1000"
    run_pod(api, "stubborn", script, terminationGracePeriodSeconds=1)
    api.until(f"{PODS}/stubborn", is_running)
    with api.open("GET", f"{PODS}/stubborn/log?follow=1") as log:
        assert log.readline() == b"up\n"
        wait_for(lambda: sleepers() == 3)
        began = time.monotonic()
        api.call("DELETE", f"{PODS}/stubborn")
        api.until_gone(f"{PODS}/stubborn")
    assert 0.9 < time.monotonic() - began < 10
    assert sleepers() == 0


def test_sigterm_reaches_a_container_that_listens(api: sandbox.Connection) -> None:
    run_pod(api, "polite", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    api.until(f"{PODS}/polite", is_running)
    with api.open("GET", f"{PODS}/polite/log?follow=1") as log:
        log.readline()
        path = f"{PODS}?watch=1&timeoutSeconds=10&fieldSelector=metadata.name%3Dpolite"
        code, marked = api.call("DELETE", f"{PODS}/polite")
        last: dict[str, Any] = {}
        for event in api.watch(f"{path}&resourceVersion={marked['metadata']['resourceVersion']}"):
            last = event["object"]
            if event["type"] == "DELETED":
                break
        assert log.read() == b"bye\n"
    assert (code, last["status"]["phase"], terminated(last)["exitCode"]) == (200, "Failed", 7)


def test_a_pod_waits_for_its_secret(api: sandbox.Connection) -> None:
    variable = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "late", "key": "t"}}}
    run_pod(api, "waiter", "echo $T", {"env": [variable]})

    def complains(found: dict[str, Any]) -> bool:
        states = found["status"].get("containerStatuses", [])
        return any(each["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError" for each in states)

    api.until(f"{PODS}/waiter", complains)
    api.call("POST", SECRETS, {"metadata": {"name": "late"}, "stringData": {"t": "here"}})
    api.until(f"{PODS}/waiter", is_over)
    assert log_of(api, "waiter") == "here\n"


def test_an_unknown_export_keeps_a_pod_waiting_and_says_why(api: sandbox.Connection) -> None:
    run_pod(api, "lost", "true", volumes=[{"name": "v", "nfs": {"server": "elsewhere", "path": "/x"}}])
    for event in api.watch(f"{EVENTS}?watch=1&timeoutSeconds=10&fieldSelector=involvedObject.name%3Dlost"):
        if event["object"]["reason"] == "FailedMount":
            break
    assert "elsewhere:/x is no export of this sandbox" in event["object"]["message"]
    assert api.call("GET", f"{PODS}/lost")[1]["status"]["phase"] == "Pending"
    api.call("DELETE", f"{PODS}/lost")
    api.until_gone(f"{PODS}/lost")


def test_what_does_not_fit_waits_until_there_is_room(api: sandbox.Connection) -> None:
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    run_pod(api, "greedy", "sleep 1000", gpus, terminationGracePeriodSeconds=0)
    api.until(f"{PODS}/greedy", is_running)
    run_pod(api, "patient", "true", gpus)
    found = api.until(f"{PODS}/patient", lambda found: bool(found["status"].get("conditions")))
    assert found["status"]["conditions"][0]["message"].startswith(
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    )
    api.call("DELETE", f"{PODS}/greedy")
    api.until(f"{PODS}/patient", is_over)


def test_a_failing_master_fails_its_job_for_good(api: sandbox.Connection) -> None:
    job = make_job("unlucky", Master=replica("exit 5"), Worker=replica("sleep 1000"))
    api.call("POST", JOBS, job)
    found = api.until(f"{JOBS}/unlucky", has("Failed"))
    message = found["status"]["conditions"][-1]["message"]
    assert message == "PyTorchJob unlucky is failed because 1 Master replica(s) failed."
    api.until_gone(f"{PODS}/unlucky-worker-0")
    assert api.call("GET", f"{PODS}/unlucky-master-0")[1]["status"]["phase"] == "Failed"
    assert not has("Running")(api.call("GET", f"{JOBS}/unlucky")[1])


def test_a_suspended_job_starts_over(api: sandbox.Connection) -> None:
    policy = {"cleanPodPolicy": "Running", "suspend": True}
    api.call("POST", JOBS, make_job("paused", policy, Master=replica("sleep 1000")))
    found = api.until(f"{JOBS}/paused", has("Suspended"))
    assert ("startTime" in found["status"], api.call("GET", f"{PODS}/paused-master-0")[0]) == (False, 404)
    merge = {"Content-Type": "application/merge-patch+json"}
    api.call("PATCH", f"{JOBS}/paused", {"spec": {"runPolicy": {"suspend": False}}}, **merge)
    found = api.until(f"{JOBS}/paused", has("Running"))
    resumed = next(each for each in found["status"]["conditions"] if each["type"] == "Suspended")
    assert (resumed["status"], resumed["reason"]) == ("False", "PyTorchJobResumed")
    api.call("PATCH", f"{JOBS}/paused", {"spec": {"runPolicy": {"suspend": True}}}, **merge)
    api.until_gone(f"{PODS}/paused-master-0")
    api.until(f"{JOBS}/paused", has("Suspended"))


def test_a_deleted_job_takes_its_pods_along_before_it_goes(api: sandbox.Connection) -> None:
    api.call("POST", JOBS, make_job("doomed", Master=replica("sleep 1000")))
    api.until(f"{PODS}/doomed-master-0", is_running)
    marked = api.call("DELETE", f"{JOBS}/doomed", {"propagationPolicy": "Foreground"})[1]
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.until_gone(f"{JOBS}/doomed")
    assert api.call("GET", f"{PODS}/doomed-master-0")[0] == 404


@pytest.mark.parametrize("isolation", ["namespaces", "rewrite"])
def test_nothing_remains_when_the_sandbox_is_killed(isolation: str) -> None:
    with sandbox.Sandbox(isolation=isolation) as made:
        api = sandbox.Connection(made)
        run_pod(api, "orphan", "setsid sleep 4321 & sleep 4321")
        api.until(f"{PODS}/orphan", is_running)
        folder = made.kubeconfig.parent
        assert folder.exists()
        os.kill(made.pid, signal.SIGKILL)
    wait_for(lambda: sleepers() == 0 and not folder.exists())


def sleepers() -> int:
    """Count the processes that the tests' containers leave running."""
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes() == b"sleep\x004321\x00"
        except OSError:
            continue  # it has just ended
    return found


def wait_for(holds: Any) -> None:
    """Wait for processes that are not our children: nothing tells of their coming and going."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
