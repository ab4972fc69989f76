"""The sandbox's side of the launcher: starting containers, signalling them, learning of their ends."""

import array
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import signal
import socket
import struct
import sys
from typing import Any, Literal, Self

from nni import errors
from nni.sandbox.node import mounts

Isolation = Literal["auto", "namespaces", "rewrite"]

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from nni.sandbox.node import launcher; "
    "sys.exit(launcher.main(sys.argv[2:]))"
)


class StartError(Exception):
    """A container's command could not be started."""


@dataclasses.dataclass(frozen=True)
class Order:
    """A container to start."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    """The working directory, as the container sees it."""
    mounts: list[mounts.Mount]
    """Ignored without namespaces, as is the name of the host."""
    hostname: str
    memory: int = 0
    """The most that it and its descendants may hold, in bytes; 0 is no limit."""


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a container has ended."""

    code: int
    """The exit code; 128 + n when signal n ended it."""
    is_out_of_memory: bool = False


class Process:
    """A container's main process, or one that was started beside it."""

    def __init__(self, launcher: "Launcher", name: str) -> None:
        self._launcher = launcher
        self._name = name
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[str] = loop.create_future()
        """Why it could not be started; empty when it could."""
        self.exited: asyncio.Future[Ending] = loop.create_future()

    @property
    def name(self) -> str:
        """What the launcher knows it by."""
        return self._name

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process."""
        await self._launcher.send({"do": "signal", "id": self._name, "signal": int(number)})

    async def kill(self) -> None:
        """Kill it and all that it has started."""
        await self._launcher.send({"do": "kill", "id": self._name})


class Launcher:
    """Starts containers. Use as an async context manager."""

    def __init__(self, folder: pathlib.Path, isolation: Isolation) -> None:
        """Work in ``folder``, which the launcher removes at the end, even when the sandbox is killed."""
        self._folder = folder
        self._wanted = isolation
        self._ids = itertools.count()
        self._processes: dict[str, Process] = {}
        self._buffer = b""
        self._turn = asyncio.Lock()
        self.isolation: Isolation = isolation
        """What is in force once it has started: ``namespaces`` or ``rewrite``."""
        self.memory = ""
        """What holds containers to their memory limits: ``cgroups v2``, ``cgroups v1`` or ``watching``."""
        self.died = asyncio.Event()

    async def __aenter__(self) -> Self:
        (self._folder / "staging").mkdir()
        self._link, theirs = socket.socketpair()
        self._link.setblocking(False)
        root = str(pathlib.Path(__file__).parents[3])
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with theirs:
            self._program = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _BOOT, root, str(theirs.fileno()), self._wanted, str(self._folder),
                pass_fds=(theirs.fileno(),), start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        asyncio.get_running_loop().add_reader(self._link, self._receive)
        return self

    async def ready(self) -> None:
        """Wait until containers can be started. Raises SandboxError when the isolation asked for is impossible."""
        await self._ready

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        await self._program.wait()

    async def start(self, order: Order, output: int, inside: Process | None = None) -> Process:
        """Start a container whose output goes to the descriptor ``output``. Raises StartError.

        With ``inside`` it is no container of its own, but a further process in that one, and ends with it.
        """
        process = Process(self, f"c{next(self._ids)}")
        self._processes[process.name] = process
        message = {"do": "start", "id": process.name, **dataclasses.asdict(order),
                   "inside": inside.name if inside else "",
                   "mounts": [dataclasses.astuple(each) for each in order.mounts]}  # fmt: skip
        await self.send(message, output)
        await asyncio.wait([process.started])  # the future is not ours to cancel: the launcher's answer comes anyway
        why_not = process.started.result()
        if why_not:
            raise StartError(why_not)
        return process

    async def send(self, message: dict[str, Any], descriptor: int | None = None) -> None:
        """Send an order to the launcher."""
        data = json.dumps(message).encode()
        frame = struct.pack(">I", len(data)) + data
        loop = asyncio.get_running_loop()
        async with self._turn:
            with contextlib.suppress(OSError):  # a dead launcher is told of by `died`
                if descriptor is not None:
                    rights = array.array("i", [descriptor])
                    # The first byte carries the descriptor; a fresh socket buffer has always room for it.
                    sent = self._link.sendmsg([frame[:4]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                    frame = frame[sent:]
                await loop.sock_sendall(self._link, frame)

    def _receive(self) -> None:
        try:
            data = self._link.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + struct.unpack(">I", self._buffer[:4])[0]
            if len(self._buffer) < end:
                return
            message, self._buffer = json.loads(self._buffer[4:end]), self._buffer[end:]
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "ready":
                self.isolation = "namespaces" if message["namespaces"] else "rewrite"
                self.memory = f"cgroups v{message['cgroups']}" if message["cgroups"] else "watching"
                self._ready.set_result(None)
            case "refused":
                self._ready.set_exception(errors.SandboxError(
                    "This machine does not allow mount namespaces; use --isolation rewrite (or auto)."
                ))  # fmt: skip
            case "started":
                self._processes[message["id"]].started.set_result("")
            case "failed":
                self._processes[message["id"]].started.set_result(message["message"])
            case _:  # exited
                process = self._processes.pop(message["id"])
                code = message["code"]
                process.exited.set_result(Ending(128 - code if code < 0 else code, message["oom"]))

    def _lost(self) -> None:
        asyncio.get_running_loop().remove_reader(self._link)
        if not self._ready.done():
            self._ready.set_exception(errors.SandboxError("The sandbox's launcher could not start."))
        for process in self._processes.values():
            if not process.started.done():
                process.started.set_result("the sandbox's launcher has died")
            process.exited.set_result(Ending(137))
        self._processes.clear()
        self.died.set()


def open_pipe() -> tuple[int, int]:
    """Make a pipe for a container's output; the reading end does not block."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, write
