"""One output stream of the command: passed to the container's own stream and to the volume as it comes."""

import contextlib
import os
import select
import threading
from typing import Callable, Optional

from nni.runtime import files
from nni.wire import marker, report, value

_CHUNK = 1 << 16
_LONGEST_MARKER_LINE = 4 * value.LIMIT


class Stream(threading.Thread):
    """Reads a pipe to its end.

    Args:
        name: For the thread.
        source: File descriptor to read; closed at the end.
        console: The container's own stream.
        file: The copy on the volume.
        lines: Finds metrics on the way, if any are to be looked for.
        ended: Called when the stream has ended.
    """

    def __init__(
        self,
        name: str,
        *,
        source: int,
        console: int,
        file: files.Appending,
        lines: "Optional[MarkerLines]",
        ended: Callable[[], None],
    ) -> None:
        super().__init__(name="nni-" + name, daemon=True)
        self._source = source
        self._console = console
        self._file = file
        self._lines = lines
        self._ended = ended
        self._tail = b""

    @property
    def tail(self) -> str:
        """The end of what came, as far as an exit carries it; bytes that are no UTF-8 are replaced."""
        return self._tail[-report.LAST_BYTES :].decode("utf-8", "replace")

    def run(self) -> None:
        """Pass on until everybody has closed the other end."""
        while True:
            chunk = os.read(self._source, _CHUNK)
            if not chunk:
                break
            self._echo(chunk)
            self._file.write(chunk)
            self._tail = (self._tail + chunk)[-2 * report.LAST_BYTES :]
            if self._lines is not None:
                self._lines.feed(chunk)
        if self._lines is not None:
            self._lines.feed(b"\n")
        os.close(self._source)
        self._file.close()
        self._ended()

    def _echo(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        # Nobody may be listening, and that must not stop the training.
        with contextlib.suppress(OSError):
            while view:
                try:
                    view = view[os.write(self._console, view) :]
                except BlockingIOError:  # noqa: PERF203 - the rest is written when there is room
                    select.select([], [self._console], [])


class MarkerLines:
    """Cuts a stream into lines and hands on those with a marker; others, however long, take no memory."""

    def __init__(self, found: Callable[[bytes], None], tell: Callable[[str], None]) -> None:
        self._found = found
        self._tell = tell
        self._line = b""
        self._is_skipping = False

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the stream."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            if not self._is_skipping:
                line = self._line + end
                if marker.MARKER in line:
                    self._found(line)
            self._line = b""
            self._is_skipping = False
        if self._is_skipping:
            return
        self._line += rest
        start = self._line.find(marker.MARKER)
        # What stands before the marker does not matter; without one, its first half may stand at the end.
        self._line = self._line[start:] if start >= 0 else self._line[-len(marker.MARKER) :]
        if len(self._line) > _LONGEST_MARKER_LINE:
            self._tell("a line with a metric is longer than %d bytes and is passed over" % _LONGEST_MARKER_LINE)
            self._line = b""
            self._is_skipping = True
