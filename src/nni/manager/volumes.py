"""Which volume an experiment has, on the manager's side and on the pods'."""

import asyncio
import contextlib
import dataclasses
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import ports
from nni.core import spec as specs
from nni.platforms.kubeflow import manifest
from nni.runtime import archive
from nni.storage import kept, mounted, nfs, pod


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
        store=volume,
    )


async def _nfs(storage: specs.NfsSpec, environment: Mapping[str, str]) -> Backing:
    root = nfs.locate(storage, environment.get("NNI_MOUNTS"), await asyncio.to_thread(_mount_table))
    if not await asyncio.to_thread(root.is_dir):
        raise errors.VolumeError(
            f"{root}, where the NFS export {storage.server}:{storage.path} should be, is not a directory; "
            "mount the export there, or correct storage.mount_path or NNI_MOUNTS."
        )
    return Backing(
        volume=mounted.MountedVolume(root),
        pod=_pod(nfs.pod_volume(storage)),
        url=lambda path: nfs.url(storage, path),
        said=f"NFS export {storage.server}:{storage.path}, mounted here at {root}",
    )


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
