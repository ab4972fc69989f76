"""A volume behind a porter: each call is an errand that waits until a porter comes and does it."""

import asyncio
import hmac
import itertools
import secrets
from collections.abc import Sequence
from typing import Any

from nni import errors
from nni.core import ports
from nni.wire import errand
from nni.wire import files as wire

BATCH = 500
"""Errands that are given out at once."""
BATCH_BYTES = 2 * wire.PIECE
"""Bytes that they may bring at once, or take along."""


class Desk:
    """Where errands wait, and where a porter fetches them and brings the answers."""

    def __init__(self, hold: float = errand.HOLD_SECONDS) -> None:
        """Make an empty desk; ``hold`` is how many seconds a porter waits for errands at a time."""
        self._hold = hold
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, tuple[errand.Errand, asyncio.Future[errand.Answer]]] = {}
        self._token: str | None = None
        self._is_met = False
        self._news = asyncio.Event()

    async def perform(self, verb: str, path: str, **more: Any) -> errand.Answer:
        """Have an errand done and return its answer.

        Raises:
            VolumeError: It could not be done.
        """
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._unanswered[number] = errand.Errand(number, verb, path, **more), answer
        self._tell()
        try:
            found: errand.Answer = await answer
        finally:
            self._unanswered.pop(number, None)
            self._tell()
        if found.error:
            # As on any other volume, its cause says what kind of error it is.
            raise errors.VolumeError(found.error) from (PermissionError(found.error) if found.is_denied else None)
        return found

    def fail(self, sentence: str) -> None:
        """Let all errands that wait fail."""
        failing, self._unanswered = self._unanswered, {}
        for _, answer in failing.values():
            if not answer.done():
                answer.set_exception(errors.VolumeError(sentence))
        self._tell()

    def open(self) -> str:
        """Let one porter in from now on, and return its token."""
        self._token, self._is_met = secrets.token_urlsafe(32), False
        return self._token

    def shut(self) -> None:
        """Send the porter away, and let nobody in."""
        self._token = None
        self._tell()

    def knows(self, token: str) -> bool:
        """Return whether a token is that of the porter which is let in."""
        return self._token is not None and hmac.compare_digest(self._token.encode(), token.encode())

    async def exchange(self, answers: Sequence[errand.Answer]) -> Sequence[errand.Errand] | None:
        """Take a porter's answers and return its next errands, none after a while without any; None sends it away.

        Errands that were given out and not answered are given out again.
        """
        token = self._token
        if token is None:
            return None
        self._is_met = True
        for one in answers:
            _, answer = self._unanswered.pop(one.number, (None, None))
            if answer is not None and not answer.done():
                answer.set_result(one)
        self._tell()
        try:
            async with asyncio.timeout(self._hold):
                while self._token == token and not self._unanswered:
                    await self._news.wait()
        except TimeoutError:
            return ()
        return self._batch() if self._token == token else None

    def _batch(self) -> Sequence[errand.Errand]:
        batch: list[errand.Errand] = []
        size = 0
        for wanted, _ in self._unanswered.values():
            size += wanted.limit + len(wanted.content)
            if batch and (size > BATCH_BYTES or len(batch) >= BATCH):
                break
            batch.append(wanted)
        return batch

    async def until_wanted(self) -> None:
        """Wait until an errand waits."""
        while not self._unanswered:
            await self._news.wait()

    async def until_met(self) -> None:
        """Wait until the porter has come."""
        while not self._is_met:
            await self._news.wait()

    async def until_idle(self, seconds: float) -> None:
        """Wait until there has been no errand for so many seconds."""
        while True:
            await self._until_none()
            try:
                async with asyncio.timeout(seconds):
                    await self.until_wanted()
            except TimeoutError:
                return

    async def _until_none(self) -> None:
        while self._unanswered:
            await self._news.wait()

    def _tell(self) -> None:
        """Wake all who wait; the next news is another event."""
        self._news.set()
        self._news = asyncio.Event()


class PorterVolume:
    """Implements ``Volume`` by errands."""

    def __init__(self, desk: Desk) -> None:
        """Take the desk where a porter comes."""
        self._desk = desk

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        if len(content) > errand.MOST_BYTES - wire.PIECE:
            raise errors.VolumeError(f"{path} has {len(content)} bytes: that is more than a porter carries at once.")
        await self._desk.perform("put", path, content=content)

    async def make(self, path: str) -> None:
        """See the port."""
        await self._desk.perform("make", path)

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        names = (await self._desk.perform("list", path)).result
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _not_understood(names)
        return names

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        parts: list[bytes] = []
        while limit is None or limit > 0:
            wanted = wire.PIECE if limit is None else min(limit, wire.PIECE)
            part = (await self._desk.perform("read", path, offset=offset, limit=wanted)).content
            parts.append(part)
            offset += len(part)
            limit = None if limit is None else limit - len(part)
            if len(part) < wanted:
                break
        return b"".join(parts)

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        match (await self._desk.perform("stat", path)).result:
            case None:
                return None
            case [bool(is_directory), int(size), float(modified_at), bool(is_special), str(identity)]:
                return ports.Stat(
                    is_directory=is_directory,
                    size=size,
                    modified_at=modified_at,
                    is_special=is_special,
                    identity=identity,
                )
            case other:
                raise _not_understood(other)

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        await self._desk.perform("rename", source, target=target)

    async def delete(self, path: str) -> None:
        """See the port."""
        await self._desk.perform("delete", path)

    async def usage(self, path: str) -> int:
        """See the port."""
        size = (await self._desk.perform("usage", path)).result
        if not isinstance(size, int):
            raise _not_understood(size)
        return size


def _not_understood(result: object) -> errors.VolumeError:
    return errors.VolumeError(f"The porter answers with something else than was asked for: {str(result)[:100]!r}.")
