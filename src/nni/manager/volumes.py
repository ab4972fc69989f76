"""Which volume an experiment has, on the manager's side and on the pods'."""

import asyncio
import base64
import contextlib
import dataclasses
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import model, ports
from nni.core import spec as specs
from nni.platforms.kubeflow import api, client, names, pods
from nni.runtime import archive, settings
from nni.storage import azure_access, kept, mounted, nfs, nfs_direct, nfs_mount, pod


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """A volume, ready for use."""

    volume: ports.Volume
    """The manager's side."""
    pod: pods.Volume
    """The pods' side."""
    url: Callable[[str], str] | None
    """Gives the URL of a path; None where the portal alone shows it."""
    said: str
    """What is used, and how: a line for the log."""
    close: Callable[[], Awaitable[None]]
    """Lets go of the volume."""
    store: kept.KeptVolume | None = None
    """The same volume, where pods send their files to the manager."""
    limit: int = 0
    """Bytes that a trial may send."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a volume may depend on, beside its own configuration."""

    environment: Mapping[str, str]
    """Of this process."""
    directory: Path
    """The experiment's own."""
    experiment_id: model.ExperimentId
    connect: Callable[[], client.Client]
    """Gives the cluster, where a Secret may have to be read."""


async def back(storage: specs.StorageSpec, asked: Asked) -> Backing:
    """Return the volume of a configuration.

    Raises:
        VolumeError: It cannot be reached.
    """
    side = await asyncio.to_thread(pod_side, storage, asked.experiment_id, asked.environment)
    match storage:
        case specs.ManagerSpec():
            root = asked.directory / "volume"
            said = f"no shared storage: pods fetch the code from the manager, and outputs land in {root}"
            return await _kept(root, side, storage.output_limit_mib, said)
        case specs.NfsSpec():
            return await _nfs(storage, side, asked.environment)
        case specs.AzureSpec():
            return await _azure(storage, side, asked)
        case specs.PvcSpec():
            return await _pvc(storage, side, asked)


def pod_side(
    storage: specs.StorageSpec, experiment_id: model.ExperimentId, environment: Mapping[str, str]
) -> pods.Volume:
    """Return the pods' side of a configuration's volume, touching neither cluster nor network.

    What its mount needs of secrets is left out.

    Raises:
        VolumeError: NNI_MOUNTS cannot be read.
    """
    match storage:
        case specs.ManagerSpec():
            return _fetching(pod.scratch(), settings.MANAGER)
        case specs.NfsSpec():
            volume, mount = nfs.pod_volume(storage)
            return pods.Volume(volume=volume, mount=mount)
        case specs.AzureSpec():
            volume, mount = azure_access.pod_volume(storage, storage.secret_name or names.secret(experiment_id))
            return pods.Volume(volume=volume, mount=mount, runs_restricted=True)
        case specs.PvcSpec():
            if claim_here(storage, environment) is None:
                return _fetching(pod.claim(storage), settings.CLAIM)
            volume, mount = pod.claim(storage)
            return pods.Volume(volume=volume, mount=mount, runs_restricted=True)


def _fetching(side: tuple[dict[str, Any], dict[str, Any]], sent: str) -> pods.Volume:
    """Return a volume of pods that fetch from the manager and send to it."""
    volume, mount = side
    digest = archive.build().digest
    return pods.Volume(volume=volume, mount=mount, runs_restricted=True, runtime=digest, storage=sent)


def claim_here(storage: specs.PvcSpec, environment: Mapping[str, str]) -> str | None:
    """Return where this machine has a claim mounted, None when it has not.

    Raises:
        VolumeError: NNI_MOUNTS cannot be read.
    """
    return nfs.told("pvc", storage.claim_name, environment.get("NNI_MOUNTS")) or storage.mount_path


async def _kept(root: Path, side: pods.Volume, limit_mib: int, said: str) -> Backing:
    """Return a volume that pods fetch from and send to."""
    await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
    volume = kept.KeptVolume(root)
    return Backing(
        volume=volume,
        pod=side,
        url=None,
        said=said,
        close=_nothing,
        store=volume,
        limit=limit_mib << 20,
    )


async def _nfs(storage: specs.NfsSpec, side: pods.Volume, environment: Mapping[str, str]) -> Backing:
    """Return an export as it can be reached from here: mounted already, without a mount, or by a mount of our own."""
    root = nfs.locate(storage, environment.get("NNI_MOUNTS"), await asyncio.to_thread(_mount_table))
    name = f"NFS export {storage.server}:{storage.path}"
    if root is None:
        return await _nfs_direct(storage, side, name)
    if not await asyncio.to_thread(root.is_dir):
        raise errors.VolumeError(
            f"{root}, where the {name} should be, is not a directory; "
            "mount the export there, or correct storage.mount_path or NNI_MOUNTS."
        )
    return _nfs_backing(storage, side, mounted.MountedVolume(root), f"{name}, mounted here at {root}", _nothing)


async def _nfs_direct(storage: specs.NfsSpec, side: pods.Volume, name: str) -> Backing:
    try:
        volume = nfs_direct.NfsVolume(nfs_direct.connector(storage.server, storage.path), f"the {name}")
    except errors.VolumeError as error:
        return await _nfs_mounted(storage, side, name, str(error))
    try:
        await volume.test()
    except BaseException as error:
        await volume.close()
        if isinstance(error, errors.VolumeError):
            return await _nfs_mounted(storage, side, name, str(error))
        raise
    return _nfs_backing(storage, side, volume, f"{name}, without a mount: NFSv3 through libnfs", volume.close)


async def _nfs_mounted(storage: specs.NfsSpec, side: pods.Volume, name: str, why_not: str) -> Backing:
    try:
        own = await nfs_mount.mount(storage.server, storage.path)
    except errors.VolumeError as error:
        raise errors.VolumeError(
            f"The {name} cannot be used from this machine. It is not mounted here: mount it, or set storage.mount_path "
            f"or NNI_MOUNTS={storage.server}:{storage.path}=DIRECTORY to where it is. Without a mount: {why_not} "
            f"By a mount of our own: {error}"
        ) from error
    return _nfs_backing(
        storage, side, mounted.MountedVolume(own.directory), f"{name}, mounted for this experiment", own.close
    )


def _nfs_backing(
    storage: specs.NfsSpec, side: pods.Volume, volume: ports.Volume, said: str, close: Callable[[], Awaitable[None]]
) -> Backing:
    return Backing(
        volume=volume,
        pod=side,
        url=lambda path: nfs.url(storage, path),
        said=said,
        close=close,
    )


async def _azure(storage: specs.AzureSpec, side: pods.Volume, asked: Asked) -> Backing:
    secret: Mapping[str, str]
    if storage.secret_name is not None:
        key = await _key_from_secret(storage.secret_name, await asyncio.to_thread(asked.connect))
        secret, whence = {}, f"Secret {storage.secret_name}"
    else:
        key = await azure_access.key_from_vault(storage)
        secret = {azure_access.FIELD_OF_ACCOUNT: storage.account, azure_access.FIELD_OF_KEY: key}
        whence = f"Key Vault {storage.key_vault_name}"
    volume = await azure_access.volume(storage, key)
    return Backing(
        volume=volume,
        pod=dataclasses.replace(side, secret=secret),
        url=lambda path: azure_access.url(storage, path),
        said=f"share {storage.share} of Azure storage account {storage.account}, its key from {whence}",
        close=volume.close,
    )


async def _key_from_secret(name: str, connection: client.Client) -> str:
    try:
        found = await connection.run(lambda: connection.secret(name))
    except (api.Refusal, errors.PlatformUnavailableError) as error:
        said = getattr(error, "message", str(error))
        raise errors.VolumeError(
            f"The Secret {name} with the storage account's key cannot be read in namespace {connection.namespace}: "
            f"{said.rstrip('.')}; correct secret_name, or allow this user to get it."
        ) from error
    encoded = (found.get("data") or {}).get(azure_access.FIELD_OF_KEY)
    if not encoded:
        raise errors.VolumeError(
            f"The Secret {name} has no field {azure_access.FIELD_OF_KEY}; store the account's key there, and its name "
            f"in {azure_access.FIELD_OF_ACCOUNT}."
        )
    return base64.b64decode(encoded).decode().strip()


async def _pvc(storage: specs.PvcSpec, side: pods.Volume, asked: Asked) -> Backing:
    mount_path = claim_here(storage, asked.environment)
    if mount_path is None:
        root = asked.directory / "volume"
        said = f"claim {storage.claim_name}, which is not mounted here: logs land in {root}, outputs stay on the claim"
        return await _kept(root, side, storage.output_limit_mib, said)
    root = Path(mount_path, storage.sub_path)
    try:
        # A node cannot make it, where the server squashes root.
        await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.VolumeError(
            f"The directory {root} of claim {storage.claim_name} cannot be made ({error.strerror}); correct "
            "storage.mount_path and storage.sub_path."
        ) from error
    return Backing(
        volume=mounted.MountedVolume(root),
        pod=side,
        url=None,
        said=f"claim {storage.claim_name}, mounted here at {mount_path}",
        close=_nothing,
    )


async def _nothing() -> None:
    """Nothing is held open."""


def _mount_table() -> str:
    """Return what this machine has mounted: Linux's mountinfo, or what ``mount`` prints elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    with contextlib.suppress(OSError):
        return subprocess.run(["mount"], capture_output=True, text=True, check=False).stdout  # noqa: S607 macOS's own
    return ""
