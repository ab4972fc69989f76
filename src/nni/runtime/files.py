"""Writing to the volume, which may be full, slow or gone: nothing here stops the training."""

import contextlib
import os
from typing import Callable


class Appending:
    """A file that is appended to. What cannot be written is counted, and the file says so where it is missing.

    One thread at a time may write.

    Args:
        path: Of the file.
        tell: Is given a sentence when the volume refuses.
        grew: Called after each write that was taken.
    """

    def __init__(self, path: str, tell: Callable[[str], None], grew: Callable[[], None]) -> None:
        self._path = path
        self._tell = tell
        self._grew = grew
        self._file = -1
        self._lost = 0

    def write(self, content: bytes) -> None:
        """Append; every write tries again where an earlier one failed."""
        note = b"\n[nni: %d bytes are missing here, the volume did not take them]\n" % self._lost if self._lost else b""
        try:
            if self._file < 0:
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            write_all(self._file, note)
            self._lost = 0
            write_all(self._file, content)
        except OSError as error:
            if not self._lost:
                self._tell(f"{self._path} cannot be written ({error.strerror}): the training goes on")
            self._lost += len(content)
            # A handle of a remote file system may have gone stale for good.
            self.close()
        else:
            self._grew()

    def close(self) -> None:
        """Let go of the file; another write opens it again."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1


def write_all(file: int, content: bytes) -> None:
    """Write everything to a file descriptor."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def make_parents(path: str) -> None:
    """Make the directories that a file is in; ``os.makedirs`` calls itself for each, which very deep ones forbid.

    Raises:
        OSError: One of them cannot be made.
    """
    missing = []
    above = os.path.dirname(path)
    while above and not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(one)


def replace(path: str, content: bytes) -> None:
    """Write a whole file so that readers see the old one or the new one.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path + ".part"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
