"""Care for processes: starts the command, passes signals on, reaps orphans, and leaves nothing behind.

All of it happens on the main thread. Signals and other threads wake it through one pipe; no signal can be missed
between looking and waiting.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import Callable, List, Mapping, Optional

from nni import errors
from nni.runtime import guardian, linux, log

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PASSED_ON = (*_ENDING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_KILL_SECONDS = 5.0
_CLEARING_SECONDS = 2.0


class Care:
    """The command's process group, and everything that descends from it.

    Args:
        log: Notes the signals.
        grace: Seconds from a signal that asks to end until we are killed; what is left is killed 5 s before.
    """

    def __init__(self, log: log.Log, grace: float) -> None:
        self.code: Optional[int] = None
        """How the command ended."""
        self.stopped = False
        """Whether we were told to end before the command did."""
        self.end_at: Optional[float] = None
        """When we must be gone, by the monotonic clock; None until we are told to end."""
        self._log = log
        self._grace = grace
        self._kill_at: Optional[float] = None
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        is_first = os.getpid() == 1
        self._guardian = None if is_first else guardian.Guardian()
        if not is_first and sys.platform == "linux":
            linux.become_subreaper()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (*_PASSED_ON, signal.SIGCHLD):
            signal.signal(number, _note)

    def start(self, command: str, directory: str, environment: Mapping[str, str], stdout: int, stderr: int) -> None:
        """Run a command by ``/bin/sh -c`` in a session of its own.

        Raises:
            TrialError: There is no shell, or no room for another process.
        """
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise errors.TrialError(f"the command cannot be started: {error}") from error
        if self._guardian is not None:
            self._guardian.watch(self._process.pid)

    def wake(self) -> None:
        """Make ``run_until`` look again; from any thread."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def run_until(self, is_done: Callable[[], bool], seconds: Optional[float] = None) -> bool:
        """Serve signals and reap until something is done, for some seconds at most; return whether it is done."""
        until = None if seconds is None else time.monotonic() + seconds
        while not is_done():
            limits = [limit for limit in (until, self._kill_at, self.end_at) if limit is not None]
            wait = max(0.0, min(limits) - time.monotonic()) if limits else None
            select.select([self._wake_read], [], [], wait)
            self._serve()
            now = time.monotonic()
            if (until is not None and now >= until) or (self.end_at is not None and now >= self.end_at):
                return is_done()
        return True

    def look(self) -> None:
        """Take in the signals that came while nobody waited."""
        self._serve()

    def clear_away(self) -> None:
        """End what the command left running: politely, then not."""
        self._signal_group(signal.SIGTERM)
        for pid in self._strays():
            _kill(pid, signal.SIGTERM)
        if self._wait_for_none():
            return
        self._kill_all()
        self._wait_for_none()

    def close(self) -> None:
        """Leave no process behind."""
        if self.code is None:
            self._kill_all()
        if self._guardian is not None:
            self._guardian.dismiss()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._guardian.pid, 0)

    def _serve(self) -> None:
        numbers = b""
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self._wake_read, 4096)
        for number in numbers:
            if number in _PASSED_ON:
                self._pass_on(signal.Signals(number))
        self._reap()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = None
            self._log.warning("the command did not end in time and is killed")
            self._kill_all()

    def _pass_on(self, number: signal.Signals) -> None:
        self._log.info(f"{number.name} is passed on to the command")
        self._signal_group(number)
        if number in _ENDING and self.end_at is None:
            now = time.monotonic()
            # A grace period too short for that is halved.
            self._kill_at = now + max(self._grace - _KILL_SECONDS, self._grace / 2)
            self.end_at = now + max(self._grace - 1.0, self._grace * 0.9)
            self.stopped = self.code is None

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if self._process is not None and pid == self._process.pid:
                    self.code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                    # It must not be waited for again, by its own object.
                    self._process.returncode = self.code
                    self._kill_at = None

    def _wait_for_none(self) -> bool:
        """Wait until nothing is left. Not all of it need be our children, so there is no event to wait for."""
        until = time.monotonic() + _CLEARING_SECONDS
        while self._is_group_alive() or self._strays():
            now = time.monotonic()
            if now >= until or (self.end_at is not None and now >= self.end_at):
                return False
            self.run_until(lambda: False, 0.02)
        return True

    def _kill_all(self) -> None:
        self._signal_group(signal.SIGKILL)
        for pid in self._strays():
            _kill(pid, signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _is_group_alive(self) -> bool:
        if self._process is None:
            return False
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _strays(self) -> List[int]:
        """Return descendants that left the command's group and came to us as orphans."""
        own = {self._guardian.pid if self._guardian is not None else 0}
        if self._process is not None and self.code is None:
            own.add(self._process.pid)
        return [pid for pid in linux.children() if pid not in own]


def _note(number: int, frame: object) -> None:
    """Let Python write the number to the pipe; what is to be done is done where the pipe is read."""


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
