"""Container logs: written as the output comes, read from anywhere, followed without polling."""

import asyncio
import bisect
import datetime as dt
import os
import pathlib
from collections.abc import AsyncIterator

from nni.sandbox import times
from nni.sandbox.api import logs

_CHUNK = 1 << 16


class LogFile:
    """The log of one run of a container."""

    def __init__(self, path: pathlib.Path, now: times.Now) -> None:
        self._path = path
        self._now = now
        self._file = path.open("wb", buffering=0)
        self._offsets: list[int] = []
        """Where each piece of output begins; the moment of its arrival stands at the same index in `_moments`."""
        self._moments: list[dt.datetime] = []
        self._size = 0
        self._descriptor = -1
        self._pulse = asyncio.Event()
        self.ended = asyncio.Event()

    def attach(self, descriptor: int) -> None:
        """Take output from the reading end of a pipe until its end, then close it."""
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._take)

    def close(self) -> None:
        """Take what is left in the pipe and end, even if somebody still holds its other end."""
        while self._descriptor >= 0 and self._take():
            pass
        self._end()

    def remove(self) -> None:
        """Delete the file; who reads it already reads on."""
        self._path.unlink(missing_ok=True)

    def tail(self, lines: int, size: int) -> str:
        """Return the last lines, at most ``size`` bytes of them."""
        content = self._path.read_bytes() if self._size <= size else self._last_bytes(size)
        return b"".join(content.splitlines(keepends=True)[-lines:]).decode(errors="replace")

    async def read(self, options: logs.Options) -> AsyncIterator[bytes]:
        """Yield what the options ask for."""
        position, left = self._first(options), options.limit
        with self._path.open("rb") as file:
            file.seek(position)
            while True:
                pulse, is_over = self._pulse, self.ended.is_set()
                while content := file.read(_CHUNK):
                    if options.timestamps:
                        content += file.readline()
                        content, position = self._stamped(content, position), position + len(content)
                    content = content if left is None else content[:left]
                    left = None if left is None else left - len(content)
                    yield content
                    if left == 0:
                        return
                if is_over or not options.follow:
                    return
                await pulse.wait()

    def _take(self) -> bool:
        try:
            content = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not content:
            self._end()
            return False
        self._offsets.append(self._size)
        self._moments.append(self._now())
        self._file.write(content)
        self._size += len(content)
        self._wake()
        return True

    def _end(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if not self.ended.is_set():
            self._file.close()
            self.ended.set()
            self._wake()

    def _wake(self) -> None:
        self._pulse.set()
        self._pulse = asyncio.Event()

    def _first(self, options: logs.Options) -> int:
        """Find the offset at which the answer begins."""
        start = 0
        if options.seconds is not None:
            since = self._now() - dt.timedelta(seconds=options.seconds)
            index = bisect.bisect_left(self._moments, since)
            start = self._offsets[index] if index < len(self._offsets) else self._size
        if options.tail is not None:
            start = max(start, self._tail_offset(options.tail))
        return start

    def _tail_offset(self, lines: int) -> int:
        if lines <= 0:
            return self._size
        end, found = self._size, 0
        with self._path.open("rb") as file:
            while end > 0:
                start = max(0, end - _CHUNK)
                file.seek(start)
                block = file.read(end - start)
                if end == self._size:
                    block = block[:-1]  # the last line's own end does not count
                for index in range(len(block) - 1, -1, -1):
                    if block[index] == 10:
                        found += 1
                        if found == lines:
                            return start + index + 1
                end = start
        return 0

    def _last_bytes(self, size: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._size - size)
            return file.read()

    def _stamped(self, content: bytes, position: int) -> bytes:
        stamped = []
        for line in content.splitlines(keepends=True):
            index = max(0, bisect.bisect_right(self._offsets, position) - 1)
            stamped.append(times.stamp_fine(self._moments[index]).encode() + b" " + line)
            position += len(line)
        return b"".join(stamped)
