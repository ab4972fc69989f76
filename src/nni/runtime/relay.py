"""The relay: what the replica says, sent to the intake as it grows, where there is no shared volume."""

import os
import threading
import time
from typing import Callable, Dict, Optional, Sequence, Set

from nni.runtime import remote
from nni.wire import files as wire

_SECONDS = 1.0
"""Between two times of sending, at most: a pod that is killed has left all but its last second."""
_SHORTEST_PAUSE = 0.1
"""After a time of silence: what a trial says first, or last, is not held up by the pace of those that never stop."""
_LONGEST_PAUSE = 15.0
_CLOSING_PAUSE = 0.5


class Relay(threading.Thread):
    """Sends from a thread of its own. One replica writes the files, so what is sent is appended.

    Args:
        files: At the intake; for this thread alone.
        source: The replica's directory.
        target: The same directory, on the volume.
        growing: Names of the files in it that grow.
        last: The name of the file that is sent when all else is, once it is announced.
        tell: Is given a sentence when something is not taken.
        ended: Called when everything is sent or given up.
        seconds: Between two times of sending; what comes after a silence is sent at once.
    """

    def __init__(
        self,
        files: remote.Remote,
        *,
        source: str,
        target: str,
        growing: Sequence[str],
        last: str,
        tell: Callable[[str], None],
        ended: Callable[[], None],
        seconds: float = _SECONDS,
    ) -> None:
        super().__init__(name="nni-relay", daemon=True)
        self._files = files
        self._source = source
        self._target = target
        self._growing = growing
        self._last = last
        self._tell = tell
        self._ended = ended
        self._seconds = seconds
        self._changed = threading.Condition()
        self._end_at: Optional[float] = None
        self._owes_last = False
        # What was said before this was made is to be sent, too.
        self._is_stirred = True
        self._sent: Dict[str, int] = dict.fromkeys(growing, 0)
        self._given_up: Set[str] = set()
        self._pause = _SHORTEST_PAUSE
        self._is_failing = False
        self.is_complete = False
        """Whether all that there was is sent."""

    def stir(self) -> None:
        """Take note that one of the files has grown; from any thread."""
        with self._changed:
            if not self._is_stirred:
                self._is_stirred = True
                self._changed.notify_all()

    def announce_last(self) -> None:
        """Take note that the last file is there. Some more of the others may come until the end."""
        with self._changed:
            self._owes_last = self._is_stirred = True
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Send what is left within some seconds, then end."""
        with self._changed:
            self._end_at = time.monotonic() + seconds
            self._changed.notify_all()

    def run(self) -> None:
        """Send until finished."""
        try:
            while not self.is_complete and not self._is_late():
                is_last = self._wait()
                is_all = self._send_all()
                self.is_complete = is_last and is_all
                self._rest(is_last=is_last, is_all=is_all)
        finally:
            self._files.close()
            self._ended()

    def _wait(self) -> bool:
        """Wait for something to send; return whether it is the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stirred or self._end_at is not None)
            self._is_stirred = False
            return self._end_at is not None

    def _rest(self, *, is_last: bool, is_all: bool) -> None:
        """Leave the manager some time; the end alone cuts it short."""
        if is_last:
            if not is_all:
                time.sleep(_CLOSING_PAUSE)
            return
        with self._changed:
            self._is_stirred |= not is_all
            self._changed.wait_for(lambda: self._end_at is not None, self._pause)
            if is_all:
                self._pause = min(2 * self._pause, self._seconds) if self._is_stirred else _SHORTEST_PAUSE

    def _send_all(self) -> bool:
        """Send what is new, and the last file, if it is time for that; return whether that was all."""
        owes_last = self._owes_last
        try:
            for name in self._growing:
                self._send_growth(name)
            if owes_last:
                self._send_last()
                self._owes_last = False
        except OSError as error:
            self._pause = min(max(1.0, 2 * self._pause), _LONGEST_PAUSE)
            if not self._is_failing:
                self._tell(f"the manager {error.strerror or error}: its copy of the output waits")
            self._is_failing = True
            return False
        self._pause = min(self._pause, self._seconds)
        self._is_failing = False
        return True

    def _send_growth(self, name: str) -> None:
        path = os.path.join(self._source, name)
        while name not in self._given_up and not self._is_late():
            try:
                with open(path, "rb") as file:
                    file.seek(self._sent[name])
                    content = file.read(wire.PIECE)
            except FileNotFoundError:
                return
            if not content:
                return
            try:
                self._sent[name] = self._files.append(f"{self._target}/{name}", self._sent[name], content)
            except remote.RefusedError as error:
                self._give_up(name, error)

    def _send_last(self) -> None:
        path = os.path.join(self._source, self._last)
        try:
            size = os.stat(path).st_size
            self._files.put(f"{self._target}/{self._last}", path, size, self._is_late)
        except FileNotFoundError:
            return
        except remote.RefusedError as error:
            self._give_up(self._last, error)

    def _give_up(self, name: str, error: remote.RefusedError) -> None:
        if isinstance(error, remote.NoRoomError) and error.left is None:
            raise error
        self._given_up.add(name)
        self._tell(f"the rest of {name} stays in the pod: the manager {error.strerror}")

    def _is_late(self) -> bool:
        return self._end_at is not None and time.monotonic() >= self._end_at
