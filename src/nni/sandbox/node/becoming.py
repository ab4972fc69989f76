"""From the launcher's fork to the container's command: what happens in the child, and never comes back."""

import dataclasses
import os
import pathlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from nni.sandbox.node import cgroups, kernel, mounts

_RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ)
_FAILED = 128


@dataclasses.dataclass(frozen=True)
class Birth:
    """Everything that a new process needs to become a container, or to join one."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    """The working directory, as the container sees it."""
    output: int
    """The descriptor of its stdout and stderr."""
    result: int
    """Where the reason is written should it fail; closed by success."""
    group: cgroups.Group | None
    """The control group to join."""
    joined: Mapping[int, int]
    """Namespaces of another container that are to be shared, descriptors by kind; empty for ones of its own."""
    mounts: Sequence[mounts.Mount]
    staging: pathlib.Path
    flags: int
    """The kinds of namespaces that are in force; 0 for none."""
    hostname: str


def become(calls: kernel.Kernel, birth: Birth) -> NoReturn:
    """Turn the calling process, a fresh child of the launcher, into the container's command."""
    try:
        _leave_launcher(calls, birth.output)
        if birth.group is not None:
            birth.group.join()
        for kind, descriptor in birth.joined.items():
            calls.setns(descriptor, kind)
        if birth.flags and not birth.joined:
            calls.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
            socket.sethostname(birth.hostname)
            has_own_processes = bool(birth.flags & kernel.CLONE_NEWPID)
            mounts.arrange(calls, birth.mounts, birth.staging, has_own_processes=has_own_processes)
        _enter(birth.folder)
        _execute(birth.command, birth.environment)
    except (OSError, ValueError) as error:
        os.write(birth.result, str(error).encode())
    os._exit(_FAILED)


def _leave_launcher(calls: kernel.Kernel, output: int) -> None:
    """Drop what was the launcher's: signal handlers, session, streams."""
    if sys.platform == "linux":
        calls.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        words = (error.strerror or "").lower()
        raise OSError(f'chdir to cwd ("{folder}") set in config.json failed: {words}') from error


def _execute(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the command in place of this process. Raises OSError with the words of a container runtime."""
    name = command[0]
    try:
        os.execvpe(name, list(command), dict(environment))  # noqa: S606 - no shell is wanted
    except FileNotFoundError as error:
        why = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        raise OSError(f'exec: "{name}": {why}') from error
    except OSError as error:
        raise OSError(f'exec: "{name}": {(error.strerror or "").lower()}') from error
