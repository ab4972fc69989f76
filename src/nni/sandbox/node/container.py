"""The life of one container: its environment, its runs and their hooks, its restarts, its end."""

import asyncio
import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
from collections.abc import Callable, Mapping

from nni.sandbox import schema, times
from nni.sandbox.node import (
    containers,
    environment,
    hooks,
    launching,
    logfiles,
    podstatus,
    references,
    restarts,
    stopping,
    volumes,
)

_MESSAGE_SIZE = 4096
_FALLBACK_LINES, _FALLBACK_SIZE = 80, 2048
_OUTPUT_GRACE = 2.0
_EPOCH = "1970-01-01T00:00:00Z"
_RUNTIME = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init"
)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What the containers of one pod share."""

    pod: schema.Object
    folder: pathlib.Path
    """The pod's own directory."""
    place: containers.Place
    launcher: launching.Launcher
    references: references.References
    now: times.Now
    evaluate: Callable[[schema.Object], dict[str, str]]
    """Gives the environment of a container. Raises MissingReferenceError."""
    tell: Callable[[], None]
    """Writes the pod's status."""
    record: Callable[[str, str, str, str], None]
    """Records an event: type, reason, message, container."""

    @property
    def title(self) -> str:
        """The pod as the kubelet's messages name it."""
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


class ContainerLife:
    """One container, or init container, of a pod."""

    def __init__(self, scene: Scene, state: podstatus.ContainerState, policy: str) -> None:
        """Take its first state, and when it is to run again: ``Always``, ``OnFailure`` or ``Never``."""
        self.state = state
        self.started = asyncio.Event()
        """Set once it has run."""
        self._scene = scene
        self._container = state.container
        self._name: str = state.container["name"]
        self._policy = policy
        self._stop = stopping.Stop()
        self._turn = asyncio.Lock()
        self._process: launching.Process | None = None
        self._make: Callable[[schema.Object], launching.Order] = _make_nothing
        """Makes the order for a container with the variables and volumes of the present run."""
        self._fate: tuple[int, str] | None = None
        """The exit code and the reason to tell of when it has ended, where they are not what they seem."""
        self._logs: list[logfiles.LogFile] = []
        self._runs = 0

    def log(self, *, previous: bool) -> logfiles.LogFile:
        """Return the log of the current run, or of the one before. Raises LookupError."""
        if previous and "waiting" not in self.state.state:
            return self._logs[-2]
        return self._logs[-1]

    async def run(self, folders: Mapping[str, volumes.Folder]) -> None:
        """Run it, again and again where its policy says so, until it has ended for good or is asked to."""
        backoff, loop = restarts.Backoff(), asyncio.get_running_loop()
        with contextlib.suppress(stopping.StoppedError):
            while True:
                began = loop.time()
                await self._run_once(folders)
                code = self.state.exit_code
                if self._stop.is_asked or not restarts.is_due(self._policy, code):
                    return
                await self._pause(backoff.after(loop.time() - began))
                self.state.restarts += 1

    async def end(self, stop: stopping.Stop) -> None:
        """End it within the grace of ``stop``: the preStop hook, SIGTERM, and SIGKILL when the grace has passed."""
        self._stop.ask(0)
        async with self._turn:
            process = self._process
        if process is None or process.exited.done():
            return
        self._scene.record("Normal", "Killing", f"Stopping container {self._name}", self._name)
        handler = self._container.get("lifecycle", {}).get("preStop")
        if handler:
            await stopping.first(self._hook("preStop", handler, process), stop.overdue())
        await process.signal(signal.SIGTERM)
        await stopping.first(stopping.settled(process.exited), stop.overdue())
        if not process.exited.done():
            await process.kill()
            await stopping.settled(process.exited)

    async def kill(self, code: int, reason: str) -> None:
        """Kill it, if it runs, and say that it has ended with this code for this reason."""
        process = self._process
        if process is not None and not process.exited.done():
            self._fate = code, reason
            await process.kill()

    async def _pause(self, delay: float) -> None:
        """Wait for the next run; at once after the first, and when that could not even start it says so."""
        ended = self.state.state["terminated"]
        self.state.last = self.state.state
        if ended["reason"] == "StartError":
            self._wait_as("RunContainerError", ended["message"])
        if delay:
            title, written = self._scene.title, restarts.written(delay)
            self._wait_as(
                "CrashLoopBackOff", f"back-off {written} restarting failed container={self._name} pod={title}"
            )
            words = f"Back-off restarting failed container {self._name} in pod {title}"
            self._scene.record("Warning", "BackOff", words, self._name)
            await self._stop.unless(asyncio.sleep(delay))

    async def _run_once(self, folders: Mapping[str, volumes.Folder]) -> None:
        message = self._scene.folder / f"{self._name}.message"
        started = times.stamp(self._scene.now())
        try:
            order = await self._ordered(folders, message)
            _clear(message)
            self._runs += 1
            self._tell_of_creation()
            process, log = await self._start(order)
        except (launching.StartError, OSError) as error:
            self._finish(128, _EPOCH, f"{_RUNTIME}: {error}", "StartError")
            self._scene.record("Warning", "Failed", f"Error: {_RUNTIME}: {error}", self._name)
            self._scene.tell()
            return
        self._scene.record("Normal", "Started", f"Started container {self._name}", self._name)
        if await self._has_begun(process):
            self.state.state = {"running": {"startedAt": started}}
            self.state.has_started = True
            self._scene.tell()
            self.started.set()
        ending = await self._accompany(process, log)
        code, reason = self._fate or (ending.code, "OOMKilled" if ending.is_out_of_memory else "")
        self._fate = None
        self._finish(code, started, _last_words(self._container, message, log, code), reason)
        self._scene.tell()

    async def _ordered(self, folders: Mapping[str, volumes.Folder], message: pathlib.Path) -> launching.Order:
        """Make what it is started with; wait while something that it names is missing."""
        while True:
            if self._stop.is_asked:
                raise stopping.StoppedError
            try:
                variables = self._scene.evaluate(self._container)
                make = functools.partial(
                    containers.order, variables=variables, folders=folders, place=self._scene.place, message=message
                )
                order = make(self._container)
            except environment.MissingReferenceError as error:
                with self._scene.references.expecting(error.reference) as change:
                    self._complain(str(error))
                    await self._stop.unless(change.wait())
            except containers.ConfigError as error:
                self._complain(str(error))
                await self._stop.asked()
            else:
                self._make = make
                return order

    def _tell_of_creation(self) -> None:
        image = self._container.get("image", "")
        self._scene.record("Normal", "Pulled", f'Container image "{image}" already present on machine', self._name)
        self._scene.record("Normal", "Created", f"Created container: {self._name}", self._name)
        self.state.number = f"{self._scene.pod['metadata']['uid']}-{self._name}-{self._runs}"

    def _complain(self, words: str) -> None:
        self._wait_as("CreateContainerConfigError", words)
        self._scene.record("Warning", "Failed", f"Error: {words}", self._name)

    def _wait_as(self, reason: str, message: str) -> None:
        self.state.state = {"waiting": {"reason": reason, "message": message}}
        self._scene.tell()

    async def _start(self, order: launching.Order) -> tuple[launching.Process, logfiles.LogFile]:
        log = self._new_log()
        read, write = launching.open_pipe()
        log.attach(read)
        try:
            return await self._launch(order, write), log
        except BaseException:
            log.close()
            raise
        finally:
            os.close(write)

    async def _launch(self, order: launching.Order, output: int) -> launching.Process:
        async with self._turn:  # who ends it waits until there is something to end
            if self._stop.is_asked:
                raise stopping.StoppedError
            self._process = await self._scene.launcher.start(order, output)
            return self._process

    async def _has_begun(self, process: launching.Process) -> bool:
        """Run the postStart hook; when it fails the container is killed."""
        handler = self._container.get("lifecycle", {}).get("postStart")
        if not handler or await self._hook("postStart", handler, process):
            return True
        await process.kill()
        return False

    async def _hook(self, which: str, handler: schema.Object, process: launching.Process) -> bool:
        # The words of a hook are taken as they stand: no $(VAR) is replaced in them.
        words = [word.replace("$", "$$") for word in handler.get("exec", {}).get("command", [])]
        try:
            order = self._make({**self._container, "command": words or ["true"], "args": []})
            why = await hooks.run(self._scene.launcher, handler, order, process)
        except (containers.ConfigError, launching.StartError, OSError) as error:
            why = str(error)
        if why:
            kind = which[0].upper() + which[1:]
            self._scene.record("Warning", f"Failed{kind}Hook", f"{kind}Hook failed: {why}", self._name)
        return not why

    async def _accompany(self, process: launching.Process, log: logfiles.LogFile) -> launching.Ending:
        """Stay with it until it and its output have ended."""
        await stopping.settled(process.exited)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTPUT_GRACE):
                await log.ended.wait()
        log.close()
        return process.exited.result()

    def _new_log(self) -> logfiles.LogFile:
        """Open the log of a new run; as on a node, those before the last one are gone."""
        log = logfiles.LogFile(self._scene.folder / f"{self._name}.{self._runs}.log", self._scene.now)
        for old in self._logs[:-1]:
            old.remove()
        self._logs = [*self._logs[-1:], log]
        return log

    def _finish(self, code: int, started: str, message: str, reason: str = "") -> None:
        ended: schema.Object = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "startedAt": started,
            "finishedAt": times.stamp(self._scene.now()),
            "containerID": f"sandbox://{self.state.number}",
        }
        self.state.state = {"terminated": ended | ({"message": message} if message else {})}


def _make_nothing(_: schema.Object) -> launching.Order:
    raise launching.StartError("the container has not been started")


def _clear(message: pathlib.Path) -> None:
    message.write_bytes(b"")


def _last_words(container: schema.Object, message: pathlib.Path, log: logfiles.LogFile, code: int) -> str:
    words = ""
    with contextlib.suppress(OSError):  # without namespaces it can remove the file
        with message.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MESSAGE_SIZE))
            words = file.read().decode(errors="replace")
        if not words and code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            return log.tail(_FALLBACK_LINES, _FALLBACK_SIZE)
    return words
