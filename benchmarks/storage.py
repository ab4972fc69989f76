"""What it costs to bring code to trials: one bundle for the experiment, against a copy of the tree for each trial.

For each volume that this machine can serve on loopback (a directory, NFS without a mount, Azure Files' double, the
manager's own), and two code directories (1,000 files of 2 KiB; one file of 200 MiB that cannot be compressed):

- pack: the code directory to a bundle, once for an experiment;
- upload: the bundle and the runtime to the volume, once for an experiment;
- prepare: what is written for each trial beside it;
- fetch: the bundle from the volume to the pod's directory, unpacked, in each pod;
- copy: all files of the tree one by one, for each trial, eight at a time, on the same volume.

Runs as ``python -m benchmarks.storage``.
"""

import asyncio
import contextlib
import dataclasses
import functools
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from nni.core import event, model, ports, spec
from nni.manager.files import Files
from nni.runtime import archive, post, remote
from nni.runtime import bundle as unpacking
from nni.server import exchange, intake, listen
from nni.storage import azure_access, bundle, kept, mounted, nfs_direct
from nni.testing import azure as azure_testing
from nni.testing import nfs as nfs_testing
from nni.wire import intake as wire_intake
from nni.wire import layout

PREPARED = 50
AT_ONCE = 8
MANAGERS = "the manager's own"
EXPERIMENT = model.ExperimentId("bench")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    count: int
    size: int

    def write(self, directory: Path) -> None:
        for number in range(self.count):
            path = directory / f"package{number % 20:02}" / f"module{number:04}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(self.size))


CASES = (Case("1,000 files of 2 KiB", 1000, 2048), Case("1 file of 200 MiB", 1, 200 << 20))


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


@dataclasses.dataclass(frozen=True)
class Backend:
    name: str
    volume: ports.Volume
    is_managers: bool = False
    """Whether pods fetch from the manager."""


async def measure(backend: Backend, case: Case, place: Path) -> None:
    volume = backend.volume
    code = place / "code"
    case.write(code)
    start = time.perf_counter()
    packed = await bundle.build(code)
    pack = time.perf_counter() - start
    files = Files(
        volume=volume,
        experiment_id=EXPERIMENT,
        roles=[spec.RoleSpec(name="master", replicas=1, command="python3 train.py", code_directory=str(code))],
        bundles={str(code): packed},
        runtime=archive.build(),
        url=str,
    )
    upload = await timed(files.upload)
    prepared = [await timed(functools.partial(prepare, files, number)) for number in range(PREPARED)]
    async with contextlib.AsyncExitStack() as stack:
        pod = place / "pod"
        source = await stack.enter_async_context(intake_of(files, backend.volume)) if backend.is_managers else None
        fetch = await timed(lambda: fetched(volume, packed, pod) if source is None else fetched_by_http(source, pod))
    copy = await timed(lambda: copied(volume, code))
    columns = [
        f"{pack:8.2f} s",
        f"{upload:8.2f} s",
        f"{1000 * statistics.median(prepared):8.1f} ms",
        f"{fetch:8.2f} s",
        f"{copy:8.2f} s",
        f"{copy / statistics.median(prepared):8.0f}x",
    ]
    print(f"{backend.name:<22} {case.name:<22} {' '.join(columns)}", flush=True)
    await volume.delete("nni")
    await volume.delete("copy")
    shutil.rmtree(place)


async def prepare(files: Files, number: int) -> None:
    attempt = model.AttemptKey(model.TrialId(f"t{number:04}"), 1)
    await files.prepare(model.JobOrder(attempt=attempt, sequence=number, slot=number), number, {"x": number})


async def fetched(volume: ports.Volume, packed: bundle.Bundle, pod: Path) -> None:
    content = await volume.read(layout.bundle(EXPERIMENT, packed.digest))
    await asyncio.to_thread(_unpack, content, pod)


@contextlib.asynccontextmanager
async def intake_of(files: Files, volume: ports.Volume) -> AsyncIterator[str]:
    """Serve what the manager serves to pods."""
    assert isinstance(volume, kept.KeptVolume)

    async def accept(reported: event.ReplicaReported) -> int:
        return 0

    app = intake.make_app(
        experiment_id=EXPERIMENT,
        verify=lambda attempt, token: True,
        accept=accept,
        files=exchange.Exchange(experiment_id=EXPERIMENT, volume=volume, needs=files.needs, limit=1 << 40),
    )
    async with listen.serve(app, listen.bind("127.0.0.1", 0)) as port:
        yield f"http://127.0.0.1:{port}"


async def fetched_by_http(url: str, pod: Path) -> None:
    def fetch() -> None:
        path = wire_intake.path(EXPERIMENT, "t0000", 1, "master", 0)
        client = remote.Remote(post.Post(url, path, "token", ""))
        for needed in client.needed():
            client.fetch(needed, str(pod / needed.path))
            if needed.path.endswith(".tar.gz"):
                (pod / "work").mkdir()
                unpacking.unpack(str(pod / needed.path), str(pod / "work"))
        client.close()

    await asyncio.to_thread(fetch)


def _unpack(content: bytes, pod: Path) -> None:
    (pod / "work").mkdir(parents=True)
    (pod / "bundle").write_bytes(content)
    unpacking.unpack(str(pod / "bundle"), str(pod / "work"))


async def copied(volume: ports.Volume, code: Path) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(path: Path) -> None:
        async with turns:
            await volume.put(f"copy/{path.relative_to(code)}", await asyncio.to_thread(path.read_bytes))

    async with asyncio.TaskGroup() as tasks:
        for path in _files(code):
            tasks.create_task(one(path))


def _files(code: Path) -> list[Path]:
    return sorted(path for path in code.rglob("*") if path.is_file())


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory that nobody, whom an NFS server works as, may enter and write."""
    with tempfile.TemporaryDirectory(prefix="nni-bench-") as made:
        top = Path(made)
        top.chmod(0o755)
        (top / "volume").mkdir()
        (top / "volume").chmod(0o777)
        yield top


@contextlib.asynccontextmanager
async def over_nfs(top: Path) -> AsyncIterator[ports.Volume]:
    with nfs_testing.NfsServer({"/bench": nfs_testing.Export(top / "volume")}) as server:
        volume = nfs_direct.NfsVolume(
            nfs_direct.connector(nfs_testing.HOST, "/bench", server.ports), "the benchmark's export"
        )
        await volume.test()
        yield volume
        await volume.close()


@contextlib.asynccontextmanager
async def over_azure(top: Path) -> AsyncIterator[ports.Volume]:
    command = [sys.executable, "-m", "nni.testing.azure", str(top / "volume")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        storage = spec.AzureSpec(account=azure_testing.ACCOUNT, share="bench", endpoint=endpoint)
        volume = await azure_access.volume(storage, azure_testing.KEY)
        yield volume
        await volume.close()
        process.communicate()


@contextlib.asynccontextmanager
async def ready(volume: ports.Volume) -> AsyncIterator[ports.Volume]:
    yield volume


def volumes(top: Path) -> Iterator[tuple[str, contextlib.AbstractAsyncContextManager[ports.Volume]]]:
    """Yield what this machine can serve."""
    yield "directory", ready(mounted.MountedVolume(top / "volume"))
    yield MANAGERS, ready(kept.KeptVolume(top / "volume"))
    if shutil.which("ganesha.nfsd") and os.geteuid() == 0:
        yield "NFSv3 through libnfs", over_nfs(top)
    else:
        print("NFS is left out: no ganesha.nfsd, or not root")
    if importlib.util.find_spec("azure") and importlib.util.find_spec("azure.storage.fileshare"):
        yield "Azure Files (double)", over_azure(top)
    else:
        print("Azure Files are left out: pip install 'nni-kubeflow[azure]'")


async def main() -> None:
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    head = " ".join(f"{word:>10}" for word in ("pack", "upload", "prepare", "fetch", "copy", "copy/prep"))
    print(f"{'volume':<22} {'code':<22} {head}")
    with directory() as top:
        for name, opening in volumes(top):
            async with opening as volume:
                for case in CASES:
                    await measure(Backend(name, volume, name == MANAGERS), case, top / "case")


if __name__ == "__main__":
    asyncio.run(main())
