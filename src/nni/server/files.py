"""Files over REST: those of a trial on the volume, and the manager's own logs.

Nothing here leaves the directory that it was given: the volume refuses paths that would. A browser never runs what a
trial wrote: every file is plain text, an image that cannot hold a script, or a download.
"""

import asyncio
import contextlib
import dataclasses
import pathlib
import tarfile
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from aiohttp import web

from nni import errors
from nni.core import ports
from nni.core import state as states
from nni.core import trial as trials
from nni.server import answers, views
from nni.wire import layout

CHUNK = 1 << 20
"""Bytes of a file that are read at once: as many as a porter carries."""
FOLLOW_SECONDS = 1.0
"""How often a followed file is looked at: neither a network file system nor another machine's tells of growth."""
MOST_ENTRIES = 1000
"""Names of a directory that are listed."""
AT_ONCE = 32
"""Of them, how many are looked at at the same time: some volumes are far away."""

_IMAGES = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
_CLOSED = "default-src 'none'; sandbox"
_NAMES_OF_NNI = {
    "stderr": layout.STDERR,
    "stdout": layout.STDOUT,
    "trial.log": layout.LOG,
    "trial.stdout": layout.STDOUT,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The part of a file that is asked for."""

    offset: int = 0
    """Bytes from the start, or when it is below 0 from the end."""
    limit: int | None = None
    follow: bool = False
    """Whether what is added later is sent, too."""

    @classmethod
    def of(cls, request: web.Request) -> "Span":
        """Return what a request's ``offset``, ``limit`` and ``follow`` ask for."""
        return cls(_number(request, "offset") or 0, _number(request, "limit"), "follow" in request.query)


@dataclasses.dataclass(frozen=True, slots=True)
class Shelf:
    """A directory of a volume."""

    volume: ports.Readable
    root: str

    async def entries(self, path: str) -> list[views.Json]:
        """Return what is in a directory, directories first."""
        names = await self.volume.list(self._below(path))
        found = await self._look_at(path, names[:MOST_ENTRIES])
        return [
            {
                "name": name,
                "isDirectory": its.is_directory,
                "size": its.size,
                "modifiedTime": views.milliseconds(its.modified_at),
            }
            for name, its in sorted(found, key=lambda one: not one[1].is_directory)
        ]

    async def stat(self, path: str) -> ports.Stat | None:
        """Return what is known of a path."""
        return await self.volume.stat(self._below(path))

    async def content(self, path: str, span: Span, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield a part of a file; while it is followed and ``goes_on``, what is added to it as well."""
        offset, left = span.offset, span.limit
        while True:
            may_grow = span.follow and goes_on()
            wanted = CHUNK if left is None else min(CHUNK, left)
            part = await self.volume.read(self._below(path), offset, wanted) if wanted else b""
            if part:
                yield part
                offset += len(part)
                left = None if left is None else left - len(part)
            elif not may_grow or wanted == 0:
                return
            else:
                await asyncio.sleep(FOLLOW_SECONDS)

    async def tar(self, top: str) -> AsyncIterator[bytes]:
        """Yield an archive of all files and of no links, each as long as it was when its turn came."""
        async for path, its in self._walk(""):
            header = tarfile.TarInfo(f"{top}/{path}")
            header.size, header.mtime = its.size, int(its.modified_at)
            yield header.tobuf(tarfile.PAX_FORMAT)
            sent = 0
            async for part in self.content(path, Span(limit=its.size), lambda: False):
                sent += len(part)
                yield part
            yield bytes(its.size - sent + (-its.size) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)

    async def _walk(self, path: str) -> AsyncIterator[tuple[str, ports.Stat]]:
        for name, its in await self._look_at(path, await self.volume.list(self._below(path))):
            inner = f"{path}/{name}".lstrip("/")
            if its.is_directory:
                async for found in self._walk(inner):
                    yield found
            elif not its.is_special:
                yield inner, its

    async def _look_at(self, path: str, names: Sequence[str]) -> list[tuple[str, ports.Stat]]:
        """Return what is known of some names in a directory, without those that have gone meanwhile."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def look(name: str) -> ports.Stat | None:
            async with turns:
                return await self.stat(f"{path}/{name}")

        try:
            async with asyncio.TaskGroup() as tasks:
                looking = {name: tasks.create_task(look(name)) for name in names}
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        return [(name, its) for name, task in looking.items() if (its := task.result()) is not None]

    def _below(self, path: str) -> str:
        return "/".join(part for part in (self.root, path.strip("/")) if part)


class Files:
    """The handlers."""

    def __init__(self, state: states.State, volume: ports.Readable, logs: ports.Readable) -> None:
        """Take the finished parts.

        Args:
            state: The experiment.
            volume: Where its trials' files are.
            logs: The directory of the manager's logs.
        """
        self._state = state
        self._volume = volume
        self._logs = Shelf(logs, "")
        self._streaming: set[asyncio.Task[None] | None] = set()

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return all routes below ``base``, an absolute path without a final slash."""
        return [
            web.get(f"{base}/trial-files/{{trial}}", self._list),
            web.get(f"{base}/trial-file/{{trial}}/{{path:.+}}", self._read),
            web.get(f"{base}/trial-archive/{{trial}}", self._archive),
            web.get(f"{base}/log-files", self._list_logs),
            web.get(f"{base}/log-file/{{name}}", self._read_log),
        ]

    async def end_streams(self, app: web.Application) -> None:
        """End the answers that follow a file; they would hold up the server's shutdown."""
        for task in self._streaming:
            if task is not None:
                task.cancel()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        its, path = self._named(request), request.query.get("path", "").strip("/")
        with _refusing():
            found = await self._shelf(its).entries(path)
        url = f"{its.location}/{urllib.parse.quote(path)}".rstrip("/") if its.location else None
        return answers.json({"path": path, "url": url, "files": found})

    async def _read(self, request: web.Request) -> web.StreamResponse:
        its, path = self._named(request), request.match_info["path"]
        if name := _NAMES_OF_NNI.get(path):
            path = f"{its.attempt}/{self._state.chief}/{name}"

        def goes_on() -> bool:
            return not self._state.trials[its.id].is_over

        return await self._send(request, self._shelf(its), path, goes_on)

    async def _archive(self, request: web.Request) -> web.StreamResponse:
        its = self._named(request)
        with _refusing():
            # What may take long to be reached, or cannot be, is known before the answer begins.
            await self._shelf(its).entries(layout.CHECKPOINT)
        response = _download(f"{its.id}.tar", "application/x-tar")
        await response.prepare(request)
        async for part in self._shelf(its).tar(its.id):
            await response.write(part)
        await response.write_eof()
        return response

    async def _list_logs(self, request: web.Request) -> web.StreamResponse:
        with _refusing():
            return answers.json({"path": "", "url": None, "files": await self._logs.entries("")})

    async def _read_log(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, self._logs, request.match_info["name"], lambda: True)

    async def _send(
        self, request: web.Request, shelf: Shelf, path: str, goes_on: Callable[[], bool]
    ) -> web.StreamResponse:
        """Answer with a part of a file; ``X-Offset`` says where it begins, ``X-Size`` how long the file is."""
        span = Span.of(request)
        with _refusing():
            known = await shelf.stat(path)
        if known is None and not span.follow:
            raise answers.refuse(web.HTTPNotFound, f"There is no file {path} (yet).")
        if known is not None and known.is_directory:
            raise answers.refuse(web.HTTPBadRequest, f"{path} is a directory.")
        if known is not None and known.is_special:
            raise answers.refuse(web.HTTPBadRequest, f"{path} is a link or a pipe, and these are not followed.")
        size = known.size if known else 0
        span = dataclasses.replace(span, offset=max(0, size + span.offset) if span.offset < 0 else span.offset)
        response = _response(request, path)
        response.headers.update({"X-Offset": str(span.offset), "X-Size": str(size)})
        await response.prepare(request)
        self._streaming.add(task := asyncio.current_task())
        try:
            async for part in shelf.content(path, span, goes_on):
                await response.write(part)
            await response.write_eof()
        except (ConnectionResetError, errors.VolumeError):
            response.force_close()  # a broken answer is all that can be told after the head is out
        finally:
            self._streaming.discard(task)
        return response

    def _named(self, request: web.Request) -> trials.Trial:
        return answers.named(self._state, request.match_info["trial"])

    def _shelf(self, trial: trials.Trial) -> Shelf:
        return Shelf(self._volume, layout.trial(self._state.experiment_id, trial.id))


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a volume refuses into an answer."""
    try:
        yield
    except errors.VolumeError as error:
        raise answers.refuse(web.HTTPBadRequest, str(error)) from error


def _number(request: web.Request, name: str) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    try:
        return int(given)
    except ValueError:
        raise answers.refuse(web.HTTPBadRequest, f"{name}={given} is not a number of bytes.") from None


def _response(request: web.Request, path: str) -> web.StreamResponse:
    name = path.rpartition("/")[2]
    if "download" in request.query:
        return _download(name, "application/octet-stream")
    kind = _IMAGES.get(pathlib.PurePosixPath(name).suffix.lower(), "text/plain; charset=utf-8")
    return web.StreamResponse(headers={"Content-Type": kind, "Content-Security-Policy": _CLOSED})


def _download(name: str, kind: str) -> web.StreamResponse:
    quoted = urllib.parse.quote(name, safe="")
    disposition = f"attachment; filename*=UTF-8''{quoted}"
    headers = {"Content-Type": kind, "Content-Disposition": disposition, "Content-Security-Policy": _CLOSED}
    return web.StreamResponse(headers=headers)
