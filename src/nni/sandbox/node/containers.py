"""From a container's manifest to the order that starts it."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping

from nni.sandbox import schema
from nni.sandbox.node import environment, launching, mounts

_TERMINATION_LOG = "/dev/termination-log"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a pod lives on the host."""

    home: pathlib.Path
    """HOME and the working directory of its containers."""
    base: Mapping[str, str]
    """The environment that every container has: PATH, LANG ..."""
    is_isolated: bool
    """Whether mount paths are made by namespaces; else they are rewritten."""


def order(
    container: schema.Object,
    variables: dict[str, str],
    volumes: Mapping[str, pathlib.Path],
    place: Place,
    message: pathlib.Path,
) -> launching.Order:
    """Make the order for one container; ``message`` is the file behind its termination message path.

    Raises launching.StartError for what cannot be started at all.
    """
    wanted = [_mount(each, volumes, variables) for each in container.get("volumeMounts", [])]
    wanted.append(mounts.Mount(str(message), container.get("terminationMessagePath", _TERMINATION_LOG)))
    command = [environment.expand(word, variables) for word in container.get("command", []) + container.get("args", [])]
    if not command:
        raise launching.StartError("the sandbox runs no images: give the container a command")
    folder = container.get("workingDir") or str(place.home)
    complete = {**place.base, "HOME": str(place.home), **variables}
    if place.is_isolated:
        if folder != str(place.home) and not any(_is_below(folder, each.target) for each in wanted):
            wanted += [] if pathlib.Path(folder).is_dir() else [mounts.Mount("", folder)]
        return launching.Order(command, complete, folder, wanted)
    rewrite = _Rewriting(wanted)
    return launching.Order(
        [rewrite(word) for word in command],
        {name: rewrite(value) for name, value in complete.items()},
        rewrite(folder),
        [],
    )


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


def _mount(wanted: schema.Object, volumes: Mapping[str, pathlib.Path], variables: Mapping[str, str]) -> mounts.Mount:
    source = volumes[wanted["name"]]
    below = (
        environment.expand(wanted["subPathExpr"], variables) if "subPathExpr" in wanted else wanted.get("subPath", "")
    )
    if below:
        source = source / below
        if ".." in pathlib.PurePosixPath(below).parts:
            raise launching.StartError(f"the subPath {below} leaves its volume")
        if not source.exists():
            source.mkdir(parents=True)
    return mounts.Mount(str(source), wanted["mountPath"], bool(wanted.get("readOnly")))


def _is_below(path: str, folder: str) -> bool:
    return pathlib.PurePosixPath(path).is_relative_to(folder)
