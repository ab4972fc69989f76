"""The process that starts containers: small, single-threaded, and forked for every container.

It is the parent of all of them, so it alone can wait for them, and when its socket closes - the sandbox has ended, in
whatever way - it kills what still runs, removes the sandbox's directory and leaves. With namespaces it is PID 1 of a
PID namespace: should it die itself, the kernel kills all below it. Every container then is PID 1 of one of its own, as
in a cluster: what it leaves behind dies with it, and a SIGTERM that it has no handler for does nothing. Without them a
container is a process group; a process of it that has made a session of its own and lost its parent escapes a stop of
the container (unless there are control groups), though not the end of the sandbox.

Frames on the socket: 4 bytes of length (big endian), then JSON; a frame ``start`` brings the descriptor for the output.
"""

import array
import contextlib
import dataclasses
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

from nni.sandbox.node import becoming, cgroups, kernel, memory, mounts, namespaces


def main(arguments: list[str]) -> int:
    """Run with the arguments that ``launching`` gives: socket, isolation (auto, namespaces, rewrite), directory."""
    link = socket.socket(fileno=int(arguments[0]))
    isolation, folder = arguments[1:3]
    calls = kernel.Kernel()
    flags = 0 if isolation == "rewrite" else namespaces.possible(calls)
    if isolation == "namespaces" and not flags:
        _send(link, {"event": "refused"})
        return 1
    groups = cgroups.find(f"nni-sandbox-{os.getpid()}")
    if not flags:
        if sys.platform == "linux":
            calls.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return _serve(_Launcher(link, calls, 0, folder, groups), folder)
    namespaces.enter(calls, flags)
    child = os.fork()
    if child == 0:
        calls.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if flags & kernel.CLONE_NEWPID:
            namespaces.show_own_processes(calls)
        os._exit(_serve(_Launcher(link, calls, flags, folder, groups), folder))
    link.close()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _serve(launcher: "_Launcher", folder: str) -> int:
    launcher.serve()
    launcher.release(pathlib.Path(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


@dataclasses.dataclass
class _Process:
    """The main process of a container, or one that was started inside of a container."""

    name: str
    pid: int
    group: cgroups.Group | None
    limit: int
    """Bytes of memory; 0 for none."""
    result: int
    """Where it says that it could not be started; closed, and -1, once it has been."""
    host: str
    """The container in which it was started; empty for a container's main process."""
    is_out_of_memory: bool = False


class _Launcher:
    def __init__(
        self, link: socket.socket, calls: kernel.Kernel, flags: int, folder: str, groups: cgroups.Groups | None
    ) -> None:
        self._link = link
        self._calls = calls
        self._flags = flags
        self._groups = groups
        self._staging = pathlib.Path(folder, "staging")
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY) if flags & kernel.CLONE_NEWPID else -1
        self._selector = selectors.DefaultSelector()
        self._buffer = b""
        self._descriptors: list[int] = []
        self._by_pid: dict[int, _Process] = {}
        self._by_name: dict[str, _Process] = {}
        self._guests: dict[str, set[str]] = {}
        """Names of what was started inside of containers, by the container."""
        self._watched: dict[str, _Process] = {}
        """Those whose memory we hold to its limit ourselves."""
        self._is_open = True

    def serve(self) -> None:
        wake_read, wake_write = os.pipe()
        for descriptor in (wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._link, selectors.EVENT_READ, self._receive)
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 4096))
        ways = {"namespaces": bool(self._flags), "cgroups": self._groups.version if self._groups else 0}
        _send(self._link, {"event": "ready", **ways})
        while self._is_open:
            for key, _ in self._selector.select(memory.INTERVAL if self._watched else None):
                key.data()
            for process in self._watched.values():
                if memory.is_over(process.pid, process.limit):
                    self._out_of_memory(process)
            self._reap()
        self._end_all()

    def release(self, folder: pathlib.Path) -> None:
        if self._flags:
            with contextlib.suppress(OSError):
                mounts.release_memory(self._calls, folder)

    def _receive(self) -> None:
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
        self._is_open = bool(data)

    def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "start":
            output = self._descriptors.pop(0)
            try:
                self._start(order, output)
            except OSError as error:
                _send(self._link, {"event": "failed", "id": order["id"], "message": str(error)})
                _send(self._link, {"event": "exited", "id": order["id"], "code": 128, "oom": False})
            finally:
                os.close(output)
            return
        process = self._by_name.get(order["id"])
        if process is None:
            return
        if order["do"] == "kill":
            self._kill(process)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, order["signal"])

    def _start(self, order: dict[str, Any], output: int) -> None:
        host = self._by_name.get(order["inside"])
        if order["inside"] and host is None:
            raise ProcessLookupError(f"container {order['inside']} has ended")
        wanted = [mounts.Mount(*each) for each in order["mounts"]] if self._flags else []
        for mount in wanted:
            mounts.fill_with_memory(self._calls, mount)
        group = host.group if host else self._make_group(order)
        try:
            process = self._fork(order, wanted, output, group, host)
        except OSError:
            if group and not host:
                self._discard(group)
            raise
        self._by_pid[process.pid] = self._by_name[process.name] = process
        if process.host:
            self._guests.setdefault(process.host, set()).add(process.name)
        if process.limit and not group:
            self._watched[process.name] = process
        self._selector.register(process.result, selectors.EVENT_READ, lambda: self._report_start(process))

    def _fork(
        self, order: dict[str, Any], wanted: list[mounts.Mount], output: int, group: cgroups.Group | None,
        host: _Process | None,
    ) -> _Process:  # fmt: skip
        with contextlib.ExitStack() as stack:
            joined = {}
            if host and self._flags:
                shared = {kernel.CLONE_NEWUTS: "uts", kernel.CLONE_NEWNS: "mnt"}
                joined = {kind: self._open(stack, host, name) for kind, name in shared.items()}
            if self._own >= 0:
                # A second unshare is refused until the way back to one's own namespace is taken.
                self._calls.setns(self._own, kernel.CLONE_NEWPID)
                if host:
                    self._calls.setns(self._open(stack, host, "pid"), kernel.CLONE_NEWPID)
                else:
                    self._calls.unshare(kernel.CLONE_NEWPID)
            result_read, result_write = os.pipe()
            stack.callback(os.close, result_write)
            pid = os.fork()
            if pid == 0:
                becoming.become(self._calls, becoming.Birth(
                    order["command"], order["environment"], order["folder"], output, result_write, group, joined,
                    wanted, self._staging, self._flags, order["hostname"],
                ))  # fmt: skip
        return _Process(order["id"], pid, group, order["memory"], result_read, order["inside"])

    def _open(self, stack: contextlib.ExitStack, host: _Process, kind: str) -> int:
        """Open a namespace of a container."""
        descriptor = os.open(f"/proc/{host.pid}/ns/{kind}", os.O_RDONLY)
        stack.callback(os.close, descriptor)
        return descriptor

    def _make_group(self, order: dict[str, Any]) -> cgroups.Group | None:
        if self._groups is None:
            return None
        group = self._groups.make(order["id"])
        if order["memory"]:
            try:
                group.limit(order["memory"])
            except OSError:
                self._discard(group)
                raise
            if group.alarm >= 0:
                self._selector.register(group.alarm, selectors.EVENT_READ, lambda: self._alarmed(order["id"], group))
        return group

    def _report_start(self, process: _Process) -> None:
        """Tell of the start; called again for one that has been told of, it does nothing."""
        if process.result < 0:
            return
        message = os.read(process.result, 65536).decode()
        self._selector.unregister(process.result)
        os.close(process.result)
        process.result = -1
        _send(
            self._link,
            {"event": "failed", "id": process.name, "message": message}
            if message
            else {"event": "started", "id": process.name},
        )

    def _alarmed(self, name: str, group: cgroups.Group) -> None:
        self._selector.unregister(group.alarm)
        if name in self._by_name:
            self._out_of_memory(self._by_name[name])

    def _out_of_memory(self, process: _Process) -> None:
        process.is_out_of_memory = True
        self._kill(process)

    def _reap(self) -> None:
        while True:
            try:
                pid, state = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            process = self._by_pid.pop(pid, None)
            if process is not None:  # else it is an orphan that a container has left
                self._bury(process, os.waitstatus_to_exitcode(state))
        if self._groups:
            self._groups.sweep()

    def _bury(self, process: _Process, code: int) -> None:
        self._report_start(process)  # before the end, should both have come at once
        del self._by_name[process.name]
        self._watched.pop(process.name, None)
        self._guests.get(process.host, set()).discard(process.name)
        for guest in self._guests.pop(process.name, set()):
            self._kill(self._by_name[guest])
        if process.group is not None and not process.host:
            process.is_out_of_memory |= process.group.has_run_out()
        if self._own < 0:
            self._kill_all_of(process)
        if process.group is not None and not process.host:
            self._discard(process.group)
        code = -signal.SIGKILL if process.is_out_of_memory else code
        _send(self._link, {"event": "exited", "id": process.name, "code": code, "oom": process.is_out_of_memory})

    def _discard(self, group: cgroups.Group) -> None:
        if group.alarm >= 0:
            with contextlib.suppress(KeyError):  # it has rung
                self._selector.unregister(group.alarm)
        if self._groups is not None:
            self._groups.discard(group)

    def _kill(self, process: _Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._own < 0:
                os.kill(process.pid, signal.SIGSTOP)  # or it would see its children die, and go on
                self._kill_all_of(process)
            os.kill(process.pid, signal.SIGKILL)  # the kernel takes the rest of its PID namespace along

    def _kill_all_of(self, process: _Process) -> None:
        tree = memory.tree(process.pid)
        if process.group is not None and not process.host:
            process.group.kill()
        for pid in tree[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for process in self._by_pid.values():
            self._kill(process)
        while True:
            for pid in memory.tree(os.getpid())[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        if self._groups:
            for process in self._by_pid.values():
                if process.group is not None and not process.host:
                    self._discard(process.group)
            self._groups.close()


def _send(link: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    with contextlib.suppress(OSError):  # the sandbox is gone: the end of the socket will say so
        link.sendall(struct.pack(">I", len(data)) + data)
