"""Size limits of ``emptyDir`` volumes on disk: looked at every ten seconds, as the kubelet's eviction manager does."""

import asyncio
import contextlib
import os
import pathlib
from collections.abc import Mapping

from nni.sandbox import quantities, schema
from nni.sandbox.node import volumes

INTERVAL = 10.0
"""Seconds between two looks."""
GRACE = 1.0
"""Seconds that the containers of an evicted pod have."""
_BLOCK = 512


def limits(spec: schema.Object, folders: Mapping[str, volumes.Folder], *, is_isolated: bool) -> dict[str, str]:
    """Name the volumes whose size nobody else limits, with their limits: in memory the kernel does it, if it may."""
    return {
        volume["name"]: volume["emptyDir"]["sizeLimit"]
        for volume in spec.get("volumes", [])
        if volume.get("emptyDir", {}).get("sizeLimit")
        and not (is_isolated and folders[volume["name"]].memory is not None)
    }


async def exceeded(sizes: Mapping[str, str], folders: Mapping[str, volumes.Folder], interval: float = INTERVAL) -> str:
    """Wait until a volume is larger than its limit, and return the kubelet's words for it."""
    while True:
        await asyncio.sleep(interval)
        for name, limit in sizes.items():
            if await asyncio.to_thread(measure, folders[name].path) > quantities.parse(limit):
                return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '


def measure(folder: pathlib.Path) -> int:
    """Add up what the files below a directory take on disk, in bytes; a file with two names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it has just gone
                found = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - a Path for each of a million files is dear
                if (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_blocks * _BLOCK
    return total
