"""Files over REST: those of a trial on the volume, and the manager's own logs.

Nothing here leaves the directory that it was given: the volume refuses paths that would. A browser never runs what a
trial wrote: every file is plain text, an image that cannot hold a script, or a download.
"""

import asyncio
import contextlib
import pathlib
import re
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping

from aiohttp import web

from nni import errors
from nni.core import ports
from nni.core import state as states
from nni.core import trial as trials
from nni.server import answers, events, shelf, spans
from nni.wire import files as wire
from nni.wire import layout

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
_UNSAFE = re.compile(r"[^ !#$&-\[\]-~]")
"""What cannot stand in a quoted file name that every client reads in the same way."""


class Files:
    """The handlers."""

    def __init__(
        self,
        state: states.State,
        revisions: events.Revisions,
        *,
        volume: ports.Readable,
        growth: ports.Growth | None,
        logs: ports.Readable,
    ) -> None:
        """Take the finished parts.

        Args:
            state: The experiment.
            revisions: Tells when the state moves on, so that a follower leaves with its trial.
            volume: Where its trials' files are.
            growth: Tells when they grow; None where nobody knows.
            logs: The directory of the manager's logs.
        """
        self._state = state
        self._revisions = revisions
        self._volume = volume
        self._growth = growth
        self._logs = shelf.Shelf(logs, "")
        self._streaming: set[asyncio.Task[None] | None] = set()

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return all routes below ``base``, an absolute path without a final slash."""
        return [
            web.get(f"{base}/trial-files/{{trial}}", self._list),
            web.get(f"{base}/trial-file/{{trial}}/{{path:(?s:.+)}}", self._read),
            web.get(f"{base}/trial-archive/{{trial}}", self._archive),
            web.get(f"{base}/log-files", self._list_logs),
            web.get(f"{base}/log-file/{{name}}", self._read_log),
        ]

    async def end_streams(self, app: web.Application) -> None:
        """End the answers that are under way; they would hold up the server's shutdown."""
        for task in self._streaming:
            if task is not None:
                task.cancel()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        its, path = self._named(request), _query(request).get("path", "").strip("/")
        with _refusing():
            found, total = await self._shelf(its).entries(path)
        url = f"{its.location}/{wire.quote(path)}".rstrip("/") if self._is_on_volume(its) else None
        return answers.json({"path": shelf.shown(path), "url": url, "files": found, "total": total})

    def _is_on_volume(self, its: trials.Trial) -> bool:
        """Return whether a trial's location is one of its directory, not the portal's page of it."""
        return (its.location or "").endswith(f"/{layout.trial(self._state.experiment_id, its.id)}")

    async def _read(self, request: web.Request) -> web.StreamResponse:
        its, path = self._named(request), _last(request)
        if name := _NAMES_OF_NNI.get(path):
            path = f"{its.attempt}/{self._state.chief}/{name}"
        place = self._shelf(its)

        def goes_on() -> bool:
            return not self._state.trials[its.id].is_over

        async def ends() -> None:
            revision = self._state.revision
            while goes_on():
                revision = await self._revisions.after(revision)

        with contextlib.ExitStack() as stack:
            stirred, is_told = asyncio.Event(), False
            if self._growth is not None:
                with _refusing():
                    is_told = stack.enter_context(self._growth.listening(place.below(path), stirred.set))
            follower = shelf.Follower(goes_on, stirred, is_told=is_told)
            return await self._send(request, place, path, follower, ends)

    async def _archive(self, request: web.Request) -> web.StreamResponse:
        its = self._named(request)
        with _refusing():
            # What may take long to be reached, or cannot be, is known before the answer begins.
            await self._shelf(its).reach(layout.CHECKPOINT)
        response = _download(f"{its.id}.tar", "application/x-tar")
        return await self._stream(request, response, self._shelf(its).tar(its.id))

    async def _list_logs(self, request: web.Request) -> web.StreamResponse:
        with _refusing():
            found, total = await self._logs.entries("")
        return answers.json({"path": "", "url": None, "files": found, "total": total})

    async def _read_log(self, request: web.Request) -> web.StreamResponse:
        async def ends() -> None:
            """The manager's own logs end with the manager."""

        follower = shelf.Follower(lambda: True, asyncio.Event(), is_told=False)
        return await self._send(request, self._logs, _last(request), follower, ends)

    async def _send(
        self,
        request: web.Request,
        place: shelf.Shelf,
        path: str,
        follower: shelf.Follower,
        ends: Callable[[], Awaitable[None]],
    ) -> web.StreamResponse:
        """Answer with a part of a file; ``X-Offset`` says where it begins, ``X-Size`` how long the file is."""
        wish = _wish(request)
        known = await _known(place, path, may_come=wish.follow)
        size = known.size
        span = _span(wish, size)
        response = _response(request, path)
        response.headers.update({"X-Offset": str(span.offset), "X-Size": str(size)})
        if wish.follow:
            async with _told_of(ends, follower.stirred):
                parts = place.followed(path, span.offset, span.length, follower)
                return await self._stream(request, response, parts, at_once=True)
        length = span.length or 0
        response.content_length = length
        response.headers["Accept-Ranges"] = "bytes"
        if span.is_range:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {span.offset}-{span.offset + length - 1}/{size}"
        return await self._stream(request, response, place.content(path, known, span.offset, length))

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, parts: AsyncGenerator[bytes], *, at_once: bool = False
    ) -> web.StreamResponse:
        """Send an answer in pieces; when it cannot be finished, the client sees it break off.

        Args:
            request: What is answered.
            response: The answer's head.
            parts: Its body.
            at_once: Whether the head goes out before the first part is there; what is refused can't be told then.
        """
        async with contextlib.aclosing(parts):
            first = b""
            if request.method != "HEAD" and not at_once:
                with _refusing():
                    first = await anext(parts, b"")
            await response.prepare(request)
            if request.method != "HEAD":
                await self._write(request, response, first, parts)
        return response

    async def _write(
        self, request: web.Request, response: web.StreamResponse, first: bytes, parts: AsyncGenerator[bytes]
    ) -> None:
        self._streaming.add(task := asyncio.current_task())
        try:
            await response.write(first)
            async for part in parts:
                await response.write(part)
            await response.write_eof()
        except ConnectionResetError:
            pass  # nobody listens any more
        except errors.VolumeError:
            # The head is out, so that no status can tell; without this, the answer would look whole.
            if request.transport is not None:
                request.transport.close()
        finally:
            self._streaming.discard(task)

    def _named(self, request: web.Request) -> trials.Trial:
        return answers.named(self._state, request.match_info["trial"])

    def _shelf(self, trial: trials.Trial) -> shelf.Shelf:
        return shelf.Shelf(self._volume, layout.trial(self._state.experiment_id, trial.id))


@contextlib.asynccontextmanager
async def _told_of(ends: Callable[[], Awaitable[None]], stirred: asyncio.Event) -> AsyncIterator[None]:
    """Set an event when something ends, while the context is open."""

    async def tell() -> None:
        await ends()
        stirred.set()

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a volume refuses into an answer."""
    try:
        yield
    except shelf.ChangedError as error:
        raise answers.refuse(web.HTTPConflict, f"{shelf.shown(str(error))} Ask again.") from error
    except errors.VolumeError as error:
        raise answers.refuse(web.HTTPBadRequest, shelf.shown(str(error))) from error


def _last(request: web.Request) -> str:
    """Return the last part of a route as it was written: what the framework decodes has lost bytes that are no UTF-8.

    It is decoded once: ``%252e`` is a name with a percent sign.
    """
    resource = request.match_info.route.resource
    above = resource.canonical.count("/") if resource is not None else 0
    return wire.unquote(request.rel_url.raw_path.split("/", above)[above])


def _query(request: web.Request) -> Mapping[str, str]:
    """Return the query; bytes that are no UTF-8 pass."""
    raw = request.rel_url.raw_query_string
    return dict(urllib.parse.parse_qsl(raw, keep_blank_values=True, errors="surrogateescape"))


def _wish(request: web.Request) -> spans.Wish:
    try:
        return spans.Wish.of(_query(request), request.headers)
    except ValueError as error:
        raise answers.refuse(web.HTTPBadRequest, shelf.shown(str(error))) from None


async def _known(place: shelf.Shelf, path: str, *, may_come: bool) -> ports.Stat:
    """Return what is known of a file; an empty one for one that may still come."""
    with _refusing():
        known = await place.stat(path)
    if known is None and not may_come:
        raise answers.refuse(web.HTTPNotFound, f"There is no file {shelf.shown(path)} (yet).")
    if known is not None and known.is_directory:
        raise answers.refuse(web.HTTPBadRequest, f"{shelf.shown(path)} is a directory.")
    if known is not None and known.is_special:
        raise answers.refuse(web.HTTPBadRequest, f"{shelf.shown(path)} is a symbolic link or no file; it is not read.")
    return known or ports.Stat(is_directory=False, size=0, modified_at=0.0)


def _span(wish: spans.Wish, size: int) -> spans.Span:
    try:
        return wish.of_size(size)
    except spans.UnsatisfiableError as error:
        refusal = answers.refuse(web.HTTPRequestRangeNotSatisfiable, str(error))
        refusal.headers["Content-Range"] = f"bytes */{size}"
        raise refusal from None


def _response(request: web.Request, path: str) -> web.StreamResponse:
    name = path.rpartition("/")[2]
    if "download" in request.query:
        return _download(name, "application/octet-stream")
    kind = _IMAGES.get(pathlib.PurePosixPath(name).suffix.lower(), "text/plain; charset=utf-8")
    return web.StreamResponse(headers={"Content-Type": kind, "Content-Security-Policy": _CLOSED})


def _download(name: str, kind: str) -> web.StreamResponse:
    # Programs that do not know the second form take the first.
    plain, quoted = _UNSAFE.sub("_", name), urllib.parse.quote(shelf.shown(name), safe="")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"
    headers = {"Content-Type": kind, "Content-Disposition": disposition, "Content-Security-Policy": _CLOSED}
    return web.StreamResponse(headers=headers)
