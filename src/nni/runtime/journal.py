"""The journal: every metric of the replica, numbered, one line each, on the volume."""

import contextlib
import os
import threading
import time
from typing import Callable, List, Sequence, Tuple

from nni.runtime import files
from nni.wire import channel, report


class Journal:
    """Takes metrics from any thread. Lines that the volume refuses are kept and tried again before the next one.

    Args:
        path: Of the file; a container that was restarted in place goes on where it stands.
        trial: The trial's id.
        parameter_id: Of the trial's parameters.
        offer: Is given each number and line, in order; called under the lock, so it must not wait.
        tell: Is given a sentence when the volume refuses a line.
        grew: Called after lines were written.
    """

    def __init__(
        self,
        path: str,
        *,
        trial: str,
        parameter_id: report.ParameterId,
        offer: Callable[[int, bytes], None],
        tell: Callable[[str], None],
        grew: Callable[[], None],
    ) -> None:
        self._path = path
        self._trial = trial
        self._parameter_id = parameter_id
        self._offer = offer
        self._tell = tell
        self._grew = grew
        self._lock = threading.Lock()
        self._file = -1
        self._is_refusing = False
        self._unwritten: List[Tuple[int, bytes]] = []
        self._sequence = 0
        self.count = 0
        """How many metrics there are."""
        self._resume()

    def append(self, reports: Sequence[channel.Report]) -> List[int]:
        """Number metrics, write them and offer them to the push; return the numbers."""
        with self._lock:
            lines = [self._line(message) for message in reports]
            self._unwritten += lines
            self._write()
            self._grew()
            for number, line in lines:
                self._offer(number, line)
            return [number for number, _ in lines]

    def sync(self) -> None:
        """Wait until what was written is on the volume's disk, not only in this machine's memory."""
        with self._lock:
            if self._file < 0:
                return
            try:
                os.fsync(self._file)
            except OSError as error:
                self._refused(error)

    def lines_after(self, number: int) -> List[Tuple[int, bytes]]:
        """Return the numbers and lines behind a number, as far as they can be read."""
        with self._lock:
            lines = list(self._unwritten)
            with contextlib.suppress(OSError), open(self._path, "rb") as file:
                metrics = report.parse_journal(file.read()).metrics
                lines = [(metric.number, metric.encode()) for metric in metrics] + lines
            return [line for line in lines if line[0] > number]

    def close(self) -> None:
        """Write what is left, if the volume takes it now, and let go of the file."""
        self.append(())
        self.sync()
        with self._lock:
            self._let_go()

    def _line(self, message: channel.Report) -> Tuple[int, bytes]:
        self.count += 1
        is_final = message.type == report.FINAL
        metric = report.Metric(
            number=self.count,
            time=round(time.time(), 3),
            parameter_id=self._parameter_id,
            trial=self._trial,
            type=message.type,
            sequence=0 if is_final else self._sequence,
            value=message.value,
        )
        self._sequence += not is_final
        return self.count, metric.encode()

    def _resume(self) -> None:
        try:
            with open(self._path, "rb") as file:
                found = report.parse_journal(file.read())
            # Half a line is what a killed runtime left; its metric was never confirmed.
            os.truncate(self._path, found.consumed)
        except OSError:
            return
        for metric in found.metrics:
            self.count = metric.number
            self._sequence += metric.type == report.PERIODICAL
            self._offer(metric.number, metric.encode())

    def _write(self) -> None:
        while self._unwritten:
            start = -1
            try:
                if self._file < 0:
                    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                    self._file = os.open(self._path, flags, 0o666)
                start = os.fstat(self._file).st_size
                files.write_all(self._file, self._unwritten[0][1] + b"\n")
            except OSError as error:
                if start >= 0:
                    # Readers must never meet half a line with another one behind it.
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._file, start)
                self._refused(error)
                return
            del self._unwritten[0]
            self._is_refusing = False

    def _refused(self, error: OSError) -> None:
        if not self._is_refusing:
            self._tell(f"the journal {self._path} cannot be written ({error.strerror}): metrics are sent without it")
        self._is_refusing = True
        self._let_go()

    def _let_go(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1
