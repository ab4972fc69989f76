"""What the sandbox bears, seen from outside: pods that are played, at a concurrency, and plain requests.

- from the start of the process to the line that says what is served;
- requests per second over one connection and over eight, while nothing else happens;
- 5,000 PyTorchJobs, 500 at a time, one pod each, that live for about 2 s and report 5 metrics and a final one;
- the sandbox's CPU time and memory for them.

Run with ``python -m benchmarks sandbox``; ``PODS`` and ``CONCURRENT`` change the numbers.
"""

import asyncio
import base64
import json
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from nni.wire import intake

PODS = int(os.environ.get("PODS", "5000"))
CONCURRENT = int(os.environ.get("CONCURRENT", "500"))
REQUESTS = 2000
CORE = "/api/v1/namespaces/default"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
TOKEN = "word"
METRICS = 6


class Intake:
    """Takes what trials report."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.ends = 0

    async def take(self, request: web.BaseRequest) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        batch = intake.decode(await request.read())
        known = max([self.known.get(request.path, 0), *(metric.number for metric in batch.metrics)])
        self.known[request.path] = known
        self.ends += batch.exit is not None
        return web.Response(body=intake.encode_answer(known))


class Cluster:
    """A sandbox that plays its pods, and a connection to it."""

    def __init__(self, process: asyncio.subprocess.Process, described: dict[str, Any]) -> None:
        self.process = process
        self.url = described["url"]
        entry = json.loads(Path(described["kubeconfig"]).read_text())
        authority = base64.b64decode(entry["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        self.headers = {"Authorization": f"Bearer {entry['users'][0]['user']['token']}"}

    def connect(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=self.tls)
        return aiohttp.ClientSession(self.url, headers=self.headers, connector=connector)

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """In MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


class Flow:
    """Creates jobs, so many at a time, until all have ended."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._room = asyncio.Semaphore(CONCURRENT)
        self._over: set[str] = set()
        self._all_over = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            for index in range(PODS):
                await self._room.acquire()
                group.create_task(self._create(index))
            await self._all_over.wait()
            watching.cancel()

    async def _create(self, index: int) -> None:
        async with self._session.post(JOBS, json=job(f"trial-{index}", self._url)) as answer:
            assert answer.status == 201, await answer.text()

    async def _watch(self) -> None:
        limit = aiohttp.ClientTimeout(total=None)
        async with self._session.get(JOBS, params={"watch": "1"}, timeout=limit, read_bufsize=1 << 22) as answer:
            async for line in answer.content:
                found = json.loads(line)["object"]
                name = found["metadata"]["name"]
                ended = [each for each in found.get("status", {}).get("conditions", []) if each["status"] == "True"]
                if name not in self._over and any(each["type"] in ("Succeeded", "Failed") for each in ended):
                    self._over.add(name)
                    self._room.release()
                    if len(self._over) == PODS:
                        self._all_over.set()


def job(name: str, url: str) -> dict[str, Any]:
    plain = {
        "NNI_INTAKE_URL": url, "NNI_EXP_ID": "bench", "NNI_TRIAL_JOB_ID": name, "NNI_TRIAL_ATTEMPT": "1",
        "NNI_ROLE": "master",
    }  # fmt: skip
    variables: list[dict[str, Any]] = [{"name": key, "value": value} for key, value in plain.items()]
    variables.append({"name": "NNI_TRIAL_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "t"}}})
    container = {"name": "pytorch", "image": "x", "command": ["true"], "env": variables}
    replica = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [container]}}}
    spec = {"runPolicy": {"cleanPodPolicy": "Running"}, "pytorchReplicaSpecs": {"Master": replica}}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name}, "spec": spec}


async def started() -> tuple[Cluster, float]:
    """Start a sandbox; return it and the seconds that it took."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nni", "sandbox", "--simulate", "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    described = json.loads(await process.stdout.readline())
    return Cluster(process, described), time.monotonic() - began


async def requests_per_second(cluster: Cluster, connections: int) -> float:
    """Read one object again and again."""
    async with cluster.connect(connections) as session:

        async def read(count: int) -> None:
            for _ in range(count):
                async with session.get(f"{CORE}/secrets/tokens") as answer:
                    assert answer.status == 200
                    await answer.read()

        await read(10)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(read(REQUESTS // connections))
        return REQUESTS / (time.monotonic() - began)


async def play(cluster: Cluster) -> None:
    taken = Intake()
    runner = web.ServerRunner(web.Server(taken.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    cpu, began = cluster.cpu(), time.monotonic()
    try:
        async with cluster.connect(16) as session:
            await Flow(session, url).run()
        seconds = time.monotonic() - began
    finally:
        await runner.cleanup()
    got = sum(taken.known.values())
    print(f"{PODS} pods, {CONCURRENT} at a time: {seconds:.1f} s, {PODS / seconds:.0f} pods a second")
    print(f"metrics that arrived: {got} of {PODS * METRICS}; ends: {taken.ends} of {PODS}")
    print(f"the sandbox's CPU: {cluster.cpu() - cpu:.1f} s, {(cluster.cpu() - cpu) / PODS * 1000:.1f} ms a pod")


async def measure() -> None:
    cluster, seconds = await started()
    try:
        print(f"start: {seconds:.2f} s, {cluster.memory():.0f} MiB")
        async with cluster.connect(1) as session:
            body = {"metadata": {"name": "tokens"}, "stringData": {"t": TOKEN}}
            async with session.post(f"{CORE}/secrets", json=body) as answer:
                assert answer.status == 201
        for connections in (1, 8):
            rate = await requests_per_second(cluster, connections)
            print(f"requests a second over {connections} connection(s): {rate:.0f}")
        await play(cluster)
        print(f"memory with {PODS} ended pods and their jobs, services and events: {cluster.memory():.0f} MiB")
    finally:
        cluster.process.send_signal(signal.SIGTERM)
        await cluster.process.wait()


if __name__ == "__main__":
    asyncio.run(measure())
