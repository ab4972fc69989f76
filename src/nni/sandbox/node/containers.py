"""From a container's manifest to the order that starts it."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping

from nni.sandbox import quantities, schema
from nni.sandbox.node import environment, launching, mounts, volumes

_TERMINATION_LOG = "/dev/termination-log"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the container's
_SHARED_MEMORY_SIZE = 64 << 20
"""What container runtimes give to a pod that mounts nothing there."""


class ConfigError(ValueError):
    """What a manifest asks for cannot be made into a container."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a pod lives on the host."""

    home: pathlib.Path
    """HOME and the working directory of its containers."""
    shared_memory: pathlib.Path
    """The directory behind the pod's /dev/shm; with namespaces only."""
    hosts: pathlib.Path
    """The file behind the pod's /etc/hosts; with namespaces only."""
    hostname: str
    base: Mapping[str, str]
    """The environment that every container has: PATH, LANG ..."""
    is_isolated: bool
    """Whether mount paths are made by namespaces; else they are rewritten."""


def order(
    container: schema.Object,
    variables: dict[str, str],
    folders: Mapping[str, volumes.Folder],
    place: Place,
    message: pathlib.Path,
) -> launching.Order:
    """Make the order for one container; ``message`` is the file behind its termination message path.

    Raises ConfigError, or launching.StartError for what cannot be started at all.
    """
    wanted = [_mount(each, folders, variables, container) for each in container.get("volumeMounts", [])]
    wanted.append(mounts.Mount(str(message), container.get("terminationMessagePath", _TERMINATION_LOG)))
    command = [environment.expand(word, variables) for word in container.get("command", []) + container.get("args", [])]
    if not command:
        raise launching.StartError("the sandbox runs no images: give the container a command")
    folder = container.get("workingDir") or str(place.home)
    wanted += _working_folder(folder, wanted, place)
    complete = {**place.base, "HOME": str(place.home), "HOSTNAME": place.hostname, **variables}
    memory = int(quantities.parse(container.get("resources", {}).get("limits", {}).get("memory", 0)))
    if place.is_isolated:
        wanted += _own_files(wanted, place)
        return launching.Order(command, complete, folder, wanted, place.hostname, memory)
    rewrite = _Rewriting(wanted)
    return launching.Order(
        [rewrite(word) for word in command],
        {name: rewrite(value) for name, value in complete.items()},
        rewrite(folder),
        [],
        place.hostname,
        memory,
    )


def _working_folder(folder: str, wanted: list[mounts.Mount], place: Place) -> list[mounts.Mount]:
    """Make the working directory where there is none, as container runtimes do."""
    if folder == str(place.home) or any(_is_below(folder, each.target) for each in wanted):
        return []
    if pathlib.Path(folder).is_dir():
        return []
    if place.is_isolated:
        return [mounts.Mount("", folder)]
    own = place.home.parent / "work" / folder.strip("/").replace("/", "-")
    own.mkdir(parents=True, exist_ok=True)
    return [mounts.Mount(str(own), folder)]


def _own_files(wanted: list[mounts.Mount], place: Place) -> list[mounts.Mount]:
    """Give what every pod has of its own, unless the manifest mounts something there."""
    own = [
        mounts.Mount(str(place.shared_memory), _SHARED_MEMORY, memory=_SHARED_MEMORY_SIZE),
        mounts.Mount(str(place.hosts), "/etc/hosts"),
    ]
    return [each for each in own if not any(_is_below(each.target, other.target) for other in wanted)]


class _Rewriting:
    """Replaces mount paths by the directories behind them, longest first, where a path begins and a name ends."""

    def __init__(self, wanted: list[mounts.Mount]) -> None:
        self._sources = {each.target.rstrip("/"): each.source for each in wanted if each.target.rstrip("/")}
        targets = sorted(self._sources, key=len, reverse=True)
        alternatives = "|".join(re.escape(target) for target in targets)
        self._pattern = re.compile(rf"(?<![\w./-])({alternatives})(?![\w.-])") if targets else None

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._sources[match[1]], text)


def _mount(
    wanted: schema.Object, folders: Mapping[str, volumes.Folder], variables: Mapping[str, str], container: schema.Object
) -> mounts.Mount:
    folder = folders.get(wanted["name"])
    if folder is None:
        raise ConfigError(f'the container {container["name"]} mounts the volume "{wanted["name"]}", which is not there')
    below = (
        environment.expand(wanted["subPathExpr"], variables) if "subPathExpr" in wanted else wanted.get("subPath", "")
    )
    is_read_only = folder.is_read_only or bool(wanted.get("readOnly"))
    source = _below(folder.path, below, wanted["name"], container["name"]) if below else folder.path
    return mounts.Mount(str(source), wanted["mountPath"], is_read_only, folder.memory)


def _below(folder: pathlib.Path, path: str, volume: str, container: str) -> pathlib.Path:
    """Find or make the part of a volume that a ``subPath`` names."""
    source = folder / path
    if not source.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f'failed to prepare subPath for volumeMount "{volume}" of container "{container}"')
    if not source.exists():
        source.mkdir(parents=True)
    return source


def _is_below(path: str, folder: str) -> bool:
    return pathlib.PurePosixPath(path).is_relative_to(folder)
