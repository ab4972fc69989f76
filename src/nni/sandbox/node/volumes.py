"""Volumes: each becomes a directory (or a file) of the host that stands at the container's mount path."""

import dataclasses
import pathlib
from collections.abc import Mapping

from nni.sandbox import kinds, schema
from nni.sandbox.node import environment


class VolumeMissingError(LookupError):
    """A volume cannot be mounted (yet)."""


@dataclasses.dataclass(frozen=True)
class Exports:
    """What is mapped to directories: NFS exports (``server:path``), claims (``pvc:/``), Azure shares (``azure:/``)."""

    folders: Mapping[str, pathlib.Path]

    def named(self, kind: str, name: str, option: str) -> pathlib.Path:
        """Find the directory of a claim or a share. Raises VolumeMissingError."""
        found = self.folders.get(f"{kind}:/{name}")
        if found is None:
            raise VolumeMissingError(f'"{name}" is not in this sandbox; start it with {option} {name}=DIR')
        return found

    def folder(self, server: str, path: str) -> pathlib.Path:
        """Find the directory of an export, or of a directory below one. Raises VolumeMissingError."""
        wanted = pathlib.PurePosixPath("/", path)
        for export, folder in self.folders.items():
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


class Volumes:
    """The volumes of one pod."""

    def __init__(self, exports: Exports, builder: environment.Builder, folder: pathlib.Path) -> None:
        """Make what has to be made in ``folder``, a directory of the pod's own."""
        self._exports = exports
        self._builder = builder
        self._folder = folder

    def prepare(self, spec: schema.Object) -> dict[str, pathlib.Path]:
        """Make all volumes ready and return their directories by name. Raises VolumeMissingError."""
        return {volume["name"]: self._one(volume) for volume in spec.get("volumes", [])}

    def _one(self, volume: schema.Object) -> pathlib.Path:
        name = volume["name"]
        kind = next((key for key in volume if key != "name"), "emptyDir")
        source = volume.get(kind, {})
        match kind:
            case "emptyDir" | "ephemeral":
                return self._new(name)
            case "nfs" | "persistentVolumeClaim" | "csi":
                return self._shared(kind, source)
            case "hostPath":
                return pathlib.Path(source["path"])
            case "configMap":
                return self._write_keys(self._new(name), kinds.CONFIG_MAP, source.get("name", ""), source)
            case "secret":
                return self._write_keys(self._new(name), kinds.SECRET, source.get("secretName", ""), source)
            case "downwardAPI" | "projected":
                return self._projected(name, source if kind == "projected" else {"sources": [{kind: source}]})
            case _:
                raise VolumeMissingError(f"the sandbox cannot mount volumes of the type {kind}")

    def _shared(self, kind: str, source: schema.Object) -> pathlib.Path:
        if kind == "nfs":
            return self._exports.folder(source["server"], source["path"])
        if kind == "persistentVolumeClaim":
            return self._exports.named("pvc", source["claimName"], "--pvc")
        if source["driver"] != "file.csi.azure.com":
            raise VolumeMissingError(f"the sandbox has no CSI driver {source['driver']}")
        attributes = source.get("volumeAttributes", {})
        name = attributes.get("secretName", "")
        held = self._builder.data(kinds.SECRET, name) or {}
        missing = {"azurestorageaccountname", "azurestorageaccountkey"} - set(held)
        if missing:
            raise VolumeMissingError(f'secret "{name}" does not hold {" and ".join(sorted(missing))}')
        return self._exports.named("azure", attributes.get("shareName", ""), "--azure-file")

    def _new(self, name: str) -> pathlib.Path:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_keys(
        self, folder: pathlib.Path, kind: kinds.Kind, which: str, source: schema.Object
    ) -> pathlib.Path:  # fmt: skip
        values = self._builder.data(kind, which)
        if values is None:
            if source.get("optional"):
                return folder
            raise VolumeMissingError(f'{kind.singular} "{which}" not found')
        items = source.get("items") or [{"key": key, "path": key} for key in values]
        for item in items:
            if item["key"] not in values:
                raise VolumeMissingError(f"{kind.singular} references non-existent key: {item['key']}")
            mode = item.get("mode", source.get("defaultMode", 0o644))
            _write(folder, item["path"], values[item["key"]], mode)
        return folder

    def _downward(self, folder: pathlib.Path, source: schema.Object) -> pathlib.Path:
        for item in source.get("items", []):
            if "fieldRef" in item:
                text = self._builder.field(item["fieldRef"]["fieldPath"])
            else:
                text = self._builder.resource(item["resourceFieldRef"], {})
            _write(folder, item["path"], text.encode(), item.get("mode", source.get("defaultMode", 0o644)))
        return folder

    def _projected(self, name: str, source: schema.Object) -> pathlib.Path:
        folder = self._new(name)
        mode = {"defaultMode": source.get("defaultMode", 0o644)}
        for part in source.get("sources", []):
            match part:
                case {"configMap": one}:
                    self._write_keys(folder, kinds.CONFIG_MAP, one.get("name", ""), mode | one)
                case {"secret": one}:
                    self._write_keys(folder, kinds.SECRET, one.get("name", ""), mode | one)
                case {"downwardAPI": one}:
                    self._downward(folder, mode | one)
                case _:
                    pass  # tokens and certificates: the API of the sandbox is not for its pods
        return folder


def _write(folder: pathlib.Path, path: str, content: bytes, mode: int) -> None:
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise VolumeMissingError(f"the path {path} leaves its volume")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(content)
    place.chmod(mode)
