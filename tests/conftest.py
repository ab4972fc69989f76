"""What every test gets: programs that may be absent, and no leaks."""

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import util as importlib_util
from pathlib import Path

import pytest
import pytest_asyncio

from nni.testing.sandbox import Sandbox

EXPORT = "10.20.30.40:/mnt/nfs/nni"


def _runs(*command: str) -> bool:
    """Whether a command is there and works: a version manager may leave a name that does not."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib_util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _may_export() -> bool:
    """Whether this process may open files by their handles, as an NFS server has to."""
    status = Path("/proc/self/status").read_text() if Path("/proc/self/status").exists() else ""
    granted = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(granted, 16) & 1 << 2)


PROGRAMS: dict[str, tuple[Callable[[], bool], str]] = {
    "browser": (
        lambda: Path("/usr/bin/chromium").exists() or shutil.which("chromium") is not None,
        "no Chromium here (apt-get install chromium)",
    ),
    "kubectl": (lambda: shutil.which("kubectl") is not None, "no kubectl on the PATH"),
    "nfs": (
        lambda: shutil.which("ganesha.nfsd") is not None and _may_export(),
        "no NFS server can be run here (apt-get install nfs-ganesha nfs-ganesha-vfs rpcbind libnfs13, as root with "
        "CAP_DAC_READ_SEARCH)",
    ),
    "mount.nfs": (
        lambda: shutil.which("mount.nfs") is not None and _runs("unshare", "--mount", "true"),
        "no mount.nfs here, or no right to mount (apt-get install nfs-common, as root)",
    ),
    "kernel-nfs": (
        lambda: _runs("grep", "-q", "nfs$", "/proc/filesystems") or _runs("modprobe", "nfs"),
        "this machine's kernel has no NFS client",
    ),
    "azure": (
        lambda: all(map(_is_installed, ("azure.storage.fileshare", "azure.keyvault.secrets", "azure.identity"))),
        "no Azure SDK (pip install 'nni-kubeflow[azure]')",
    ),
    "torch": (
        lambda: importlib_util.find_spec("torch") is not None,
        "no PyTorch (pip install -r requirements/torch.txt)",
    ),
    "python3.8": (
        lambda: _runs("python3.8", "-c", ""),
        "no python3.8 on the PATH",
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = {"unit": 0, "contract": 1, "compat": 2, "typing": 3, "cluster": 4, "e2e": 5, "browser": 6}
    items.sort(key=lambda item: order.get(item.nodeid.split("/")[1], 9))
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("NNI_TEST_REQUIRE", "").split(",")
    for marker in item.iter_markers("requires"):
        for program in marker.args:
            is_here, reason = PROGRAMS[program]
            if is_here():
                continue
            if program in required:
                pytest.fail(f"NNI_TEST_REQUIRE names {program}, but: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread of its own behind."""
    before = set(threading.enumerate())
    yield
    left = [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.is_alive() and not thread.daemon and not thread.name.startswith("asyncio_")
    ]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread for thread in left if thread.is_alive()]


@pytest_asyncio.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test that leaves an asyncio task running."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> None:
    """Watch the tasks of asynchronous tests; the others have none."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("no_leaked_tasks")


@pytest.fixture(scope="session")
def new_port() -> Callable[[], int]:
    """Gives ports that are free, and so is the next one of each."""

    def find() -> int:
        while True:
            # Below those that the system gives to connections, which would take them in the meantime.
            number = random.randrange(10_000, 32_000)
            with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
                first.bind(("127.0.0.1", number))
                second.bind(("127.0.0.1", number + 1))
                return number

    return find


@pytest.fixture
def free_port(new_port: Callable[[], int]) -> int:
    """A port that is free, and so is the next one."""
    return new_port()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests that need a cluster and change nothing about it."""
    with Sandbox(nfs={EXPORT: None}, environment={"OMP_NUM_THREADS": "1"}) as running:
        yield running


@pytest.fixture
def cluster(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """The sandbox, as this process's cluster; a home of the test's own."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return sandbox
