"""Pods of the sandbox as tests see them, and sandboxes of every kind of isolation."""

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nni import errors
from nni.testing import sandbox

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
EXPORT = "10.0.0.1:/data"
SHARE = "training"
_EVENTS = "/api/v1/namespaces/default/events"
_UNPRIVILEGED = """\
#!/bin/sh
# A user without rights, and control groups that cannot be written, as in most containers.
exec unshare --mount sh -c 'mount -t tmpfs -o ro none /sys/fs/cgroup &&
  exec unshare --user --map-user=1000 --map-group=1000 "$0" "$@"' PYTHON "$@"
"""
Look = Callable[[dict[str, Any]], bool]


class Pods:
    """The pods of a sandbox's default namespace."""

    def __init__(self, running: sandbox.Sandbox) -> None:
        self.sandbox = running
        self.api = sandbox.Connection(running)

    @property
    def is_isolated(self) -> bool:
        """Whether they have mounts of their own; else their paths are rewritten."""
        return self.sandbox.isolation == "namespaces"

    def run(self, name: str, script: str, container: Any = None, **spec: Any) -> None:
        """Create a pod whose one container, ``main``, runs a shell script; ``container`` and ``spec`` add to it."""
        main = {"name": "main", "image": "x", "command": ["sh", "-c", script], **(container or {})}
        body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [main], **spec}}
        code, answer = self.api.call("POST", PODS, body)
        assert code == 201, answer

    def until(self, name: str, is_done: Look) -> dict[str, Any]:
        """Wait until something holds for a pod, and return it as it then is."""
        return self.api.until(f"{PODS}/{name}", is_done)

    def end(self, name: str) -> dict[str, Any]:
        """Wait for a pod's end and return how its first container has ended."""
        found = self.until(name, is_over)
        return dict(found["status"]["containerStatuses"][0]["state"]["terminated"])

    def delete(self, name: str) -> None:
        """Delete a pod and wait until it is gone."""
        self.api.call("DELETE", f"{PODS}/{name}")
        self.api.until_gone(f"{PODS}/{name}")

    def log(self, name: str, query: str = "") -> str:
        """Return a log."""
        with self.api.open("GET", f"{PODS}/{name}/log{query}") as answer:
            return answer.read().decode()

    def event(self, name: str, reason: str) -> str:
        """Wait for an event about a pod and return its message."""
        path = f"{_EVENTS}?watch=1&timeoutSeconds=15&fieldSelector=involvedObject.name%3D{name}"
        for event in self.api.watch(path):
            if event["object"]["reason"] == reason:
                return str(event["object"]["message"])
        raise TimeoutError(f"{name} has no event {reason}")

    def merge(self, path: str, patch: dict[str, Any]) -> None:
        """Apply a merge patch."""
        self.api.call("PATCH", path, patch, **{"Content-Type": "application/merge-patch+json"})


def is_over(found: dict[str, Any]) -> bool:
    """Say whether a pod has ended."""
    return found["status"].get("phase") in ("Succeeded", "Failed")


def is_running(found: dict[str, Any]) -> bool:
    """Say whether a pod runs."""
    return bool(found["status"].get("phase") == "Running")


def waits_as(reason: str) -> Look:
    """Look for a container that waits for a reason."""

    def look(found: dict[str, Any]) -> bool:
        states = found["status"].get("containerStatuses", [])
        return any(each["state"].get("waiting", {}).get("reason") == reason for each in states)

    return look


@contextlib.contextmanager
def isolated(kind: str, folder: pathlib.Path) -> Iterator[Pods]:
    """Run a sandbox; skip the test, with the reason, where this machine refuses that kind.

    Args:
        kind: ``namespaces`` is root with control groups (or whoever runs the tests), ``unprivileged`` a user who may
            make namespaces and no more, ``rewrite`` one who may do nothing at all.
        folder: For a file that starts it.
    """
    with pytest.MonkeyPatch.context() as patch:
        if kind != "namespaces" and os.getuid() == 0:
            patch.setattr(sys, "executable", _unprivileged(folder))
        isolation = "rewrite" if kind == "rewrite" else "namespaces"
        made = sandbox.Sandbox(
            nfs={EXPORT: None}, shares={SHARE: None}, isolation=isolation, environment={"OMP_NUM_THREADS": "1"}
        )
        try:
            made.__enter__()
        except errors.SandboxError as error:
            pytest.skip(f"{kind}: {error}")
    try:
        yield Pods(made)
    finally:
        made.__exit__()


def _unprivileged(folder: pathlib.Path) -> str:
    wrapper = folder / "python"
    wrapper.write_text(_UNPRIVILEGED.replace("PYTHON", sys.executable))
    wrapper.chmod(0o755)
    tried = subprocess.run([wrapper, "-c", ""], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine makes no user without rights: {tried.stderr.strip()}")
    return str(wrapper)
