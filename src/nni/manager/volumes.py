"""Which volume an experiment has, on the manager's side and on the pods'."""

import asyncio
import contextlib
import dataclasses
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import ports
from nni.core import spec as specs
from nni.platforms.kubeflow import manifest
from nni.runtime import archive
from nni.storage import kept, mounted, nfs, nfs_direct, nfs_mount, pod


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """A volume, ready for use."""

    volume: ports.Volume
    """The manager's side."""
    pod: manifest.Volume
    """The pods' side."""
    url: Callable[[str], str] | None
    """Gives the URL of a path; None where the portal alone shows it."""
    said: str
    """What is used, and how: a line for the log."""
    close: Callable[[], Awaitable[None]]
    """Lets go of the volume."""
    store: kept.KeptVolume | None = None
    """The same volume, where pods send their files to the manager."""


async def back(storage: specs.StorageSpec, *, environment: Mapping[str, str], directory: Path) -> Backing:
    """Return the volume of a configuration.

    Args:
        storage: What is configured.
        environment: Of this process.
        directory: The experiment's own.

    Raises:
        VolumeError: It cannot be reached.
    """
    match storage:
        case specs.ManagerSpec():
            return await _at_manager(directory / "volume")
        case specs.NfsSpec():
            return await _nfs(storage, environment)


async def _at_manager(root: Path) -> Backing:
    await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
    volume = kept.KeptVolume(root)
    runtime = await asyncio.to_thread(archive.build)
    return Backing(
        volume=volume,
        pod=_pod(pod.scratch(), runtime.digest),
        url=None,
        said=f"no shared storage: pods fetch the code from the manager, and outputs land in {root}",
        close=_nothing,
        store=volume,
    )


async def _nfs(storage: specs.NfsSpec, environment: Mapping[str, str]) -> Backing:
    """Return an export as it can be reached from here: mounted already, without a mount, or by a mount of our own."""
    root = nfs.locate(storage, environment.get("NNI_MOUNTS"), await asyncio.to_thread(_mount_table))
    name = f"NFS export {storage.server}:{storage.path}"
    if root is None:
        return await _nfs_direct(storage, name)
    if not await asyncio.to_thread(root.is_dir):
        raise errors.VolumeError(
            f"{root}, where the {name} should be, is not a directory; "
            "mount the export there, or correct storage.mount_path or NNI_MOUNTS."
        )
    return _nfs_backing(storage, mounted.MountedVolume(root), f"{name}, mounted here at {root}", _nothing)


async def _nfs_direct(storage: specs.NfsSpec, name: str) -> Backing:
    try:
        volume = nfs_direct.NfsVolume(nfs_direct.connector(storage.server, storage.path), f"the {name}")
    except errors.VolumeError as error:
        return await _nfs_mounted(storage, name, str(error))
    try:
        await volume.test()
    except BaseException as error:
        await volume.close()
        if isinstance(error, errors.VolumeError):
            return await _nfs_mounted(storage, name, str(error))
        raise
    return _nfs_backing(storage, volume, f"{name}, without a mount: NFSv3 through libnfs", volume.close)


async def _nfs_mounted(storage: specs.NfsSpec, name: str, why_not: str) -> Backing:
    try:
        own = await nfs_mount.mount(storage.server, storage.path)
    except errors.VolumeError as error:
        raise errors.VolumeError(
            f"The {name} cannot be used from this machine. It is not mounted here: mount it, or set storage.mount_path "
            f"or NNI_MOUNTS={storage.server}:{storage.path}=DIRECTORY to where it is. Without a mount: {why_not} "
            f"By a mount of our own: {error}"
        ) from error
    return _nfs_backing(
        storage, mounted.MountedVolume(own.directory), f"{name}, mounted for this experiment", own.close
    )


def _nfs_backing(
    storage: specs.NfsSpec, volume: ports.Volume, said: str, close: Callable[[], Awaitable[None]]
) -> Backing:
    return Backing(
        volume=volume,
        pod=_pod(nfs.pod_volume(storage)),
        url=lambda path: nfs.url(storage, path),
        said=said,
        close=close,
    )


async def _nothing() -> None:
    """Nothing is held open."""


def _pod(side: tuple[dict[str, Any], dict[str, Any]], runtime: str | None = None) -> manifest.Volume:
    volume, mount = side
    return manifest.Volume(volume=volume, mount=mount, runtime=runtime)


def _mount_table() -> str:
    """Return what this machine has mounted: Linux's mountinfo, or what ``mount`` prints elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    with contextlib.suppress(OSError):
        return subprocess.run(["mount"], capture_output=True, text=True, check=False).stdout  # noqa: S607 macOS's own
    return ""
