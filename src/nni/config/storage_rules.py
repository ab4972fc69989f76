"""Freezes the storage: what each type of it needs, and what belongs to another."""

import re
import typing
from collections.abc import Callable, Mapping

from nni.config import storage
from nni.config.view import View
from nni.core import nearest, spec, units


def freeze(view: View) -> spec.StorageSpec:
    """Return the storage of a platform; what is wrong with it is reported to the view."""
    of = view.child("storage")
    if of is None:
        return spec.ManagerSpec()
    kind = typing.cast(storage.K8sStorageConfig, of.config).kind
    rule = _RULES.get(kind)
    if of.get("storage") not in (None, kind):
        of.wrong("storage", f"is {of.get('storage')!r}, but {of.at('storage_type')} is {kind!r}; keep one of them")
    elif rule is not None:
        for name, owner in _OWNERS.items():
            if name not in _FIELDS[kind]:
                of.refused(name, f"is for {owner}; remove it")
        return rule(of)
    elif kind is None:
        of.needed("storage_type", f"use {nearest.either(storage.TYPES)}")
    elif not of.has_bad("storage_type", "storage"):
        field = "storage_type" if of.get("storage_type") is not None else "storage"
        of.wrong(field, f"{kind!r} is not a type of storage; {nearest.advice(kind, storage.TYPES)}")
    return spec.NfsSpec(server="", path="")


def _manager(view: View) -> spec.ManagerSpec:
    return spec.ManagerSpec(output_limit_mib=_output_limit(view))


def _output_limit(view: View) -> int:
    return view.parsed("output_limit", units.parse_size) or spec.OUTPUT_LIMIT_MIB


def _nfs(view: View) -> spec.NfsSpec:
    server = view.needed("server", "write the name or the address of the NFS server, such as '10.20.30.40'")
    view.checked("server", is_host, "is not the name or the address of a server; write for example '10.20.30.40'")
    path = view.needed("path", "write the directory that the NFS server exports, such as '/mnt/nfs/nni'")
    view.checked("path", lambda path: path.startswith("/"), "is not absolute; write for example '/mnt/nfs/nni'")
    return spec.NfsSpec(server=server or "", path=path or "", mount_path=view.directory("mount_path"))


def _azure(view: View) -> spec.StorageSpec:
    account = view.needed("azure_account", "write the name of the Azure storage account")
    view.checked("azure_account", _ACCOUNT.fullmatch, "is not the name of an account: 3 to 24 small letters and digits")
    share = view.needed("azure_share", "write the name of the share")
    view.checked("azure_share", _SHARE.fullmatch, "is not the name of a share: 3 to 63 of a-z, 0-9 and -")
    view.checked("endpoint", _is_url, "is not a URL; write for example 'https://ACCOUNT.file.core.chinacloudapi.cn'")
    if view.get("secret_name") is None:
        advice = "name the {} with the account's key, or set secret_name to a Secret of the cluster that has it"
        view.needed("key_vault_name", advice.format("Key Vault"))
        view.checked("key_vault_name", _VAULT.fullmatch, "is not the name of a Key Vault: write it without https://")
        view.needed("key_vault_key", advice.format("vault's secret"))
    else:
        for name in ("key_vault_name", "key_vault_key"):
            view.refused(name, "is not needed beside secret_name; keep one of them")
    return spec.AzureSpec(
        account=account or "",
        share=share or "",
        key_vault_name=view.get("key_vault_name"),
        key_vault_key=view.get("key_vault_key"),
        secret_name=view.get("secret_name"),
        endpoint=view.get("endpoint"),
    )


def _pvc(view: View) -> spec.PvcSpec:
    claim = view.needed("claim_name", "write the name of a PersistentVolumeClaim in the jobs' namespace")
    view.checked("claim_name", _CLAIM.fullmatch, "is not the name of a PersistentVolumeClaim")
    below = view.checked("sub_path", _is_below, "is not a directory in the claim; write for example 'nni/mine'")
    mount_path = view.directory("mount_path")
    return spec.PvcSpec(
        claim_name=claim or "",
        sub_path=(below or "").strip("/"),
        mount_path=mount_path,
        output_limit_mib=_output_limit(view),
    )


_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_SHARE = re.compile(r"(?=.{3,63}\Z)[a-z0-9](-?[a-z0-9])*")
_VAULT = re.compile(r"(?=.{3,24}\Z)[A-Za-z](-?[A-Za-z0-9])*")
_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FIELDS: Mapping[str | None, tuple[str, ...]] = {
    storage.MANAGER: ("output_limit",),
    storage.NFS: ("server", "path", "mount_path"),
    storage.AZURE: storage.AZURE_FIELDS,
    storage.PVC: ("claim_name", "sub_path", "mount_path", "output_limit"),
}
_OWNERS: Mapping[str, str] = {
    **dict.fromkeys(storage.AZURE_FIELDS, "Azure storage"),
    "server": "NFS",
    "path": "NFS",
    "mount_path": "NFS or a claim",
    "claim_name": "a claim",
    "sub_path": "a claim",
    "output_limit": "storage with the manager",
}
_RULES: Mapping[str | None, Callable[[View], spec.StorageSpec]] = {
    storage.MANAGER: _manager,
    storage.NFS: _nfs,
    storage.AZURE: _azure,
    storage.PVC: _pvc,
}


def is_host(host: str) -> bool:
    """Return whether a text is a name or an address, without scheme and port."""
    return re.fullmatch(r"[A-Za-z0-9_.:%-]+", host) is not None and re.fullmatch(r"[^:]+:\d+", host) is None


def _is_url(text: str) -> bool:
    return re.fullmatch(r"https?://[^/\s]+(/\S*)?", text) is not None


def _is_below(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")
