"""Files that pods have begun to send as a whole: counted, and let go of when nobody goes on with them.

What has come of one stands beside the place that it will take, under a name that no volume lists. The name says whose
it is, so that a manager that was started again knows.
"""

import asyncio
import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import Protocol

from nni.core import model
from nni.runtime import paths

IDLE_SECONDS = 600.0
"""What nobody has sent anything of for so long is sent from its beginning, should somebody come back to it."""
_NAME = re.compile(re.escape(paths.TEMPORARY) + r"(\d{1,6})-([0-9a-f]{16})-[0-9a-f]{32}")


class Store(Protocol):
    """What is needed of the volume."""

    async def delete(self, path: str) -> None:
        """See the port ``Volume``."""
        ...

    async def begun(self, path: str) -> Mapping[str, int]:
        """Return the files below a path that no list shows, with their sizes."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Who sends which file, in whatever version."""

    attempt: model.AttemptKey
    replica: model.Replica
    path: str
    """That the file will have on the volume."""

    def part(self, digest: bytes) -> str:
        """Return the path for what has come of a version."""
        folder, _, name = self.path.rpartition("/")
        version = hashlib.sha256(digest).hexdigest()[:32]
        return f"{folder}/{paths.TEMPORARY}{self.attempt.number}-{self._mark(name)}-{version}"

    def _mark(self, name: str) -> str:
        whose = f"{self.replica.role}-{self.replica.index}/{name}"
        return hashlib.sha256(whose.encode(errors="surrogateescape")).hexdigest()[:16]


@dataclasses.dataclass(slots=True)
class _Part:
    attempt: int
    stem: str
    """All versions of a replica's file have it in common."""
    size: int
    touched: float
    """When something came of it, by the loop's clock."""


class Parts:
    """The parts of one experiment."""

    def __init__(self, volume: Store, directory: str, idle: float = IDLE_SECONDS) -> None:
        """Take the volume, the experiment's directory on it, and how long a part may be left alone, in seconds."""
        self._volume = volume
        self._directory = directory
        self._idle = idle
        self._parts: dict[str, dict[str, _Part]] = {}
        """By trial and path; trials that have none are not there."""
        self._looking = asyncio.Lock()
        self._has_looked = False

    async def look(self) -> None:
        """Find what an earlier manager has left. Raises VolumeError, as all that deletes."""
        async with self._looking:
            if not self._has_looked:
                for path, size in (await self._volume.begun(self._directory)).items():
                    self.note(path, size)
                self._has_looked = True

    def pending(self, trial: model.TrialId) -> int:
        """Return how many bytes have come of a trial's."""
        return sum(part.size for part in self._parts.get(trial, {}).values())

    def note(self, path: str, size: int) -> None:
        """Take note of how much has come of one."""
        folder, _, name = path.rpartition("/")
        match = _NAME.fullmatch(name)
        if match is not None:
            part = _Part(int(match[1]), f"{folder}/{match[2]}", size, asyncio.get_running_loop().time())
            self._parts.setdefault(self._trial(path), {})[path] = part

    async def begin(self, path: str) -> None:
        """Make way for one: other versions of the same file go, those of earlier attempts, and what is left alone."""
        self.note(path, 0)
        trial = self._trial(path)
        new = self._parts[trial][path]
        since = new.touched - self._idle
        old = [
            one
            for one, part in self._parts[trial].items()
            if one != path and (part.stem == new.stem or part.attempt < new.attempt)
        ]
        idle = [one for parts in self._parts.values() for one, part in parts.items() if part.touched < since]
        for one in {*old, *idle}:
            await self.drop(one)

    async def drop(self, path: str) -> None:
        """Let go of one."""
        self.forget(path)
        await self._volume.delete(path)

    def forget(self, path: str) -> None:
        """Take note that one is there no more."""
        trial = self._trial(path)
        its = self._parts.get(trial, {})
        its.pop(path, None)
        if not its:
            self._parts.pop(trial, None)

    def _trial(self, path: str) -> str:
        return path.removeprefix(f"{self._directory}/").partition("/")[0]
