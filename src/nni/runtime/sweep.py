"""The sweep: new and changed files of the work directory, copied to the volume every so often and at the end."""

import contextlib
import os
import stat
import threading
import time
from typing import Callable, Dict, Iterator, Optional, Tuple

_SECONDS = 30.0
_CHUNK = 1 << 20
_PART = ".nni-part"
_SKIPPED = ("__pycache__",)
LIMIT = 200 * 1024 * 1024
"""Bytes that are copied for one replica in total."""

Version = Tuple[int, int]
"""Size and time of change: what tells whether a file is another one."""


class Sweep(threading.Thread):
    """Copies from a thread of its own.

    Args:
        source: The work directory, as it came with the bundle: what stays as it is is not copied.
        target: The directory on the volume, with the same names.
        tell: Is given a sentence when something is left out.
        ended: Called after the last copy.
        limit: Bytes in total.
        seconds: Between sweeps.
    """

    def __init__(
        self,
        source: str,
        target: str,
        *,
        tell: Callable[[str], None],
        ended: Callable[[], None],
        limit: int = LIMIT,
        seconds: float = _SECONDS,
    ) -> None:
        super().__init__(name="nni-sweep", daemon=True)
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
        self._versions: Dict[str, Version] = dict(self._look())

    def finish(self, seconds: float) -> None:
        """Sweep once more, for some seconds at most, then end. May be called again with less time."""
        with self._changed:
            self._end_at = time.monotonic() + seconds
            self._changed.notify_all()

    def run(self) -> None:
        """Sweep until finished."""
        try:
            is_last = False
            while not is_last:
                with self._changed:
                    is_last = self._changed.wait_for(lambda: self._end_at is not None, self._seconds)
                self._sweep()
        finally:
            self._ended()

    def _sweep(self) -> None:
        for name, version in self._look():
            if self._is_late():
                self._tell("the time was too short to copy all files to the volume")
                return
            if self._versions.get(name) != version:
                self._copy(name, version)

    def _look(self) -> Iterator[Tuple[str, Version]]:
        """Yield the names of regular files, relative to the work directory, with their versions."""
        for directory, names, files in os.walk(self._source):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            for file in sorted(files):
                path = os.path.join(directory, file)
                with contextlib.suppress(OSError):
                    found = os.lstat(path)
                    if stat.S_ISREG(found.st_mode):
                        yield os.path.relpath(path, self._source), (found.st_size, found.st_mtime_ns)

    def _copy(self, name: str, version: Version) -> None:
        total = self._total - self._sizes.get(name, 0) + version[0]
        if total > self._limit:
            self._leave_out(name, "more than %d MiB in total are not copied" % (self._limit >> 20))
            return
        target = os.path.join(self._target, name)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            is_whole = self._transfer(os.path.join(self._source, name), target + _PART, version[0])
            if is_whole:
                os.replace(target + _PART, target)
                self._versions[name] = version
                self._sizes[name] = version[0]
                self._total = total
        except OSError as error:
            self._leave_out(name, str(error.strerror))
            is_whole = False
        if not is_whole:
            with contextlib.suppress(OSError):
                os.unlink(target + _PART)

    def _transfer(self, source: str, target: str, size: int) -> bool:
        """Copy the first ``size`` bytes: a file that grows meanwhile is copied again by the next sweep."""
        with open(source, "rb") as reader, open(target, "wb") as writer:
            left = size
            while left > 0 and not self._is_late():
                chunk = reader.read(min(_CHUNK, left))
                if not chunk:
                    break
                writer.write(chunk)
                left -= len(chunk)
        return left <= 0

    def _is_late(self) -> bool:
        return self._end_at is not None and time.monotonic() >= self._end_at

    def _leave_out(self, name: str, why: str) -> None:
        if not self._told:
            self._told = True
            self._tell(f"{name}, and perhaps others, stay in the pod: {why}; write large files to NNI_OUTPUT_DIR")
