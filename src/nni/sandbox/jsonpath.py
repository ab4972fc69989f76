"""Kubernetes' JSONPath, as far as the columns of definitions use it: names, indexes, slices, ``*`` and filters."""

import re
from collections.abc import Iterator
from typing import Any

_STEP = re.compile(
    r"""\.?(?P<name>[\w\-/$\0]+) | \['(?P<quoted>[^']+)'\] | \[(?P<index>-?\d+)\] | \.?\[?(?P<all>\*)\]?
    | \[(?P<start>-?\d*):(?P<stop>-?\d*)\]
    | \[\?\(\s*@(?P<path>[^=!<>\s]+)\s*(?P<operator>==|!=)\s*(?P<value>[^)]+?)\s*\)\]""",
    re.VERBOSE,
)


def find(path: str, document: Any) -> list[Any]:
    """Return all that a path leads to; nothing when it leads nowhere or cannot be read."""
    found, at = [document], 0
    path = path.strip().removeprefix("{").removesuffix("}").replace("\\.", "\0")
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return []
        found = [each for one in found for each in _step(match, one)]
        at = match.end()
    return found


def _step(match: re.Match[str], one: Any) -> Iterator[Any]:
    name = match["name"] or match["quoted"]
    if name is not None:
        name = name.replace("\0", ".")
        if isinstance(one, dict) and name in one:
            yield one[name]
    elif match["all"]:
        yield from one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    elif isinstance(one, list):
        yield from _elements(match, one)


def _elements(match: re.Match[str], one: list[Any]) -> Iterator[Any]:
    if match["index"] is not None:
        if -len(one) <= (index := int(match["index"])) < len(one):
            yield one[index]
    elif match["path"] is not None:
        wanted = match["value"].strip("\"'")
        for each in one:
            values = [str(value) for value in find(match["path"], each)]
            if bool(values and values[0] == wanted) == (match["operator"] == "=="):
                yield each
    else:
        start, stop = (int(text) if text else None for text in (match["start"], match["stop"]))
        yield from one[start:stop]
