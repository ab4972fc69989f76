"""Ends a trial that runs as a process of a machine when the manager that started it has gone without a word."""

import contextlib
import os
import signal
import stat
import threading
from typing import Mapping

VARIABLE = "NNI_LIFELINE"
"""Set where standard input is a pipe whose other end the manager holds, and closes by its own end at the latest."""


def watch(environ: Mapping[str, str]) -> None:
    """Have this process told to stop (SIGTERM) when the pipe ends, where there is one."""
    kind = 0
    with contextlib.suppress(OSError):
        kind = os.fstat(0).st_mode
    if environ.get(VARIABLE) and (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        threading.Thread(target=_wait, name="lifeline", daemon=True).start()


def _wait() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
