"""A mount table of a container's own: the paths that its manifest names, on a host that does not have them.

Nothing is ever made on the host: where a path does not exist, its nearest existing ancestor is covered by a tmpfs that
shows the same entries and has room for one more. All of it lives in a mount namespace and ends with it.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from nni.sandbox.node import kernel

_DEVICES = frozenset((
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd", "stdin", "stdout",
    "stderr", "fuse", "kfd", "dri", "infiniband", "net",
))  # fmt: skip
"""What of /dev a container gets when something is mounted below it; NVIDIA's devices too."""


@dataclasses.dataclass(frozen=True)
class Mount:
    """What stands where in the container."""

    source: str
    """A file or a directory of the host; empty for an empty directory of the container's own."""
    target: str
    is_read_only: bool = False
    memory: int | None = None
    """Bytes (0: no limit) when the source, a directory, is to be a file system in memory; None when it is not."""


def fill_with_memory(calls: kernel.Kernel, mount: Mount) -> None:
    """Turn the source of a mount into a file system in memory, if it is to be one and is not yet.

    Done by the launcher, so that all containers of a pod inherit the same one. It ends with its directory: to remove
    that, from outside of the launcher's mount namespace, takes the mount along.
    """
    if mount.memory is None or os.path.ismount(mount.source):
        return
    options = f"mode=1777,size={mount.memory}" if mount.memory else "mode=1777"
    calls.mount("memory", mount.source, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def release_memory(calls: kernel.Kernel, folder: pathlib.Path) -> None:
    """Unmount the file systems in memory below a directory, so that their directories can be removed from inside."""
    table = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    for line in table.splitlines():
        target = line.split()[4]
        if " - tmpfs memory " in line and pathlib.PurePosixPath(target).is_relative_to(folder):
            calls.unmount(target, kernel.MNT_DETACH)


def arrange(calls: kernel.Kernel, wanted: Sequence[Mount], staging: pathlib.Path, *, has_own_processes: bool) -> None:
    """Give the calling process these mounts, in a mount namespace that it must have to itself.

    Args:
        calls: The system calls.
        wanted: What to mount where.
        staging: An existing empty directory of the host, covered for moments.
        has_own_processes: Whether it is in a PID namespace of its own, and so needs a /proc of its own.
    """
    calls.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    targets = {mount: pathlib.Path(mount.target).resolve() for mount in wanted}
    for mount in wanted:
        if not targets[mount].exists():
            _make_room(calls, targets[mount], staging, is_folder=_is_folder(mount))
    # Held open from here on: what is mounted first may hide the source of what comes next.
    sources = {mount: os.open(mount.source, os.O_PATH) for mount in wanted if mount.source}
    for mount in sorted(wanted, key=lambda each: len(targets[each].parts)):
        _mount(calls, mount, targets[mount], sources.get(mount))
    for descriptor in sources.values():
        os.close(descriptor)
    if has_own_processes:
        calls.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _mount(calls: kernel.Kernel, mount: Mount, target: pathlib.Path, source: int | None) -> None:
    if not target.exists():  # below another volume: it gets the directory, as in a cluster
        _make(target, is_folder=_is_folder(mount))
    if source is not None:
        calls.mount(f"/proc/self/fd/{source}", str(target), None, kernel.MS_BIND | kernel.MS_REC)
    if mount.is_read_only:
        flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | _locked_flags(target)
        calls.mount(None, str(target), None, flags)


def _is_folder(mount: Mount) -> bool:
    return not mount.source or pathlib.Path(mount.source).is_dir()


def _make_room(calls: kernel.Kernel, target: pathlib.Path, staging: pathlib.Path, *, is_folder: bool) -> None:
    ancestor = next(parent for parent in target.parents if parent.is_dir())
    if _is_ours(ancestor):
        _make(target, is_folder=is_folder)
        return
    calls.mount("sandbox", str(staging), "tmpfs", kernel.MS_NOSUID, "mode=0755")
    calls.mount(None, str(staging), None, kernel.MS_UNBINDABLE)  # so that it does not appear in the copies below
    _copy_entries(calls, ancestor, staging)
    _make(staging / target.relative_to(ancestor), is_folder=is_folder)
    if ancestor == pathlib.Path("/"):
        os.chdir(staging)
        calls.pivot_root(".", ".")
        calls.unmount(".", kernel.MNT_DETACH)
        os.chdir("/")
    else:
        calls.mount(str(staging), str(ancestor), None, kernel.MS_MOVE)
    # In its place it is an ancestor like any other, of which the next copy may be made.
    calls.mount(None, str(ancestor), None, kernel.MS_PRIVATE)


def _copy_entries(calls: kernel.Kernel, folder: pathlib.Path, copy: pathlib.Path) -> None:
    is_dev = folder == pathlib.Path("/dev")
    for entry in folder.iterdir():
        if is_dev and entry.name not in _DEVICES and not entry.name.startswith("nvidia"):
            continue
        place = copy / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
            continue
        _make(place, is_folder=entry.is_dir())
        calls.mount(str(entry), str(place), None, kernel.MS_BIND | kernel.MS_REC)


def _make(path: pathlib.Path, *, is_folder: bool) -> None:
    if is_folder:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _is_ours(folder: pathlib.Path) -> bool:
    """Say whether a directory lies on a tmpfs that was made here."""
    table = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    ours = {pathlib.Path(line.split()[4]) for line in table.splitlines() if " - tmpfs sandbox " in line}
    mounted = next(path for path in (folder, *folder.parents) if path in ours or path.is_mount())
    return mounted in ours


def _locked_flags(target: pathlib.Path) -> int:
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
