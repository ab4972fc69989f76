"""One sandbox for all end-to-end tests, and experiments that run on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nni.testing.sandbox import Sandbox
from pods import Pods, isolated

EXPORT = "10.20.30.40:/mnt/nfs/nni"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(nfs={EXPORT: None}, environment={"OMP_NUM_THREADS": "1"}) as running:
        yield running


@pytest.fixture
def cluster(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """The sandbox, as this process's cluster; a home of the test's own."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return sandbox


@pytest.fixture(scope="session", params=["namespaces", "unprivileged", "rewrite"])
def pods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Pods in each kind of isolation."""
    with isolated(request.param, tmp_path_factory.mktemp("isolated")) as running:
        yield running
