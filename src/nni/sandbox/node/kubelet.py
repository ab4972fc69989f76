"""The kubelet: gives every pod that is bound to one of the nodes a life, and takes it away."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Mapping

from nni.sandbox import kinds, schema, store
from nni.sandbox.api import logs
from nni.sandbox.faults import anteroom
from nni.sandbox.node import logfiles, pod


class Kubelet:
    """Runs the pods of all nodes of the sandbox."""

    def __init__(self, ground: pod.Ground, room: anteroom.Anteroom) -> None:
        """Take what pods stand on, and where they wait before they start."""
        self._ground = ground
        self._room = room
        self._objects = ground.objects
        self._lives: dict[str, pod.PodLife] = {}
        self._nodes: dict[str, str] = {}
        """The nodes of the pods, by uid."""
        self._lost: set[str] = set()
        """Nodes without power."""

    async def run(self, watch: store.Watch) -> None:
        """Follow the pods of ``watch`` until it is closed, then end them all."""
        async with asyncio.TaskGroup() as group:
            async for change in watch:
                self._see(change, group)
            for life in self._lives.values():
                life.stop(0)

    def read(self, uid: str, container: str, options: logs.Options) -> AsyncIterator[bytes]:
        """Give the log of a container. Raises LookupError."""
        runs: list[logfiles.LogFile] = self._lives[uid].logs.get(container, [])
        return runs[-2 if options.previous else -1].read(options)

    def _see(self, change: store.Change, group: asyncio.TaskGroup) -> None:
        found = change.object
        metadata = found["metadata"]
        life = self._lives.get(metadata["uid"])
        if change.happening == "DELETED":
            if life:
                life.stop(0)
        elif life is None and found["spec"].get("nodeName") and not _is_over(found):
            life = pod.PodLife(self._ground, found, self._allocatable(found["spec"]["nodeName"]))
            self._lives[metadata["uid"]] = life
            self._nodes[metadata["uid"]] = found["spec"]["nodeName"]
            group.create_task(self._live(life, found))
        if life and metadata.get("deletionTimestamp"):
            life.stop(metadata.get("deletionGracePeriodSeconds", 0))

    def exceed_memory(self, uid: str, containers: str) -> None:
        """Kill the running containers of a pod whose names match a pattern, for their memory."""
        if uid in self._lives:
            self._lives[uid].exceed_memory(containers)

    def evict(self, uid: str, message: str) -> None:
        """End a pod as failed, for want of a resource on its node."""
        if uid in self._lives:
            self._lives[uid].fail("Evicted", message, 0)

    def lose(self, node: str) -> None:
        """Take the power from a node: its containers end, and nothing is told of its pods any more."""
        self._lost.add(node)
        self._room.lose(node)
        for life in self._on(node):
            life.lose()

    def regain(self, node: str) -> None:
        """Give a node its power back, and tell what has become of its pods."""
        self._lost.discard(node)
        self._room.regain(node)
        for life in self._on(node):
            life.regain()

    def _on(self, node: str) -> list[pod.PodLife]:
        return [life for uid, life in self._lives.items() if self._nodes[uid] == node]

    async def _live(self, life: pod.PodLife, found: schema.Object) -> None:
        metadata = found["metadata"]
        await self._room.passed(found)
        await life.run()
        with contextlib.closing(self._objects.store.watch(kinds.POD.resource)) as watch:
            while self._is_kept(metadata):
                if not await watch.next():
                    break
        life.forget()
        del self._lives[metadata["uid"]], self._nodes[metadata["uid"]]

    def _is_kept(self, metadata: schema.Object) -> bool:
        """Say whether a pod whose containers have ended stays; one that is being deleted is let go here."""
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return False
        if not current["metadata"].get("deletionTimestamp"):
            return True
        if current["spec"]["nodeName"] in self._lost:
            return True
        self._objects.finish(kinds.POD, current)
        return bool(current["metadata"].get("finalizers"))

    def _allocatable(self, node: str) -> Mapping[str, str]:
        found = self._objects.find(kinds.NODE, "", node)
        return found["status"]["allocatable"] if found else {}


def _is_over(pod: schema.Object) -> bool:
    """Say whether a pod has ended, maybe in an earlier run of the sandbox."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def folder_for(state: pathlib.Path) -> pathlib.Path:
    """Make the directory under which pods get theirs."""
    folder = state / "pods"
    folder.mkdir()
    return folder
