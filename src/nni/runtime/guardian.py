"""A second process that ends the command when the runtime is killed without a chance to do it itself.

A pod's first process needs none: its end is the end of its container.
"""

import contextlib
import os
import signal


class Guardian:
    """Watches over one process group. To be made before any thread is."""

    def __init__(self) -> None:
        watched, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _watch(watched)
            finally:
                os._exit(0)
        os.close(watched)

    def watch(self, group: int) -> None:
        """Name the process group that must not outlive us; 0 for none."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, b"%d\n" % group)

    def dismiss(self) -> None:
        """Let it go: there is nothing left to watch. The caller reaps it."""
        self.watch(0)
        with contextlib.suppress(OSError):
            os.close(self._pipe)


def _watch(pipe: int) -> None:
    # A session of its own: what is sent to the runtime's group or terminal does not reach it.
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.dup2(pipe, 3)
    os.closerange(4, 256)
    orders = b""
    while True:
        part = os.read(3, 4096)
        if not part:
            break
        orders += part
    group = int(orders.split()[-1]) if orders.split() else 0
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
