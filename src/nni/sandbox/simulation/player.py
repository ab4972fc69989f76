"""A kubelet without processes: every pod that is bound to a node plays its part of the script."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import aiohttp

from nni.sandbox import events, kinds, registry, schema, store, times
from nni.sandbox.api import logs
from nni.sandbox.faults import anteroom
from nni.sandbox.node import environment, podstatus
from nni.sandbox.simulation import reporting, script

_CONNECTIONS = 64
_ADDRESS = "127.0.0.1"
_TERMINATED = 143
"""The exit code after a SIGTERM: of all that can end a pod from outside the one that leaves it time for a last word."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What all simulated pods share."""

    objects: registry.Registry
    recorder: events.Recorder
    room: anteroom.Anteroom
    script: script.Script
    session: aiohttp.ClientSession


class Player:
    """Plays the pods of all nodes of the sandbox."""

    def __init__(
        self, objects: registry.Registry, recorder: events.Recorder, plot: script.Script, room: anteroom.Anteroom
    ) -> None:
        """Take the script, and where pods wait before they start."""
        self._objects = objects
        self._recorder = recorder
        self._script = plot
        self._room = room
        self._plays: dict[str, Play] = {}
        self._lost: set[str] = set()

    async def run(self, watch: store.Watch) -> None:
        """Follow the pods of ``watch`` until it is closed, then end them all."""
        limit = aiohttp.ClientTimeout(total=10.0)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS), timeout=limit) as session,
            asyncio.TaskGroup() as group,
        ):
            stage = Stage(self._objects, self._recorder, self._room, self._script, session)
            running: set[asyncio.Task[None]] = set()
            async for change in watch:
                self._see(change, stage, group, running)
            for task in running:
                task.cancel()

    def read(self, uid: str, container: str, options: logs.Options) -> AsyncIterator[bytes]:
        """Give the log of a container: one line. Raises LookupError."""
        part = self._plays[uid].part
        line = f"simulated: {part.duration:.2f} s, exit code {part.exit_code}\n".encode()
        return _once(line if options.limit is None else line[: options.limit])

    def exceed_memory(self, uid: str, containers: str) -> None:
        """End a pod as killed for its memory; all its containers play as one."""
        if uid in self._plays:
            self._plays[uid].end(137, "OOMKilled")

    def evict(self, uid: str, message: str) -> None:
        """End a pod as failed, for want of a resource on its node."""
        if uid in self._plays:
            self._plays[uid].verdict = {"phase": "Failed", "reason": "Evicted", "message": message}
            self._plays[uid].end(137)

    def lose(self, node: str) -> None:
        """Take the power from a node: its pods end, and nothing is told of them any more."""
        self._lost.add(node)
        self._room.lose(node)
        for play in self._on(node):
            play.has_power.clear()
            play.end(255, "Unknown")

    def regain(self, node: str) -> None:
        """Give a node its power back, and tell what has become of its pods."""
        self._lost.discard(node)
        self._room.regain(node)
        for play in self._on(node):
            play.has_power.set()

    def _on(self, node: str) -> "list[Play]":
        return [play for play in self._plays.values() if play.node == node]

    def _see(
        self, change: store.Change, stage: Stage, group: asyncio.TaskGroup, running: set[asyncio.Task[None]]
    ) -> None:  # fmt: skip
        found = change.object
        uid = found["metadata"]["uid"]
        play = self._plays.get(uid)
        if change.happening == "DELETED":
            if play:
                play.end(137)
                del self._plays[uid]
            return
        is_over = found["status"].get("phase") in ("Succeeded", "Failed")
        if play is None and found["spec"].get("nodeName") and not is_over:
            play = self._plays[uid] = Play(stage, found)
            if play.node in self._lost:
                play.has_power.clear()
            task = group.create_task(play.run())
            running.add(task)
            task.add_done_callback(running.discard)
        if play and found["metadata"].get("deletionTimestamp"):
            play.stop(found["metadata"].get("deletionGracePeriodSeconds", 0))


class Play:
    """One pod."""

    def __init__(self, stage: Stage, pod: schema.Object) -> None:
        self._stage = stage
        self._pod = pod
        self.node: str = pod["spec"]["nodeName"]
        self.part = stage.script.part(pod)
        self.verdict: schema.Object = {}
        """What stands in the status whatever the containers say."""
        self.has_power = asyncio.Event()
        self.has_power.set()
        self._ending: tuple[int, str] | None = None
        """Exit code and reason of an end that is not the script's."""
        self._ended = asyncio.Event()
        self._main = [podstatus.waiting(each, "ContainerCreating") for each in pod["spec"]["containers"]]
        self._initial = [podstatus.waiting(each, "PodInitializing") for each in pod["spec"].get("initContainers", [])]
        self._started = times.stamp(stage.objects.now())

    def end(self, code: int, reason: str = "") -> None:
        """End it now with a code."""
        self._ending = self._ending or (code, reason)
        self._ended.set()

    def stop(self, grace: int) -> None:
        """End it as its deletion does: it obeys a SIGTERM at once."""
        self.end(_TERMINATED if grace else 137)

    async def run(self) -> None:
        """Play from the beginning to the end, and let a pod go that is being deleted."""
        variables = await self._start()
        if variables is None:
            await self._leave()
            return
        reporter = reporting.Reporter(self._stage.session, variables)
        async with asyncio.TaskGroup() as group:
            group.create_task(reporter.run())
            began = self._begin()
            for moment, value in self.part.metrics:
                if await self._has_ended_before(began, moment):
                    break
                reporter.metric(value)
            is_cut = await self._has_ended_before(began, self.part.duration)
            code, reason = self._ending or (self.part.exit_code, "")
            if not is_cut and self.part.final is not None:
                reporter.metric(self.part.final, is_final=True)
            if self._ending and code != _TERMINATED:
                reporter.vanish()
            else:
                reporter.end(code, is_stopped=is_cut)
        await self._leave(code, reason)

    async def _start(self) -> dict[str, str] | None:
        """Go through what comes before the start; None when it has ended there."""
        self._tell()
        if await self._has_ended_after(self._stage.room.passed(self._pod)):
            return None
        if await self._has_ended_after(asyncio.sleep(self.part.start)):
            return None
        return await self._variables(self._pod["spec"]["containers"][0])

    async def _variables(self, container: schema.Object) -> dict[str, str] | None:
        builder = environment.Builder(self._stage.objects, self._pod, _ADDRESS, {})
        while True:
            try:
                return builder.build(container)
            except environment.MissingReferenceError as error:
                self._wait("CreateContainerConfigError", str(error))
                with contextlib.closing(self._stage.objects.store.watch(kinds.SECRET.resource)) as watch:
                    if await self._has_ended_after(watch.next()):
                        return None

    def _begin(self) -> float:
        for state in self._initial:
            state.state = self._terminated(0, "")
        self._started = times.stamp(self._stage.objects.now())
        for state in self._main:
            state.state = {"running": {"startedAt": self._started}}
        self._stage.recorder.record(self._pod, "Normal", "Started", "Started container: simulated")
        self._tell()
        return asyncio.get_running_loop().time()

    async def _leave(self, code: int = 137, reason: str = "") -> None:
        """Tell the end, once there is power, and let a pod go that is being deleted."""
        await self.has_power.wait()
        for state in self._main:
            state.state = self._terminated(code, reason)
        # No container is run again, whatever the pod's policy is.
        self.verdict = {"phase": "Failed" if code else "Succeeded", **self.verdict}
        self._tell()
        metadata, objects = self._pod["metadata"], self._stage.objects
        current = objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is not None and current["metadata"].get("deletionTimestamp"):
            objects.finish(kinds.POD, self._pod)

    def _terminated(self, code: int, reason: str) -> schema.Object:
        reason = reason or ("Error" if code else "Completed")
        moment = times.stamp(self._stage.objects.now())
        return {
            "terminated": {"exitCode": code, "reason": reason, "startedAt": self._started, "finishedAt": moment}
        }  # fmt: skip

    def _wait(self, reason: str, message: str) -> None:
        for state in self._main:
            state.state = {"waiting": {"reason": reason, "message": message}}
        self._tell()

    def _tell(self) -> None:
        metadata, objects = self._pod["metadata"], self._stage.objects
        current = objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"] or not self.has_power.is_set():
            return
        told = podstatus.build(
            current, self._main, self._initial, objects.now, address=_ADDRESS, started=self._started
        )  # fmt: skip
        objects.set_status(kinds.POD, current, {**told, **self.verdict})

    async def _has_ended_before(self, began: float, moment: float) -> bool:
        """Wait until some seconds after the beginning; say whether the end came before."""
        try:
            async with asyncio.timeout_at(began + moment):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    async def _has_ended_after(self, waited: Coroutine[Any, Any, object]) -> bool:
        """Wait for something or for the end; say which."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(waited), group.create_task(self._ended.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        return self._ended.is_set()


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
