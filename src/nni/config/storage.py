"""The configuration of the storage that manager and pods share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.config import base

NFS = "nfs"
AZURE = "azureStorage"
MANAGER = "manager"
PVC = "pvc"
TYPES = (MANAGER, NFS, AZURE, PVC)
AZURE_FIELDS = ("azure_account", "azure_share", "key_vault_name", "key_vault_key", "secret_name", "endpoint")


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
    output_limit: str | int | None = None
    secret_name: str | None = None
    endpoint: str | None = None
    claim_name: str | None = None
    sub_path: str | None = None

    @property
    def kind(self) -> str | None:
        """The type, or the one that the fields that are set belong to; None when nothing tells."""
        if self.storage_type is not None or self.storage is not None:
            return self.storage_type or self.storage
        if any(getattr(self, name) is not None for name in AZURE_FIELDS):
            return AZURE
        if self.server is not None or self.path is not None:
            return NFS
        if self.claim_name is not None:
            return PVC
        return None if self.output_limit is None else MANAGER


class K8sManagerStorageConfig(K8sStorageConfig):
    """No shared storage: pods fetch the code from the manager and send their outputs to it. An addition to NNI.

    This is what is used when no storage is configured. Outputs land in the experiment's directory.
    """

    storage_type: str | None = MANAGER
    output_limit: str | int | None = None
    """What each trial may leave with the manager: ``1gb``, or an int in MiB; ``200Mi`` when unset."""


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
    secret_name: str | None = None
    """Name of a Secret in the jobs' namespace that holds the account's key, instead of a vault. An addition to NNI."""
    endpoint: str | None = None
    """URL of the account's file service, for clouds that are not the public one. An addition to NNI."""


class K8sPvcConfig(K8sStorageConfig):
    """A PersistentVolumeClaim that many pods may write (``ReadWriteMany``). An addition to NNI.

    Pods that use one may run under PodSecurity ``restricted``.
    """

    storage_type: str | None = PVC
    claim_name: str | None = None
    """Of a claim in the jobs' namespace."""
    sub_path: str | None = None
    """The directory in the claim that is used; all of it when unset."""
    mount_path: base.AnyPath | None = None
    """Where this machine, or the manager's pod, has the claim mounted. Without it, pods fetch the code from the manager
    and send their logs to it; what else they write stays on the claim."""
    output_limit: str | int | None = None
    """What each trial may leave with the manager without ``mount_path``: ``200Mi`` when unset."""


def make(values: Mapping[str, Any], directory: Path | None) -> K8sStorageConfig:
    """Return a storage configuration of the class that its type says."""
    known = {
        MANAGER: K8sManagerStorageConfig,
        NFS: K8sNfsConfig,
        AZURE: K8sAzureStorageConfig,
        PVC: K8sPvcConfig,
    }
    cls = known.get(K8sStorageConfig.from_dict(values).kind or "", K8sStorageConfig)
    return cls.from_dict(values, directory)
