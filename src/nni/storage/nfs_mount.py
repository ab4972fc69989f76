"""An NFS export mounted by this machine's kernel, for as long as it is used. Only for a process that may mount."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from nni import errors

_OPTIONS = "soft,timeo=100,retrans=3,nolock,actimeo=1"
"""A server that is gone ends in an error, not in a process that cannot be killed; what pods wrote is seen soon."""
_SECONDS = 60.0
_MOUNT_CAPABILITY = 1 << 21


class KernelMount:
    """A mount that is this process's own to end."""

    def __init__(self, directory: Path) -> None:
        """Take the directory that the export is mounted at."""
        self.directory = directory

    async def close(self) -> None:
        """Unmount it."""
        await asyncio.to_thread(_run, "umount", "-l", str(self.directory))
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.directory.rmdir)


async def mount(server: str, export: str) -> KernelMount:
    """Mount an export at a new directory.

    Raises:
        VolumeError: This process may not, or the mount fails; the message says why.
    """
    if not may_mount(await asyncio.to_thread(_own_status)):
        raise errors.VolumeError("this process may not mount.")
    if shutil.which("mount.nfs") is None:
        raise errors.VolumeError("mount.nfs is not on this machine (apt-get install nfs-common).")
    directory = Path(tempfile.mkdtemp(prefix="nni-nfs-"))
    ended = await asyncio.to_thread(_run, "mount", "-t", "nfs", "-o", _OPTIONS, f"{server}:{export}", str(directory))
    if ended is not None:
        await asyncio.to_thread(directory.rmdir)
        raise errors.VolumeError(f"{ended}.")
    return KernelMount(directory)


def may_mount(status: str) -> bool:
    """Return whether a process may mount, by what /proc says of it."""
    granted = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(granted, 16) & _MOUNT_CAPABILITY)


def _own_status() -> str:
    try:
        return Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _run(*command: str) -> str | None:
    """Run a program; return what it said when it failed."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    said = " ".join(ended.stderr.split()).rstrip(".")
    return (said or f"{command[0]} ended with code {ended.returncode}") if ended.returncode else None
