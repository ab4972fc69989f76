"""Whole experiments in tests: waiting for what they do, and looking for what they left."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nni.experiment.experiment import Experiment
from nni.testing import sandbox

_KINDS = (
    "apis/kubeflow.org/v1/namespaces/default/pytorchjobs",
    "apis/kubeflow.org/v1/namespaces/default/tfjobs",
    "apis/batch/v1/namespaces/default/jobs",
    "apis/trainer.kubeflow.org/v1alpha1/namespaces/default/trainjobs",
    "apis/trainer.kubeflow.org/v1alpha1/namespaces/default/trainingruntimes",
    "api/v1/namespaces/default/pods",
    "api/v1/namespaces/default/secrets",
)


def until(experiment: Experiment, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Follow an experiment's events until one fits, and return that one.

    Raises:
        AssertionError: The experiment ended before.
    """
    for change in experiment._connected.events():  # noqa: SLF001 the stream is for the portal, and for tests
        if is_so(dict(change)):
            return dict(change)
    raise AssertionError(f"experiment {experiment.id} ended before it came to that")


def objects_left(running: sandbox.Sandbox) -> list[str]:
    """Return the objects of ours that are on a sandbox."""
    api = sandbox.Connection(running)
    found = []
    for kind in _KINDS:
        code, answer = api.call("GET", f"/{kind}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dnni-kubeflow")
        if code == 200:
            found += [f"{answer['kind'].removesuffix('List')} {one['metadata']['name']}" for one in answer["items"]]
    return found


def processes_of(experiment_id: str) -> list[str]:
    """Return the command lines of processes that have an experiment's id in their environment or arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if experiment_id.encode() in text:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def gone(experiment_id: str, *, seconds: float) -> bool:
    """Return whether no process of an experiment is left, or none within so many seconds."""
    end = time.monotonic() + seconds
    while processes_of(experiment_id):
        if time.monotonic() > end:
            return False
        # There is nothing to wait for: they are no children of ours.
        time.sleep(0.1)
    return True
