"""NFS exports: where this machine has one, and what pods mount."""

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from nni import errors
from nni.core import spec as specs
from nni.storage import pod


class _Mount(NamedTuple):
    servers: frozenset[str]
    export: PurePosixPath
    directory: str


def locate(spec: specs.NfsSpec, mounts_env: str | None, mount_table: str) -> Path | None:
    """Return where this machine has an export, or a directory above it, mounted; None when it has not.

    Looked for in this order: ``mounts_env``, the configured ``mount_path``, ``mount_table``; of several mounts the one
    whose export is nearest.

    Args:
        spec: The export.
        mounts_env: The value of NNI_MOUNTS: ``server:path=directory``, comma separated; None when it is not set.
        mount_table: The text of Linux's /proc/self/mountinfo, or what macOS's ``mount`` prints.

    Raises:
        VolumeError: NNI_MOUNTS cannot be read.
    """
    found = _nearest(spec, _told(mounts_env or ""))
    if found is None and spec.mount_path is not None:
        found = Path(spec.mount_path)
    return _nearest(spec, _parse_table(mount_table)) if found is None else found


def told(kind: str, name: str, mounts_env: str | None) -> str | None:
    """Return where NNI_MOUNTS says that something else than an export is: a claim (``pvc:/name=directory``).

    Raises:
        VolumeError: NNI_MOUNTS cannot be read.
    """
    wanted = PurePosixPath("/", name)
    found = [mount for mount in _told(mounts_env or "") if kind in mount.servers and mount.export == wanted]
    return found[0].directory if found else None


def pod_volume(spec: specs.NfsSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a pod's specification says of the export: the volume, and its mount in a container."""
    return pod.side({"nfs": {"server": spec.server, "path": spec.path}})


def url(spec: specs.NfsSpec, path: str) -> str:
    """Return the URL of a path on the export: ``nfs://server/export/nni/<experiment>/<trial>``."""
    place = PurePosixPath("/", spec.path, path)
    server = f"[{spec.server}]" if ":" in spec.server.strip("[]") and not spec.server.startswith("[") else spec.server
    return f"nfs://{server}{urllib.parse.quote(os.fspath(place))}"


def _nearest(spec: specs.NfsSpec, mounts: Iterator[_Mount]) -> Path | None:
    wanted = PurePosixPath("/", spec.path)
    server = _server(spec.server)
    fitting = [mount for mount in mounts if server in mount.servers and wanted.is_relative_to(mount.export)]
    if not fitting:
        return None
    nearest = max(fitting, key=lambda mount: len(mount.export.parts))
    return Path(nearest.directory, wanted.relative_to(nearest.export))


def _told(text: str) -> Iterator[_Mount]:
    for item in filter(None, (part.strip() for part in text.split(","))):
        export, _, directory = item.partition("=")
        mount = _mount(export, directory)
        if mount is None or not directory:
            raise errors.VolumeError(
                f"NNI_MOUNTS has {item!r}, which is not of the form server:path=directory; write for example "
                "NNI_MOUNTS=10.0.0.1:/data=/mnt/data."
            )
        yield mount


def _parse_table(text: str) -> Iterator[_Mount]:
    """Yield the NFS mounts of a mount table; what lies under another mount is hidden and left out."""
    found: dict[str, _Mount | None] = {}
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        directory, mount = _from_linux(before, after) if separator else _from_macos(line)
        found[directory] = mount
    yield from filter(None, found.values())


def _from_linux(before: str, after: str) -> tuple[str, _Mount | None]:
    fields, described = before.split(" "), after.split(" ")
    if len(fields) < 5 or len(described) < 3:
        return "", None
    directory = _unescape(fields[4])
    if described[0] not in ("nfs", "nfs4"):
        return directory, None
    mount = _mount(_unescape(described[1]), directory)
    if mount is None:
        return directory, None
    # A bind mount shows a directory below the export; a server can be known by name or by address.
    below = _unescape(fields[3]).lstrip("/")
    addresses = {option[5:] for option in described[2].split(",") if option.startswith("addr=")}
    return directory, _Mount(mount.servers | addresses, mount.export / below, directory)


def _from_macos(line: str) -> tuple[str, _Mount | None]:
    place, _, options = line.rpartition(" (")
    export, _, directory = place.partition(" on ")
    return directory, _mount(export, directory) if options.startswith("nfs") else None


def _mount(export: str, directory: str) -> _Mount | None:
    server, separator, path = export.partition(":/")
    if not separator or not server:
        return None
    return _Mount(frozenset((_server(server),)), PurePosixPath("/", path), directory)


def _server(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _unescape(field: str) -> str:
    """Return a field as it is: mountinfo writes blanks and backslashes in octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
