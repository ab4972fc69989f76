"""Keys of Azure storage accounts, and clients that use them. Azure's SDK is loaded on first use."""

import asyncio
import contextlib
import importlib
from typing import Any

from nni import errors
from nni.core import spec as specs
from nni.storage import azure_errors, azure_files, pod

FIELD_OF_ACCOUNT = "azurestorageaccountname"
FIELD_OF_KEY = "azurestorageaccountkey"
_RETRY_SECONDS = 1
_RETRIES = 3
_CONNECT_SECONDS = 10
_PIECE = 1 << 20
"""Bytes of a request; larger ones hold up the event loop."""
_DRIVER = "file.csi.azure.com"
_MOUNT_OPTIONS = "dir_mode=0777,file_mode=0777,cache=strict,actimeo=30,nosharesock"


async def key_from_vault(storage: specs.AzureSpec, credential: Any = None, authorities: str | None = None) -> str:
    """Return the account's key from its vault.

    Args:
        storage: What names account, vault and secret.
        credential: Who asks; what ``az login``, a managed or a workload identity gives when None.
        authorities: File of the certificate authorities to trust; the system's when None.

    Raises:
        VolumeError: It cannot be read; the message says why and never the key.
    """
    secrets = await _load("azure.keyvault.secrets.aio")
    own = None
    if credential is None:
        credential = own = (await _load("azure.identity.aio")).DefaultAzureCredential()
    vault, name = storage.key_vault_name or "", storage.key_vault_key or ""
    try:
        options: dict[str, Any] = {} if authorities is None else {"connection_verify": authorities}
        options |= {"retry_total": _RETRIES, "connection_timeout": _CONNECT_SECONDS}
        async with secrets.SecretClient(f"https://{vault}.vault.azure.net", credential, **options) as client:
            found = await client.get_secret(name)
    except azure_errors.kinds() as error:
        raise errors.VolumeError(azure_errors.of_vault(error, vault, name)) from error
    finally:
        if own is not None:
            with contextlib.suppress(*azure_errors.kinds()):
                await own.close()
    return str(found.value)


async def volume(storage: specs.AzureSpec, key: str) -> azure_files.AzureVolume:
    """Return the share as a volume, made if it is missing and found to work.

    Raises:
        VolumeError: It cannot be used; the message says why and never the key.
    """
    aio = await _load("azure.storage.fileshare.aio")
    name = f"share {storage.share} of Azure storage account {storage.account}"
    try:
        credential = {"account_name": storage.account, "account_key": key}
        share = aio.ShareClient(
            endpoint(storage),
            storage.share,
            credential=credential,
            # The SDK's own pauses begin at 15 s: a trial would wait minutes for what a second mends.
            initial_backoff=_RETRY_SECONDS,
            increment_base=1,
            random_jitter_range=_RETRY_SECONDS,
            retry_total=_RETRIES,
            connection_timeout=_CONNECT_SECONDS,
            max_range_size=_PIECE,
        )
    except ValueError as error:
        raise errors.VolumeError(f"The {name} has no usable address: correct azure_account and azure_share.") from error
    made = azure_files.AzureVolume(share, name)
    try:
        await made.open()
    except BaseException:
        await made.close()
        raise
    return made


def endpoint(storage: specs.AzureSpec) -> str:
    """Return where the account's file service is."""
    return (storage.endpoint or "").rstrip("/") or f"https://{storage.account}.file.core.windows.net"


def url(storage: specs.AzureSpec, path: str) -> str:
    """Return the URL of a path on the share."""
    return f"{endpoint(storage)}/{storage.share}/{path}"


def pod_volume(storage: specs.AzureSpec, secret: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a pod's specification says of the share: the volume, and its mount in a container.

    Args:
        storage: The share.
        secret: The Secret in the pod's namespace that holds the account's name and key.
    """
    attributes = {"shareName": storage.share, "secretName": secret, "mountOptions": _MOUNT_OPTIONS}
    return pod.side({"csi": {"driver": _DRIVER, "readOnly": False, "volumeAttributes": attributes}})


async def _load(module: str) -> Any:
    try:
        # Half a second of reading files.
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        raise errors.VolumeError(f"Azure's SDK is not installed: {azure_errors.INSTALL}.") from error
