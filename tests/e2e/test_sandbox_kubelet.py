"""The life of pods on the sandbox, as real processes: by namespaces as root and as anybody, and by rewriting."""

import os
import re
import subprocess
import sys
import textwrap
import time

import pytest

from pods import MAPS, PODS, Pods, is_over, is_running, waits_as

# Takes memory in steps, so that whoever looks at it now and then sees it grow.
EATER = "import time; held = [];\nwhile True: held.append(b'x' * 20_000_000); time.sleep(0.02)"


def test_what_holds_the_memory_is_told(pods: Pods) -> None:
    assert pods.sandbox.memory in ("cgroups v1", "cgroups v2", "watching")
    assert pods.sandbox.isolation in ("namespaces", "rewrite")


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("itself", 'exec python3 -c "$EATER"'),
        ("child", 'python3 -c "$EATER"; sleep 1000'),
        ("grandchild", "(setsid sh -c 'python3 -c \"$EATER\"; true'; true) & sleep 1000"),
    ],
)
def test_a_container_that_takes_too_much_memory_is_killed_as_a_whole(pods: Pods, name: str, script: str) -> None:
    container = {
        "env": [{"name": "EATER", "value": EATER}],
        "resources": {"limits": {"memory": "150Mi"}},
    }
    pods.run(f"eater-{name}", f"echo up; {script}", container)
    end = pods.end(f"eater-{name}")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")
    # Without a kernel that kills all at once, a shell may still find the time to say that its child was killed.
    assert pods.log(f"eater-{name}").splitlines()[0] == "up"


def test_memory_that_forked_processes_share_counts_once(pods: Pods) -> None:
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
    pods.run("sharer", "", container)
    end = pods.end("sharer")
    assert (end["exitCode"], pods.log("sharer")) == (0, "0\n")


def test_a_container_is_restarted_at_once_and_then_with_patience(pods: Pods) -> None:
    pods.run("loop", "echo try; exit 3", restartPolicy="OnFailure")
    found = pods.until("loop", waits_as("CrashLoopBackOff"))
    state = found["status"]["containerStatuses"][0]
    assert (state["restartCount"], state["lastState"]["terminated"]["exitCode"]) == (1, 3)
    assert state["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=main pod=loop_default({found['metadata']['uid']})"
    )
    assert found["status"]["phase"] == "Running"
    assert pods.log("loop") == pods.log("loop", "?previous=true") == "try\n"
    pods.delete("loop")


def test_a_command_that_cannot_start_is_tried_again(pods: Pods) -> None:
    pods.run("absent", "", {"command": ["/no/such"]}, restartPolicy="Always")
    pods.until("absent", waits_as("RunContainerError"))
    found = pods.until("absent", waits_as("CrashLoopBackOff"))
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("StartError", 128)
    assert last["message"].endswith('exec: "/no/such": stat /no/such: no such file or directory')
    pods.delete("absent")


def test_init_containers_go_in_order_and_sidecars_stay_until_the_end(pods: Pods) -> None:
    mounts = {"image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    sidecar = "trap 'echo stopped; exit 0' TERM; echo side >> /v/order; while :; do sleep 0.05; done"
    initial = [
        {"name": "one", "command": ["sh", "-c", "echo one >> /v/order"], **mounts},
        {"name": "side", "command": ["sh", "-c", sidecar], "restartPolicy": "Always", **mounts},
        {"name": "two", "command": ["sh", "-c", "until grep -q side /v/order; do sleep 0.02; done; echo two >> "
         "/v/order"], **mounts},
    ]  # fmt: skip
    volumes = [{"name": "v", "emptyDir": {}}]
    pods.run("ordered", "cat /v/order", mounts, initContainers=initial, volumes=volumes)
    found = pods.until("ordered", is_over)
    assert (found["status"]["phase"], pods.log("ordered")) == ("Succeeded", "one\nside\ntwo\n")
    found = pods.api.until(
        f"{PODS}/ordered",
        lambda each: all("terminated" in one["state"] for one in each["status"]["initContainerStatuses"]),
    )
    assert pods.log("ordered", "?container=side") == "stopped\n"


def test_an_init_container_that_fails_fails_the_pod(pods: Pods) -> None:
    initial = [{"name": "one", "image": "x", "command": ["sh", "-c", "exit 4"]}]
    pods.run("uninitialized", "echo never", initContainers=initial)
    found = pods.until("uninitialized", is_over)
    assert found["status"]["phase"] == "Failed"
    assert found["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert waits_as("PodInitializing")(found)


def test_hooks_run_inside_of_their_container(pods: Pods) -> None:
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
    pods.run("hooked", script, container, volumes=[{"name": "v", "emptyDir": {}}])
    pods.until("hooked", is_running)
    with pods.api.open("GET", f"{PODS}/hooked/log?follow=1") as log:
        pods.api.call("DELETE", f"{PODS}/hooked")
        assert log.read() == b"me started\nme stopping\n"
    pods.api.until_gone(f"{PODS}/hooked")


def test_a_failing_post_start_hook_kills_its_container(pods: Pods) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["sh", "-c", "exit 7"]}}}
    pods.run("unhooked", "sleep 1000", {"lifecycle": lifecycle})
    assert pods.end("unhooked")["exitCode"] == 137
    assert "command 'sh -c exit 7' exited with 7" in pods.event("unhooked", "FailedPostStartHook")


def test_a_pod_that_lives_too_long_fails(pods: Pods) -> None:
    pods.run("overdue", "trap 'exit 0' TERM; while :; do sleep 0.05; done", activeDeadlineSeconds=1)
    found = pods.until("overdue", is_over)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["status"]["message"] == "Pod was active on the node longer than the specified deadline"


def test_the_grace_of_a_deletion_can_be_shortened(pods: Pods) -> None:
    pods.run("slow", "trap '' TERM; echo up; while :; do sleep 0.05; done", terminationGracePeriodSeconds=600)
    pods.until("slow", is_running)
    with pods.api.open("GET", f"{PODS}/slow/log?follow=1") as log:
        log.readline()
        began = time.monotonic()
        pods.api.call("DELETE", f"{PODS}/slow")
        pods.api.call("DELETE", f"{PODS}/slow?gracePeriodSeconds=1")
        pods.api.until_gone(f"{PODS}/slow")
    assert 0.9 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("name", "script", "code"),
    [
        ("plain", "exit 42", 42),
        ("signal", "kill -9 $$$$; sleep 5", 137),
        ("term", "sh -c 'kill -15 $$$$'; exit $?", 143),
    ],
)
def test_exit_codes(pods: Pods, name: str, script: str, code: int) -> None:
    if name == "signal" and pods.is_isolated:
        script = "sh -c 'kill -9 $$$$'; exit $?"  # PID 1 of its namespace cannot be killed from inside, as in a cluster
    pods.run(f"code-{name}", script)
    end = pods.end(f"code-{name}")
    assert (end["exitCode"], end["reason"]) == (code, "Error")


@pytest.mark.parametrize(
    ("name", "script", "policy", "expected"),
    [
        ("removed", "rm /dev/termination-log 2>/dev/null; exit 1", "File", ""),
        ("file", "echo why > /dev/termination-log; exit 1", "File", "why\n"),
        ("own", "yes 0123456789 | head -c 9000 > /dev/termination-log; printf end >> /dev/termination-log", "File",
         ("0123456789\n" * 900)[:9000][-4093:] + "end"),
        ("log", "echo said; exit 1", "FallbackToLogsOnError", "said\n"),
        ("both", "echo said; echo why > /dev/termination-log; exit 1", "FallbackToLogsOnError", "why\n"),
        ("good", "echo said", "FallbackToLogsOnError", ""),
        ("long", "seq 1000; exit 1", "FallbackToLogsOnError", "".join(f"{n}\n" for n in range(921, 1001))),
    ],
)  # fmt: skip
def test_termination_messages(pods: Pods, name: str, script: str, policy: str, expected: str) -> None:
    pods.run(f"words-{name}", script, {"terminationMessagePolicy": policy})
    assert pods.end(f"words-{name}").get("message", "") == expected


def test_a_missing_key_is_named_and_waited_for(pods: Pods) -> None:
    pods.api.call("POST", MAPS, {"metadata": {"name": "partial"}, "data": {"a": "1"}})
    variables = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "partial", "key": "a"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "partial", "key": "b"}}},
        {"name": "C", "value": "$(A)-$(B)-$(NOBODY)"},
    ]
    pods.run("keyless", 'echo "$C"', {"env": variables})
    found = pods.until("keyless", waits_as("CreateContainerConfigError"))
    waiting = found["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["message"] == "couldn't find key b in ConfigMap default/partial"
    assert pods.event("keyless", "Failed") == f"Error: {waiting['message']}"
    pods.merge(f"{MAPS}/partial", {"data": {"b": "2"}})
    assert pods.end("keyless")["exitCode"] == 0
    assert pods.log("keyless") == "1-2-$(NOBODY)\n"


def test_a_pod_has_a_name_of_its_own(pods: Pods) -> None:
    aliases = [{"ip": "10.9.8.7", "hostnames": ["elsewhere"]}]
    pods.run("named", "echo $HOSTNAME; hostname; getent hosts elsewhere named | sed 's/ .*//'", hostAliases=aliases)
    pods.end("named")
    inside = ["named", "10.9.8.7", "127.0.0.1"] if pods.is_isolated else [os.uname().nodename]
    assert pods.log("named").split() == ["named", *inside]


def test_a_hook_before_the_stop_takes_no_longer_than_the_grace(pods: Pods) -> None:
    lifecycle = {"preStop": {"sleep": {"seconds": 1000}}}
    pods.run("lingering", "sleep 1000", {"lifecycle": lifecycle}, terminationGracePeriodSeconds=1)
    pods.until("lingering", is_running)
    pods.delete("lingering")


def test_the_first_line_says_what_is_in_force() -> None:
    command = [sys.executable, "-m", "nni", "sandbox", "--isolation", "rewrite", "--", "true"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    ways = r"mount paths by rewrite, memory limits by (cgroups v[12]|watching)\n"
    assert re.fullmatch(rf"sandbox: https://127\.0\.0\.1:\d+, {ways}", said)
