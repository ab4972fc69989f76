"""The life of one pod on its node: volumes, init containers, containers, sidecars, the end."""

import asyncio
import dataclasses
import datetime as dt
import fnmatch
import pathlib
import shutil
from collections.abc import Mapping

from nni.sandbox import events, kinds, registry, schema, times
from nni.sandbox.node import (
    container,
    containers,
    environment,
    launching,
    logfiles,
    network,
    podstatus,
    references,
    rendezvous,
    stopping,
    usage,
    volumes,
)

_GRACE = 30.0
_RETRIES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 122.0)
"""Seconds between attempts to mount what nothing announces; the last one for ever."""


@dataclasses.dataclass(frozen=True)
class Ground:
    """What all pods of the sandbox stand on."""

    objects: registry.Registry
    launcher: launching.Launcher
    network: network.SharedNetwork
    storage: volumes.Storage
    folder: pathlib.Path
    """Where the pods' directories are made."""
    base: Mapping[str, str]
    recorder: events.Recorder


class PodLife:
    """One pod."""

    def __init__(
        self, ground: Ground, expected: references.References, pod: schema.Object, allocatable: Mapping[str, str]
    ) -> None:  # fmt: skip
        """Take the pod as it was bound, and the capacity of its node."""
        self._ground = ground
        self._objects = ground.objects
        self._references = expected
        self._pod = pod
        self._folder = ground.folder / pod["metadata"]["uid"]
        self._address = ground.network.address_of(pod)
        self._builder = environment.Builder(ground.objects, pod, self._address, allocatable)
        self._volumes = volumes.Volumes(ground.storage, self._builder, self._folder / "volumes", pod)
        self._started = ground.objects.now()
        self._verdict: schema.Object | None = None
        self._has_power = True
        self._doomed: asyncio.Queue[tuple[container.ContainerLife, int, str]] = asyncio.Queue()
        """Containers to be killed, with the code and the reason to tell of."""
        self._stop = stopping.Stop()
        self._sidecar_stop = stopping.Stop()
        spec = pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        scene = self._scene()
        reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._initial = [
            container.ContainerLife(scene, podstatus.waiting(each, reason), _initial_policy(each, policy))
            for each in spec.get("initContainers", [])
        ]
        self._main = [
            container.ContainerLife(scene, podstatus.waiting(each, reason), policy) for each in spec["containers"]
        ]

    @property
    def metadata(self) -> schema.Object:
        """The metadata of the pod as it was bound."""
        found: schema.Object = self._pod["metadata"]
        return found

    def stop(self, grace: float) -> None:
        """End it within ``grace`` seconds; a second call can shorten them."""
        self._stop.ask(grace)
        self._sidecar_stop.ask(grace)

    def fail(self, reason: str, message: str, grace: float | None = None) -> None:
        """End it as failed whatever its containers say, as the kubelet does with what is overdue or evicted."""
        self._verdict = {"phase": "Failed", "reason": reason, "message": message}
        self.stop(self._own_grace() if grace is None else grace)

    def exceed_memory(self, pattern: str) -> None:
        """Kill the running containers whose names match a pattern, as the kernel does for their memory."""
        self._kill(pattern, 137, "OOMKilled")

    def lose(self) -> None:
        """Let its node lose power: its containers end, and nothing is told any more."""
        self._has_power = False
        has_begun = not any(life.state.is_new for life in self._main)
        if self._pod["spec"].get("restartPolicy", "Always") != "Never" or not has_begun:
            node, name = self._pod["spec"]["nodeName"], self._pod["metadata"]["name"]
            message = f"Node {node} which was running pod {name} was lost"
            self._verdict = {"phase": "Failed", "reason": "NodeLost", "message": message}
        self._kill("*", 255, "Unknown")
        self.stop(0)

    def regain(self) -> None:
        """Let its node have power again: what has become of it is told."""
        self._has_power = True
        self._tell()

    def log(self, name: str, *, previous: bool) -> logfiles.LogFile:
        """Return the log of a container. Raises LookupError."""
        for life in self._main + self._initial:
            if life.state.container["name"] == name:
                return life.log(previous=previous)
        raise LookupError(name)

    async def run(self) -> None:
        """Live until all containers have ended for good or the pod is deleted."""
        for each in (self._folder, self._folder / "home", self._folder / "shm"):
            each.mkdir()
        (self._folder / "hosts").write_text(network.hosts(self._pod, self._address))
        async with asyncio.TaskGroup() as group:
            chores = (self._end_on_stop(), self._end_on_deadline(), self._end_the_doomed())
            helpers = [group.create_task(chore) for chore in chores]
            await self._live()
            if self._verdict:
                self._tell()
            for task in helpers:
                task.cancel()

    def forget(self) -> None:
        """Remove its directory."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _live(self) -> None:
        self._tell()
        folders = await self._mounted()
        if folders is None:
            return
        async with asyncio.TaskGroup() as group:
            inspector = group.create_task(self._evict_when_too_large(folders))
            if await self._initialize(folders, group):
                async with asyncio.TaskGroup() as mains:
                    for life in self._main:
                        mains.create_task(life.run(folders))
            self._sidecar_stop.ask(self._own_grace())
            for life in reversed(self._initial):
                await life.end(self._sidecar_stop)
            inspector.cancel()

    async def _initialize(self, folders: Mapping[str, volumes.Folder], group: asyncio.TaskGroup) -> bool:
        """Run the init containers one after the other; say whether the containers may start."""
        for life in self._initial:
            if self._stop.is_asked:
                return False
            if rendezvous.is_guard(self._pod, life.state.container):
                await self._wait_for_master(life.state)
            elif life.state.is_sidecar:
                group.create_task(life.run(folders))
                await stopping.first(life.started.wait(), self._stop.asked())
                continue
            else:
                await life.run(folders)
            if life.state.exit_code != 0:
                return False
        return not self._stop.is_asked

    async def _mounted(self) -> Mapping[str, volumes.Folder] | None:
        """Make the volumes, again and again while one is missing; None when the pod is to end before."""
        retries = iter(_RETRIES)
        delay = next(retries)
        while not self._stop.is_asked:
            try:
                return self._volumes.prepare()
            except volumes.VolumeMissingError as error:
                with self._references.expecting(error.reference) as change:
                    self._record("Warning", "FailedMount", str(error))
                    await stopping.first(change.wait(), asyncio.sleep(delay), self._stop.asked())
            delay = next(retries, delay)
        return None

    async def _wait_for_master(self, state: podstatus.ContainerState) -> None:
        started = times.stamp(self._objects.now())
        state.state = {"running": {"startedAt": started}}
        self._tell()
        master = rendezvous.master_of(self._pod)
        while not rendezvous.can_be_found(self._objects.find(kinds.POD, *master[1:])):
            with self._references.expecting(master) as change:
                await stopping.first(change.wait(), self._stop.asked())
            if self._stop.is_asked:
                break
        code = 143 if self._stop.is_asked else 0
        state.state = {"terminated": {
            "exitCode": code, "reason": "Error" if code else "Completed", "startedAt": started,
            "finishedAt": times.stamp(self._objects.now()),
        }}  # fmt: skip
        self._tell()

    async def _end_on_stop(self) -> None:
        await self._stop.asked()
        ordinary = [life for life in self._initial if not life.state.is_sidecar]
        async with asyncio.TaskGroup() as group:
            for life in self._main + ordinary:
                group.create_task(life.end(self._stop))

    def _kill(self, pattern: str, code: int, reason: str) -> None:
        for life in self._main + self._initial:
            if fnmatch.fnmatchcase(life.state.container["name"], pattern):
                self._doomed.put_nowait((life, code, reason))

    async def _end_the_doomed(self) -> None:
        while True:
            life, code, reason = await self._doomed.get()
            await life.kill(code, reason)

    async def _end_on_deadline(self) -> None:
        seconds = self._pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        age = (self._objects.now() - self._started) / dt.timedelta(seconds=1)
        await asyncio.sleep(max(0.0, seconds - age))
        message = "Pod was active on the node longer than the specified deadline"
        self._record("Normal", "DeadlineExceeded", message)
        self.fail("DeadlineExceeded", message)

    async def _evict_when_too_large(self, folders: Mapping[str, volumes.Folder]) -> None:
        is_isolated = self._ground.launcher.isolation == "namespaces"
        limits = usage.limits(self._pod["spec"], folders, is_isolated=is_isolated)
        if limits:
            message = await usage.exceeded(limits, folders)
            self._record("Warning", "Evicted", message)
            self.fail("Evicted", message, usage.GRACE)

    def _scene(self) -> container.Scene:
        ground = self._ground
        is_isolated = ground.launcher.isolation == "namespaces"
        return container.Scene(
            pod=self._pod,
            folder=self._folder,
            place=containers.Place(
                self._folder / "home",
                self._folder / "shm",
                self._folder / "hosts",
                network.hostname(self._pod),
                ground.base,
                is_isolated,
            ),
            launcher=ground.launcher,
            references=self._references,
            now=self._objects.now,
            evaluate=lambda each: ground.network.translate(self._pod, self._builder.build(each)),
            tell=self._tell,
            record=self._record,
        )

    def _own_grace(self) -> float:
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", _GRACE))

    def _tell(self) -> None:
        metadata = self._pod["metadata"]
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        is_gone = current is None or current["metadata"]["uid"] != metadata["uid"]
        if current is None or is_gone or not self._has_power:
            return
        main, initial = [each.state for each in self._main], [each.state for each in self._initial]
        told = podstatus.build(
            current, main, initial, self._objects.now, address=self._address, started=times.stamp(self._started),
            verdict=self._verdict,
        )  # fmt: skip
        self._objects.set_status(kinds.POD, current, told)

    def _record(self, category: str, reason: str, message: str, name: str = "") -> None:
        if not self._has_power:
            return
        is_initial = any(each["name"] == name for each in self._pod["spec"].get("initContainers", []))
        part = "initContainers" if is_initial else "containers"
        self._ground.recorder.record(self._pod, category, reason, message, f"spec.{part}{{{name}}}" if name else "")


def _initial_policy(each: schema.Object, policy: str) -> str:
    """Say when an init container runs again: a sidecar always, another one until it has succeeded."""
    if each.get("restartPolicy") == "Always":
        return "Always"
    return "Never" if policy == "Never" else "OnFailure"
