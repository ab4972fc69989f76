"""What it costs to bring code to trials: one bundle for the experiment, against a plain copy of the tree per trial.

For each volume that this machine can serve on loopback, and two code directories (1,000 files of 2 KiB; one file of
200 MiB that cannot be compressed):

- pack, upload: once for an experiment, the code directory to a bundle, and this with the runtime to the volume;
- prepare: what the manager writes on the volume for each trial beside them;
- fetch: what each pod does: the bundle from the volume, unpacked to its own directory;
- copy: what the manager would do for each trial with nothing of ours (see ``benchmarks.plain_copies``);
- read: what the pod would do then: read each file of the copy once, where it lies.

Three ratios: the manager's work, copy / prepare; all that comes before a trial's command, copy / (prepare + fetch), as
if its pod read nothing of its copy; and (copy + read) / (prepare + fetch), as if it read each file once. Where pods
share nothing with the manager there is no plain way. Pods' sides of NFS and of Azure Files go by libnfs and by the SDK
here, in place of mounts by the kernel. Each figure is a median.

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

from benchmarks import plain_copies
from benchmarks.porter import claim
from nni.core import event, model, ports, spec
from nni.manager import volumes
from nni.manager.files import Files
from nni.platforms.kubeflow import client
from nni.runtime import archive, post, remote
from nni.runtime import bundle as unpacking
from nni.server import exchange, intake, listen
from nni.storage import azure_access, bundle, kept, mounted, nfs_direct
from nni.testing import azure as azure_testing
from nni.testing import nfs as nfs_testing
from nni.testing.sandbox import Sandbox
from nni.wire import intake as wire_intake
from nni.wire import layout

PREPARED = 50
ROUNDS = 5
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


Fetch = Callable[[Files, bundle.Bundle, Path], Awaitable[None]]
"""Brings the bundle to a pod's directory, which is empty."""


@dataclasses.dataclass(frozen=True)
class Backend:
    name: str
    volume: ports.Volume
    fetch: Fetch
    plain: plain_copies.Plain | None


@dataclasses.dataclass
class Taken:
    """Seconds, of each round."""

    fetch: list[float] = dataclasses.field(default_factory=list)
    copy: list[float] = dataclasses.field(default_factory=list)
    read: list[float] = dataclasses.field(default_factory=list)


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
    prepare_once = statistics.median([await timed(functools.partial(prepare, files, each)) for each in range(PREPARED)])
    taken = Taken()
    for _ in range(ROUNDS):
        # One after the other, so that all have the same share of whatever else this machine does.
        await one_round(backend, files, packed, place, taken)
    fetch, copy, read = (statistics.median(values or [0.0]) for values in (taken.fetch, taken.copy, taken.read))
    columns = [f"{pack:.2f} s", f"{upload:.2f} s", f"{1000 * prepare_once:.1f} ms", f"{fetch:.3f} s"]
    if backend.plain is None:
        columns += ["", "", "", "", ""]
    else:
        ours = prepare_once + fetch
        ratios = (copy / prepare_once, copy / ours, (copy + read) / ours)
        columns += [
            f"{copy:.3f} s",
            f"{read:.3f} s",
            *(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}" for ratio in ratios),
        ]
    print(f"| {backend.name} | {case.name} | {' | '.join(columns)} |", flush=True)
    await volume.delete("nni")
    shutil.rmtree(place)


async def one_round(backend: Backend, files: Files, packed: bundle.Bundle, place: Path, taken: Taken) -> None:
    pod, code, plain, name = place / "pod", place / "code", backend.plain, f"copy{len(taken.fetch)}"
    (pod / "work").mkdir(parents=True)
    taken.fetch.append(await timed(lambda: backend.fetch(files, packed, pod)))
    assert sum(path.stat().st_size for path in (pod / "work").rglob("*") if path.is_file()) == packed.size
    shutil.rmtree(pod)
    if plain is not None:
        taken.copy.append(await timed(lambda: plain.copy(code, name)))
        taken.read.append(await timed(lambda: plain.read(code, name)))
        await backend.volume.delete(name)


async def prepare(files: Files, number: int) -> None:
    attempt = model.AttemptKey(model.TrialId(f"t{number:04}"), 1)
    await files.prepare(model.JobOrder(attempt=attempt, sequence=number, slot=number), number, {"x": number})


def from_directory(root: Path) -> Fetch:
    """Return what unpacks the bundle from where a pod has the volume mounted."""

    async def fetch(files: Files, packed: bundle.Bundle, pod: Path) -> None:
        path = root / layout.bundle(EXPERIMENT, packed.digest)
        await asyncio.to_thread(unpacking.unpack, str(path), str(pod / "work"))

    return fetch


async def from_volume(files: Files, packed: bundle.Bundle, pod: Path) -> None:
    """Read the bundle by the manager's client, where no kernel can mount the volume here."""
    content = await files.volume.read(layout.bundle(EXPERIMENT, packed.digest))

    def unpack() -> None:
        (pod / "bundle").write_bytes(content)
        unpacking.unpack(str(pod / "bundle"), str(pod / "work"))

    await asyncio.to_thread(unpack)


async def from_manager(files: Files, packed: bundle.Bundle, pod: Path) -> None:
    """Fetch the bundle and the runtime as a pod does."""
    async with intake_of(files, files.volume) as url:
        await fetched_by_http(url, pod)


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
                unpacking.unpack(str(pod / needed.path), str(pod / "work"))
        client.close()

    await asyncio.to_thread(fetch)


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
async def on_directory(top: Path) -> AsyncIterator[Backend]:
    root = top / "volume"
    yield Backend("directory", mounted.MountedVolume(root), from_directory(root), plain_copies.InDirectory(root))


@contextlib.asynccontextmanager
async def over_nfs(top: Path) -> AsyncIterator[Backend]:
    with nfs_testing.NfsServer({"/bench": nfs_testing.Export(top / "volume")}) as server:
        volume = nfs_direct.NfsVolume(
            nfs_direct.connector(nfs_testing.HOST, "/bench", server.ports), "the benchmark's export"
        )
        await volume.test()
        async with plain_copies.over_nfs(server, "/bench") as plain:
            yield Backend("NFSv3 through libnfs", volume, from_volume, plain)
        await volume.close()


@contextlib.asynccontextmanager
async def on_azure(top: Path) -> AsyncIterator[Backend]:
    command = [sys.executable, "-m", "nni.testing.azure", str(top / "volume")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        storage = spec.AzureSpec(account=azure_testing.ACCOUNT, share="bench", endpoint=endpoint)
        volume = await azure_access.volume(storage, azure_testing.KEY)
        async with plain_copies.on_azure(storage) as plain:
            yield Backend("Azure Files (double)", volume, from_volume, plain)
        await volume.close()
        process.communicate()


def claimed(is_mounted: bool) -> Callable[[Path], contextlib.AbstractAsyncContextManager[Backend]]:
    """Return what holds a claim of a sandbox that the manager has mounted, or has not."""

    @contextlib.asynccontextmanager
    async def hold(top: Path) -> AsyncIterator[Backend]:
        with Sandbox() as sandbox:
            root = claim(sandbox)
            root.mkdir(parents=True, exist_ok=True)
            storage = spec.PvcSpec(claim_name="bench", sub_path="", mount_path=str(root) if is_mounted else None)
            asked = volumes.Asked(
                environment={},
                directory=top / "experiment",
                experiment_id=EXPERIMENT,
                connect=lambda: client.connect({"KUBECONFIG": str(sandbox.kubeconfig)}, "default"),
            )
            backing = await volumes.back(storage, asked)
            if is_mounted:
                yield Backend("claim, mounted", backing.volume, from_directory(root), plain_copies.InDirectory(root))
            else:
                yield Backend("claim, mounted nowhere", backing.volume, from_manager, None)
            await backing.close()

    return hold


@contextlib.asynccontextmanager
async def with_manager(top: Path) -> AsyncIterator[Backend]:
    yield Backend("the manager's own", kept.KeptVolume(top / "volume"), from_manager, None)


def backends() -> Iterator[Callable[[Path], contextlib.AbstractAsyncContextManager[Backend]]]:
    """Yield what this machine can serve."""
    yield on_directory
    if shutil.which("ganesha.nfsd") and os.geteuid() == 0:
        yield over_nfs
    else:
        print("NFS is left out: no ganesha.nfsd, or not root")
    if importlib.util.find_spec("azure") and importlib.util.find_spec("azure.storage.fileshare"):
        yield on_azure
    else:
        print("Azure Files are left out: pip install 'nni-kubeflow[azure]'")
    yield claimed(is_mounted=True)
    yield claimed(is_mounted=False)
    yield with_manager


HEAD = (
    "volume", "code", "pack", "upload", "prepare", "fetch", "copy", "read",
    "copy / prepare", "copy / (prepare + fetch)", "(copy + read) / (prepare + fetch)",
)  # fmt: skip


def load() -> str:
    """Return what else the machine does."""
    return f"load averages {', '.join(f'{one:.2f}' for one in os.getloadavg())}"


async def main() -> None:
    print(f"{load()} on {os.cpu_count()} processors, Python {sys.version.split()[0]}\n")
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for opening in backends():
        with directory() as top:
            async with opening(top) as backend:
                for case in CASES:
                    await measure(backend, case, top / "case")
    print(f"\n{load()}")


if __name__ == "__main__":
    asyncio.run(main())
