"""The volume of an experiment without shared storage: a directory of the manager's, filled by what pods send."""

import asyncio
import collections
import contextlib
import errno
import functools
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nni import errors
from nni.runtime import paths, tree
from nni.storage import mounted

_KNOWN_DIGESTS = 1024
_READ = 1 << 20
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_Version = tuple[int, int, int]


class KeptVolume(mounted.MountedVolume):
    """A mounted volume that takes files in pieces, too."""

    def __init__(self, root: Path) -> None:
        """Take the directory that is the volume's root."""
        super().__init__(root)
        self._digests: dict[str, tuple[_Version, bytes]] = {}
        self._listeners: collections.defaultdict[str, list[Callable[[], None]]] = collections.defaultdict(list)

    @contextlib.contextmanager
    def listening(self, path: str, wake: Callable[[], None]) -> Iterator[bool]:
        """Call ``wake`` after each change of a file through this object, while the context is open."""
        name = _normal(path)
        self._listeners[name].append(wake)
        try:
            yield True
        finally:
            self._listeners[name].remove(wake)
            if not self._listeners[name]:
                del self._listeners[name]

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        await super().rename(source, target)
        known = self._digests.pop(source, None)
        if known is not None:
            self._digests[target] = known
        self._tell(target)

    async def copy(self, source: str, target: str, spare: int = 0) -> None:
        """Make a new file with the content of another; nothing happens when it exists.

        With ``spare``, the disk is called full as soon as less than so many bytes would be left.
        """
        work = functools.partial(self._copy, source, target, spare)
        await asyncio.to_thread(self._tree.guarded, f"copied to {target}", source, work)

    async def append(self, path: str, offset: int, content: bytes, spare: int = 0) -> int:
        """Write what a file does not have yet of a piece, making missing parents, and return the file's size.

        A piece that begins above the file's end is not written. The same piece may be written again, at the same
        time too. With ``spare``, the disk is called full as soon as less than so many bytes would be left.
        """
        work = functools.partial(self._append, path, offset, content, spare)
        size = await asyncio.to_thread(self._tree.guarded, "written", path, work)
        self._tell(path)
        return size

    async def prune(self, path: str, top: str) -> None:
        """Remove a directory that is empty, and those above it that are empty then, below ``top``."""
        await asyncio.to_thread(self._tree.guarded, "deleted", path, functools.partial(self._prune, path, top))

    async def begun(self, path: str) -> Mapping[str, int]:
        """Return the files below a path that no list shows, since they are being written, with their sizes."""
        return await asyncio.to_thread(self._tree.guarded, "looked through", path, functools.partial(self._begun, path))

    async def digest(self, path: str) -> bytes | None:
        """Return the sha256 of a file, None when it does not exist. A file that has not changed is read once."""
        return await asyncio.to_thread(self._tree.guarded, "read", path, functools.partial(self._digest, path))

    def _begun(self, path: str) -> Mapping[str, int]:
        found = {}
        with contextlib.suppress(FileNotFoundError), self._tree.parent(f"{path}/{paths.TEMPORARY}") as (top, _):
            for where, folder, names in tree.folders(top, tree.ignore):
                for name in names:
                    if name.startswith(paths.TEMPORARY):
                        with contextlib.suppress(FileNotFoundError):  # it may go while we look
                            size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                            found[_normal("/".join((path, *where, name)))] = size
        return found

    def _tell(self, path: str) -> None:
        for wake in self._listeners.get(_normal(path), ()):
            wake()

    def _prune(self, path: str, top: str) -> None:
        while path.startswith(f"{top}/"):
            try:
                with self._tree.parent(path) as (folder, name):
                    os.rmdir(name, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    return
                if error.errno != errno.ENOENT:
                    raise
            path = path.rpartition("/")[0]

    def _append(self, path: str, offset: int, content: bytes, spare: int) -> int:
        with self._tree.parent(path, make=True) as (folder, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=folder)
            try:
                size = os.fstat(descriptor).st_size
                missing = memoryview(content)[size - offset :] if offset <= size else b""
                self._leave(spare, descriptor, len(missing))
                while missing:
                    written = os.pwrite(descriptor, missing, size)
                    size, missing = size + written, missing[written:]
                return size
            finally:
                os.close(descriptor)

    def _leave(self, spare: int, descriptor: int, more: int) -> None:
        """Raise the error of a full disk unless a file may take more of it."""
        disk = os.fstatvfs(descriptor)
        if spare and disk.f_bavail * disk.f_frsize < spare + more:
            sentence = f"The disk of {self._tree.root} has less than {spare >> 20} MiB left, which are kept: make room."
            raise errors.VolumeError(sentence) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _copy(self, source: str, target: str, spare: int) -> None:
        with (
            self._tree.parent(source) as (folder, name),
            os.fdopen(os.open(name, _READING, dir_fd=folder), "rb") as reader,
            self._tree.parent(target, make=True) as (other, new),
            contextlib.suppress(FileExistsError),
            os.fdopen(os.open(new, _MAKING, 0o644, dir_fd=other), "wb") as writer,
        ):
            self._leave(spare, writer.fileno(), os.fstat(reader.fileno()).st_size)
            shutil.copyfileobj(reader, writer, _READ)

    def _digest(self, path: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError), self._tree.parent(path) as (folder, name):
            descriptor = os.open(name, _READING, dir_fd=folder)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise errors.VolumeError(f"{path} on the volume at {self._tree.root} is not a file.")
                version = (found.st_ino, found.st_size, found.st_mtime_ns)
                known = self._digests.get(path)
                if known is not None and known[0] == version:
                    return known[1]
                digest = _sha256(descriptor)
            finally:
                os.close(descriptor)
            if len(self._digests) >= _KNOWN_DIGESTS:
                self._digests.clear()
            self._digests[path] = (version, digest)
            return digest
        return None


def _normal(path: str) -> str:
    return "/".join(paths.names(path))


def _sha256(descriptor: int) -> bytes:
    hashed = hashlib.sha256()
    while part := os.read(descriptor, _READ):
        hashed.update(part)
    return hashed.digest()
