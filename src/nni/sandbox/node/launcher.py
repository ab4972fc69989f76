"""The process that starts containers: small, single-threaded, and forked for every container.

It is the parent of all of them, so it alone can wait for them, and when its socket closes - the sandbox has ended, in
whatever way - it kills what still runs, removes the sandbox's directory and leaves. With namespaces it is PID 1 of a
PID namespace: should it die itself, the kernel kills all below it. Every container then is PID 1 of one of its own, as
in a cluster: what it leaves behind dies with it, and a SIGTERM that it has no handler for does nothing.

Frames on the socket: 4 bytes of length (big endian), then JSON; a frame ``start`` brings the descriptor for the output.
"""

import array
import contextlib
import json
import os
import pathlib
import selectors
import shutil
import signal
import socket
import struct
import sys
from typing import Any

from nni.sandbox.node import kernel, mounts

_RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ)


def main(arguments: list[str]) -> int:
    """Run with the arguments that ``launching`` gives: socket, isolation (auto, namespaces, rewrite), directory."""
    link = socket.socket(fileno=int(arguments[0]))
    isolation, folder = arguments[1:3]
    calls = kernel.Kernel()
    flags = 0 if isolation == "rewrite" else _possible_namespaces(calls)
    if isolation == "namespaces" and not flags:
        _send(link, {"event": "refused"})
        return 1
    if not flags:
        if sys.platform == "linux":
            calls.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return _serve(link, calls, 0, folder)
    _enter(calls, flags)
    child = os.fork()
    if child == 0:
        calls.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        os._exit(_serve(link, calls, flags, folder))
    link.close()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _serve(link: socket.socket, calls: kernel.Kernel, flags: int, folder: str) -> int:
    launcher = _Launcher(link, calls, flags, folder)
    launcher.serve()
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _enter(calls: kernel.Kernel, flags: int) -> None:
    user, group = os.getuid(), os.getgid()
    calls.unshare(flags)
    if flags & kernel.CLONE_NEWUSER:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            pathlib.Path("/proc/self", name).write_text(text, encoding="ascii")


def _possible_namespaces(calls: kernel.Kernel) -> int:
    """Try, in a child, which namespaces this machine allows; 0 when none."""
    if sys.platform != "linux":
        return 0
    for flags in (
        kernel.CLONE_NEWNS | kernel.CLONE_NEWPID,
        kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWUSER,
        kernel.CLONE_NEWNS | kernel.CLONE_NEWUSER,
        kernel.CLONE_NEWNS,
    ):
        child = os.fork()
        if child == 0:
            os._exit(_try(calls, flags))
        if os.waitpid(child, 0)[1] == 0:
            return flags
    return 0


def _try(calls: kernel.Kernel, flags: int) -> int:
    try:
        _enter(calls, flags)
        child = os.fork()
        if child == 0:
            try:
                calls.unshare(kernel.CLONE_NEWNS)
                calls.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
                calls.mount("sandbox", "/tmp", "tmpfs", 0)  # noqa: S108 - in a namespace that ends at once
                if flags & kernel.CLONE_NEWPID:
                    calls.mount("proc", "/proc", "proc", 0)
            except OSError:
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1]
    except OSError:
        return 1


class _Launcher:
    def __init__(self, link: socket.socket, calls: kernel.Kernel, flags: int, folder: str) -> None:
        self._link = link
        self._calls = calls
        self._flags = flags
        self._staging = pathlib.Path(folder, "staging")
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY) if flags & kernel.CLONE_NEWPID else -1
        self._selector = selectors.DefaultSelector()
        self._buffer = b""
        self._descriptors: list[int] = []
        self._names: dict[int, str] = {}
        self._pids: dict[str, int] = {}

    def serve(self) -> None:
        wake_read, wake_write = os.pipe()
        for descriptor in (wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._link, selectors.EVENT_READ)
        self._selector.register(wake_read, selectors.EVENT_READ)
        _send(self._link, {"event": "ready", "namespaces": bool(self._flags), "pid": self._own >= 0})
        is_open = True
        while is_open:
            for key, _ in self._selector.select():
                if key.fileobj is self._link:
                    is_open = self._receive()
                elif key.fd == wake_read:
                    os.read(wake_read, 4096)
                else:
                    self._report_start(key.fd, key.data)
            self._reap()
        self._end_all()

    def _receive(self) -> bool:
        descriptors = array.array("i")
        data, ancillary, _, _ = self._link.recvmsg(1 << 16, socket.CMSG_SPACE(64 * descriptors.itemsize))
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + struct.unpack(">I", self._buffer[:4])[0]
            if len(self._buffer) < end:
                break
            frame, self._buffer = self._buffer[4:end], self._buffer[end:]
            self._obey(json.loads(frame))
        return bool(data)

    def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "start":
            self._start(order, self._descriptors.pop(0))
            return
        pid = self._pids.get(order["id"])
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if order["do"] == "kill":
                self._kill(pid)
            else:
                os.kill(pid, order["signal"])

    def _start(self, order: dict[str, Any], output: int) -> None:
        result_read, result_write = os.pipe()
        if self._own >= 0:
            # A second unshare is refused until the way back to one's own namespace is taken.
            self._calls.setns(self._own, kernel.CLONE_NEWPID)
            self._calls.unshare(kernel.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            self._become(order, output, result_write)
        os.close(output)
        os.close(result_write)
        self._names[pid] = order["id"]
        self._pids[order["id"]] = pid
        self._selector.register(result_read, selectors.EVENT_READ, (order["id"], pid))

    def _become(self, order: dict[str, Any], output: int, result: int) -> None:
        try:
            if sys.platform == "linux":
                self._calls.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for number in _RESET:
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            if self._flags:
                wanted = [mounts.Mount(*each) for each in order["mounts"]]
                self._calls.unshare(kernel.CLONE_NEWNS)
                mounts.arrange(self._calls, wanted, self._staging, has_own_processes=self._own >= 0)
            os.chdir(order["folder"])
            os.execvpe(order["command"][0], order["command"], order["environment"])  # noqa: S606 - no shell is wanted
        except (OSError, ValueError) as error:
            os.write(result, str(error).encode())
        os._exit(128)

    def _report_start(self, descriptor: int, who: tuple[str, int]) -> None:
        name, _ = who
        message = os.read(descriptor, 65536).decode()
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _send(
            self._link,
            {"event": "failed", "id": name, "message": message} if message else {"event": "started", "id": name},
        )

    def _reap(self) -> None:
        while True:
            try:
                pid, state = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._forget(pid, os.waitstatus_to_exitcode(state))

    def _forget(self, pid: int, code: int) -> None:
        name = self._names.pop(pid, None)
        if name is None:
            return  # an orphan that a container left
        self._drain_start(name)
        if self._own < 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        del self._pids[name]
        _send(self._link, {"event": "exited", "id": name, "code": code})

    def _drain_start(self, name: str) -> None:
        """Tell of the start before the end, should both have come at once."""
        for key in list(self._selector.get_map().values()):
            if key.data and key.data[0] == name:
                self._report_start(key.fd, key.data)

    def _kill(self, pid: int) -> None:
        if self._own >= 0:
            os.kill(pid, signal.SIGKILL)  # the kernel takes the rest of its PID namespace along
        else:
            os.killpg(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in list(self._names):
            with contextlib.suppress(ProcessLookupError):
                self._kill(pid)
        while True:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _children() -> list[int]:
    """List one's children, those inherited from dead containers too; nothing where the kernel does not tell."""
    with contextlib.suppress(OSError):
        listed = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        return [int(text) for text in listed.split()]
    return []


def _send(link: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    with contextlib.suppress(OSError):  # the sandbox is gone: the end of the socket will say so
        link.sendall(struct.pack(">I", len(data)) + data)
