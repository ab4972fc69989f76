"""Pieces of files as they come from pods: a few in memory at a time, and none for long of a pod that falls silent."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

from aiohttp import web

from nni.server import answers
from nni.wire import files as wire

AT_ONCE = 32
"""Pieces that are in memory; of others nothing is read beyond what their connection buffers."""
SECONDS = 30.0
"""That a piece may take."""
SILENCE_SECONDS = 1.0
"""That a pod may say nothing while others wait for a place; it sends the piece again."""


class Pieces:
    """Reads the bodies of requests."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._places = asyncio.Semaphore(AT_ONCE)

    @contextlib.asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[tuple[int, bytes]]:
        """Hold a piece that is what it says, and where it belongs, while the context is open."""
        offset = number(request, wire.OFFSET)
        async with self._places:
            content = await self._read(request)
            if wire.decode_digest(request.headers.get(wire.DIGEST)) != hashlib.sha256(content).digest():
                sentence = "The piece is damaged: it has not the digest that it names."
                raise answers.refuse(web.HTTPPreconditionFailed, sentence)
            yield offset, content

    async def _read(self, request: web.Request) -> bytes:
        content = bytearray()
        clock = asyncio.get_running_loop().time
        until = clock() + SECONDS
        while not request.content.at_eof():
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    content += await request.content.readany()
            except TimeoutError:
                if self._places.locked():
                    sentence = f"Nothing came of the piece for {SILENCE_SECONDS:.0f} s, and others wait; send it again."
                    raise answers.refuse(web.HTTPRequestTimeout, sentence) from None
            if clock() >= until:
                raise answers.refuse(web.HTTPRequestTimeout, f"The piece took longer than {SECONDS:.0f} s.")
            if len(content) > request.client_max_size:
                raise answers.refuse_size("The piece is too large; send smaller ones.", wire.PIECE)
        return bytes(content)


def number(request: web.Request, header: str) -> int:
    """Return the number of bytes that a header names."""
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise answers.refuse(web.HTTPBadRequest, f"{header} is {text!r}, not a number of bytes.")
    return int(text)
