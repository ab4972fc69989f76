"""The volume of an experiment without shared storage: a directory of the manager's, filled by what pods send."""

import asyncio
import contextlib
import functools
import hashlib
import os
import stat
from pathlib import Path

from nni import errors
from nni.storage import mounted

_KNOWN_DIGESTS = 1024
_READ = 1 << 20
_Version = tuple[int, int, int]


class KeptVolume(mounted.MountedVolume):
    """A mounted volume that takes files in pieces, too."""

    def __init__(self, root: Path) -> None:
        """Take the directory that is the volume's root."""
        super().__init__(root)
        self._digests: dict[str, tuple[_Version, bytes]] = {}

    async def append(self, path: str, offset: int, content: bytes) -> int:
        """Write what a file does not have yet of a piece, making missing parents, and return the file's size.

        A piece that begins above the file's end is not written. The same piece may be written again, at the same
        time too.
        """
        work = functools.partial(self._append, path, offset, content)
        return await asyncio.to_thread(self._tree.guarded, "written", path, work)

    async def digest(self, path: str) -> bytes | None:
        """Return the sha256 of a file, None when it does not exist. A file that has not changed is read once."""
        return await asyncio.to_thread(self._tree.guarded, "read", path, functools.partial(self._digest, path))

    def _append(self, path: str, offset: int, content: bytes) -> int:
        with self._tree.parent(path, make=True) as (folder, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=folder)
            try:
                size = os.fstat(descriptor).st_size
                missing = memoryview(content)[size - offset :] if offset <= size else b""
                while missing:
                    written = os.pwrite(descriptor, missing, size)
                    size, missing = size + written, missing[written:]
                return size
            finally:
                os.close(descriptor)

    def _digest(self, path: str) -> bytes | None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError), self._tree.parent(path) as (folder, name):
            descriptor = os.open(name, flags, dir_fd=folder)
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


def _sha256(descriptor: int) -> bytes:
    hashed = hashlib.sha256()
    while part := os.read(descriptor, _READ):
        hashed.update(part)
    return hashed.digest()
