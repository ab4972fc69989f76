"""The push: metrics to the intake as soon as they are there, in numbered batches that are acknowledged.

Whatever does not get through stands in the journal, which the manager reads; so nothing here is worth stopping for.
"""

import collections
import random
import threading
import time
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple

from nni import errors
from nni.runtime import post
from nni.wire import intake

_BATCH_BYTES = 3 * 1024 * 1024
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 15.0
_REFUSED_DELAY = 60.0
"""After an answer that the same request would get again, unless somebody mends something on the other side."""
_CLOSING_DELAY = 0.5
_REQUEST_SECONDS = 10.0

Send = Callable[[bytes, float], Tuple[int, bytes]]
"""Posts a body within some seconds; returns status and body of the answer, or raises OSError."""


class _Batch(NamedTuple):
    body: bytes
    last: int
    """The highest number in it; what was acknowledged before when it has none."""
    has_exit: bool


class Push(threading.Thread):
    """Sends from a thread of its own.

    Args:
        send: Posts a request.
        lines_after: Reads lines back from the journal, should the intake ask for what it had acknowledged.
        tell: Is given a sentence when the push stops or goes on again.
        ended: Called when everything is acknowledged or given up.
        heartbeat: Seconds after which silence is broken.
    """

    def __init__(
        self,
        send: Send,
        *,
        lines_after: Callable[[int], List[Tuple[int, bytes]]],
        tell: Callable[[str], None],
        ended: Callable[[], None],
        heartbeat: float = intake.HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__(name="nni-push", daemon=True)
        self._send = send
        self._lines_after = lines_after
        self._tell = tell
        self._ended = ended
        self._heartbeat = heartbeat
        self._changed = threading.Condition()
        self._waiting: Deque[Tuple[int, bytes]] = collections.deque()
        self._acknowledged = 0
        self._exit: Optional[bytes] = None
        self._end_at: Optional[float] = None
        self._limit = _BATCH_BYTES
        self._delay = 0.0
        self._failing_since: Optional[float] = None
        self._has_succeeded = False
        self._is_hopeless = False
        self.is_complete = False
        """Whether all metrics and the exit are acknowledged."""

    def offer(self, number: int, line: bytes) -> None:
        """Take a line of the journal; from any thread, in order."""
        with self._changed:
            self._waiting.append((number, line))
            self._changed.notify_all()

    def finish(self, ending: bytes, seconds: float) -> None:
        """Send what is left and the exit, within some seconds, then end."""
        with self._changed:
            self._exit = ending
            self._end_at = time.monotonic() + seconds
            self._changed.notify_all()

    def run(self) -> None:
        """Send until everything is acknowledged or the time is over."""
        try:
            # The first request has no metrics as a rule: it is the first sign of life.
            while not self.is_complete and not self._is_over():
                self._deliver(self._batch())
                self._wait()
        finally:
            self._ended()

    def _batch(self) -> _Batch:
        with self._changed:
            lines: List[bytes] = []
            size = 0
            last = self._acknowledged
            for number, line in self._waiting:
                size += len(line) + 2
                if lines and size > self._limit:
                    break
                lines.append(line)
                last = number
            is_all = len(lines) == len(self._waiting)
            ending = self._exit if is_all else None
            return _Batch(intake.encode(lines, ending), last, ending is not None)

    def _deliver(self, batch: _Batch) -> None:
        limit = _REQUEST_SECONDS
        if self._end_at is not None:
            limit = max(0.1, min(limit, self._end_at - time.monotonic()))
        try:
            status, body = self._send(batch.body, limit)
            if status == 200:
                self._accept(batch, intake.decode_answer(body))
            else:
                self._refuse(batch, status, body)
        except post.TlsError as error:
            self._fail(str(error), _REFUSED_DELAY)
        except (OSError, errors.WireError) as error:
            self._fail("does not answer (%s)" % (str(error) or type(error).__name__), _LONGEST_DELAY)

    def _accept(self, batch: _Batch, acknowledged: int) -> None:
        before = self._acknowledged
        if acknowledged < before:
            self._rewind(acknowledged)
        with self._changed:
            while self._waiting and self._waiting[0][0] <= acknowledged:
                self._waiting.popleft()
            self._acknowledged = acknowledged
            self.is_complete = batch.has_exit and acknowledged >= batch.last
        if acknowledged <= before and acknowledged < batch.last:
            self._fail("takes no metric after %d" % acknowledged, _LONGEST_DELAY)
        else:
            self._succeed()

    def _succeed(self) -> None:
        self._delay = 0.0
        if self._failing_since is not None:
            self._tell("the intake answers again, after %.0f s" % (time.monotonic() - self._failing_since))
        elif not self._has_succeeded:
            self._tell("the intake takes metrics")
        self._failing_since = None
        self._has_succeeded = True

    def _rewind(self, acknowledged: int) -> None:
        """Send again what the intake knew and has lost, as far as the journal has it."""
        self._tell("the intake asks for metrics from %d on once more" % (acknowledged + 1))
        # Not under our lock: the journal holds its own while it offers lines to us.
        lines = self._lines_after(acknowledged)
        with self._changed:
            known = self._waiting[0][0] if self._waiting else self._acknowledged + 1
            self._waiting.extendleft(reversed([line for line in lines if line[0] < known]))

    def _refuse(self, batch: _Batch, status: int, body: bytes) -> None:
        if status == 413 and self._limit > 1024:
            # A proxy on the way allows less than the intake does.
            self._limit //= 2
            self._delay = 0.0
            return
        is_final = status in (401, 404, 413)
        self._is_hopeless = is_final and batch.has_exit
        reason = body[:200].decode("utf-8", "replace").strip()
        self._fail("answers %d %s" % (status, reason), _REFUSED_DELAY if is_final else _LONGEST_DELAY)

    def _fail(self, how: str, longest: float) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            self._tell(f"the intake {how}: metrics stand in the journal, and sending is tried again")
        doubled = _REFUSED_DELAY if longest == _REFUSED_DELAY else max(_FIRST_DELAY, 2 * self._delay)
        self._delay = min(doubled, longest)

    def _wait(self) -> None:
        with self._changed:
            if self._delay:
                self._back_off()
            else:
                self._changed.wait_for(self._is_due, self._heartbeat)

    def _back_off(self) -> None:
        """Wait without being woken by metrics; the end alone cuts it short, once."""
        # Many trials that lost the same manager must not come back in step.
        delay = self._delay * random.uniform(0.5, 1.0)  # noqa: S311
        if self._end_at is None:
            self._changed.wait_for(lambda: self._end_at is not None, delay)
        else:
            left = self._end_at - time.monotonic()
            self._changed.wait(max(0.0, min(delay, _CLOSING_DELAY, left)))

    def _is_due(self) -> bool:
        return bool(self._waiting) or self._exit is not None

    def _is_over(self) -> bool:
        return self._is_hopeless or (self._end_at is not None and time.monotonic() >= self._end_at)


def sender(url: str, path: str, token: str, fingerprint: str) -> Send:
    """Return what posts to an intake."""
    return post.Post(url, path, token, fingerprint).send
