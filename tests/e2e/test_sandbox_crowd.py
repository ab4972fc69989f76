"""Many pods that live and die in every way at once leave nothing behind, and nothing to complain about."""

import pathlib
import random
from typing import Any

import pytest

from nni.testing import sandbox
from pods import PODS

SCRIPTS = (
    "true",
    "exit 3",
    "sleep 4323",
    "trap '' TERM; sleep 4323",
    "(setsid sleep 4323 &); sleep 0.2",
    "python3 -c 'held = [bytes(10**8 - 1) + b\"x\" for _ in range(9)]'",
)
HOOKS = ("true", "exit 1", "(sleep 4323 &)", "sleep 4323")


def container(choose: random.Random) -> dict[str, Any]:
    def hook(*scripts: str) -> dict[str, Any]:
        return {"exec": {"command": ["sh", "-c", choose.choice(scripts)]}}

    limits = {"limits": {"memory": "300Mi"}}
    made = {"name": "main", "image": "x", "command": ["sh", "-c", choose.choice(SCRIPTS)], "resources": limits}
    if choose.random() < 0.4:
        made["lifecycle"] = {"postStart": hook(*HOOKS[:3]), "preStop": hook(*HOOKS)}
    return made


def pod(choose: random.Random, name: str) -> dict[str, Any]:
    policy = choose.choice(("Never", "OnFailure", "Always"))
    spec = {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [container(choose)]}
    if choose.random() < 0.3:
        spec["initContainers"] = [
            {"name": "side", "image": "x", "command": ["sleep", "4323"], "restartPolicy": "Always"}
        ]
    if choose.random() < 0.2:
        spec["activeDeadlineSeconds"] = 1
    return {"metadata": {"name": name}, "spec": spec}


def sleepers() -> int:
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes() == b"sleep\x004323\x00"
        except OSError:
            continue  # it has just ended
    return found


@pytest.mark.parametrize("isolation", ["namespaces", "rewrite"])
def test_a_crowd_leaves_nothing_behind(isolation: str, capfd: pytest.CaptureFixture[str]) -> None:
    choose = random.Random(7)
    with sandbox.Sandbox(isolation=isolation) as running:
        api = sandbox.Connection(running)
        names = [f"p{index}" for index in range(30)]
        for name in names:
            assert api.call("POST", PODS, pod(choose, name))[0] == 201
            if choose.random() < 0.5:
                grace = choose.choice(("", "?gracePeriodSeconds=0"))
                api.call("DELETE", f"{PODS}/{names[choose.randrange(names.index(name) + 1)]}{grace}")
        for name in names:
            api.call("DELETE", f"{PODS}/{name}")
        for name in names:
            api.until_gone(f"{PODS}/{name}", timeout=30)
    assert sleepers() == 0
    assert not running.kubeconfig.parent.exists()
    assert capfd.readouterr() == ("", "")
