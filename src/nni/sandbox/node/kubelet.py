"""The kubelet: gives every pod that is bound to one of the nodes a life, and takes it away."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Mapping

from nni.sandbox import kinds, schema, store
from nni.sandbox.api import logs
from nni.sandbox.node import logfiles, pod


class Kubelet:
    """Runs the pods of all nodes of the sandbox."""

    def __init__(self, ground: pod.Ground) -> None:
        self._ground = ground
        self._objects = ground.objects
        self._lives: dict[str, pod.PodLife] = {}

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
        elif life is None and self._objects.find(kinds.NODE, "", found["spec"].get("nodeName", "")):
            life = pod.PodLife(self._ground, found, self._allocatable(found["spec"]["nodeName"]))
            self._lives[metadata["uid"]] = life
            group.create_task(self._live(life, found))
        if life and metadata.get("deletionTimestamp"):
            life.stop(metadata.get("deletionGracePeriodSeconds", 0))

    async def _live(self, life: pod.PodLife, found: schema.Object) -> None:
        metadata = found["metadata"]
        await life.run()
        with contextlib.closing(self._objects.store.watch(kinds.POD.resource)) as watch:
            while self._is_kept(metadata):
                if not await watch.next():
                    break
        life.forget()
        del self._lives[metadata["uid"]]

    def _is_kept(self, metadata: schema.Object) -> bool:
        """Say whether a pod whose containers have ended stays; one that is being deleted is let go here."""
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return False
        if not current["metadata"].get("deletionTimestamp"):
            return True
        self._objects.finish(kinds.POD, current)
        return bool(current["metadata"].get("finalizers"))

    def _allocatable(self, node: str) -> Mapping[str, str]:
        found = self._objects.find(kinds.NODE, "", node)
        return found["status"]["allocatable"] if found else {}


def folder_for(state: pathlib.Path) -> pathlib.Path:
    """Make the directory under which pods get theirs."""
    folder = state / "pods"
    folder.mkdir()
    return folder
