"""Which namespaces this machine lets a process make, and entering them; used by the launcher alone.

Root makes mount and PID namespaces as it likes. Others make them inside a user namespace of their own, which most
kernels allow and some forbid (a sysctl, AppArmor, a container's seccomp filter): so it is tried, not guessed.
"""

import os
import pathlib
import sys

from nni.sandbox.node import kernel


def possible(calls: kernel.Kernel) -> int:
    """Try, in a child, which namespaces this machine allows; 0 when none."""
    if sys.platform != "linux":
        return 0
    for flags in (
        kernel.CLONE_NEWNS | kernel.CLONE_NEWPID,
        kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWUSER,
        kernel.CLONE_NEWNS | kernel.CLONE_NEWUSER,
        kernel.CLONE_NEWNS,
    ):
        child = os.fork()
        if child == 0:
            os._exit(_try(calls, flags))
        if os.waitpid(child, 0)[1] == 0:
            return flags
    return 0


def enter(calls: kernel.Kernel, flags: int) -> None:
    """Leave the namespaces of these kinds for new ones; in a user namespace one stays who one is."""
    user, group = os.getuid(), os.getgid()
    calls.unshare(flags)
    if flags & kernel.CLONE_NEWUSER:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            pathlib.Path("/proc/self", name).write_text(text, encoding="ascii")


def show_own_processes(calls: kernel.Kernel) -> None:
    """Give PID 1 of a PID namespace a /proc that shows the processes of its namespace, and nobody else's."""
    calls.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    calls.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _try(calls: kernel.Kernel, flags: int) -> int:
    try:
        enter(calls, flags)
        child = os.fork()
        if child == 0:
            try:
                calls.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
                calls.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
                calls.mount("sandbox", "/tmp", "tmpfs", 0)  # noqa: S108 - in a namespace that ends at once
                if flags & kernel.CLONE_NEWPID:
                    show_own_processes(calls)
            except OSError:
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1]
    except OSError:
        return 1
