"""NFSv3 without root and without a mount: the parts of libnfs that a volume needs, by ctypes.

Sonames are named one by one: later ones changed the order of arguments. One context is for one thread.
"""

import contextlib
import ctypes
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from nni import errors

SONAMES = ("libnfs.so.14", "libnfs.so.13")
"""libnfs 5 and 4."""
TIMEOUT_SECONDS = 30
PIECE = 1 << 20
_RECONNECTS = 3
_INTERRUPTED = (errno.EINTR, errno.ETIMEDOUT)
_GARBLED = re.compile(rb'failed with "(.)"\Z', re.DOTALL)
_STATUSES = {69: errno.EDQUOT, 70: errno.ESTALE}
"""NFSv3's statuses that are no errno of this machine's."""


class Stat(NamedTuple):
    """What is known of a name."""

    mode: int
    size: int
    modified_at: float
    inode: int


class Entry(NamedTuple):
    """A name in a directory."""

    name: str
    is_directory: bool
    size: int


class _StatStructure(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks", "atime", "mtime",
            "ctime", "atime_nsec", "mtime_nsec", "ctime_nsec", "used",
        )
    )  # fmt: skip


class _DirectoryEntry(ctypes.Structure):
    """Only the beginning is read; libnfs makes and frees it."""


_DirectoryEntry._fields_ = (
    ("next", ctypes.POINTER(_DirectoryEntry)),
    ("name", ctypes.c_char_p),
    ("inode", ctypes.c_uint64),
    ("type", ctypes.c_uint32),
    ("mode", ctypes.c_uint32),
    ("size", ctypes.c_uint64),
)
_DIRECTORY_TYPE = 2

_P, _S, _I, _U = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint64
_OUT = ctypes.POINTER(ctypes.c_void_p)
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "nfs_init_context": (_P, ()),
    "nfs_destroy_context": (None, (_P,)),
    "nfs_get_error": (_S, (_P,)),
    "nfs_set_version": (_I, (_P, _I)),
    "nfs_set_timeout": (None, (_P, _I)),
    "nfs_set_autoreconnect": (None, (_P, _I)),
    "nfs_parse_url_incomplete": (_P, (_P, _S)),
    "nfs_destroy_url": (None, (_P,)),
    "nfs_mount": (_I, (_P, _S, _S)),
    "nfs_lstat64": (_I, (_P, _S, ctypes.POINTER(_StatStructure))),
    "nfs_open": (_I, (_P, _S, _I, _OUT)),
    "nfs_creat": (_I, (_P, _S, _I, _OUT)),
    "nfs_close": (_I, (_P, _P)),
    "nfs_fsync": (_I, (_P, _P)),
    "nfs_fchmod": (_I, (_P, _P, _I)),
    "nfs_pread": (_I, (_P, _P, _U, _U, _P)),
    "nfs_pwrite": (_I, (_P, _P, _U, _U, _P)),
    "nfs_mkdir2": (_I, (_P, _S, _I)),
    "nfs_chmod": (_I, (_P, _S, _I)),
    "nfs_rmdir": (_I, (_P, _S)),
    "nfs_unlink": (_I, (_P, _S)),
    "nfs_rename": (_I, (_P, _S, _S)),
    "nfs_opendir": (_I, (_P, _S, _OUT)),
    "nfs_readdir": (ctypes.POINTER(_DirectoryEntry), (_P, _P)),
    "nfs_closedir": (None, (_P, _P)),
}


def load(names: tuple[str, ...] = SONAMES) -> ctypes.CDLL:
    """Return the library.

    Raises:
        VolumeError: There is none that this was made for; the message says what to install.
    """
    if sys.platform != "linux":
        raise errors.VolumeError("NFS without a mount works on Linux alone.")
    for name in names:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        for function, (result, arguments) in _SIGNATURES.items():
            entry = getattr(library, function)
            entry.restype, entry.argtypes = result, arguments
        return library
    raise errors.VolumeError(
        f"neither {' nor '.join(names)} is on this machine (apt-get install libnfs13, or libnfs14 from Debian 13 on); "
        "other versions of libnfs are called in another way and are not used."
    )


class Context:
    """A connection to an export. For one thread; errors are OSErrors with the server's own errno."""

    def __init__(self, library: ctypes.CDLL, server: str, export: str, ports: tuple[int, int] | None = None) -> None:
        """Mount the export, in this process alone.

        Args:
            library: libnfs.
            server: Host name or address.
            export: The exported directory.
            ports: Those of NFS and of mountd; asked of the server's portmapper when None.
        """
        self._library = library
        self._context: int | None = library.nfs_init_context()
        library.nfs_set_version(self._context, 3)
        library.nfs_set_timeout(self._context, TIMEOUT_SECONDS * 1000)
        library.nfs_set_autoreconnect(self._context, _RECONNECTS)
        try:
            if ports is not None:
                url = f"nfs://{server}/?nfsport={ports[0]}&mountport={ports[1]}"
                parsed = library.nfs_parse_url_incomplete(self._context, url.encode())
                library.nfs_destroy_url(parsed)
            self._check(library.nfs_mount(self._context, server.encode(), os.fsencode(export)), export)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        context, self._context = self._context, None
        if context is not None:
            self._library.nfs_destroy_context(context)

    def lstat(self, path: str) -> Stat:
        """Return what is known of a path, of a link itself."""
        found = _StatStructure()
        self._check(self._library.nfs_lstat64(self._context, os.fsencode(path), ctypes.byref(found)), path)
        return Stat(found.mode, found.size, found.mtime + found.mtime_nsec / 1e9, found.ino)

    def list(self, path: str) -> Iterator[Entry]:
        """Yield the names in a directory."""
        with self._opened(lambda handle: self._library.nfs_opendir(self._context, os.fsencode(path), handle), path) as (
            directory
        ):
            try:
                while entry := self._library.nfs_readdir(self._context, directory):
                    found = entry.contents
                    name = os.fsdecode(found.name)
                    if name not in (".", ".."):
                        is_directory = found.type == _DIRECTORY_TYPE
                        yield Entry(name, is_directory, 0 if is_directory else found.size)
            finally:
                self._library.nfs_closedir(self._context, directory)

    def read(self, path: str, offset: int, limit: int | None) -> bytes:
        """Return bytes of a file; a link is not followed."""
        flags = os.O_RDONLY | os.O_NOFOLLOW
        opening = lambda handle: self._library.nfs_open(self._context, os.fsencode(path), flags, handle)  # noqa: E731
        parts = []
        with self._opened(opening, path) as file, self._closing(file, path):
            while limit is None or limit > 0:
                count = PIECE if limit is None else min(limit, PIECE)
                buffer = ctypes.create_string_buffer(count)
                size = self._check(self._library.nfs_pread(self._context, file, offset, count, buffer), path)
                if size == 0:
                    break
                parts.append(buffer.raw[:size])
                offset += size
                limit = None if limit is None else limit - size
        return b"".join(parts)

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Write a new file, durably."""
        creating = lambda handle: self._library.nfs_creat(self._context, os.fsencode(path), mode, handle)  # noqa: E731
        with self._opened(creating, path) as file, self._closing(file, path):
            done = 0
            while done < len(content):
                piece = content[done : done + PIECE]
                done += self._check(self._library.nfs_pwrite(self._context, file, done, len(piece), piece), path)
            self._check(self._library.nfs_fchmod(self._context, file, mode), path)
            self._check(self._library.nfs_fsync(self._context, file), path)

    def mkdir(self, path: str, mode: int) -> None:
        """Make a directory."""
        self._check(self._library.nfs_mkdir2(self._context, os.fsencode(path), mode), path)

    def chmod(self, path: str, mode: int) -> None:
        """Set the rights of a path."""
        self._check(self._library.nfs_chmod(self._context, os.fsencode(path), mode), path)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self._check(self._library.nfs_rmdir(self._context, os.fsencode(path)), path)

    def unlink(self, path: str) -> None:
        """Remove a file or a link."""
        self._check(self._library.nfs_unlink(self._context, os.fsencode(path)), path)

    def rename(self, source: str, target: str) -> None:
        """Move a file, over an existing one too."""
        self._check(self._library.nfs_rename(self._context, os.fsencode(source), os.fsencode(target)), source)

    @contextlib.contextmanager
    def _opened(self, opening: Callable[[object], int], path: str) -> Iterator[ctypes.c_void_p]:
        handle = ctypes.c_void_p()
        self._check(opening(ctypes.byref(handle)), path)
        yield handle

    @contextlib.contextmanager
    def _closing(self, file: ctypes.c_void_p, path: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._library.nfs_close(self._context, file)
            raise
        # Where a full disk is told of.
        self._check(self._library.nfs_close(self._context, file), path)

    def _check(self, result: int, path: str) -> int:
        if result >= 0:
            return result
        said: bytes = self._library.nfs_get_error(self._context) or b""
        code = _errno(-result, said)
        raise OSError(code, said.decode("utf-8", "replace") if code == -result and said else os.strerror(code), path)


def _errno(code: int, said: bytes) -> int:
    """Return what the server meant."""
    if code in _INTERRUPTED:
        return errno.ETIMEDOUT
    garbled = _GARBLED.search(said)
    if code == errno.EFAULT and garbled is not None:
        # A write of more than one packet: libnfs takes the server's status for a text.
        status = garbled[1][0]
        return _STATUSES.get(status, status)
    return code
