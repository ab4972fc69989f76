"""The sweep: new and changed files of a directory, copied to the volume every so often and at the end."""

import contextlib
import hashlib
import os
import stat
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

from nni.runtime import files, growth, remote

_SECONDS = 30.0
_CHUNK = 1 << 20
_PART = ".nni-part"
_SETTLING_NS = 2_000_000_000
"""By which a time of change may shift by itself: a server of SMB sets its own when it gets to know of the end."""
_SKIPPED = ("__pycache__",)
LIMIT = 200 * 1024 * 1024
"""Bytes that are copied for one replica in total."""

Version = Tuple[int, int]
"""Size and time of change: what tells whether a file is another one."""

_Mark = Tuple[int, int, int]


class Folder:
    """A directory that files are copied to.

    Args:
        target: The directory on the volume.
    """

    insists = False
    """Whether the last sweep tries again what did not get through."""
    advice = "; write large files to NNI_OUTPUT_DIR"

    def __init__(self, target: str) -> None:
        self._target = target
        # What stands there before the command runs was copied for a container that was started again.
        there = ((name, _mark(os.path.join(target, name))) for name, _ in _look(target, []))
        self._copied: Dict[str, Tuple[Optional[growth.Version], _Mark]] = {
            name: (None, mark) for name, mark in there if mark is not None
        }

    def put(self, source: str, name: str, size: int, is_late: Callable[[], bool]) -> bool:
        """Copy the first ``size`` bytes of a file; return whether the time sufficed. Raises OSError.

        What has only grown since is appended to; anything else takes the place of what is there when it is whole.
        """
        target = os.path.join(self._target, name)
        before, mark = self._copied.get(name, (None, None))
        with open(source, "rb") as reader:
            start, hashed = growth.opening(reader, size, before if _mark(target) == mark else None)
            copying = _Copying(reader, size - start, hashed, is_late)
            is_whole = False
            try:
                is_whole = copying.append(target, start) if start else copying.replace(target)
            finally:
                found = _mark(target)
                if found is not None and (is_whole or start):
                    self._copied[name] = growth.Version(size, hashed.digest()) if is_whole else None, found
        return is_whole

    def is_taken(self, name: str) -> bool:
        """Return whether the command has put there what stands there."""
        target = os.path.join(self._target, name)
        if not os.path.lexists(target):
            return False
        version, mark = self._copied.get(name, (None, None))
        found = _mark(target)
        if version is None or mark is None or found is None or found == mark:
            return found is None or found != mark
        is_near = abs(found[2] - mark[2]) < _SETTLING_NS and found[1] == version.size
        return not (is_near and _holds(target, version))

    def gone(self, name: str) -> bool:
        """Take note that a file is gone from where it was copied; what was copied stays."""
        return bool(name)

    def close(self) -> None:
        """Nothing is held open."""


Sink = Union[Folder, remote.Sink]


class Sweep(threading.Thread):
    """Copies from a thread of its own.

    Args:
        name: Of the thread.
        source: The directory, as it is before the command: what stays as it is is not copied.
        target: Where files go, with the same names.
        tell: Is given a sentence when something is left out.
        ended: Called after the last copy.
        limit: Bytes in total.
        seconds: Between sweeps.
        follows_deletions: Whether what is gone from the directory has to go from there, too.
    """

    def __init__(
        self,
        name: str,
        source: str,
        target: Sink,
        *,
        tell: Callable[[str], None],
        ended: Callable[[], None],
        limit: int = LIMIT,
        seconds: float = _SECONDS,
        follows_deletions: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._follows_deletions = follows_deletions
        self._source = source
        self._target = target
        self._tell = tell
        self._ended = ended
        self._limit = limit
        self._seconds = seconds
        self._changed = threading.Condition()
        self._end_at: Optional[float] = None
        self._sizes: Dict[str, int] = {}
        self._total = 0
        self._told = False
        self._versions: Dict[str, Version] = dict(_look(source, []))
        self._refused: Dict[str, Tuple[int, OSError]] = {}
        """What the target did not take in this sweep: how many bytes more it would have had to, and why it did not."""

    def finish(self, seconds: float) -> None:
        """Sweep once more, for some seconds at most, then end. May be called again with less time."""
        with self._changed:
            self._end_at = time.monotonic() + seconds
            self._changed.notify_all()

    def run(self) -> None:
        """Sweep until finished."""
        try:
            is_last = is_whole = False
            while not (is_last and (is_whole or not self._target.insists or self._is_late())):
                with self._changed:
                    is_last = self._changed.wait_for(lambda: self._end_at is not None, self._seconds)
                is_whole = self._sweep()
        finally:
            self._target.close()
            self._ended()

    def _sweep(self) -> bool:
        """Copy what is new and forget what is gone; return whether nothing has to be tried again."""
        while True:
            self._refused = {}
            unseen: List[OSError] = []
            seen: Set[str] = set()
            is_whole = self._copy_all(seen, unseen)
            gone = [name for name in self._versions if name not in seen]
            # What cannot be seen is not gone for that.
            is_seen = all(isinstance(error, FileNotFoundError) for error in unseen)
            if not (self._follows_deletions and is_seen and self._has_room_without(gone)) or self._is_late():
                break
            is_whole &= self._forget(gone)
            # What is forgotten may have been in the way of what was refused.
            if not self._refused or all(name in self._versions for name in gone):
                break
        for name, (_, error) in self._refused.items():
            self._leave_out(name, str(error.strerror), self._target.advice)
        return is_whole

    def _copy_all(self, seen: Set[str], unseen: List[OSError]) -> bool:
        is_whole = True
        for name, version in _look(self._source, unseen):
            seen.add(name)
            if self._is_late():
                self._tell("the time was too short to copy all files to the volume")
                return False
            if self._versions.get(name) != version:
                is_whole &= self._copy(name, version)
        return is_whole

    def _has_room_without(self, gone: Sequence[str]) -> bool:
        """Return whether all that found no room has it when some files are gone: else these are the better part."""
        missing = left = 0
        for more, error in self._refused.values():
            if isinstance(error, remote.NoRoomError):
                missing += more
                left = error.left or 0
        return not missing or missing <= left + sum(self._versions[name][0] for name in gone)

    def _forget(self, gone: Sequence[str]) -> bool:
        is_whole = True
        for name in gone:
            if self._target.gone(name):
                del self._versions[name]
                self._total -= self._sizes.pop(name, 0)
            else:
                is_whole = False
        return is_whole

    def _copy(self, name: str, version: Version) -> bool:
        """Copy a file; return whether it need not be tried again."""
        if self._target.is_taken(name):
            self._leave_out(name, "the command has written another file of that name to NNI_OUTPUT_DIR", advice="")
            return True
        total = self._total - self._sizes.get(name, 0) + version[0]
        if total > self._limit:
            self._leave_out(name, "more than %d MiB in total are not copied" % (self._limit >> 20), self._target.advice)
            return True
        try:
            is_whole = self._target.put(os.path.join(self._source, name), name, version[0], self._is_late)
        except OSError as error:
            self._refused[name] = version[0] - self._versions.get(name, (0, 0))[0], error
            return True
        if is_whole:
            self._versions[name] = version
            self._sizes[name] = version[0]
            self._total = total
        return is_whole

    def _is_late(self) -> bool:
        return self._end_at is not None and time.monotonic() >= self._end_at

    def _leave_out(self, name: str, why: str, advice: str) -> None:
        if not self._told:
            self._told = True
            self._tell(f"{name}, and perhaps others, stay in the pod: {why}{advice}")


def _look(top: str, unseen: List[OSError]) -> Iterator[Tuple[str, Version]]:
    """Yield the names of regular files, relative to a directory, with their versions.

    What kept something from being looked at is added to ``unseen``.
    """
    waiting = [""]
    while waiting:
        folders = []
        for name, version in _inside(top, waiting.pop(), unseen):
            if version is None:
                folders.append(name)
            else:
                yield name, version
        waiting += reversed(folders)


def _inside(top: str, directory: str, unseen: List[OSError]) -> Iterator[Tuple[str, Optional[Version]]]:
    """Yield the names of files and, without a version, of directories."""
    try:
        names = sorted(os.listdir(os.path.join(top, directory)))
    except OSError as error:
        unseen.append(error)
        return
    for name in names:
        path = os.path.join(directory, name)
        try:
            found = os.lstat(os.path.join(top, path))
        except OSError as error:
            unseen.append(error)
            continue
        if stat.S_ISREG(found.st_mode):
            yield path, (found.st_size, found.st_mtime_ns)
        elif stat.S_ISDIR(found.st_mode) and name not in _SKIPPED:
            yield path, None


def _mark(path: str) -> Optional[_Mark]:
    """Return what tells whether a file was written by somebody else; None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _holds(path: str, version: growth.Version) -> bool:
    """Return whether a file begins with what was copied."""
    hashed = hashlib.sha256()
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return growth.take(file, version.size, hashed) and hashed.digest() == version.digest
    return False


class _Copying:
    """So many bytes from where a file stands: what comes meanwhile is copied by the next sweep."""

    def __init__(self, reader: BinaryIO, size: int, hashed: Any, is_late: Callable[[], bool]) -> None:
        self._reader = reader
        self._left = size
        self._hashed = hashed
        self._is_late = is_late

    def append(self, target: str, start: int) -> bool:
        """Go on with a file; return whether the time sufficed."""
        is_whole = False
        with open(target, "r+b", buffering=0) as writer:
            try:
                writer.seek(start)
                is_whole = self._transfer(writer.fileno())
            finally:
                if not is_whole:
                    with contextlib.suppress(OSError):
                        writer.truncate(start)
        return is_whole

    def replace(self, target: str) -> bool:
        """Put a file in the place of another; return whether the time sufficed."""
        is_whole = False
        try:
            files.make_parents(target)
            with open(target + _PART, "wb", buffering=0) as writer:
                is_whole = self._transfer(writer.fileno())
            if is_whole:
                os.replace(target + _PART, target)
        finally:
            if not is_whole:
                with contextlib.suppress(OSError):
                    os.unlink(target + _PART)
        return is_whole

    def _transfer(self, writer: int) -> bool:
        while self._left > 0 and not self._is_late():
            chunk = self._reader.read(min(_CHUNK, self._left))
            if not chunk:
                break
            self._hashed.update(chunk)
            files.write_all(writer, chunk)
            self._left -= len(chunk)
        return self._left <= 0
