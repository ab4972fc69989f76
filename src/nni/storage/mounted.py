"""A volume that this machine has in its file system: a mounted NFS export, a claim, or any directory.

Paths are walked name by name from the root, each name opened relative to the directory before it and never through a
symbolic link: what a pod leaves on the volume cannot lead the manager out of it, whenever it is swapped in.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from nni import errors
from nni.core import ports
from nni.storage import paths

_T = TypeVar("_T")

_TRIES = 3
"""On a stale handle everything is looked up again from the root."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class MountedVolume:
    """Implements ``Volume`` over a directory. Blocking calls run in asyncio's threads."""

    def __init__(self, root: Path) -> None:
        """Take the directory that is the volume's root; it must exist when the volume is used."""
        self._root = root

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        await self._run("written", path, lambda: self._put(path, content))

    async def make(self, path: str) -> None:
        """See the port."""
        await self._run("made", path, lambda: self._make(path))

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        return await self._run("listed", path, lambda: self._list(path))

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        return await self._run("read", path, lambda: self._read(path, offset, limit))

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        return await self._run("looked at", path, lambda: self._stat(path))

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        await self._run(f"renamed to {target}", source, lambda: self._rename(source, target))

    async def delete(self, path: str) -> None:
        """See the port."""
        await self._run("deleted", path, lambda: self._delete(path))

    async def usage(self, path: str) -> int:
        """See the port."""
        return await self._run("measured", path, lambda: self._usage(path))

    async def _run(self, done: str, path: str, work: Callable[[], _T]) -> _T:
        return await asyncio.to_thread(self._guarded, done, path, work)

    def _guarded(self, done: str, path: str, work: Callable[[], _T]) -> _T:
        for left in reversed(range(_TRIES)):
            try:
                return work()
            except errors.VolumeError:
                raise
            except OSError as error:
                if error.errno == errno.ESTALE and left:
                    continue
                where = f"{path or 'The root'} on the volume at {self._root}"
                raise errors.VolumeError(f"{where} could not be {done}: {paths.cause(error)}.") from error
        raise AssertionError("unreachable")

    def _put(self, path: str, content: bytes) -> None:
        with self._parent(path, make=True) as (folder, name):
            temporary = paths.temporary()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o644, dir_fd=folder)
            try:
                try:
                    os.fchmod(descriptor, 0o644)  # whatever the umask: pods run as somebody else
                    _write(descriptor, content)
                finally:
                    os.close(descriptor)  # where a network file system tells of a full disk
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def _make(self, path: str) -> None:
        with self._folder(paths.names(path), make=True) as folder:
            if os.fstat(folder).st_mode & 0o777 != 0o777:
                os.fchmod(folder, 0o777)  # pods may run as any user

    def _list(self, path: str) -> Sequence[str]:
        try:
            with self._folder(paths.names(path)) as folder:
                names = os.listdir(folder)  # noqa: PTH208 a descriptor, not a path
                return sorted(name for name in names if not name.startswith(paths.TEMPORARY))
        except FileNotFoundError:
            return []

    def _read(self, path: str, offset: int, limit: int | None) -> bytes:
        # Not blocking: a pipe that somebody put there would never open.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self._parent(path) as (folder, name):
                try:
                    descriptor = os.open(name, flags, dir_fd=folder)
                except OSError as error:
                    if error.errno == errno.ELOOP:
                        raise self._is_a_link(path) from error
                    raise
        except FileNotFoundError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise errors.VolumeError(f"{path} on the volume at {self._root} is not a file, so it cannot be read.")
            return _read_from(descriptor, offset, limit)
        finally:
            os.close(descriptor)

    def _stat(self, path: str) -> ports.Stat | None:
        try:
            with self._parent(path) as (folder, name):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise
        is_directory, is_file = stat.S_ISDIR(found.st_mode), stat.S_ISREG(found.st_mode)
        return ports.Stat(
            is_directory=is_directory,
            size=0 if is_directory else found.st_size,
            modified_at=found.st_mtime,
            is_special=not is_directory and not is_file,
            identity=f"{found.st_dev}:{found.st_ino}",
        )

    def _rename(self, source: str, target: str) -> None:
        with self._parent(source) as (from_folder, from_name), self._parent(target, make=True) as (to_folder, to_name):
            try:
                os.rename(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
            except FileNotFoundError:
                # The same call a second time: what was to be moved is there already.
                os.stat(to_name, dir_fd=to_folder, follow_symlinks=False)

    def _delete(self, path: str) -> None:
        if not paths.names(path):
            raise errors.VolumeError(f"The root of the volume at {self._root} is not deleted: name what is in it.")
        with contextlib.suppress(FileNotFoundError), self._parent(path) as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def _usage(self, path: str) -> int:
        found = self._stat(path)
        if found is None or not found.is_directory:
            return 0 if found is None else found.size
        with self._folder(paths.names(path)) as top:
            return sum(_sizes(top))

    @contextlib.contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the directory that a path's last name is in."""
        names = paths.names(path)
        with self._folder(names[:-1], make=make) as folder:
            yield folder, names[-1] if names else "."

    @contextlib.contextmanager
    def _folder(self, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open a directory below the root, and make what is missing of it if that is wished."""
        current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for depth in range(1, len(names) + 1):
                step = self._enter(current, names[:depth], make=make)
                os.close(current)
                current = step
            yield current
        finally:
            os.close(current)

    def _enter(self, folder: int, names: Sequence[str], *, make: bool) -> int:
        name = names[-1]
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=folder)
        try:
            return os.open(name, _DIRECTORY, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(folder, name):
                raise self._is_a_link("/".join(names)) from error
            raise

    def _is_a_link(self, path: str) -> errors.VolumeError:
        return errors.VolumeError(
            f"{path} on the volume at {self._root} is a symbolic link, and these are not followed."
        )


def _is_link(folder: int, name: str) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read_from(descriptor: int, offset: int, limit: int | None) -> bytes:
    parts = []
    while limit is None or limit > 0:
        part = os.pread(descriptor, 1 << 20 if limit is None else min(limit, 1 << 20), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        limit = None if limit is None else limit - len(part)
    return b"".join(parts)


def _sizes(top: int) -> Iterator[int]:
    for _, _, files, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        for name in files:
            with contextlib.suppress(FileNotFoundError):  # it may go while we count
                yield os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
