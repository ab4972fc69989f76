"""A claim as people see it whose manager does not have it: what came to the manager, and what stayed on the claim.

Trials send what they say, so only what they write themselves is fetched from the claim: outputs and checkpoints.
Nobody has to wait for a porter who does not look into these.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from nni.core import ports
from nni.runtime import paths
from nni.wire import layout

_ATTEMPT, _REPLICA = 3, 5
"""How many names lead to what is in a trial's directory, and to what is in a replica's."""


class JoinedVolume:
    """Implements ``Readable`` over two volumes."""

    def __init__(self, here: ports.Readable, there: ports.Readable) -> None:
        """Take what the manager has, and the claim."""
        self._here = here
        self._there = there

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        names = paths.names(path)
        if _stays(names):
            return await self._there.list(path)
        found = await self._here.list(path)
        # A replica makes it before all else, and says nothing of it.
        is_replica = len(names) == _REPLICA and found
        return sorted({*found, layout.OUTPUT}) if is_replica else found

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        one = self._there if _stays(paths.names(path)) else self._here
        return await one.read(path, offset, limit)

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        names = paths.names(path)
        if not _stays(names):
            return await self._here.stat(path)
        if _stays(names[:-1]):
            return await self._there.stat(path)
        # The directory itself is there as soon as the one that it is in.
        return await self._here.stat("/".join(names[:-1]))


class JoinedGrowth:
    """Implements ``Growth``: of what came to the manager it knows, of what stayed on the claim it does not."""

    def __init__(self, here: ports.Growth) -> None:
        """Take who tells of what the manager has."""
        self._here = here

    @contextlib.contextmanager
    def listening(self, path: str, wake: Callable[[], None]) -> Iterator[bool]:
        """See the port."""
        if _stays(paths.names(path)):
            yield False
        else:
            with self._here.listening(path, wake) as is_told:
                yield is_told


def _stays(names: Sequence[str]) -> bool:
    """Return whether a path is a directory that trials write themselves, or leads into it."""
    return names[_ATTEMPT : _ATTEMPT + 1] == [layout.CHECKPOINT] or names[_REPLICA : _REPLICA + 1] == [layout.OUTPUT]
