"""The kubelet: gives every pod that is bound to one of the nodes a life, and takes it away."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Mapping

from nni.sandbox import kinds, schema, store
from nni.sandbox.api import logs
from nni.sandbox.faults import anteroom
from nni.sandbox.node import pod, references


class Kubelet:
    """Runs the pods of all nodes of the sandbox."""

    def __init__(self, ground: pod.Ground, room: anteroom.Anteroom) -> None:
        """Take what pods stand on, and where they wait before they start."""
        self._ground = ground
        self._room = room
        self._objects = ground.objects
        self._lives: dict[str, pod.PodLife] = {}
        self._over: set[str] = set()
        """The uids of pods whose containers have ended for good."""
        self._nodes: dict[str, str] = {}
        """The nodes of the pods, by uid."""
        self._lost: set[str] = set()
        """Nodes without power."""

    async def run(self, watch: store.Watch) -> None:
        """Follow the pods of ``watch`` until it is closed, then end them all."""
        expected = references.References(self._objects)
        async with asyncio.TaskGroup() as group:
            group.create_task(expected.run())
            async for change in watch:
                self._see(change, group, expected)
            for life in self._lives.values():
                life.stop(0)
            expected.close()

    def read(self, uid: str, container: str, options: logs.Options) -> AsyncIterator[bytes]:
        """Give the log of a container. Raises LookupError."""
        return self._lives[uid].log(container, previous=options.previous).read(options)

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
        for uid in self._on(node):
            self._lives[uid].lose()

    def regain(self, node: str) -> None:
        """Give a node its power back, and tell what has become of its pods."""
        self._lost.discard(node)
        self._room.regain(node)
        for uid in self._on(node):
            self._lives[uid].regain()
            if uid in self._over:
                self._let_go(self._lives[uid].metadata)

    def _on(self, node: str) -> list[str]:
        return [uid for uid in self._lives if self._nodes[uid] == node]

    def _see(self, change: store.Change, group: asyncio.TaskGroup, expected: references.References) -> None:
        found = change.object
        metadata = found["metadata"]
        uid = metadata["uid"]
        life = self._lives.get(uid)
        if change.happening == "DELETED":
            if life:
                life.stop(0)
            if uid in self._over:
                self._forget(uid)
            return
        if life is None and self._is_to_run(found):
            life = pod.PodLife(self._ground, expected, found, self._allocatable(found["spec"]["nodeName"]))
            self._lives[uid] = life
            self._nodes[uid] = found["spec"]["nodeName"]
            group.create_task(self._live(life, found))
        if life and metadata.get("deletionTimestamp"):
            life.stop(metadata.get("deletionGracePeriodSeconds", 0))
            if uid in self._over:
                self._let_go(metadata)

    async def _live(self, life: pod.PodLife, found: schema.Object) -> None:
        metadata = found["metadata"]
        await self._room.passed(found)
        await life.run()
        self._over.add(metadata["uid"])
        if self._is_gone(metadata):
            self._forget(metadata["uid"])
        else:
            self._let_go(metadata)

    def _let_go(self, metadata: schema.Object) -> None:
        """Let a pod go that is being deleted and whose containers have ended, unless its node is lost."""
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["spec"]["nodeName"] in self._lost:
            return
        if current["metadata"].get("deletionTimestamp") and current["metadata"]["uid"] == metadata["uid"]:
            self._objects.finish(kinds.POD, current)

    def _is_to_run(self, found: schema.Object) -> bool:
        """Say whether a pod needs a life: one that has ended, perhaps before a restart of the sandbox, does not."""
        is_over = found["status"].get("phase") in ("Succeeded", "Failed")
        node = found["spec"].get("nodeName", "")
        return not is_over and self._objects.find(kinds.NODE, "", node) is not None and not self._is_gone(
            found["metadata"]
        )  # fmt: skip

    def _is_gone(self, metadata: schema.Object) -> bool:
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        return current is None or bool(current["metadata"]["uid"] != metadata["uid"])

    def _forget(self, uid: str) -> None:
        self._over.discard(uid)
        self._nodes.pop(uid)
        self._lives.pop(uid).forget()

    def _allocatable(self, node: str) -> Mapping[str, str]:
        found = self._objects.find(kinds.NODE, "", node)
        return found["status"]["allocatable"] if found else {}


def folder_for(state: pathlib.Path) -> pathlib.Path:
    """Make the directory under which pods get theirs."""
    folder = state / "pods"
    folder.mkdir()
    return folder
