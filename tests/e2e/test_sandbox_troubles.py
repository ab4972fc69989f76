"""What befalls running pods from outside: memory taken away, eviction, a node without power."""

import asyncio
import contextlib
import os
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nni.sandbox import events, kinds, nodes, registry, schema, store, times
from nni.sandbox.faults import afflictions, anteroom, board
from nni.sandbox.node import kubelet, launching, network, pod, volumes

Look = Callable[[schema.Object], bool]


class Cluster:
    """A registry and a kubelet, with nothing around them."""

    def __init__(self, objects: registry.Registry, agent: kubelet.Kubelet) -> None:
        self.objects = objects
        self.agent = agent

    def run(self, name: str, **spec: Any) -> str:
        """Create a pod that sleeps, on its node; return its uid."""
        container = {"name": "main", "image": "x", "command": ["sleep", "4325"]}
        body = {"metadata": {"name": name}, "spec": {"nodeName": "sandbox-0", "restartPolicy": "Never",
                "containers": [container], "terminationGracePeriodSeconds": 0, **spec}}  # fmt: skip
        return str(self.objects.create(kinds.POD, "default", body)["metadata"]["uid"])

    def get(self, name: str) -> schema.Object:
        return self.objects.get(kinds.POD, "default", name)

    async def until(self, name: str, is_done: Look) -> schema.Object:
        """Wait until something holds for a pod."""
        with contextlib.closing(self.objects.store.watch(kinds.POD.resource)) as watch:
            async with asyncio.timeout(20):
                while not is_done(self.get(name)):
                    await watch.next()
        return self.get(name)

    async def until_gone(self, name: str) -> None:
        """Wait until a pod is gone."""
        with contextlib.closing(self.objects.store.watch(kinds.POD.resource)) as watch:
            async with asyncio.timeout(20):
                while self.objects.find(kinds.POD, "default", name):
                    await watch.next()


@contextlib.asynccontextmanager
async def running(folder: pathlib.Path) -> AsyncIterator[Cluster]:
    objects = registry.Registry(store.Store(), schema.load(), times.utc_now, {})
    objects.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    nodes.register(objects, 1, nodes.Capacity())
    async with launching.Launcher(folder, "auto") as launcher:
        await launcher.ready()
        ground = pod.Ground(
            objects, launcher, network.SharedNetwork(), volumes.Storage({}, {}, folder / "claims"),
            kubelet.folder_for(folder), {"PATH": os.environ["PATH"]}, events.Recorder(objects, "kubelet"),
        )  # fmt: skip
        troubles = afflictions.Afflictions(board.Board())
        agent = kubelet.Kubelet(ground, anteroom.Anteroom(objects, troubles, ground.recorder))
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.run(objects.store.watch(kinds.POD.resource)))
            try:
                yield Cluster(objects, agent)
            finally:
                objects.store.close()


def is_running(found: schema.Object) -> bool:
    return bool(found["status"].get("phase") == "Running")


def is_failed(found: schema.Object) -> bool:
    return bool(found["status"].get("phase") == "Failed")


def ended(found: schema.Object) -> tuple[int, str]:
    terminated = found["status"]["containerStatuses"][0]["state"]["terminated"]
    return terminated["exitCode"], terminated["reason"]


def sleepers() -> int:
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            found += path.read_bytes() == b"sleep\x004325\x00"
    return found


async def test_memory_runs_out_in_the_containers_that_are_named(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path) as cluster:
        uid = cluster.run("greedy")
        await cluster.until("greedy", is_running)
        cluster.agent.exceed_memory(uid, "side*")
        cluster.agent.exceed_memory(uid, "ma*")
        assert ended(await cluster.until("greedy", is_failed)) == (137, "OOMKilled")


async def test_an_evicted_pod_says_why(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path) as cluster:
        uid = cluster.run("unwanted", restartPolicy="Always")
        await cluster.until("unwanted", is_running)
        cluster.agent.evict(uid, "The node was low on resource: memory. ")
        status = (await cluster.until("unwanted", is_failed))["status"]
        assert (status["reason"], status["message"]) == ("Evicted", "The node was low on resource: memory. ")


async def test_a_pod_that_had_not_begun_is_lost_with_its_node(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path) as cluster:
        cluster.run("early", volumes=[{"name": "v", "secret": {"secretName": "missing"}}])
        await cluster.until("early", lambda found: "containerStatuses" in found["status"])
        cluster.agent.lose("sandbox-0")
        cluster.agent.regain("sandbox-0")
        assert (await cluster.until("early", is_failed))["status"]["reason"] == "NodeLost"


@pytest.mark.parametrize(("policy", "reason"), [("Never", None), ("OnFailure", "NodeLost")])
async def test_a_lost_node_is_silent_until_it_is_back(tmp_path: pathlib.Path, policy: str, reason: str | None) -> None:
    async with running(tmp_path) as cluster:
        cluster.run("lost", restartPolicy=policy)
        cluster.run("deleted", restartPolicy=policy, terminationGracePeriodSeconds=5)
        for name in ("lost", "deleted"):
            await cluster.until(name, is_running)
        cluster.agent.lose("sandbox-0")
        cluster.objects.delete(kinds.POD, "default", "deleted")
        async with asyncio.timeout(10):
            while sleepers():  # noqa: ASYNC110 - nothing tells of the end of processes that are not our children
                await asyncio.sleep(0.01)
        assert is_running(cluster.get("lost"))
        assert is_running(cluster.get("deleted"))
        cluster.agent.regain("sandbox-0")
        found = await cluster.until("lost", is_failed)
        assert (ended(found), found["status"].get("reason")) == ((255, "Unknown"), reason)
        await cluster.until_gone("deleted")
