"""An NFS export that this process speaks to itself, without a mount: needs no root, and no client on this machine.

Paths are looked at name by name from the root and no symbolic link is followed; libnfs itself refuses links that lead
out of the export. It opens by path alone: a directory that becomes a link between the look and the opening is followed,
to another place of the export.
"""

import asyncio
import concurrent.futures
import contextlib
import errno
import functools
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nni import errors
from nni.core import ports
from nni.runtime import paths
from nni.storage import libnfs

_T = TypeVar("_T")

CONNECTIONS = 8
_TRIES = 3
_FRESH = (errno.ESTALE, errno.EFAULT, errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN)
"""After these a new connection is made: the old one is of no use, or handles in it are stale."""
_MISSING = (errno.ENOENT, errno.ENOTDIR)
TEST_BYTES = 1 << 20

Connect = Callable[[], libnfs.Context]


class NfsVolume:
    """Implements ``Volume``. Each of a few threads has a connection of its own; ``close`` ends them."""

    def __init__(self, connect: Connect, export: str) -> None:
        """Take the finished parts.

        Args:
            connect: Makes a connection, in the thread that uses it.
            export: What messages call the export.
        """
        self._connect = connect
        self._export = export
        self._own = threading.local()
        self._contexts: set[libnfs.Context] = set()
        self._threads = concurrent.futures.ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="nni-nfs")

    async def close(self) -> None:
        """End all connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    async def test(self) -> None:
        """Write, read back, rename and delete a file.

        Raises:
            VolumeError: The export is of no use; the message says why.
        """
        await self._run("written", "a test file", self._test)

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        await self._run("written", path, lambda nfs: _put(nfs, paths.names(path), content))

    async def make(self, path: str) -> None:
        """See the port."""
        await self._run("made", path, lambda nfs: _make(nfs, paths.names(path)))

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        return await self._run("listed", path, lambda nfs: _list(nfs, paths.names(path)))

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        return await self._run("read", path, lambda nfs: _read(nfs, paths.names(path), offset, limit))

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        return await self._run("looked at", path, lambda nfs: _stat(nfs, paths.names(path)))

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        work = lambda nfs: _rename(nfs, paths.names(source), paths.names(target))  # noqa: E731
        await self._run(f"renamed to {target}", source, work)

    async def delete(self, path: str) -> None:
        """See the port."""
        await self._run("deleted", path, lambda nfs: _delete(nfs, paths.names(path)))

    async def usage(self, path: str) -> int:
        """See the port."""
        return await self._run("measured", path, lambda nfs: _usage(nfs, paths.names(path)))

    async def _run(self, done: str, path: str, work: Callable[[libnfs.Context], _T]) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(self._guarded, done, path, work))

    def _guarded(self, done: str, path: str, work: Callable[[libnfs.Context], _T]) -> _T:
        for left in reversed(range(_TRIES)):
            try:
                return work(self._context())
            except errors.VolumeError:
                raise
            except OSError as error:
                if error.errno in _FRESH:
                    self._drop()
                    if left:
                        continue
                where = f"{path or 'The root'} on {self._export}"
                raise errors.VolumeError(f"{where} could not be {done}: {paths.cause(error)}.") from error
        raise AssertionError("unreachable")

    def _context(self) -> libnfs.Context:
        context: libnfs.Context | None = getattr(self._own, "context", None)
        if context is None:
            context = self._own.context = self._connect()
            self._contexts.add(context)
        return context

    def _drop(self) -> None:
        context: libnfs.Context | None = getattr(self._own, "context", None)
        if context is not None:
            self._own.context = None
            self._contexts.discard(context)
            context.close()

    def _test(self, nfs: libnfs.Context) -> None:
        content = os.urandom(TEST_BYTES)
        first, second = "/" + paths.temporary(), "/" + paths.temporary()
        nfs.write(first, content, 0o644)
        nfs.rename(first, second)
        if nfs.read(second, 0, None) != content:
            raise errors.VolumeError(f"{self._export} does not give back what was written to it, so it is not used.")
        nfs.unlink(second)


def connector(server: str, export: str, ports: tuple[int, int] | None = None) -> Connect:
    """Return what connects to an export.

    Args:
        server: Host name or address.
        export: The exported directory.
        ports: Those of NFS and of mountd; the server's portmapper is asked when None.

    Raises:
        VolumeError: There is no libnfs on this machine.
    """
    library = libnfs.load()

    def connect() -> libnfs.Context:
        try:
            return libnfs.Context(library, server, export, ports)
        except OSError as error:
            raise errors.VolumeError(_why_not(server, export, error)) from error

    return connect


def _why_not(server: str, export: str, error: OSError) -> str:
    name = f"{server}:{export}"
    match error.errno:
        case errno.EFAULT if "not available" in (error.strerror or ""):
            return (
                f"The NFS server {server} does not answer: its portmapper knows of none of version 3; correct "
                "storage.server, or mount it."
            )
        # libnfs has no number of its own for a server that refuses to talk at all.
        case errno.EACCES | errno.EPERM | errno.EFAULT if os.geteuid() == 0:
            return (
                f"The NFS server refuses {name} to this machine: export exactly that path to it, or correct "
                "storage.path."
            )
        case errno.EACCES | errno.EPERM | errno.EFAULT:
            return (
                f"The NFS server refuses {name} to user id {os.geteuid()} of this machine: export that path to it, "
                "with the option `insecure`, because only root can connect from a port below 1024; or mount it."
            )
        case errno.ENOENT | errno.ENOTDIR:
            return f"The NFS server has no directory {export} to export: correct storage.path."
        case _:
            return f"The NFS server {server} does not answer ({error.strerror}); correct storage.server, or mount it."


def _put(nfs: libnfs.Context, names: Sequence[str], content: bytes) -> None:
    _enter(nfs, names[:-1], make=True)
    target = _path(names)
    known = _known(nfs, names)
    if known is not None and stat.S_ISDIR(known.mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    temporary = _path([*names[:-1], paths.temporary()])
    try:
        nfs.write(temporary, content, 0o644)  # pods run as somebody else
        nfs.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            nfs.unlink(temporary)
        raise


def _make(nfs: libnfs.Context, names: Sequence[str]) -> None:
    found = _enter(nfs, names, make=True)
    if found.mode & 0o777 != 0o777:
        nfs.chmod(_path(names), 0o777)  # pods may run as any user


def _list(nfs: libnfs.Context, names: Sequence[str]) -> Sequence[str]:
    try:
        _enter(nfs, names)
        listed = [entry.name for entry in nfs.list(_path(names))]
    except FileNotFoundError:
        return []
    return sorted(name for name in listed if not name.startswith(paths.TEMPORARY))


def _read(nfs: libnfs.Context, names: Sequence[str], offset: int, limit: int | None) -> bytes:
    found = None
    with contextlib.suppress(FileNotFoundError):
        _enter(nfs, names[:-1])
        found = _known(nfs, names)
    if found is None:
        return b""
    if stat.S_ISLNK(found.mode):
        raise _is_a_link(names)
    if not stat.S_ISREG(found.mode):
        raise errors.VolumeError(f"{'/'.join(names)} is not a file, so it cannot be read.")
    return nfs.read(_path(names), offset, limit)


def _stat(nfs: libnfs.Context, names: Sequence[str]) -> ports.Stat | None:
    try:
        _enter(nfs, names[:-1])
        found = _known(nfs, names)
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise
    if found is None:
        return None
    is_directory, is_file = stat.S_ISDIR(found.mode), stat.S_ISREG(found.mode)
    return ports.Stat(
        is_directory=is_directory,
        size=0 if is_directory else found.size,
        modified_at=found.modified_at,
        is_special=not is_directory and not is_file,
        identity=str(found.inode),
    )


def _rename(nfs: libnfs.Context, source: Sequence[str], target: Sequence[str]) -> None:
    _enter(nfs, source[:-1])
    _enter(nfs, target[:-1], make=True)
    try:
        nfs.rename(_path(source), _path(target))
    except FileNotFoundError:
        # The same call a second time: what was to be moved is there already.
        nfs.lstat(_path(target))


def _delete(nfs: libnfs.Context, names: Sequence[str]) -> None:
    if not names:
        raise errors.VolumeError("The root of a volume is not deleted: name what is in it.")
    with contextlib.suppress(FileNotFoundError):
        _enter(nfs, names[:-1])
        if stat.S_ISDIR(nfs.lstat(_path(names)).mode):
            _delete_tree(nfs, _path(names))
        else:
            nfs.unlink(_path(names))


def _delete_tree(nfs: libnfs.Context, path: str) -> None:
    """Remove a directory with all that is in it; whatever somebody else removes meanwhile is passed over."""
    found = [path]
    for folder in found:
        with _passing_over_gone():
            for entry in list(nfs.list(folder)):
                below = f"{folder}/{entry.name}"
                if entry.is_directory:
                    found.append(below)
                else:
                    with _passing_over_gone():
                        nfs.unlink(below)
    for folder in reversed(found):
        with _passing_over_gone():
            nfs.rmdir(folder)


@contextlib.contextmanager
def _passing_over_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Stale is the handle of a directory that went after it was looked up.
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise


def _usage(nfs: libnfs.Context, names: Sequence[str]) -> int:
    found = _stat(nfs, names)
    if found is None or not found.is_directory:
        return 0 if found is None else found.size
    total = 0
    top = _path(names)
    waiting = [top]
    while waiting:
        path = waiting.pop()
        # It may go while we count; of what may not be looked at below it there is nothing to count.
        with contextlib.suppress(FileNotFoundError, *(() if path == top else (PermissionError,))):
            for entry in nfs.list(path):
                total += entry.size
                if entry.is_directory:
                    waiting.append(f"{path}/{entry.name}")
    return total


def _enter(nfs: libnfs.Context, names: Sequence[str], *, make: bool = False) -> libnfs.Stat:
    """Look at a directory and those above it, and make what is missing if that is wished."""
    found = nfs.lstat("/")
    for depth in range(1, len(names) + 1):
        path = _path(names[:depth])
        try:
            found = nfs.lstat(path)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                nfs.mkdir(path, 0o755)
            found = nfs.lstat(path)
        if stat.S_ISLNK(found.mode):
            raise _is_a_link(names[:depth])
        if not stat.S_ISDIR(found.mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return found


def _known(nfs: libnfs.Context, names: Sequence[str]) -> libnfs.Stat | None:
    try:
        return nfs.lstat(_path(names))
    except FileNotFoundError:
        return None


def _path(names: Sequence[str]) -> str:
    return "/" + "/".join(names)


def _is_a_link(names: Sequence[str]) -> errors.VolumeError:
    return errors.VolumeError(f"{'/'.join(names)} on the volume is a symbolic link, and these are not followed.")
