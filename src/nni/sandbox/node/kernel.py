"""The few Linux system calls that containers need and the standard library lacks; used by the launcher alone."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWUSER = 0x10000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Kernel:
    """System calls; each raises OSError when it fails."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        """Leave namespaces for new ones."""
        self._call(self._libc.unshare, flags)

    def setns(self, descriptor: int, kind: int) -> None:
        """Enter a namespace."""
        self._call(self._libc.setns, descriptor, kind)

    def prctl(self, option: int, value: int) -> None:
        """Set an attribute of the calling process."""
        self._call(self._libc.prctl, option, ctypes.c_ulong(value), 0, 0, 0)

    def mount(self, source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        """Mount something, or change a mount."""
        self._call(
            self._libc.mount, _text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(data), at=target
        )

    def unmount(self, target: str, flags: int) -> None:
        """Take a mount away."""
        self._call(self._libc.umount2, _text(target), flags, at=target)

    def pivot_root(self, new: str, old: str) -> None:
        """Make a mount the root of the file system."""
        self._call(self._libc.pivot_root, _text(new), _text(old), at=new)

    def _call(self, function: "ctypes._NamedFuncPointer", *arguments: object, at: str | None = None) -> None:
        if function(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{function.__name__}: {os.strerror(number)}", at)


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)
