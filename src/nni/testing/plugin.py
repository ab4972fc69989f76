"""Fixtures for pytest: a Kubernetes cluster for the tests of a project.

In its ``conftest.py``::

    pytest_plugins = ["nni.testing.plugin"]

``sandbox`` is a running cluster for the whole session, ``cluster`` the same one made this process's own for one test.
What it is like is said by a fixture that the project may replace::

    @pytest.fixture(scope="session")
    def sandbox_options() -> dict[str, object]:
        return {"nfs": {"10.0.0.1:/data": None}, "gpus": "2"}
"""

from collections.abc import Iterator
from typing import Any

import pytest

from nni.testing.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox_options() -> dict[str, Any]:
    """Give the arguments of ``nni.testing.sandbox.Sandbox``; replace it to have others."""
    return {}


@pytest.fixture(scope="session")
def sandbox(sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a cluster for the session."""
    with Sandbox(**sandbox_options) as running:
        yield running


@pytest.fixture
def cluster(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Give the cluster with ``KUBECONFIG`` and ``NNI_MOUNTS`` set, as ``nni`` and ``kubectl`` look for it."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    return sandbox
