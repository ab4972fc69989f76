"""The kubelet: gives every pod that is bound to one of the nodes a life, and takes it away."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Mapping

from nni.sandbox import kinds, schema, store
from nni.sandbox.api import logs
from nni.sandbox.node import pod, references


class Kubelet:
    """Runs the pods of all nodes of the sandbox."""

    def __init__(self, ground: pod.Ground) -> None:
        self._ground = ground
        self._objects = ground.objects
        self._lives: dict[str, pod.PodLife] = {}
        self._over: set[str] = set()
        """The uids of pods whose containers have ended for good."""

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
        if life is None and _is_to_run(found) and not self._is_gone(metadata):
            life = pod.PodLife(self._ground, expected, found, self._allocatable(found["spec"]["nodeName"]))
            self._lives[uid] = life
            group.create_task(self._live(life, found))
        if life and metadata.get("deletionTimestamp"):
            life.stop(metadata.get("deletionGracePeriodSeconds", 0))
            if uid in self._over:
                self._objects.finish(kinds.POD, found)

    async def _live(self, life: pod.PodLife, found: schema.Object) -> None:
        metadata = found["metadata"]
        await life.run()
        self._over.add(metadata["uid"])
        if self._is_gone(metadata):
            self._forget(metadata["uid"])
            return
        current = self._objects.get(kinds.POD, metadata["namespace"], metadata["name"])
        if current["metadata"].get("deletionTimestamp"):
            self._objects.finish(kinds.POD, current)

    def _is_gone(self, metadata: schema.Object) -> bool:
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        return current is None or bool(current["metadata"]["uid"] != metadata["uid"])

    def _forget(self, uid: str) -> None:
        self._over.discard(uid)
        self._lives.pop(uid).forget()

    def _allocatable(self, node: str) -> Mapping[str, str]:
        found = self._objects.find(kinds.NODE, "", node)
        return found["status"]["allocatable"] if found else {}


def _is_to_run(found: schema.Object) -> bool:
    return bool(found["spec"].get("nodeName")) and found["status"].get("phase") not in ("Succeeded", "Failed")


def folder_for(state: pathlib.Path) -> pathlib.Path:
    """Make the directory under which pods get theirs."""
    folder = state / "pods"
    folder.mkdir()
    return folder
