"""One sandbox for all end-to-end tests, and experiments that run on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nni.testing.sandbox import Sandbox

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
