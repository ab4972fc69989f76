"""A directory that holds a volume, on the manager's machine or in a pod.

Paths are walked name by name from the root, each name opened relative to the directory before it and never through a
symbolic link: what a pod leaves on the volume cannot lead anybody out of it, whenever it is swapped in.
"""

import contextlib
import errno
import os
import stat
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from nni import errors
from nni.runtime import paths

_T = TypeVar("_T")

_TRIES = 3
"""On a stale handle everything is looked up again from the root."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_PIECE = 1 << 20


class Found(NamedTuple):
    """What is known of a name."""

    is_directory: bool
    size: int
    """Bytes; 0 for a directory."""
    modified_at: float
    is_special: bool
    """Whether it is neither a file nor a directory, but a link, a pipe or the like."""
    identity: str
    """Differs from that of every other file that is or was under this name."""


class Tree:
    """Does to a directory what ``Volume`` of ``nni.core.ports`` promises; every call blocks, and may be repeated.

    Args:
        root: The volume's root; it must exist when the tree is used.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def put(self, path: str, content: bytes) -> None:
        """Write a whole file, atomically, making missing parents. Raises VolumeError, as all of these."""
        self.guarded("written", path, lambda: self._put(path, content))

    def make(self, path: str) -> None:
        """Make a directory and its missing parents; every pod can write in the directory."""
        self.guarded("made", path, lambda: self._make(path))

    def list(self, path: str) -> List[str]:
        """Return the sorted names in a directory; none when it does not exist."""
        return self.guarded("listed", path, lambda: self._list(path))

    def read(self, path: str, offset: int, limit: Optional[int]) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; nothing past the end."""
        return self.guarded("read", path, lambda: self._read(path, offset, limit))

    def stat(self, path: str) -> Optional[Found]:
        """Return what is known of a path, None when it does not exist."""
        return self.guarded("looked at", path, lambda: self._stat(path))

    def rename(self, source: str, target: str) -> None:
        """Move a file, over an existing one too."""
        self.guarded(f"renamed to {target}", source, lambda: self._rename(source, target))

    def delete(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it; nothing happens when it does not exist."""
        self.guarded("deleted", path, lambda: self._delete(path))

    def usage(self, path: str) -> int:
        """Return the bytes that files below a path take, without those that may not be looked at."""
        return self.guarded("measured", path, lambda: self._usage(path))

    def guarded(self, done: str, path: str, work: Callable[[], _T]) -> _T:
        """Return what some work comes to, with the errors of the system told as a volume's."""
        for left in reversed(range(_TRIES)):
            try:
                return work()
            except errors.VolumeError:  # noqa: PERF203 - what is stale is looked up again
                raise
            except OSError as error:
                if error.errno == errno.ESTALE and left:
                    continue
                where = f"{path or 'The root'} on the volume at {self.root}"
                raise errors.VolumeError(f"{where} could not be {done}: {paths.cause(error)}.") from error
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def parent(self, path: str, make: bool = False) -> Iterator[Tuple[int, str]]:
        """Open the directory that a path's last name is in, and make it if that is wished."""
        names = paths.names(path)
        with self._folder(names[:-1], make=make) as folder:
            yield folder, names[-1] if names else "."

    def _put(self, path: str, content: bytes) -> None:
        with self.parent(path, make=True) as (folder, name):
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

    def _list(self, path: str) -> List[str]:
        try:
            with self._folder(paths.names(path)) as folder:
                names = os.listdir(folder)
                return sorted(name for name in names if not name.startswith(paths.TEMPORARY))
        except FileNotFoundError:
            return []

    def _read(self, path: str, offset: int, limit: Optional[int]) -> bytes:
        # Not blocking: a pipe that somebody put there would never open.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self.parent(path) as (folder, name):
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
                raise errors.VolumeError(f"{path} on the volume at {self.root} is not a file, so it cannot be read.")
            return _read_from(descriptor, offset, limit)
        finally:
            os.close(descriptor)

    def _stat(self, path: str) -> Optional[Found]:
        try:
            with self.parent(path) as (folder, name):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise
        is_directory = stat.S_ISDIR(found.st_mode)
        is_special = not is_directory and not stat.S_ISREG(found.st_mode)
        size = 0 if is_directory else found.st_size
        return Found(is_directory, size, found.st_mtime, is_special, f"{found.st_dev}:{found.st_ino}")

    def _rename(self, source: str, target: str) -> None:
        with self.parent(source) as (from_folder, from_name), self.parent(target, make=True) as (to_folder, to_name):
            try:
                os.rename(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
            except FileNotFoundError:
                # The same call a second time: what was to be moved is there already.
                os.stat(to_name, dir_fd=to_folder, follow_symlinks=False)

    def _delete(self, path: str) -> None:
        if not paths.names(path):
            raise errors.VolumeError(f"The root of the volume at {self.root} is not deleted: name what is in it.")
        with contextlib.suppress(FileNotFoundError), self.parent(path) as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                _remove_tree(folder, name, _fail)
            else:
                os.unlink(name, dir_fd=folder)

    def _usage(self, path: str) -> int:
        found = self._stat(path)
        if found is None or not found.is_directory:
            return 0 if found is None else found.size
        with self._folder(paths.names(path)) as top:
            return sum(_sizes(top))

    @contextlib.contextmanager
    def _folder(self, names: Sequence[str], make: bool = False) -> Iterator[int]:
        """Open a directory below the root, and make what is missing of it if that is wished."""
        current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for depth in range(1, len(names) + 1):
                step = self._enter(current, names[:depth], make=make)
                os.close(current)
                current = step
            yield current
        finally:
            os.close(current)

    def _enter(self, folder: int, names: Sequence[str], make: bool) -> int:
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
            f"{path} on the volume at {self.root} is a symbolic link, and these are not followed."
        )


def _is_link(folder: int, name: str) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read_from(descriptor: int, offset: int, limit: Optional[int]) -> bytes:
    parts = []
    while limit is None or limit > 0:
        part = os.pread(descriptor, _PIECE if limit is None else min(limit, _PIECE), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        limit = None if limit is None else limit - len(part)
    return b"".join(parts)


def folders(top: int, failed: Callable[[OSError], None]) -> Iterator[Tuple[Tuple[str, ...], int, List[str]]]:
    """Yield the directories of a tree, each before those in it, and no link to one.

    A tree of any depth will do, and takes few descriptors: each directory is looked up anew.

    Args:
        top: A descriptor of the tree's own directory, which comes first.
        failed: Is given what went wrong with a directory that is left out.

    Yields:
        The names that lead to a directory, a descriptor of it, and the names of what else is in it.
    """
    waiting: List[Tuple[str, ...]] = [()]
    while waiting:
        names = waiting.pop()
        with contextlib.ExitStack() as stack:
            try:
                here = stack.enter_context(_below(top, names))
                entries = _entries(here)
            except OSError as error:
                failed(error)
                continue
            waiting += [(*names, name) for name, is_directory in entries if is_directory]
            yield names, here, [name for name, is_directory in entries if not is_directory]


@contextlib.contextmanager
def _below(top: int, names: Sequence[str]) -> Iterator[int]:
    current = os.dup(top)
    try:
        for name in names:
            step = os.open(name, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = step
        yield current
    finally:
        os.close(current)


def _entries(folder: int) -> List[Tuple[str, bool]]:
    with os.scandir(folder) as found:
        return [(one.name, one.is_dir(follow_symlinks=False)) for one in found]


def ignore(error: OSError) -> None:
    """Go on without a directory that cannot be looked at."""
    del error


def _sizes(top: int) -> Iterator[int]:
    for _, folder, names in folders(top, ignore):
        for name in names:
            with contextlib.suppress(FileNotFoundError, PermissionError):  # it may go while we count
                yield os.stat(name, dir_fd=folder, follow_symlinks=False).st_size


def remove(path: str) -> None:
    """Remove a directory of this machine with all that is in it, at any depth, as far as that is possible."""
    with contextlib.suppress(OSError):
        parent = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _remove_tree(parent, os.path.basename(path), ignore)
        finally:
            os.close(parent)


def _remove_tree(parent: int, name: str, failed: Callable[[OSError], None]) -> None:
    """Remove a directory with all that is in it."""
    with _below(parent, [name]) as top:
        found = []
        for names, here, files in folders(top, failed):
            found.append(names)
            for one in files:
                with _telling(failed):
                    os.unlink(one, dir_fd=here)
        for *above, last in reversed(found[1:]):
            with _telling(failed), _below(top, above) as here:
                os.rmdir(last, dir_fd=here)
    with _telling(failed):
        os.rmdir(name, dir_fd=parent)


@contextlib.contextmanager
def _telling(failed: Callable[[OSError], None]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failed(error)


def _fail(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error
