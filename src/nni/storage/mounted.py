"""A volume that this machine has in its file system: a mounted NFS export, a claim, or any directory."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from nni.core import ports
from nni.runtime import tree


class MountedVolume:
    """Implements ``Volume`` over a directory. Blocking calls run in asyncio's threads."""

    def __init__(self, root: Path) -> None:
        """Take the directory that is the volume's root; it must exist when the volume is used."""
        self._tree = tree.Tree(os.fspath(root))

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        await asyncio.to_thread(self._tree.put, path, content)

    async def make(self, path: str) -> None:
        """See the port."""
        await asyncio.to_thread(self._tree.make, path)

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        return await asyncio.to_thread(self._tree.list, path)

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        return await asyncio.to_thread(self._tree.read, path, offset, limit)

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        found = await asyncio.to_thread(self._tree.stat, path)
        return None if found is None else ports.Stat(**found._asdict())

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        await asyncio.to_thread(self._tree.rename, source, target)

    async def delete(self, path: str) -> None:
        """See the port."""
        await asyncio.to_thread(self._tree.delete, path)

    async def usage(self, path: str) -> int:
        """See the port."""
        return await asyncio.to_thread(self._tree.usage, path)
