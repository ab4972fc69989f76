"""Volumes: each becomes a directory (or a file) of the host that stands at the container's mount path."""

import dataclasses
import pathlib
from collections.abc import Mapping

from nni.sandbox import kinds, quantities, schema
from nni.sandbox.node import environment, references

_MODE = 0o644
_AZURE = "file.csi.azure.com"
_AZURE_KEYS = ("azurestorageaccountname", "azurestorageaccountkey")


class VolumeMissingError(LookupError):
    """A volume cannot be mounted (yet)."""

    def __init__(self, message: str, reference: references.Reference | None = None) -> None:
        super().__init__(message)
        self.reference = reference
        """The object whose coming may help."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """What stands behind a volume."""

    path: pathlib.Path
    is_read_only: bool = False
    memory: int | None = None
    """Bytes (0: no limit) of a file system in memory; None for an ordinary directory."""


@dataclasses.dataclass(frozen=True)
class Storage:
    """What outlives pods: the directories behind NFS exports, Azure file shares and claims."""

    exports: Mapping[str, pathlib.Path]
    """By ``server:path``."""
    shares: Mapping[str, pathlib.Path]
    """By the name of the share."""
    claims: pathlib.Path
    """Where each claim gets a directory of its own, by its uid; it stays for as long as the sandbox."""

    def export(self, server: str, path: str) -> pathlib.Path:
        """Find the directory of an export, or of a directory below one. Raises VolumeMissingError."""
        wanted = pathlib.PurePosixPath("/", path)
        for export, folder in self.exports.items():
            known_server, _, known_path = export.partition(":")
            if known_server == server and wanted.is_relative_to(known_path):
                found = folder / wanted.relative_to(known_path)
                if found.is_dir():
                    return found
                raise VolumeMissingError(
                    f"mount.nfs: mounting {server}:{path} failed, reason given by server: No such file or directory"
                )
        raise VolumeMissingError(
            f"mount.nfs: {server}:{path} is no export of this sandbox; start it with --nfs {server}:{path}=DIR"
        )

    def share(self, name: str) -> pathlib.Path:
        """Find the directory of an Azure file share. Raises VolumeMissingError."""
        if name in self.shares:
            return self.shares[name]
        raise VolumeMissingError(
            f"rpc error: code = Internal desc = mount of the share {name} failed: mount error(2): No such file or "
            f"directory; this sandbox maps no share of that name, start it with --azure-file {name}=DIR"
        )

    def claim(self, uid: str) -> pathlib.Path:
        """Find the directory of a claim, making it on first use."""
        return _made(self.claims / uid)


class Volumes:
    """The volumes of one pod."""

    def __init__(
        self, storage: Storage, builder: environment.Builder, folder: pathlib.Path, pod: schema.Object
    ) -> None:  # fmt: skip
        """Make what has to be made in ``folder``, a directory of the pod's own."""
        self._storage = storage
        self._builder = builder
        self._folder = folder
        self._spec = pod["spec"]
        self._namespace = pod["metadata"]["namespace"]

    def prepare(self) -> dict[str, Folder]:
        """Make all volumes ready and return them by name. Raises VolumeMissingError."""
        return {volume["name"]: self._named(volume) for volume in self._spec.get("volumes", [])}

    def _named(self, volume: schema.Object) -> Folder:
        name = volume["name"]
        try:
            return self._one(name, volume)
        except (VolumeMissingError, environment.MissingReferenceError) as error:
            message = f'MountVolume.SetUp failed for volume "{name}" : {error}'
            raise VolumeMissingError(message, error.reference) from error
        except OSError as error:
            raise VolumeMissingError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    def _one(self, name: str, volume: schema.Object) -> Folder:
        kind = next((key for key in volume if key != "name"), "emptyDir")
        source = volume.get(kind, {})
        match kind:
            case "emptyDir" | "ephemeral":
                return self._scratch(name, source)
            case "nfs":
                return Folder(self._storage.export(source["server"], source["path"]), bool(source.get("readOnly")))
            case "hostPath":
                return Folder(pathlib.Path(source["path"]))
            case "persistentVolumeClaim":
                return self._claim(source)
            case "csi" | "azureFile":
                return self._azure(source) if kind == "azureFile" else self._csi(source)
            case "configMap" | "secret" | "downwardAPI":
                return self._projected(name, {"defaultMode": source.get("defaultMode", _MODE),
                                              "sources": [{kind: _renamed(source)}]})  # fmt: skip
            case "projected":
                return self._projected(name, source)
            case _:
                raise VolumeMissingError(f"the sandbox cannot mount volumes of the type {kind}")

    def _scratch(self, name: str, source: schema.Object) -> Folder:
        folder = _made(self._folder / name)
        if source.get("medium") != "Memory":
            return Folder(folder)
        return Folder(folder, memory=memory_size(source.get("sizeLimit"), self._spec))

    def _claim(self, source: schema.Object) -> Folder:
        name = source["claimName"]
        reference = (kinds.CLAIM.resource, self._namespace, name)
        found = self._builder.find(kinds.CLAIM, name)
        if found is None:
            raise VolumeMissingError(f'persistentvolumeclaim "{name}" not found', reference)
        if (found.get("status") or {}).get("phase") != "Bound":
            raise VolumeMissingError(f'persistentvolumeclaim "{name}" is not bound', reference)
        return Folder(self._storage.claim(found["metadata"]["uid"]), bool(source.get("readOnly")))

    def _csi(self, source: schema.Object) -> Folder:
        driver, attributes = source["driver"], source.get("volumeAttributes", {})
        if driver != _AZURE:
            raise VolumeMissingError(
                "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name "
                f"{driver} not found in the list of registered CSI drivers"
            )
        if "nodePublishSecretRef" in source:
            name = source["nodePublishSecretRef"].get("name", "")
            where = f"{self._namespace}/{name}"
            self._account(name, f"fetching NodePublishSecretRef {where} failed: kubernetes.io/csi: failed to find the "
                                f"secret {name} in the namespace {self._namespace} with error")  # fmt: skip
        elif "secretName" in attributes:
            name = attributes["secretName"]
            self._account(name, f"rpc error: code = Internal desc = could not get secret({name})")
        return Folder(self._storage.share(attributes.get("shareName", "")), bool(source.get("readOnly")))

    def _azure(self, source: schema.Object) -> Folder:
        name = source["secretName"]
        self._account(name, f"rpc error: code = Internal desc = could not get secret({name})")
        return Folder(self._storage.share(source["shareName"]), bool(source.get("readOnly")))

    def _account(self, name: str, what: str) -> None:
        """Check the secret that holds the account of a share."""
        reference = (kinds.SECRET.resource, self._namespace, name)
        found = self._builder.data(kinds.SECRET, name)
        if found is None:
            raise VolumeMissingError(f'{what}: secrets "{name}" not found', reference)
        missing = [key for key in _AZURE_KEYS if not found.get(key)]
        if missing:
            raise VolumeMissingError(f"{what}: it has no {' and no '.join(missing)}", reference)

    def _projected(self, name: str, source: schema.Object) -> Folder:
        folder = _made(self._folder / name)
        mode = {"defaultMode": source.get("defaultMode", _MODE)}
        for part in source.get("sources", []):
            match part:
                case {"configMap": one}:
                    self._write_keys(folder, kinds.CONFIG_MAP, mode | one)
                case {"secret": one}:
                    self._write_keys(folder, kinds.SECRET, mode | one)
                case {"downwardAPI": one}:
                    self._write_fields(folder, mode | one)
                case _:
                    pass  # tokens and certificates: the API of the sandbox is not for its pods
        return Folder(folder, is_read_only=True)

    def _write_keys(self, folder: pathlib.Path, kind: kinds.Kind, source: schema.Object) -> None:
        name, is_optional = source.get("name", ""), bool(source.get("optional"))
        reference = (kind.resource, self._namespace, name)
        values = self._builder.data(kind, name)
        if values is None:
            if is_optional:
                return
            raise VolumeMissingError(f'{kind.singular} "{name}" not found', reference)
        for item in source.get("items") or [{"key": key, "path": key} for key in values]:
            if item["key"] in values:
                _write(folder, item["path"], values[item["key"]], item.get("mode", source["defaultMode"]))
            elif not is_optional:
                what = "configmap references non-existent config" if kind is kinds.CONFIG_MAP else (
                    "references non-existent secret"
                )  # fmt: skip
                raise VolumeMissingError(f"{what} key: {item['key']}", reference)

    def _write_fields(self, folder: pathlib.Path, source: schema.Object) -> None:
        for item in source.get("items", []):
            if "fieldRef" in item:
                text = self._builder.field(item["fieldRef"]["fieldPath"])
            else:
                text = self._builder.resource(item["resourceFieldRef"], {})
            _write(folder, item["path"], text.encode(), item.get("mode", source["defaultMode"]))


def memory_size(limit: str | None, spec: schema.Object) -> int:
    """Size a volume in memory: its limit, and no more than the pod's containers may have together; 0 is no limit."""
    own = [each.get("resources", {}).get("limits", {}).get("memory") for each in spec["containers"]]
    sizes = [int(quantities.parse(limit))] if limit else []
    if all(own):
        sizes.append(sum(int(quantities.parse(each)) for each in own))
    return min(sizes, default=0)


def _renamed(source: schema.Object) -> schema.Object:
    """Name a secret as the parts of projected volumes do."""
    return {**source, "name": source["secretName"]} if "secretName" in source else source


def _made(folder: pathlib.Path) -> pathlib.Path:
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    return folder


def _write(folder: pathlib.Path, path: str, content: bytes, mode: int) -> None:
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise VolumeMissingError(f"the path {path} leaves its volume")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(content)
    place.chmod(mode)
