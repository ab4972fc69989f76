"""A directory of a volume, read only: what is in it, parts of its files as they grow, and all of it as a tar.

Nothing here leaves the directory: names go to the volume as they are, and the volume refuses what would lead out.
"""

import asyncio
import contextlib
import dataclasses
import os
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

from nni import errors
from nni.core import ports
from nni.server import views
from nni.wire import files as wire

CHUNK = 1 << 20
"""Bytes that are held of a file at once."""
FOLLOW_SECONDS = 1.0
"""How often a followed file is looked at where nobody tells of growth: neither network file systems nor Azure do."""
MOST_ENTRIES = 1000
"""Names of a directory that are listed."""
AT_ONCE = 16
"""Names that are looked at at the same time: each is a round trip on a remote volume."""
LEFT_OUT = "LEFT_OUT.txt"
"""In an archive: what is not in it, and why."""
_MOST_NOTES = 1000


class ChangedError(errors.VolumeError):
    """A file has become shorter, or another one, while it was read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Follower:
    """What a reader waits for at the end of a file that may grow."""

    goes_on: Callable[[], bool]
    """Whether there may be more."""
    stirred: asyncio.Event
    """Set when there is more, or when there will be no more."""
    is_told: bool
    """Whether it is set at each growth; else the file is looked at every FOLLOW_SECONDS."""

    async def wait(self) -> None:
        """Return when the file is worth another look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.is_told else FOLLOW_SECONDS):
                await self.stirred.wait()


@dataclasses.dataclass(frozen=True, slots=True)
class Shelf:
    """A directory of a volume."""

    volume: ports.Readable
    root: str

    async def entries(self, path: str) -> tuple[list[views.Json], int]:
        """Return what is in a directory, directories first, and how many names it has; not all may be listed."""
        names = await self.volume.list(self.below(path))
        found: list[tuple[str, ports.Stat | None]] = []
        for some in _batches(names[:MOST_ENTRIES]):
            found += zip(some, await self._stats(path, some), strict=True)
        return [
            _entry(name, its)
            for name, its in sorted(found, key=lambda one: not (one[1] and one[1].is_directory))
            if its is not None
        ], len(names)

    async def reach(self, path: str) -> None:
        """Look into a directory, so that a volume which cannot be reached says so; one that may not be read is."""
        with _LeftOut().passing(path):
            await self.volume.list(self.below(path))

    async def stat(self, path: str) -> ports.Stat | None:
        """Return what is known of a path."""
        return await self.volume.stat(self.below(path))

    async def content(self, path: str, its: ports.Stat, offset: int, length: int) -> AsyncGenerator[bytes]:
        """Yield a part of a file as it is known.

        Raises:
            ChangedError: It is another file by now, or shorter: what was read may be half of each.
        """
        while length > 0:
            part = await self.volume.read(self.below(path), offset, min(CHUNK, length))
            offset, length = offset + len(part), length - len(part)
            if not part or (length == 0 and not await self._is_still(path, its)):
                raise ChangedError(f"{path} became another file, or shorter, while it was read.")
            yield part

    async def _is_still(self, path: str, its: ports.Stat) -> bool:
        known = await self.stat(path)
        return known is not None and known.identity == its.identity

    async def followed(self, path: str, offset: int, limit: int | None, follower: Follower) -> AsyncGenerator[bytes]:
        """Yield a file from an offset on, and what is added to it, until the follower says that this was all."""
        left = limit
        while left is None or left > 0:
            # Before the look: what comes during it is not missed.
            follower.stirred.clear()
            may_grow = follower.goes_on()
            part = await self.volume.read(self.below(path), offset, CHUNK if left is None else min(CHUNK, left))
            if part:
                yield part
                offset, left = offset + len(part), None if left is None else left - len(part)
            elif not may_grow:
                return
            else:
                await follower.wait()

    async def tar(self, top: str) -> AsyncGenerator[bytes]:
        """Yield an archive of everything, each file as long as it was when its turn came.

        Links, and what this machine has no right to read, are left out and named in LEFT_OUT.txt.

        Raises:
            VolumeError: The rest cannot be read.
        """
        left_out = _LeftOut()
        async for path, its in self._walk(left_out):
            name = f"{top}/{path}"
            if its.is_directory:
                yield _header(name, 0, its.modified_at, tarfile.DIRTYPE)
            elif its.is_special:
                left_out.add(path, "it is a link, or something else that is no file")
            else:
                async for part in self._member(path, its, name, left_out):
                    yield part
        if left_out.lines:
            yield left_out.member(f"{top}/{LEFT_OUT}")
        yield bytes(2 * tarfile.BLOCKSIZE)

    async def _member(self, path: str, its: ports.Stat, name: str, left_out: "_LeftOut") -> AsyncGenerator[bytes]:
        """Yield a file's part of an archive; nothing when it has gone, or may not be read."""
        parts = self.content(path, its, 0, its.size)
        first = None
        try:
            with left_out.passing(path):
                first = await anext(parts, b"")
        except ChangedError:
            left_out.add(path, "it was changed while it was read")
        if first is None:
            return
        yield _header(name, its.size, its.modified_at, tarfile.REGTYPE)
        yield first
        async for part in parts:
            yield part
        yield bytes(-its.size % tarfile.BLOCKSIZE)

    async def _walk(self, left_out: "_LeftOut") -> AsyncIterator[tuple[str, ports.Stat]]:
        """Yield every path with what is known of it, a directory before what is in it. A tree of any depth will do."""
        waiting = [iter(await self._inside("", left_out))]
        while waiting:
            path = next(waiting[-1], None)
            if path is None:
                waiting.pop()
                continue
            its = None
            with left_out.passing(path):
                its = await self.stat(path)
            if its is not None:
                yield path, its
                if its.is_directory:
                    waiting.append(iter(await self._inside(path, left_out)))

    async def _inside(self, path: str, left_out: "_LeftOut") -> Sequence[str]:
        names: Sequence[str] = ()
        with left_out.passing(path):
            names = await self.volume.list(self.below(path))
        return [f"{path}/{name}".lstrip("/") for name in names]

    async def _stats(self, path: str, names: Sequence[str]) -> list[ports.Stat | None]:
        found: dict[str, ports.Stat | None] = {}
        failures: list[errors.VolumeError] = []

        async def look(name: str) -> None:
            try:
                found[name] = await self.stat(f"{path}/{name}")
            except errors.VolumeError as error:
                failures.append(error)

        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(look(name))
        if failures:
            raise failures[0]
        return [found[name] for name in names]

    def below(self, path: str) -> str:
        """Return a path on the volume."""
        return "/".join(part for part in (self.root, path.strip("/")) if part)


class _LeftOut:
    """What an archive could not have, up to some lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._others = 0

    def add(self, path: str, why: str) -> None:
        if len(self.lines) < _MOST_NOTES:
            self.lines.append(f"{path}: {why}\n")
        else:
            self._others += 1

    @contextlib.contextmanager
    def passing(self, path: str) -> Iterator[None]:
        """Note it when this machine has no right to read what is looked at while the context is open."""
        try:
            yield
        except errors.VolumeError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            self.add(path or ".", "this machine has no right to read it")

    def member(self, name: str) -> bytes:
        """Return it as a file of the archive."""
        others = [f"and {self._others} others\n"] if self._others else []
        content = "".join([*self.lines, *others]).encode("utf-8", "surrogateescape")
        return _header(name, len(content), 0.0, tarfile.REGTYPE) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def shown(name: str) -> str:
    """Return a name as people and JSON can have it: bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def _entry(name: str, its: ports.Stat) -> views.Json:
    return {
        "name": shown(name),
        "quoted": wire.quote(name),
        "isDirectory": its.is_directory,
        "size": its.size,
        "modifiedTime": views.milliseconds(its.modified_at),
    }


def _header(name: str, size: int, modified_at: float, kind: bytes) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.type = size, int(modified_at), kind
    header.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return header.tobuf(tarfile.PAX_FORMAT)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]
