"""The configuration of the storage that manager and pods share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.config import base

NFS = "nfs"
AZURE = "azureStorage"
TYPES = (NFS, AZURE)
AZURE_FIELDS = ("azure_account", "azure_share", "key_vault_name", "key_vault_key")


class K8sStorageConfig(base.Config):
    """Any storage; ``K8sNfsConfig`` and ``K8sAzureStorageConfig`` know their type themselves."""

    storage_type: str | None = None
    """``nfs`` or ``azureStorage``."""
    azure_account: str | None = None
    azure_share: str | None = None
    key_vault_name: str | None = None
    key_vault_key: str | None = None
    server: str | None = None
    path: str | None = None
    mount_path: base.AnyPath | None = None
    storage: str | None = None
    """The same as ``storage_type``; NNI's classes and its users' files have both."""

    @property
    def kind(self) -> str | None:
        """The type, or the one that the fields that are set belong to; None when nothing tells."""
        if self.storage_type is not None or self.storage is not None:
            return self.storage_type or self.storage
        if any(getattr(self, name) is not None for name in AZURE_FIELDS):
            return AZURE
        return NFS if self.server is not None or self.path is not None else None


class K8sNfsConfig(K8sStorageConfig):
    """An NFS export that the cluster's nodes and this machine can both mount."""

    storage_type: str | None = NFS
    server: str | None = None
    """Host name or address of the NFS server, as the nodes reach it."""
    path: str | None = None
    """The exported directory, absolute."""
    mount_path: base.AnyPath | None = None
    """Where this machine has it mounted; looked for in the mount table when unset. An addition to NNI."""
    storage: str | None = NFS


class K8sAzureStorageConfig(K8sStorageConfig):
    """An Azure Files share; its key is in an Azure Key Vault."""

    storage_type: str | None = AZURE
    azure_account: str | None = None
    """The storage account's name."""
    azure_share: str | None = None
    """The share's name."""
    key_vault_name: str | None = None
    key_vault_key: str | None = None
    """Name of the vault's secret that holds the account's key."""
    storage: str | None = AZURE


def make(values: Mapping[str, Any], directory: Path | None) -> K8sStorageConfig:
    """Return a storage configuration of the class that its type says."""
    match K8sStorageConfig.from_dict(values).kind:
        case "nfs":
            return K8sNfsConfig.from_dict(values, directory)
        case "azureStorage":
            return K8sAzureStorageConfig.from_dict(values, directory)
        case _:
            return K8sStorageConfig.from_dict(values, directory)
