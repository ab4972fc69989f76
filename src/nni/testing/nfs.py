"""A real NFS server on loopback for tests: nfs-ganesha, started for as long as a context is open. Needs root.

with NfsServer({"/data": Export(directory)}) as server:
...  # server.ports
"""

import contextlib
import ctypes
import dataclasses
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from nni import errors
from nni.storage import libnfs

HOST = "127.0.0.1"
_START_SECONDS = 30.0
_PORTMAPPER = 111

_CONFIGURATION = """\
NFS_CORE_PARAM {{
    NFS_Port = {nfs}; MNT_Port = {mountd}; Protocols = {versions}; Enable_UDP = None; Bind_addr = {host};
    Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = true;
}}
NFSv4 {{ RecoveryBackend = fs; Graceless = true; RecoveryRoot = {state}; }}
"""
# What is done to the directory by others than clients is seen at once.
_EXPORT = """\
EXPORT {{
    Export_Id = {number}; Path = "{directory}"; Pseudo = "{name}"; Access_Type = {access}; Squash = Root_Squash;
    SecType = sys; PrivilegedPort = {is_privileged}; Attr_Expiration_Time = 0; FSAL {{ Name = VFS; }}
}}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """A directory that is exported, with root squashed to nobody."""

    directory: Path
    is_read_only: bool = False
    is_privileged: bool = False
    """Whether only clients on ports below 1024, which take root, are let in: what Linux' own server asks for."""


class NfsServer:
    """The server; use it as a context manager.

    Attributes:
        ports: Of NFS and of mountd.
    """

    def __init__(
        self, exports: Mapping[str, Export], ports: tuple[int, int] | None = None, versions: str = "3, 4"
    ) -> None:
        """Describe the server; it starts on entry.

        Args:
            exports: By name; their directories exist.
            ports: Of NFS and mountd; None for free ones.
            versions: Of NFS, that it speaks.
        """
        self._exports = exports
        self._versions = versions
        self._stack = contextlib.ExitStack()
        self.ports = ports or (_free_port(), _free_port())

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            VolumeError: It does not.
        """
        with contextlib.ExitStack() as undo:
            undo.push(self._stack)
            state = Path(tempfile.mkdtemp(prefix="nni-nfs-"))
            self._stack.callback(shutil.rmtree, state)
            if not _answers(_PORTMAPPER):
                # With -h, Debian's aborts.
                self._start("rpcbind", "-w", "-f")
                _wait(lambda: _answers(_PORTMAPPER), "rpcbind does not answer")
            configuration = state / "ganesha.conf"
            configuration.write_text(self._configuration(state))
            log = state / "log"
            arguments = ("-f", str(configuration), "-L", str(log), "-p", str(state / "pid"), "-N", "NIV_EVENT")
            self._start("ganesha.nfsd", "-F", *arguments)
            _wait(self._is_ready, "the NFS server does not start")
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._stack.close()

    def _start(self, *command: str) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._stack.callback(_end, process)

    def _is_ready(self) -> bool:
        if "3" not in self._versions:
            return _answers(self.ports[0])
        try:
            libnfs.Context(libnfs.load(), HOST, next(iter(self._exports)), self.ports).close()
        except OSError:
            return False
        return True

    def _configuration(self, state: Path) -> str:
        numbers = {"nfs": self.ports[0], "mountd": self.ports[1]}
        head = _CONFIGURATION.format(**numbers, versions=self._versions, host=HOST, state=state)
        return head + "".join(
            _EXPORT.format(
                number=number,
                directory=export.directory,
                name=name,
                access="RO" if export.is_read_only else "RW",
                is_privileged=str(export.is_privileged).lower(),
            )
            for number, (name, export) in enumerate(self._exports.items(), start=1)
        )


def append(server: NfsServer, export: str, path: str, content: bytes) -> None:
    """Append to a file as another client of the server does: a pod.

    Args:
        server: The server.
        export: The export's name.
        path: The file's, absolute in the export; it exists.
        content: What is written at its end.

    Raises:
        OSError: It cannot be written.
    """
    library, handle = libnfs.load(), ctypes.c_void_p()
    with contextlib.closing(libnfs.Context(library, HOST, export, server.ports)) as client:
        size, context = client.lstat(path).size, client._context  # noqa: SLF001 - a volume never writes into a file
        opened = library.nfs_open(context, os.fsencode(path), os.O_WRONLY, ctypes.byref(handle))
        written = opened or library.nfs_pwrite(context, handle, size, len(content), content)
        if written != len(content) or library.nfs_close(context, handle):
            raise OSError(library.nfs_get_error(context))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _wait(is_so: Callable[[], bool], why_not: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise errors.VolumeError(f"For {_START_SECONDS:.0f} s {why_not}.")
        time.sleep(0.05)
