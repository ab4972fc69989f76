"""The runtime's own log: what it did and what it noticed, in ``trial.log`` and, where users must see it, on stderr."""

import contextlib
import threading
import time
from typing import Callable, List, Optional

from nni.runtime import files


class Log:
    """Lines as NNI's logs have them. They are kept until there is a file to write them to.

    Args:
        console: File descriptor of the container's standard error.
    """

    def __init__(self, console: int) -> None:
        self._console = console
        self._file: Optional[files.Appending] = None
        self._early: List[bytes] = []
        self._lock = threading.RLock()

    def open(self, path: str, grew: Callable[[], None]) -> None:
        """Write to a file from now on, and what was said before; ``grew`` is called after each write."""
        with self._lock:
            self._file = files.Appending(path, self._say, grew)
            early, self._early = self._early, []
            for line in early:
                self._file.write(line)

    def info(self, sentence: str) -> None:
        """Note what was done."""
        self._write("INFO", sentence)

    def warning(self, sentence: str) -> None:
        """Note what the user should know, and say it on standard error."""
        self._write("WARNING", sentence)
        self._say(sentence)

    def error(self, sentence: str) -> None:
        """Note what went wrong, and say it on standard error."""
        self._write("ERROR", sentence)
        self._say(sentence)

    def _write(self, level: str, sentence: str) -> None:
        line = "[{}] {} (nni.runtime) {}\n".format(time.strftime("%Y-%m-%d %H:%M:%S"), level, sentence)
        content = line.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._file is None:
                self._early.append(content)
            else:
                self._file.write(content)

    def _say(self, sentence: str) -> None:
        with contextlib.suppress(OSError):
            files.write_all(self._console, (f"nni: {sentence}\n").encode("utf-8", "backslashreplace"))
