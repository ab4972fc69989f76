"""How the manager lives as a process: what ends it, and where it logs."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from nni import errors
from nni.core import event
from nni.manager import loop


@contextlib.contextmanager
def stopping(experiment: loop.Loop, *, attached: bool, supervised: bool) -> Iterator[None]:
    """Stop the experiment, or leave it, on SIGTERM and SIGINT; stop it when an attached program has gone.

    Args:
        experiment: What is stopped, or left.
        attached: Whether standard input stays open as long as the experiment is to live.
        supervised: Whether somebody starts this process again.
    """
    running, emit = asyncio.get_running_loop(), experiment.emit
    for number in (signal.SIGTERM, signal.SIGINT):
        if supervised:
            running.add_signal_handler(number, experiment.leave)
        else:
            by = f"signal {signal.Signals(number).name}"
            running.add_signal_handler(number, emit, event.StopRequested(by=by))
    source = sys.stdin.fileno()

    def listen_to_input() -> None:
        if not os.read(source, 4096):
            running.remove_reader(source)
            emit(event.StopRequested(by="the end of the program that started it"))

    if attached:
        running.add_reader(source, listen_to_input)
    try:
        yield
    finally:
        running.remove_reader(source)
        for number in (signal.SIGTERM, signal.SIGINT):
            running.remove_signal_handler(number)


@contextlib.contextmanager
def logging_to(path: Path, level: str, *, to_stderr: bool) -> Iterator[None]:
    """Write what this process logs to a file, and where a supervisor looks for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(path)]
    if to_stderr:
        handlers.append(logging.StreamHandler())
    logger = logging.getLogger("nni")
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel({"fatal": "CRITICAL", "trace": "DEBUG"}.get(level, level.upper()))
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def first_of(group: BaseExceptionGroup[errors.NniError]) -> errors.NniError:
    """Return the first error of a group, to be told as one sentence."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, errors.NniError)  # noqa: S101 the group was split by it
    return error
