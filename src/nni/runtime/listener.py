"""The socket over which the trial's processes hand their metrics to the runtime."""

import contextlib
import os
import selectors
import socket
import tempfile
import threading
from typing import Callable, Dict, List, Sequence, Tuple

from nni import errors
from nni.wire import channel

_PATH_LIMIT = 100
"""Bytes that a socket's path may have everywhere (108 on Linux, 104 on macOS)."""

Take = Callable[[Sequence[channel.Report]], Sequence[int]]


def place(directory: str) -> str:
    """Return where to make the socket: in a directory of ours, or in a short one when that is too long."""
    path = os.path.join(directory, "metrics.sock")
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        return path
    return os.path.join(tempfile.mkdtemp(prefix="nni-"), "metrics.sock")


class Listener(threading.Thread):
    """Serves all connections in turn, so that whatever came meanwhile goes to the disk together.

    Args:
        path: Of the socket.
        take: Is given metrics, returns their numbers once they stand in the journal.

    Raises:
        OSError: The socket cannot be made.
    """

    def __init__(self, path: str, take: Take) -> None:
        super().__init__(name="nni-listener", daemon=True)
        self.path = path
        self._take = take
        self._buffers: Dict[socket.socket, bytes] = {}
        self._is_closing = False
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._server.bind(path)
        # The command may change its user.
        os.chmod(path, 0o666)  # noqa: S103
        self._server.listen(128)
        self._server.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def close(self, seconds: float) -> None:
        """Take what has been sent already, then end."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")
        self.join(seconds)

    def run(self) -> None:
        """Serve until closed."""
        while True:
            ready = self._selector.select(0 if self._is_closing else None)
            sockets = [key.fileobj for key, _ in ready if isinstance(key.fileobj, socket.socket)]
            if self._is_closing and not [one for one in sockets if one is not self._woken]:
                break
            self._serve(sockets)
        for connection in list(self._buffers):
            self._drop(connection)
        for end in (self._server, self._wake, self._woken):
            end.close()
        self._selector.close()
        # The directory goes too where it was made for the socket alone; any other is not empty.
        with contextlib.suppress(OSError):
            os.unlink(self.path)
            os.rmdir(os.path.dirname(self.path))

    def _serve(self, sockets: Sequence[socket.socket]) -> None:
        lines: List[Tuple[socket.socket, bytes]] = []
        for one in sockets:
            if one is self._server:
                self._accept()
            elif one is self._woken:
                one.recv(16)
            else:
                lines += [(one, line) for line in self._receive(one)]
        if lines:
            self._answer(lines)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._server.accept()
            connection.setblocking(False)
            self._buffers[connection] = b""
            self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, connection: socket.socket) -> List[bytes]:
        try:
            part = connection.recv(1 << 20)
        except BlockingIOError:
            return []
        except OSError:
            part = b""
        *lines, rest = (self._buffers[connection] + part).split(b"\n")
        self._buffers[connection] = rest
        if not part or len(rest) > channel.MAX_LINE:
            self._drop(connection)
        return lines

    def _answer(self, lines: Sequence[Tuple[socket.socket, bytes]]) -> None:
        waiting: List[socket.socket] = []
        reports: List[channel.Report] = []
        for connection, line in lines:
            try:
                reports.append(channel.decode(line))
                waiting.append(connection)
            except errors.WireError as error:  # noqa: PERF203 - each process gets its own answer
                self._send(connection, channel.encode_refused(str(error)))
        for connection, number in zip(waiting, self._take(reports)):
            self._send(connection, channel.encode_taken(number))

    def _send(self, connection: socket.socket, answer: bytes) -> None:
        # An answer is a few bytes; a process that is gone needs none.
        with contextlib.suppress(OSError):
            connection.send(answer)

    def _drop(self, connection: socket.socket) -> None:
        self._buffers.pop(connection, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection)
        connection.close()
