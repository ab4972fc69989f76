"""What a look at a claim costs that is not mounted where the manager is: through a porter, a pod of the sandbox.

- from the question to the first answer, the pod's start included;
- a directory of 1,000 files, listed as the portal does;
- a file of 200 MiB, read as a download does;
- all of it as an archive.

Run with ``python -m benchmarks porter``. A longer way between pod and manager costs a round trip for each MiB of a
file, and one for every 32 names of a directory.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from kubernetes import client as official
from kubernetes import config

from nni.core import model, ports, spec
from nni.manager import doors, porter, volumes
from nni.platforms.kubeflow import client
from nni.platforms.kubeflow import porter as platform_porter
from nni.server import listen, shelf
from nni.server import porter as server_porter
from nni.testing.sandbox import Sandbox

EXPERIMENT = model.ExperimentId("bench")
CLAIM = spec.PvcSpec(claim_name="bench", sub_path="")
NAMES = 1000
MIB = 200


def claim(sandbox: Sandbox) -> Path:
    """Make a claim and return the directory behind it."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    with config.new_client_from_config(str(sandbox.kubeconfig)) as api:
        body = {"metadata": {"name": CLAIM.claim_name}, "spec": wanted}
        made = official.CoreV1Api(api).create_namespaced_persistent_volume_claim("default", body)
    return Path(sandbox.kubeconfig.parent, "claims", made.metadata.uid)


@contextlib.asynccontextmanager
async def carried(sandbox: Sandbox) -> AsyncIterator[ports.Volume]:
    """Hold the claim by a porter on call."""
    role = spec.RoleSpec(name="master", replicas=1, command="", code_directory="/code", image="any")
    connection = client.connect({"KUBECONFIG": str(sandbox.kubeconfig)}, "default")
    with contextlib.closing(connection), contextlib.closing(listen.bind("127.0.0.1", 0)) as socket:
        its = porter.make(
            connection,
            experiment_id=EXPERIMENT,
            role=platform_porter.role(role),
            claim=CLAIM,
            side=volumes.pod_side(CLAIM, EXPERIMENT, {}),
            door=doors.Door(f"http://127.0.0.1:{socket.getsockname()[1]}"),
        )
        async with listen.serve(server_porter.make_app(its.door), socket), its.on_call():
            yield its.volume


async def measure(volume: ports.Volume) -> None:
    """Print what each look takes."""
    place = shelf.Shelf(volume, f"nni/{EXPERIMENT}")
    start = time.perf_counter()
    await place.stat("")
    print(f"first answer          {time.perf_counter() - start:8.2f} s")
    start = time.perf_counter()
    listed, _ = await place.entries("many")
    print(f"{len(listed):,} names           {time.perf_counter() - start:8.2f} s")
    known = await place.stat("large")
    assert known is not None
    start, size = time.perf_counter(), 0
    async for part in place.content("large", known, 0, known.size):
        size += len(part)
    print(f"{size >> 20} MiB               {size / 1e6 / (time.perf_counter() - start):8.0f} MB/s")
    start, size = time.perf_counter(), 0
    async for part in place.tar("bench"):
        size += len(part)
    print(f"archive of {size >> 20} MiB    {time.perf_counter() - start:8.2f} s")


async def main() -> None:
    """Fill a claim and look at it."""
    with Sandbox() as sandbox:
        place = claim(sandbox) / "nni" / EXPERIMENT
        (place / "many").mkdir(parents=True)
        for number in range(NAMES):
            (place / "many" / f"file{number:04}").write_bytes(b"x" * 100)
        (place / "large").write_bytes(os.urandom(1 << 20) * MIB)
        async with carried(sandbox) as volume:
            await measure(volume)


if __name__ == "__main__":
    asyncio.run(main())
