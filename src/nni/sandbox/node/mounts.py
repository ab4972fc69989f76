"""A mount table of a container's own: the paths that its manifest names, on a host that does not have them.

Nothing is ever made on the host: where a path does not exist, its nearest existing ancestor is covered by a tmpfs that
shows the same entries and has room for one more. All of it lives in a mount namespace and ends with it.
"""

import dataclasses
import os
import stat

from nni.sandbox.node import kernel

_DEVICES = frozenset((
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr",
    "fuse", "kfd", "dri", "infiniband", "net",
))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mount:
    """What stands where in the container."""

    source: str
    """A file or a directory of the host; empty for an empty directory of the container's own."""
    target: str
    is_read_only: bool = False


def arrange(calls: kernel.Kernel, wanted: list[Mount], staging: str, *, has_own_processes: bool) -> None:
    """Give the calling process these mounts, in a mount namespace that it must have to itself.

    Args:
        calls: The system calls.
        wanted: What to mount where.
        staging: An existing empty directory of the host, covered for moments.
        has_own_processes: Whether it is in a PID namespace of its own, and so needs a /proc of its own.
    """
    calls.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # Held open from here on: what is mounted first may hide the source of what comes next.
    sources = {mount: os.open(mount.source, os.O_PATH) for mount in wanted if mount.source}
    for mount in sorted(wanted, key=lambda each: each.target.count("/")):
        target = os.path.realpath(mount.target)
        is_folder = mount not in sources or stat.S_ISDIR(os.fstat(sources[mount]).st_mode)
        if not os.path.lexists(target):  # noqa: PTH110 - realpath has followed every link
            _make_room(calls, target, staging, is_folder=is_folder)
        if mount in sources:
            calls.mount(f"/proc/self/fd/{sources[mount]}", target, None, kernel.MS_BIND | kernel.MS_REC)
            if mount.is_read_only:
                flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | _locked_flags(target)
                calls.mount(None, target, None, flags)
    for descriptor in sources.values():
        os.close(descriptor)
    if has_own_processes:
        calls.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _make_room(calls: kernel.Kernel, target: str, staging: str, *, is_folder: bool) -> None:
    ancestor = os.path.dirname(target)
    while not os.path.isdir(ancestor):
        ancestor = os.path.dirname(ancestor)
    if _is_ours(ancestor):
        _make(target, is_folder=is_folder)
        return
    calls.mount("sandbox", staging, "tmpfs", kernel.MS_NOSUID, "mode=0755")
    calls.mount(None, staging, None, kernel.MS_UNBINDABLE)  # so that it does not appear in the copies below
    _copy_entries(calls, ancestor, staging)
    _make(os.path.join(staging, os.path.relpath(target, ancestor)), is_folder=is_folder)
    if ancestor == "/":
        os.chdir(staging)
        calls.pivot_root(".", ".")
        calls.unmount(".", kernel.MNT_DETACH)
        os.chdir("/")
    else:
        calls.mount(staging, ancestor, None, kernel.MS_MOVE)


def _copy_entries(calls: kernel.Kernel, folder: str, copy: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if folder == "/dev" and entry.name not in _DEVICES and not entry.name.startswith("nvidia"):
                continue
            place = os.path.join(copy, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            _make(place, is_folder=entry.is_dir())
            calls.mount(entry.path, place, None, kernel.MS_BIND | kernel.MS_REC)


def _make(path: str, *, is_folder: bool) -> None:
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))


def _is_ours(folder: str) -> bool:
    """Say whether a directory lies on a tmpfs that was made here."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        ours = {line.split()[4] for line in file if " - tmpfs sandbox " in line}
    while folder not in ours and not os.path.ismount(folder):
        folder = os.path.dirname(folder)
    return folder in ours


def _locked_flags(target: str) -> int:
    """Give the flags of the mount below, which a user namespace may not drop."""
    found = os.statvfs(target).f_flag
    pairs = (
        (os.ST_NOSUID, kernel.MS_NOSUID),
        (os.ST_NODEV, kernel.MS_NODEV),
        (os.ST_NOEXEC, kernel.MS_NOEXEC),
        (os.ST_NOATIME, 1024),
        (os.ST_NODIRATIME, 2048),
        (os.ST_RELATIME, 1 << 21),
    )
    return sum(mount_flag for flag, mount_flag in pairs if found & flag)
