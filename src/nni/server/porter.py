"""The door for a porter, beside the intake's: it fetches the runtime, errands, and brings answers.

The contract is in ``nni.wire.errand``. A porter's token opens nothing else, and no other token opens this.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from nni import errors
from nni.core import model
from nni.runtime import archive
from nni.server import answers, auth
from nni.wire import errand, layout
from nni.wire import files as file_wire
from nni.wire import intake as wire

BODY_SECONDS = 60.0


class Desk(Protocol):
    """Where errands wait for a porter."""

    def knows(self, token: str) -> bool:
        """Return whether a token is that of the porter which is let in."""
        ...

    async def exchange(self, answers: Sequence[errand.Answer]) -> Sequence[errand.Errand] | None:
        """Take answers and return the next errands, none after a while without any; None sends the porter away."""
        ...


class Door:
    """The handlers of one experiment."""

    def __init__(self, *, experiment_id: model.ExperimentId, desk: Desk, runtime: archive.Archive) -> None:
        """Take the finished parts; ``runtime`` is what porters run."""
        self._experiment_id = experiment_id
        self._desk = desk
        self._runtime = runtime

    def routes(self) -> list[web.RouteDef]:
        """Return all routes."""
        base = f"{wire.PREFIX}{{experiment}}/porter"
        return [
            web.get(f"{base}{file_wire.ROOM}/{{path:.+}}", self._give),
            web.post(base, self._exchange),
        ]

    async def _give(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request)
        if request.match_info["path"] != layout.runtime(self._experiment_id, self._runtime.digest):
            raise answers.refuse(web.HTTPForbidden, "A porter gets the runtime, and nothing else.")
        return web.Response(body=self._runtime.content)

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request)
        try:
            brought = errand.decode_answers(await _read(request))
        except errors.WireError as error:
            raise answers.refuse(web.HTTPBadRequest, str(error)) from error
        wanted = await self._desk.exchange(brought)
        if wanted is None:
            raise answers.refuse(web.HTTPGone, "There is nothing more to do.")
        if not wanted:
            return web.Response(status=204)
        return web.Response(body=errand.encode_errands(wanted))

    def _let_in(self, request: web.Request) -> None:
        if request.match_info["experiment"] != self._experiment_id:
            raise answers.refuse(web.HTTPNotFound, f"No porter {request.path} is known here.")
        token = auth.bearer(request.headers.get("Authorization"))
        if token is None or not self._desk.knows(token):
            raise answers.refuse(web.HTTPUnauthorized, "The token is not the one of this experiment's porter.")


def make_app(door: Door) -> web.Application:
    """Return an intake for a porter alone."""
    app = web.Application()
    app.router.add_routes(door.routes())
    return app


async def _read(request: web.Request) -> bytes:
    """Read a body, which may be larger than what trials send."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                body += part
                if len(body) > errand.MOST_BYTES:
                    raise answers.refuse_size("The answers are too large.", errand.MOST_BYTES)
    except TimeoutError:
        raise answers.refuse(web.HTTPRequestTimeout, f"The answers took longer than {BODY_SECONDS:g} s.") from None
    return bytes(body)
