"""The life of one pod on its node: volumes, init containers, containers, restarts, the end."""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
from collections.abc import Coroutine, Mapping
from typing import Any

from nni.sandbox import events, kinds, registry, schema, times
from nni.sandbox.node import containers, environment, launching, logfiles, network, podstatus, volumes

_FIRST_BACKOFF = 10.0
_LONGEST_BACKOFF = 300.0
_MESSAGE_SIZE = 4096
_FALLBACK_LINES, _FALLBACK_SIZE = 80, 2048
_OUTPUT_GRACE = 2.0


@dataclasses.dataclass(frozen=True)
class Ground:
    """What all pods of the sandbox stand on."""

    objects: registry.Registry
    launcher: launching.Launcher
    network: network.SharedNetwork
    exports: volumes.Exports
    folder: pathlib.Path
    """Where the pods' directories are made."""
    base: Mapping[str, str]
    recorder: events.Recorder


class StoppedError(Exception):
    """The pod is being deleted: whatever it waited for no longer matters."""


class PodLife:
    """One pod."""

    def __init__(self, ground: Ground, pod: schema.Object, allocatable: Mapping[str, str]) -> None:
        self._ground = ground
        self._objects = ground.objects
        self._pod = pod
        self._folder = ground.folder / pod["metadata"]["uid"]
        self._address = ground.network.address_of(pod)
        self._builder = environment.Builder(ground.objects, pod, self._address, allocatable)
        self._started = times.stamp(ground.objects.now())
        self._main = [podstatus.waiting(each, "ContainerCreating") for each in pod["spec"]["containers"]]
        self._initial = [podstatus.waiting(each, "PodInitializing") for each in pod["spec"].get("initContainers", [])]
        self._processes: dict[str, launching.Process] = {}
        self._stop = asyncio.Event()
        self._is_grace_over = False
        self._grace = 30.0
        self._shorter = asyncio.Event()
        self.logs: dict[str, list[logfiles.LogFile]] = {}
        """By container, one for each run."""

    def stop(self, grace: float) -> None:
        """End it within ``grace`` seconds; a second call can shorten them."""
        self._grace = min(self._grace, grace) if self._stop.is_set() else grace
        self._stop.set()
        self._shorter.set()

    async def run(self) -> None:
        """Live until all containers have ended for good or the pod is deleted."""
        self._folder.mkdir()
        (self._folder / "home").mkdir()
        async with asyncio.TaskGroup() as group:
            undertaker = group.create_task(self._end_on_stop())
            with contextlib.suppress(StoppedError):
                await self._live()
            undertaker.cancel()

    def forget(self) -> None:
        """Remove its directory."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _live(self) -> None:
        self._tell()
        folders = await self._mounted()
        for state in self._initial:
            await self._run_until_done(state, folders)
            if state.exit_code != 0:
                return
        async with asyncio.TaskGroup() as group:
            for state in self._main:
                group.create_task(self._run_one(state, folders))

    async def _run_one(self, state: podstatus.ContainerState, folders: dict[str, pathlib.Path]) -> None:
        with contextlib.suppress(StoppedError):
            await self._run_until_done(state, folders)

    async def _mounted(self) -> dict[str, pathlib.Path]:
        prepared = volumes.Volumes(self._ground.exports, self._builder, self._folder / "volumes")
        while True:
            try:
                return prepared.prepare(self._pod["spec"])
            except (volumes.VolumeMissingError, environment.MissingReferenceError) as error:
                self._record("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
                await self._until_references_change()

    async def _run_until_done(self, state: podstatus.ContainerState, folders: dict[str, pathlib.Path]) -> None:
        """Run a container, again and again where its pod's policy says so."""
        policy, backoff = self._pod["spec"].get("restartPolicy", "Always"), _FIRST_BACKOFF
        if state in self._initial and policy == "Always":
            policy = "OnFailure"
        while True:
            await self._run_once(state, folders)
            if policy == "Never" or (policy == "OnFailure" and state.exit_code == 0) or self._stop.is_set():
                return
            state.last = state.state
            name = state.container["name"]
            message = f"back-off {backoff:.0f}s restarting failed container={name} pod={self._pod['metadata']['name']}"
            state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self._record("Warning", "BackOff", f"Back-off restarting failed container {name}", name)
            self._tell()
            await self._unless_stopped(asyncio.sleep(backoff))
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            state.restarts += 1

    async def _run_once(self, state: podstatus.ContainerState, folders: dict[str, pathlib.Path]) -> None:
        if self._stop.is_set():
            raise StoppedError
        name = state.container["name"]
        if is_rendezvous_guard(self._pod, state.container):
            await self._wait_for_master(state)
            return
        variables = await self._variables(state)
        message = self._folder / f"{name}.message"
        message.write_bytes(b"")
        log = self._new_log(name)
        image = state.container.get("image", "")
        self._record("Normal", "Pulled", f'Container image "{image}" already present on machine', name)
        started = times.stamp(self._objects.now())
        try:
            process = await self._start(state, variables, folders, message, log)
        except (launching.StartError, OSError) as error:
            log.close()
            self._end(state, 128, started, f"failed to start the container: {error}", "StartError")
            self._record("Warning", "Failed", f"Error: failed to start container {name}: {error}", name)
            self._tell()
            return
        self._record("Normal", "Created", f"Created container: {name}", name)
        self._record("Normal", "Started", f"Started container {name}", name)
        state.state = {"running": {"startedAt": started}}
        state.number = f"{self._pod['metadata']['uid']}-{name}-{state.restarts}"
        self._tell()
        code = await self._accompany(name, process, log)
        self._end(state, code, started, _last_words(state.container, message, log, code))
        self._tell()

    async def _accompany(self, name: str, process: launching.Process, log: logfiles.LogFile) -> int:
        """Stay with a container until it and its output have ended; return its exit code."""
        self._processes[name] = process
        if self._stop.is_set():  # it came while the container was being started
            await (process.kill() if self._is_grace_over else process.signal(signal.SIGTERM))
        code = await process.exited
        del self._processes[name]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTPUT_GRACE):
                await log.ended.wait()
        log.close()
        return code

    async def _start(
        self, state: podstatus.ContainerState, variables: dict[str, str], folders: dict[str, pathlib.Path],
        message: pathlib.Path, log: logfiles.LogFile,
    ) -> launching.Process:  # fmt: skip
        is_isolated = self._ground.launcher.isolation == "namespaces"
        place = containers.Place(self._folder / "home", self._ground.base, is_isolated)
        order = containers.order(state.container, variables, folders, place, message)
        read, write = launching.open_pipe()
        log.attach(read)
        try:
            return await self._ground.launcher.start(order, write)
        finally:
            os.close(write)

    async def _variables(self, state: podstatus.ContainerState) -> dict[str, str]:
        while True:
            try:
                return self._ground.network.translate(self._pod, self._builder.build(state.container))
            except environment.MissingReferenceError as error:
                state.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}}
                self._tell()
                self._record("Warning", "Failed", f"Error: {error}", state.container["name"])
                await self._until_references_change()

    async def _wait_for_master(self, state: podstatus.ContainerState) -> None:
        """Stand in for the operator's init container: it waits until the master can be found, so does this."""
        labels = self._pod["metadata"]["labels"]
        master = f"{labels['training.kubeflow.org/job-name']}-master-0"
        started = times.stamp(self._objects.now())
        state.state = {"running": {"startedAt": started}}
        self._tell()
        watch = self._objects.store.watch(kinds.POD.resource)
        try:
            while not self._is_running(master):
                await self._unless_stopped(watch.next())
        finally:
            watch.close()
        self._end(state, 0, started, "")
        self._tell()

    def _is_running(self, name: str) -> bool:
        found = self._objects.find(kinds.POD, self._pod["metadata"]["namespace"], name)
        return found is not None and found["status"].get("phase") not in ("Pending", None)

    async def _end_on_stop(self) -> None:
        await self._stop.wait()
        for process in list(self._processes.values()):
            await process.signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            self._shorter.clear()
            try:
                async with asyncio.timeout_at(began + self._grace):
                    await self._shorter.wait()
            except TimeoutError:
                break
        self._is_grace_over = True
        for process in list(self._processes.values()):
            await process.kill()

    async def _until_references_change(self) -> None:
        """Wait until a secret or a config map changes: what was missing may have come."""
        watches = [self._objects.store.watch(kind.resource) for kind in (kinds.SECRET, kinds.CONFIG_MAP)]
        try:
            await self._unless_stopped(*(watch.next() for watch in watches))
        finally:
            for watch in watches:
                watch.close()

    async def _unless_stopped(self, *waits: Coroutine[Any, Any, object]) -> None:
        """Wait for the first of some things; raise StoppedError when the pod's end is asked for before."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in (*waits, self._stop.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        if self._stop.is_set():
            raise StoppedError

    def _new_log(self, name: str) -> logfiles.LogFile:
        runs = self.logs.setdefault(name, [])
        log = logfiles.LogFile(self._folder / f"{name}.{len(runs)}.log", self._objects.now)
        runs.append(log)
        return log

    def _end(self, state: podstatus.ContainerState, code: int, started: str, message: str, reason: str = "") -> None:
        ended: schema.Object = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "startedAt": started,
            "finishedAt": times.stamp(self._objects.now()),
        }
        if message:
            ended["message"] = message
        if state.number:
            ended["containerID"] = f"sandbox://{state.number}"
        state.state = {"terminated": ended}

    def _tell(self) -> None:
        metadata = self._pod["metadata"]
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return
        told = podstatus.build(
            current, self._main, self._initial, self._objects.now, address=self._address, started=self._started
        )
        self._objects.set_status(kinds.POD, current, told)

    def _record(self, category: str, reason: str, message: str, container: str = "") -> None:
        path = f"spec.containers{{{container}}}" if container else ""
        self._ground.recorder.record(self._pod, category, reason, message, path)


def is_rendezvous_guard(pod: schema.Object, container: schema.Object) -> bool:
    """Say whether this is the init container that the training operator puts before workers."""
    labels = pod["metadata"].get("labels", {})
    return container["name"] == "init-pytorch" and "training.kubeflow.org/job-name" in labels


def _last_words(container: schema.Object, message: pathlib.Path, log: logfiles.LogFile, code: int) -> str:
    with message.open("rb") as file:
        words = file.read(_MESSAGE_SIZE).decode(errors="replace")
    if not words and code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        return log.tail(_FALLBACK_LINES, _FALLBACK_SIZE)
    return words
