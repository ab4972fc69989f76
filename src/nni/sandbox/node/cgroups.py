"""Control groups: a group of its own for each container, in which the kernel holds its memory to the limit.

As a kubelet of 1.28 or newer has it, a container that runs out of memory dies as a whole, whichever of its processes
asked for the last page. Version 2 does that itself (``memory.oom.group``); with version 1 the kernel kills one process,
tells us, and we kill the rest, which may have a moment to notice.
"""

import contextlib
import os
import pathlib
import signal
from collections.abc import Iterator


class Group:
    """The group of one container."""

    def __init__(self, folder: pathlib.Path, version: int) -> None:
        self._folder = folder
        self._version = version
        self.alarm = -1
        """With version 1 a descriptor that can be read when memory has run out; else -1."""

    def limit(self, size: int) -> None:
        """Hold its memory to ``size`` bytes, without swap. Raises OSError."""
        if self._version == 2:
            self._write("memory.max", size)
            self._write("memory.oom.group", 1)
            with contextlib.suppress(OSError):  # a kernel without swap accounting has no such file
                self._write("memory.swap.max", 0)
            return
        self._write("memory.limit_in_bytes", size)
        with contextlib.suppress(OSError):
            self._write("memory.memsw.limit_in_bytes", size)
        self.alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        control = os.open(self._folder / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._write("cgroup.event_control", f"{self.alarm} {control}")
        finally:
            os.close(control)

    def join(self) -> None:
        """Move the calling process into it. Raises OSError."""
        self._write("cgroup.procs", 0)

    def kill(self) -> None:
        """Kill whoever is in it."""
        with contextlib.suppress(OSError):
            if (self._folder / "cgroup.kill").exists():
                self._write("cgroup.kill", 1)
                return
            for pid in self._pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def has_run_out(self) -> bool:
        """Say whether the kernel has killed in it for want of memory."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            lines = (self._folder / name).read_text(encoding="ascii").splitlines()
            return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)
        return False

    def remove(self) -> bool:
        """Remove it; False while somebody is still in it."""
        if self.alarm >= 0:
            os.close(self.alarm)
            self.alarm = -1
        try:
            self._folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _pids(self) -> list[int]:
        listed = (self._folder / "cgroup.procs").read_text(encoding="ascii").split()
        return [int(pid) for pid in listed if pid != "0"]  # 0 is somebody of another PID namespace

    def _write(self, name: str, value: object) -> None:
        (self._folder / name).write_text(str(value), encoding="ascii")


class Groups:
    """The groups of one sandbox, below one of its own."""

    def __init__(self, folder: pathlib.Path, version: int) -> None:
        self._folder = folder
        self.version = version
        self._left: list[Group] = []

    def make(self, name: str) -> Group:
        """Make the group of a container. Raises OSError."""
        folder = self._folder / name
        folder.mkdir()
        return Group(folder, self.version)

    def discard(self, group: Group) -> None:
        """Remove a group, at once or when the last of its processes has gone."""
        self._left = [each for each in (*self._left, group) if not each.remove()]

    def sweep(self) -> None:
        """Remove what could not be removed before."""
        self._left = [each for each in self._left if not each.remove()]

    def close(self) -> None:
        """Remove the sandbox's own group."""
        self.sweep()
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def find(name: str) -> Groups | None:
    """Make a group called ``name`` where this process may limit memory; None where it may not."""
    try:
        own = pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8")
        table = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    for version, folder in places(own, table):
        found = _claim(folder / name, version)
        if found is not None:
            return found
    return None


def places(own: str, table: str) -> Iterator[tuple[int, pathlib.Path]]:
    """Name the directories below which a group may be made, with their version.

    With version 2 a group that holds processes can have no groups with controllers below it, so the place is beside our
    own group, where a service manager has delegated that level to us.

    Args:
        own: The text of ``/proc/self/cgroup``.
        table: The text of ``/proc/self/mountinfo``.
    """
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        is_second = number == "0" and not controllers
        if not is_second and "memory" not in controllers.split(","):
            continue
        mounted = _mounted(table, "cgroup2" if is_second else "cgroup", "" if is_second else "memory")
        if mounted is None:
            continue
        root, point = mounted
        relative = pathlib.PurePosixPath(path)
        here = point / (relative.relative_to(root) if relative.is_relative_to(root) else "")
        if not is_second:
            yield 1, here
        else:
            yield 2, here
            if here != point:
                yield 2, here.parent


def _mounted(table: str, kind: str, option: str) -> tuple[str, pathlib.Path] | None:
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if rest[:1] == [kind] and (not option or option in rest[-1].split(",")):
            return fields[3], pathlib.Path(fields[4])
    return None


def _claim(folder: pathlib.Path, version: int) -> Groups | None:
    """Make the sandbox's group and try everything once with a process in it."""
    try:
        folder.mkdir()
    except OSError:
        return None
    groups = Groups(folder, version)
    try:
        if version == 2:
            (folder / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
        probe = groups.make("probe")
    except OSError:
        groups.close()
        return None
    is_good = _works(probe)
    probe.remove()
    if is_good:
        return groups
    groups.close()
    return None


def _works(group: Group) -> bool:
    try:
        group.limit(1 << 26)
        child = os.fork()
        if child == 0:
            try:
                group.join()
            except OSError:
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0
    except OSError:
        return False
