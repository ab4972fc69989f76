"""The sandbox's kubelet with real processes: by namespaces as root, by namespaces of anybody, and by rewriting."""

import os
import pathlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nni import errors
from nni.testing import sandbox

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
EVENTS = "/api/v1/namespaces/default/events"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
EXPORT = "10.0.0.1:/data"
UNPRIVILEGED = """\
#!/bin/sh
# A user without rights, and control groups that cannot be written, as in most containers.
exec unshare --mount sh -c 'mount -t tmpfs -o ro none /sys/fs/cgroup &&
  exec unshare --user --map-user=1000 --map-group=1000 "$0" "$@"' PYTHON "$@"
"""
# Takes memory in steps, so that whoever looks at it now and then sees it grow.
EATER = "import time; held = [];\nwhile True: held.append(b'x' * 20_000_000); time.sleep(0.02)"


@pytest.fixture(scope="module", params=["namespaces", "unprivileged", "rewrite"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """Root with namespaces and control groups; a user with namespaces alone; a user who may do nothing at all."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "namespaces" and os.getuid() == 0:
            wrapper = tmp_path_factory.mktemp("unprivileged") / "python"
            wrapper.write_text(UNPRIVILEGED.replace("PYTHON", sys.executable))
            wrapper.chmod(0o755)
            tried = subprocess.run([wrapper, "-c", ""], capture_output=True, text=True, check=False)
            if tried.returncode:
                pytest.skip(f"this machine makes no user without rights: {tried.stderr.strip()}")
            patch.setattr(sys, "executable", str(wrapper))
        isolation = "rewrite" if request.param == "rewrite" else "namespaces"
        made = sandbox.Sandbox(
            nfs={EXPORT: None}, shares={"training": None}, isolation=isolation, environment={"OMP_NUM_THREADS": "1"}
        )
        try:
            made.__enter__()
        except errors.SandboxError as error:
            pytest.skip(f"{request.param}: {error}")
    try:
        yield made
    finally:
        made.__exit__()


@pytest.fixture
def api(running: sandbox.Sandbox) -> sandbox.Connection:
    return sandbox.Connection(running)


def is_over(found: dict[str, Any]) -> bool:
    return found["status"].get("phase") in ("Succeeded", "Failed")


def run_pod(api: sandbox.Connection, name: str, script: str, container: Any = None, **spec: Any) -> None:
    main = {"name": "main", "image": "x", "command": ["sh", "-c", script], **(container or {})}
    body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [main], **spec}}
    code, answer = api.call("POST", PODS, body)
    assert code == 201, answer


def ended(api: sandbox.Connection, name: str) -> dict[str, Any]:
    found = api.until(f"{PODS}/{name}", is_over)
    return dict(found["status"]["containerStatuses"][0]["state"]["terminated"])


def log_of(api: sandbox.Connection, name: str, query: str = "") -> str:
    with api.open("GET", f"{PODS}/{name}/log{query}") as answer:
        return answer.read().decode()


def await_event(api: sandbox.Connection, name: str, reason: str) -> str:
    path = f"{EVENTS}?watch=1&timeoutSeconds=15&fieldSelector=involvedObject.name%3D{name}"
    for event in api.watch(path):
        if event["object"]["reason"] == reason:
            return str(event["object"]["message"])
    raise TimeoutError(f"{name} has no event {reason}")


def waits_as(reason: str) -> Callable[[dict[str, Any]], bool]:
    def look(found: dict[str, Any]) -> bool:
        states = found["status"].get("containerStatuses", [])
        return any(each["state"].get("waiting", {}).get("reason") == reason for each in states)

    return look


def test_what_holds_the_memory_is_told(running: sandbox.Sandbox) -> None:
    assert running.memory in ("cgroups v1", "cgroups v2", "watching")
    assert running.isolation in ("namespaces", "rewrite")


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("itself", 'exec python3 -c "$EATER"'),
        ("child", 'python3 -c "$EATER"; echo survived'),
        ("grandchild", "(setsid sh -c 'python3 -c \"$EATER\"; true'; true) & sleep 1000"),
    ],
)
def test_a_container_that_takes_too_much_memory_is_killed_as_a_whole(
    api: sandbox.Connection, name: str, script: str
) -> None:
    container = {
        "env": [{"name": "EATER", "value": EATER}],
        "resources": {"limits": {"memory": "150Mi"}},
    }
    run_pod(api, f"eater-{name}", f"echo up; {script}", container)
    end = ended(api, f"eater-{name}")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")
    assert log_of(api, f"eater-{name}") == "up\n"


def test_memory_that_forked_processes_share_counts_once(api: sandbox.Connection) -> None:
    script = textwrap.dedent("""\
        import os, time
        held = b"x" * 80_000_000
        children = [os.fork() for _ in range(1)]
        for _ in range(3):
            if 0 in children: break
            children.append(os.fork())
        time.sleep(0.5)
        if 0 not in children:
            print(sum(os.waitpid(child, 0)[1] for child in children))
        """)
    container = {"command": ["python3", "-c", script], "resources": {"limits": {"memory": "160Mi"}}}
    run_pod(api, "sharer", "", container)
    end = ended(api, "sharer")
    assert (end["exitCode"], log_of(api, "sharer")) == (0, "0\n")


def test_claims_and_shares_are_directories_that_outlive_pods(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = api.call("POST", CLAIMS, {"metadata": {"name": "data"}, "spec": spec})[1]
    assert (claim["status"]["phase"], claim["spec"]["volumeName"]) == ("Bound", f"pvc-{claim['metadata']['uid']}")
    keys = {"azurestorageaccountname": "me", "azurestorageaccountkey": "a2V5"}
    api.call("POST", SECRETS, {"metadata": {"name": "account"}, "stringData": keys})
    share = {"driver": "file.csi.azure.com", "volumeAttributes": {"shareName": "training", "secretName": "account"}}
    volumes = [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "share", "csi": share},
        {"name": "classic", "azureFile": {"shareName": "training", "secretName": "account"}},
    ]
    mounts = {"volumeMounts": [
        {"name": "claim", "mountPath": "/claim", "subPath": "deep/er"},
        {"name": "share", "mountPath": "/share"},
        {"name": "classic", "mountPath": "/classic", "subPathExpr": "$(WHO)"},
    ]}  # fmt: skip
    container = mounts | {"env": [{"name": "WHO", "value": "me"}]}
    run_pod(api, "writer", "echo c > /claim/f; echo s > /share/f; echo k > /classic/f", container, volumes=volumes)
    assert ended(api, "writer")["exitCode"] == 0
    whole = {"volumeMounts": [{"name": "claim", "mountPath": "/claim"}, {"name": "share", "mountPath": "/share"}]}
    run_pod(api, "reader", "cat /claim/deep/er/f /share/f /share/me/f", whole, volumes=volumes[:2])
    assert ended(api, "reader")["exitCode"] == 0
    assert log_of(api, "reader") == "c\ns\nk\n"


@pytest.mark.parametrize(
    ("name", "volume", "message", "cure"),
    [
        ("secret", {"secret": {"secretName": "late-1"}}, 'secret "late-1" not found', {"k": "v"}),
        ("key", {"secret": {"secretName": "half", "items": [{"key": "new", "path": "new"}]}},
         "references non-existent secret key: new", None),
        ("csi", {"csi": {"driver": "file.csi.azure.com", "nodePublishSecretRef": {"name": "late-2"},
                         "volumeAttributes": {"shareName": "training"}}},
         "fetching NodePublishSecretRef default/late-2 failed: kubernetes.io/csi: failed to find the secret late-2 in "
         'the namespace default with error: secrets "late-2" not found',
         {"azurestorageaccountname": "a", "azurestorageaccountkey": "a2V5"}),
    ],
)  # fmt: skip
def test_a_mount_that_fails_is_told_and_mended(
    api: sandbox.Connection, name: str, volume: dict[str, Any], message: str, cure: dict[str, str] | None
) -> None:
    api.call("POST", SECRETS, {"metadata": {"name": "half"}, "stringData": {"old": "1"}})
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    run_pod(api, f"unmounted-{name}", "ls /v", mounts, volumes=[{"name": "v", **volume}])
    told = await_event(api, f"unmounted-{name}", "FailedMount")
    assert told == f'MountVolume.SetUp failed for volume "v" : {message}'
    found = api.call("GET", f"{PODS}/unmounted-{name}")[1]
    assert (found["status"]["phase"], waits_as("ContainerCreating")(found)) == ("Pending", True)
    if cure is None:
        merge = {"Content-Type": "application/merge-patch+json"}
        api.call("PATCH", f"{SECRETS}/half", {"stringData": {"new": "1"}}, **merge)
    else:
        missing = message.split()[-3 if name == "csi" else 1].strip('"')
        api.call("POST", SECRETS, {"metadata": {"name": missing}, "stringData": cure})
    assert ended(api, f"unmounted-{name}")["exitCode"] == 0


@pytest.mark.parametrize(
    ("name", "volume", "message"),
    [
        ("share", {"csi": {"driver": "file.csi.azure.com", "volumeAttributes": {"shareName": "other"}}},
         "this sandbox maps no share of that name"),
        ("driver", {"csi": {"driver": "disk.example.com"}},
         "driver name disk.example.com not found in the list of registered CSI drivers"),
        ("kind", {"cephfs": {}}, "the sandbox cannot mount volumes of the type cephfs"),
    ],
)  # fmt: skip
def test_what_cannot_be_mounted_at_all_says_so(
    api: sandbox.Connection, name: str, volume: dict[str, Any], message: str
) -> None:
    run_pod(api, f"lost-{name}", "true", volumes=[{"name": "v", **volume}])
    assert message in await_event(api, f"lost-{name}", "FailedMount")
    api.call("DELETE", f"{PODS}/lost-{name}")
    api.until_gone(f"{PODS}/lost-{name}")


def test_configuration_is_mounted_as_asked(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    api.call("POST", SECRETS, {"metadata": {"name": "modes"}, "stringData": {"key": "k", "other": "o"}})
    api.call("POST", MAPS, {"metadata": {"name": "modes"}, "data": {"a": "1"}, "binaryData": {"b": "Mg=="}})
    downward = {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    ]}  # fmt: skip
    sources = [
        {"secret": {"name": "modes", "items": [{"key": "key", "path": "deep/key", "mode": 0o400}]}},
        {"configMap": {"name": "modes"}},
        {"configMap": {"name": "absent", "optional": True}},
        {"downwardAPI": downward},
    ]
    volumes = [
        {"name": "all", "projected": {"defaultMode": 0o640, "sources": sources}},
        {"name": "none", "secret": {"secretName": "absent", "optional": True}},
    ]
    container = {
        "volumeMounts": [{"name": "all", "mountPath": "/all"}, {"name": "none", "mountPath": "/none"}],
        "resources": {"limits": {"cpu": "1500m"}},
    }
    script = (
        "stat -c '%a %n' /all/deep/key /all/a; cat /all/a /all/b /all/cpu; echo; ls /none | wc -l;"
        "touch /all/new 2>/dev/null && echo writable || echo read-only"
    )
    run_pod(api, "modes", script, container, volumes=volumes)
    assert ended(api, "modes")["exitCode"] == 0
    lines = log_of(api, "modes").split("\n")
    assert [line.split()[0] for line in lines[:2]] == ["400", "640"]
    assert lines[2:4] == ["121500", "0"]
    # Rewriting cannot take the right to write away.
    assert lines[4] == ("read-only" if running.isolation == "namespaces" else "writable")


def test_memory_volumes_have_their_size(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    volumes = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}]
    write = "dd if=/dev/zero of=/dev/shm/x bs=1M count=3 2>&1 | grep -c 'No space'; stat -f -c %T /dev/shm"
    mounted = {"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}
    run_pod(api, "small", write, mounted, volumes=volumes)
    run_pod(api, "usual", "df -k --output=size /dev/shm | tail -1; ls /dev/shm | wc -l; touch /dev/shm/nni-test")
    assert ended(api, "small")["exitCode"] == ended(api, "usual")["exitCode"] == 0
    small, usual = log_of(api, "small").split(), log_of(api, "usual").split()
    if running.isolation == "namespaces":
        assert (small, usual) == (["1", "tmpfs"], ["65536", "0"])
        assert not pathlib.Path("/dev/shm/nni-test").exists()
    else:  # nothing can be mounted: a volume in memory is a plain directory
        assert small[0] == "0"
        pathlib.Path("/dev/shm/nni-test").unlink()


def test_two_containers_share_a_volume_in_memory(api: sandbox.Connection) -> None:
    mounts = [{"name": "m", "mountPath": "/m"}]
    wait = "while [ ! -e /m/f ]; do sleep 0.02; done; cat /m/f"
    second = {"name": "second", "image": "x", "command": ["sh", "-c", wait], "volumeMounts": mounts}
    first = {"name": "first", "image": "x", "command": ["sh", "-c", "echo hi > /m/g; mv /m/g /m/f"],
             "volumeMounts": mounts}  # fmt: skip
    body = {"metadata": {"name": "pair"}, "spec": {"restartPolicy": "Never", "containers": [first, second],
            "volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]}}  # fmt: skip
    assert api.call("POST", PODS, body)[0] == 201
    api.until(f"{PODS}/pair", is_over)
    assert log_of(api, "pair", "?container=second") == "hi\n"


def test_a_claim_must_be_there_before_its_pod_is_placed(api: sandbox.Connection) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]
    run_pod(api, "claimant", "true", volumes=volumes)
    assert await_event(api, "claimant", "FailedScheduling").startswith(
        '0/1 nodes are available: persistentvolumeclaim "late" not found. preemption: 0/1 nodes are available: 1 '
    )
    api.call("POST", CLAIMS, {"metadata": {"name": "late"}, "spec": {"accessModes": ["ReadWriteOnce"]}})
    assert ended(api, "claimant")["exitCode"] == 0


def test_a_container_is_restarted_at_once_and_then_with_patience(api: sandbox.Connection) -> None:
    run_pod(api, "loop", "echo try; exit 3", restartPolicy="OnFailure")
    found = api.until(f"{PODS}/loop", waits_as("CrashLoopBackOff"))
    state = found["status"]["containerStatuses"][0]
    assert (state["restartCount"], state["lastState"]["terminated"]["exitCode"]) == (1, 3)
    assert state["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=main pod=loop_default({found['metadata']['uid']})"
    )
    assert found["status"]["phase"] == "Running"
    assert log_of(api, "loop") == log_of(api, "loop", "?previous=true") == "try\n"
    api.call("DELETE", f"{PODS}/loop")
    api.until_gone(f"{PODS}/loop")


def test_a_command_that_cannot_start_is_tried_again(api: sandbox.Connection) -> None:
    run_pod(api, "absent", "", {"command": ["/no/such"]}, restartPolicy="Always")
    api.until(f"{PODS}/absent", waits_as("RunContainerError"))
    found = api.until(f"{PODS}/absent", waits_as("CrashLoopBackOff"))
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("StartError", 128)
    assert last["message"].endswith('exec: "/no/such": stat /no/such: no such file or directory')
    api.call("DELETE", f"{PODS}/absent")
    api.until_gone(f"{PODS}/absent")


def test_init_containers_go_in_order_and_sidecars_stay_until_the_end(api: sandbox.Connection) -> None:
    mounts = {"image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    sidecar = "trap 'echo stopped; exit 0' TERM; echo side >> /v/order; while :; do sleep 0.05; done"
    initial = [
        {"name": "one", "command": ["sh", "-c", "echo one >> /v/order"], **mounts},
        {"name": "side", "command": ["sh", "-c", sidecar], "restartPolicy": "Always", **mounts},
        {"name": "two", "command": ["sh", "-c", "until grep -q side /v/order; do sleep 0.02; done; echo two >> "
         "/v/order"], **mounts},
    ]  # fmt: skip
    volumes = [{"name": "v", "emptyDir": {}}]
    run_pod(api, "ordered", "cat /v/order", mounts, initContainers=initial, volumes=volumes)
    found = api.until(f"{PODS}/ordered", is_over)
    assert (found["status"]["phase"], log_of(api, "ordered")) == ("Succeeded", "one\nside\ntwo\n")
    found = api.until(
        f"{PODS}/ordered",
        lambda each: all("terminated" in one["state"] for one in each["status"]["initContainerStatuses"]),
    )
    assert log_of(api, "ordered", "?container=side") == "stopped\n"


def test_an_init_container_that_fails_fails_the_pod(api: sandbox.Connection) -> None:
    initial = [{"name": "one", "image": "x", "command": ["sh", "-c", "exit 4"]}]
    run_pod(api, "uninitialized", "echo never", initContainers=initial)
    found = api.until(f"{PODS}/uninitialized", is_over)
    assert found["status"]["phase"] == "Failed"
    assert found["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert waits_as("PodInitializing")(found)


def test_hooks_run_inside_of_their_container(api: sandbox.Connection) -> None:
    mark = "printf '%s ' \"$WHO\" >> /v/marks"
    container = {
        "env": [{"name": "WHO", "value": "me"}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "lifecycle": {
            "postStart": {"exec": {"command": ["sh", "-c", f"{mark}; echo started >> /v/marks"]}},
            "preStop": {"exec": {"command": ["sh", "-c", f"{mark}; echo stopping >> /v/marks"]}},
        },
    }
    script = "trap 'cat /v/marks; exit 0' TERM; while :; do sleep 0.05; done"
    run_pod(api, "hooked", script, container, volumes=[{"name": "v", "emptyDir": {}}])
    api.until(f"{PODS}/hooked", lambda found: found["status"]["phase"] == "Running")
    with api.open("GET", f"{PODS}/hooked/log?follow=1") as log:
        api.call("DELETE", f"{PODS}/hooked")
        assert log.read() == b"me started\nme stopping\n"
    api.until_gone(f"{PODS}/hooked")


def test_a_failing_post_start_hook_kills_its_container(api: sandbox.Connection) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["sh", "-c", "exit 7"]}}}
    run_pod(api, "unhooked", "sleep 1000", {"lifecycle": lifecycle})
    assert ended(api, "unhooked")["exitCode"] == 137
    assert "command 'sh -c exit 7' exited with 7" in await_event(api, "unhooked", "FailedPostStartHook")


def test_a_pod_that_lives_too_long_fails(api: sandbox.Connection) -> None:
    run_pod(api, "overdue", "trap 'exit 0' TERM; while :; do sleep 0.05; done", activeDeadlineSeconds=1)
    found = api.until(f"{PODS}/overdue", is_over)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["status"]["message"] == "Pod was active on the node longer than the specified deadline"


def test_the_grace_of_a_deletion_can_be_shortened(api: sandbox.Connection) -> None:
    run_pod(api, "slow", "trap '' TERM; echo up; while :; do sleep 0.05; done", terminationGracePeriodSeconds=600)
    with api.open("GET", f"{PODS}/slow/log?follow=1") if _is_up(api, "slow") else pytest.fail("never up") as log:
        log.readline()
        began = time.monotonic()
        api.call("DELETE", f"{PODS}/slow")
        api.call("DELETE", f"{PODS}/slow?gracePeriodSeconds=1")
        api.until_gone(f"{PODS}/slow")
    assert 0.9 < time.monotonic() - began < 10


def _is_up(api: sandbox.Connection, name: str) -> bool:
    return bool(api.until(f"{PODS}/{name}", lambda found: found["status"]["phase"] == "Running"))


@pytest.mark.parametrize(
    ("name", "script", "code"),
    [
        ("plain", "exit 42", 42),
        ("signal", "kill -9 $$$$; sleep 5", 137),
        ("term", "sh -c 'kill -15 $$$$'; exit $?", 143),
    ],
)
def test_exit_codes(running: sandbox.Sandbox, api: sandbox.Connection, name: str, script: str, code: int) -> None:
    if name == "signal" and running.isolation == "namespaces":
        script = "sh -c 'kill -9 $$$$'; exit $?"  # PID 1 of its namespace cannot be killed from inside, as in a cluster
    run_pod(api, f"code-{name}", script)
    end = ended(api, f"code-{name}")
    assert (end["exitCode"], end["reason"]) == (code, "Error")


@pytest.mark.parametrize(
    ("name", "script", "policy", "expected"),
    [
        ("file", "echo why > /dev/termination-log; exit 1", "File", "why\n"),
        ("own", "yes 0123456789 | head -c 9000 > /dev/termination-log; printf end >> /dev/termination-log", "File",
         ("0123456789\n" * 900)[:9000][-4093:] + "end"),
        ("log", "echo said; exit 1", "FallbackToLogsOnError", "said\n"),
        ("both", "echo said; echo why > /dev/termination-log; exit 1", "FallbackToLogsOnError", "why\n"),
        ("good", "echo said", "FallbackToLogsOnError", ""),
        ("long", "seq 1000; exit 1", "FallbackToLogsOnError", "".join(f"{n}\n" for n in range(921, 1001))),
    ],
)  # fmt: skip
def test_termination_messages(api: sandbox.Connection, name: str, script: str, policy: str, expected: str) -> None:
    run_pod(api, f"words-{name}", script, {"terminationMessagePolicy": policy})
    assert ended(api, f"words-{name}").get("message", "") == expected


def test_a_missing_key_is_named_and_waited_for(api: sandbox.Connection) -> None:
    api.call("POST", MAPS, {"metadata": {"name": "partial"}, "data": {"a": "1"}})
    variables = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "partial", "key": "a"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "partial", "key": "b"}}},
        {"name": "C", "value": "$(A)-$(B)-$(NOBODY)"},
    ]
    run_pod(api, "keyless", 'echo "$C"', {"env": variables})
    found = api.until(f"{PODS}/keyless", waits_as("CreateContainerConfigError"))
    waiting = found["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["message"] == "couldn't find key b in ConfigMap default/partial"
    assert await_event(api, "keyless", "Failed") == f"Error: {waiting['message']}"
    api.call("PATCH", f"{MAPS}/partial", {"data": {"b": "2"}}, **{"Content-Type": "application/merge-patch+json"})
    assert ended(api, "keyless")["exitCode"] == 0
    assert log_of(api, "keyless") == "1-2-$(NOBODY)\n"


def test_a_working_directory_is_made(api: sandbox.Connection) -> None:
    run_pod(api, "worker", "echo x > here && ls", {"workingDir": "/no/such/place"})
    assert ended(api, "worker")["exitCode"] == 0
    assert (log_of(api, "worker"), pathlib.Path("/no/such").exists()) == ("here\n", False)


def test_read_only_mounts_cannot_be_written(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    volumes = [{"name": "n", "nfs": {"server": "10.0.0.1", "path": "/data", "readOnly": True}},
               {"name": "e", "emptyDir": {}}]  # fmt: skip
    mounts = {"volumeMounts": [{"name": "n", "mountPath": "/n"}, {"name": "e", "mountPath": "/e", "readOnly": True}]}
    run_pod(api, "frozen", "touch /n/x; touch /e/x; true", mounts, volumes=volumes)
    assert ended(api, "frozen")["exitCode"] == 0
    # Rewriting cannot take the right to write away.
    assert log_of(api, "frozen").count("Read-only file system") == (2 if running.isolation == "namespaces" else 0)


def test_a_pod_has_a_name_of_its_own(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    aliases = [{"ip": "10.9.8.7", "hostnames": ["elsewhere"]}]
    run_pod(api, "named", "echo $HOSTNAME; hostname; getent hosts elsewhere named | sed 's/ .*//'", hostAliases=aliases)
    ended(api, "named")
    inside = ["named", "10.9.8.7", "127.0.0.1"] if running.isolation == "namespaces" else [os.uname().nodename]
    assert log_of(api, "named").split() == ["named", *inside]
