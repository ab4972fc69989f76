"""How the manager lives as a process: what ends it, and where it logs."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nni import errors
from nni.core import event, ports
from nni.manager import loop

_log = logging.getLogger(__name__)

ALONE_SECONDS = 60.0
"""How long a platform that does not answer is waited for when the program is gone that could decide."""


@contextlib.contextmanager
def stopping(
    experiment: loop.Loop, *, attached: bool, supervised: bool, is_silent: Callable[[], bool]
) -> Iterator[None]:
    """Stop the experiment, or leave it, on SIGTERM and SIGINT; stop it when an attached program has gone.

    Args:
        experiment: What is stopped, or left.
        attached: Whether standard input stays open as long as the experiment is to live.
        supervised: Whether somebody starts this process again.
        is_silent: Says whether the platform does not answer.
    """
    running, emit = asyncio.get_running_loop(), experiment.emit
    for number in (signal.SIGTERM, signal.SIGINT):
        if supervised:
            running.add_signal_handler(number, experiment.leave)
        else:
            by = f"signal {signal.Signals(number).name}"
            running.add_signal_handler(number, emit, event.StopRequested(by=by))
    try:
        with _attached(emit, is_silent) if attached else contextlib.nullcontext():
            yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            running.remove_signal_handler(number)


@contextlib.contextmanager
def _attached(emit: ports.Emit, is_silent: Callable[[], bool]) -> Iterator[None]:
    """Stop the experiment when standard input ends, without its platform when that does not answer for long."""
    running, source = asyncio.get_running_loop(), sys.stdin.fileno()
    gone = event.StopRequested(by="the end of the program that started it")

    def give_up() -> None:
        if is_silent():
            _log.error("the platform does not answer, and nobody is there to wait for it: the stop goes on without it")
            emit(dataclasses.replace(gone, without_platform=True))

    def listen() -> None:
        if not os.read(source, 4096):
            running.remove_reader(source)
            emit(gone)
            alone.callback(running.call_later(ALONE_SECONDS, give_up).cancel)

    with contextlib.ExitStack() as alone:
        alone.callback(running.remove_reader, source)
        running.add_reader(source, listen)
        yield


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
