"""Files between pods and the manager, for trials without shared storage: the handlers beside the intake's.

The contract is in ``nni.wire.files``. An attempt sees what its trial needs, and each of its replicas writes its own
directory and the trial's checkpoints. Pieces are written in threads, a few at a time, so memory is bounded.
"""

import asyncio
import collections
import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from aiohttp import web

from nni import errors
from nni.core import model, ports
from nni.runtime import paths
from nni.server import answers, pieces
from nni.server.parts import IDLE_SECONDS, Parts, Upload
from nni.server.parts import Store as PartsStore
from nni.wire import files as wire
from nni.wire import layout

AT_ONCE = 8
"""Pieces that are written at the same time."""
RESERVE = 16 << 20
"""Bytes above a trial's limit for what says how it went."""
SPARE = 64 << 20
"""Bytes of the disk that are left to the experiment's records, and to what says how trials went."""
_SMALL = (layout.JOURNAL, layout.EXIT, layout.LOG)
_GROWING = (layout.STDOUT, layout.STDERR, layout.LOG, layout.JOURNAL)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LASTING = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
)


class Store(ports.Volume, PartsStore, Protocol):
    """A volume that takes files in pieces."""

    async def append(self, path: str, offset: int, content: bytes, spare: int = 0) -> int:
        """Write what a file does not have yet of a piece and return the file's size; leave some of the disk."""
        ...

    async def digest(self, path: str) -> bytes | None:
        """Return the sha256 of a file, None when it does not exist."""
        ...

    async def copy(self, source: str, target: str, spare: int = 0) -> None:
        """Make a new file with the content of another; leave some bytes of the disk."""
        ...

    async def prune(self, path: str, top: str) -> None:
        """Remove a directory that is empty, and those above it that are empty then, below ``top``."""
        ...


class Sender(NamedTuple):
    """Whose request it is; its token has been checked."""

    attempt: model.AttemptKey
    replica: model.Replica


class Exchange:
    """The handlers of one experiment."""

    def __init__(
        self,
        *,
        experiment_id: model.ExperimentId,
        volume: Store,
        needs: Callable[[str], Sequence[str]],
        limit: int,
        idle: float = IDLE_SECONDS,
    ) -> None:
        """Take the finished parts.

        Args:
            experiment_id: Whose files these are.
            volume: Where they are.
            needs: Returns the paths of what the replicas of a role need, beside their attempt's own.
            limit: Bytes that a trial may leave here.
            idle: Seconds for which what was begun may be left alone.
        """
        self._experiment_id = experiment_id
        self._volume = volume
        self._needs = needs
        self._limit = limit
        self._used: dict[model.TrialId, int] = {}
        """Bytes of files that are whole, or grow."""
        self._parts = Parts(volume, layout.experiment(experiment_id), idle)
        self._pieces = pieces.Pieces()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._measuring: collections.defaultdict[model.TrialId, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    async def handle(self, request: web.Request, sender: Sender, path: str) -> web.StreamResponse:
        """Answer a request for a file."""
        is_right = self._may_read if request.method == "GET" else self._may_write
        if not is_right(sender, path):
            raise answers.refuse(web.HTTPForbidden, f"{path!r} is not for this replica.")
        handlers: dict[str, Callable[[web.Request, Sender, str], Awaitable[web.StreamResponse]]] = {
            "GET": self._give,
            "PATCH": self._take_growing,
            "PUT": self._take_whole,
            "DELETE": self._delete,
        }
        try:
            await self._parts.look()
            return await handlers[request.method](request, sender, path)
        except errors.VolumeError as error:
            raise _refusal(error) from error

    async def list(self, sender: Sender) -> web.StreamResponse:
        """Say what a replica needs."""
        attempt = self._attempt(sender)
        own = [layout.PARAMETERS, layout.script(sender.replica.role)]
        paths = [*self._needs(sender.replica.role), *(f"{attempt}/{name}" for name in own)]
        paths += await self._below(self._checkpoint(sender))
        found = []
        for path in paths:
            digest, known = await self._volume.digest(path), await self._volume.stat(path)
            if digest is not None and known is not None:
                found.append(wire.Needed(path, known.size, digest.hex()))
        return web.Response(body=wire.encode_list(found), content_type="application/json")

    async def _below(self, directory: str) -> Sequence[str]:
        """Return the files of a tree."""
        found: list[str] = []
        waiting = [directory]
        while waiting:
            top = waiting.pop()
            for name in await self._volume.list(top):
                known = await self._volume.stat(f"{top}/{name}")
                if known is not None:
                    (waiting if known.is_directory else found).append(f"{top}/{name}")
        return sorted(found)

    async def _give(self, request: web.Request, sender: Sender, path: str) -> web.StreamResponse:
        known = await self._volume.stat(path)
        if known is None or known.is_directory:
            raise answers.refuse(web.HTTPNotFound, f"There is no file {path!r}.")
        start, end = _range(request, known.size)
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
        response.content_length = end - start
        await response.prepare(request)
        while start < end:
            part = await self._volume.read(path, start, min(wire.PIECE, end - start))
            if not part:
                break
            await response.write(part)
            start += len(part)
        await response.write_eof()
        return response

    async def _take_growing(self, request: web.Request, sender: Sender, path: str) -> web.StreamResponse:
        async with self._pieces.read(request) as (offset, content), self._turns, self._counting(sender):
            before = await self._size(path)
            self._check_room(sender, path, offset + len(content) - before)
            size = await self._volume.append(path, offset, content)
            self._count(sender, size - before)
        return _answer(size, is_gap=offset > size)

    async def _take_whole(self, request: web.Request, sender: Sender, path: str) -> web.StreamResponse:
        length = pieces.number(request, wire.LENGTH)
        digest = wire.decode_digest(request.headers.get(wire.WHOLE_DIGEST))
        if digest is None:
            raise answers.refuse(web.HTTPBadRequest, f"{wire.WHOLE_DIGEST} names no sha-256.")
        part = Upload(attempt=sender.attempt, replica=sender.replica, path=path).part(digest)
        async with self._pieces.read(request) as (offset, content), self._turns:
            started = await self._volume.stat(part)
            if started is None:
                async with self._counting(sender):
                    await self._parts.begin(part)
                if await self._is_there(path, length, digest):
                    self._parts.forget(part)
                    return _answer(length)
            before = 0 if started is None else started.size
            async with self._counting(sender):
                old = await self._size(path)
                self._check_room(sender, path, length - old)
            self._check_pending(sender, offset + len(content) - before)
            base = wire.decode_digest(request.headers.get(wire.BASE_DIGEST))
            spare = 0 if self._is_small(sender, path) else SPARE
            try:
                if started is None and offset == old > 0 and await self._is_there(path, old, base):
                    await self._volume.copy(path, part, spare)
                size = await self._volume.append(part, offset, content, spare)
            except errors.VolumeError as error:
                if _code(error) in _FULL:
                    # Others need what it takes up.
                    await self._parts.drop(part)
                raise
            self._parts.note(part, size)
            if size >= length:
                await self._finish(sender, part, path, digest)
        return _answer(size, is_gap=offset > size)

    async def _size(self, path: str) -> int:
        known = await self._volume.stat(path)
        return 0 if known is None else known.size

    async def _is_there(self, path: str, length: int, digest: bytes | None) -> bool:
        known = await self._volume.stat(path)
        return known is not None and known.size == length and await self._volume.digest(path) == digest

    async def _finish(self, sender: Sender, part: str, path: str, digest: bytes) -> None:
        """Let a whole file take its place."""
        # It takes its time, and need not be done again while nobody adds to it.
        await self._volume.digest(part)
        async with self._counting(sender):
            if await self._volume.digest(part) != digest:
                # It changed while it was sent: half of the one and half of the other is neither.
                await self._parts.drop(part)
                raise answers.refuse(web.HTTPUnprocessableEntity, f"What came of {path!r} is not what was announced.")
            size, old = await self._size(part), await self._size(path)
            await self._volume.rename(part, path)
            self._parts.forget(part)
            self._count(sender, size - old)

    async def _delete(self, request: web.Request, sender: Sender, path: str) -> web.StreamResponse:
        async with self._counting(sender):
            known = await self._volume.stat(path)
            if known is not None and not known.is_directory:
                await self._volume.delete(path)
                self._count(sender, -known.size)
        # A file may come to have the name of a directory.
        for top in self._folders(sender):
            await self._volume.prune(path.rpartition("/")[0], top)
        return _answer(0)

    @contextlib.asynccontextmanager
    async def _counting(self, sender: Sender) -> AsyncIterator[None]:
        """Let nobody else change what is counted of a trial while the context is open."""
        trial = sender.attempt.trial
        async with self._measuring[trial]:
            if trial not in self._used:
                all_of_it = await self._volume.usage(layout.trial(self._experiment_id, trial))
                self._used[trial] = all_of_it - self._parts.pending(trial)
            try:
                yield
            except (errors.VolumeError, asyncio.CancelledError):
                # How much of it was done is not known.
                self._used.pop(trial, None)
                raise

    def _check_room(self, sender: Sender, path: str, more: int) -> None:
        trial = sender.attempt.trial
        limit = self._limit + (RESERVE if self._is_small(sender, path) else 0)
        if more > 0 and self._used[trial] + more > limit:
            raise self._no_room(trial, limit - self._used[trial])

    def _check_pending(self, sender: Sender, more: int) -> None:
        """Bound what is begun and never finished, apart: a new version needs room beside the one that it replaces."""
        if more > 0 and self._parts.pending(sender.attempt.trial) + more > self._limit + RESERVE:
            raise self._no_room(sender.attempt.trial, 0)

    def _no_room(self, trial: model.TrialId, left: int) -> web.HTTPError:
        sentence = f"Trial {trial} may leave {self._limit >> 20} MiB with the manager (storage.output_limit)."
        return answers.refuse(web.HTTPInsufficientStorage, sentence, left=max(0, left))

    def _count(self, sender: Sender, more: int) -> None:
        self._used[sender.attempt.trial] += more

    def _is_small(self, sender: Sender, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in _SMALL and folder == self._replica(sender)

    def _may_read(self, sender: Sender, path: str) -> bool:
        if not _is_plain(path):
            return False
        # Of whatever version of the code: a manager that was started again may have another one.
        shared = (layout.bundle(self._experiment_id, ""), layout.runtime(self._experiment_id, ""))
        scripts = (layout.PARAMETERS, layout.script(sender.replica.role))
        own = {f"{self._attempt(sender)}/{name}" for name in scripts}
        folders = (*(one.rpartition("/")[0] + "/" for one in shared), f"{self._checkpoint(sender)}/")
        return path in own or path.startswith(folders)

    def _may_write(self, sender: Sender, path: str) -> bool:
        if not _is_plain(path):
            return False
        replica = self._replica(sender)
        single = {f"{replica}/{name}" for name in (*_GROWING, layout.EXIT)}
        return path in single or path.startswith(tuple(f"{folder}/" for folder in self._folders(sender)))

    def _folders(self, sender: Sender) -> Sequence[str]:
        """Return the directories in which files may have any name."""
        return f"{self._replica(sender)}/{layout.OUTPUT}", self._checkpoint(sender)

    def _replica(self, sender: Sender) -> str:
        who = sender.replica
        return layout.replica(self._experiment_id, sender.attempt.trial, sender.attempt.number, who.role, who.index)

    def _attempt(self, sender: Sender) -> str:
        return layout.attempt(self._experiment_id, sender.attempt.trial, sender.attempt.number)

    def _checkpoint(self, sender: Sender) -> str:
        return layout.checkpoint(self._experiment_id, sender.attempt.trial)


def _is_plain(path: str) -> bool:
    """Whether a path can mean nothing but what it says."""
    names = path.split("/")
    return "\0" not in path and not any(name in ("", ".", "..") or name.startswith(paths.TEMPORARY) for name in names)


def _code(error: errors.VolumeError) -> int | None:
    """Return what the system said; None when it was not asked."""
    return getattr(error.__cause__, "errno", None)


def _refusal(error: errors.VolumeError) -> web.HTTPError:
    """Return the answer that says whether asking again is of any use."""
    code = _code(error)
    if code in _FULL:
        kind: type[web.HTTPError] = web.HTTPInsufficientStorage
    elif code is None or code in _LASTING:
        kind = web.HTTPForbidden
    else:
        kind = web.HTTPServiceUnavailable
    return answers.refuse(kind, str(error))


def _range(request: web.Request, size: int) -> tuple[int, int]:
    """Return which part of a file is asked for."""
    try:
        start, end, _ = request.http_range.indices(size)
    except ValueError:
        start, end = size, size
    if start >= end and "Range" in request.headers:
        raise answers.refuse(web.HTTPRequestRangeNotSatisfiable, f"The file has {size} bytes.")
    return start, end


def _answer(size: int, *, is_gap: bool = False) -> web.Response:
    body = wire.encode_size(size)
    return web.Response(body=body, status=409 if is_gap else 200, content_type="application/json")
