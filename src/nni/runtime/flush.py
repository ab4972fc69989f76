"""The flush: what the replica says reaches a shared volume's server within a second, not when its node finds the time.

A node keeps what was written to a network file system to itself for half a minute. Until then nobody else sees it, and
it is gone with the node. Metrics do not wait for this: the journal is synced before a report returns.
"""

import contextlib
import os
import threading
from typing import Callable, Sequence

_SECONDS = 1.0
"""From what is written to the moment at which it is sent on; more of it meanwhile goes along."""


class Flush(threading.Thread):
    """Syncs from a thread of its own, so that a slow volume does not hold up whoever writes.

    Args:
        paths: Of the files; others append to them.
        ended: Called at the end.
        seconds: From a write to the sync.
    """

    def __init__(self, paths: Sequence[str], *, ended: Callable[[], None], seconds: float = _SECONDS) -> None:
        super().__init__(name="nni-flush", daemon=True)
        self._paths = paths
        self._ended = ended
        self._seconds = seconds
        self._changed = threading.Condition()
        self._is_stirred = False
        self._is_finishing = False

    def stir(self) -> None:
        """Take note that one of the files has grown; from any thread."""
        with self._changed:
            if not self._is_stirred:
                self._is_stirred = True
                self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """End: whoever closes a file has the node send the rest."""
        with self._changed:
            self._is_finishing = True
            self._changed.notify_all()

    def run(self) -> None:
        """Sync until finished."""
        try:
            while self._wait():
                for path in self._paths:
                    _sync(path)
        finally:
            self._ended()

    def _wait(self) -> bool:
        """Wait for something to sync; return whether there is, and not the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stirred or self._is_finishing)
            self._changed.wait_for(lambda: self._is_finishing, self._seconds)
            self._is_stirred = False
            return not self._is_finishing


def _sync(path: str) -> None:
    # Whoever writes meets the volume's refusals, too, and tells of them.
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
