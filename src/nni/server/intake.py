"""The port that trials talk to: takes batches of metrics and says how much of them is durable.

The contract is on the page "Between pod and manager". What a batch means is decided by whoever accepts it; here it is
let in, or refused with one sentence.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from nni import errors
from nni.core import event, model, report
from nni.server import answers, auth, exchange, porter
from nni.wire import files as file_wire
from nni.wire import intake as wire

BODY_SECONDS = 30.0
"""A batch that takes longer to arrive is given up; the runtime sends it again."""

_ROLE = re.compile(r"[a-z][a-z0-9-]{0,39}")

Verify = Callable[[model.AttemptKey, str], bool | None]
"""Whether a token is the attempt's; None when there is no such attempt."""
Accept = Callable[[event.ReplicaReported], Awaitable[int]]
"""Takes in a report and returns, once it is durable, up to which number the replica's metrics are known."""


def make_app(
    *,
    experiment_id: model.ExperimentId,
    verify: Verify,
    accept: Accept,
    files: exchange.Exchange | None = None,
    door: porter.Door | None = None,
) -> web.Application:
    """Return the intake of one experiment, to be served on the port beside the portal's.

    Args:
        experiment_id: Whose trials report here.
        verify: Knows tokens.
        accept: Takes reports in.
        files: Gives and takes files where trials share no volume with the manager; None where they do.
        door: Lets a porter in, where the trials' volume is a claim that the manager does not have.
    """
    intake = Intake(experiment_id, verify, accept)
    app = web.Application(client_max_size=wire.MAX_BODY)
    replica = wire.PREFIX + r"{experiment}/{trial}/{attempt:\d{1,6}}/{role}/{index:\d{1,6}}"
    app.router.add_post(replica, intake.take)
    if files is not None:
        _add_files(app.router, replica, intake, files)
    if door is not None:
        app.router.add_routes(door.routes())
    app.router.add_route("*", "/{path:(?s:.*)}", _unknown)
    return app


def _add_files(router: web.UrlDispatcher, replica: str, intake: "Intake", files: exchange.Exchange) -> None:
    async def list_files(request: web.Request) -> web.StreamResponse:
        return await files.list(exchange.Sender(*intake.sender(request)))

    async def handle(request: web.Request) -> web.StreamResponse:
        sender = exchange.Sender(*intake.sender(request))
        # As it was written: what the framework decodes has lost bytes that are no UTF-8.
        raw = request.rel_url.raw_path.split("/", before)[before]
        return await files.handle(request, sender, file_wire.unquote(raw))

    before = (replica + file_wire.ROOM + "/").count("/")
    router.add_get(replica + file_wire.ROOM, list_files)
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        router.add_route(method, replica + file_wire.ROOM + "/{path:(?s:.+)}", handle)


class Intake:
    """The handler."""

    def __init__(self, experiment_id: model.ExperimentId, verify: Verify, accept: Accept) -> None:
        self._experiment_id = experiment_id
        self._verify = verify
        self._accept = accept

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Let a batch in, whoever sends it being right, and answer what is known by then."""
        attempt, replica = self.sender(request)
        try:
            batch = wire.decode(await _read(request))
        except errors.WireError as error:
            raise answers.refuse(web.HTTPBadRequest, str(error)) from error
        try:
            acknowledged = await self._accept(report.reported(attempt, replica, batch))
        except errors.RecordsError as error:
            raise answers.refuse(web.HTTPServiceUnavailable, str(error)) from error
        return answers.json({"acknowledged": acknowledged})

    def sender(self, request: web.Request) -> tuple[model.AttemptKey, model.Replica]:
        """Return who sends, known by its token before a byte of its body is read."""
        path = request.match_info
        attempt = model.AttemptKey(model.TrialId(path["trial"]), int(path["attempt"]))
        token = auth.bearer(request.headers.get("Authorization"))
        is_right = self._verify(attempt, token or "") if path["experiment"] == self._experiment_id else None
        if is_right is None or not _ROLE.fullmatch(path["role"]):
            raise answers.refuse(web.HTTPNotFound, f"No replica {request.path} is known here.")
        if token is None or not is_right:
            raise answers.refuse(web.HTTPUnauthorized, f"The token is not the one of attempt {attempt}.")
        return attempt, model.Replica(path["role"], int(path["index"]))


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise answers.refuse(web.HTTPRequestTimeout, f"The body took longer than {BODY_SECONDS:.0f} s.") from None
    except web.HTTPRequestEntityTooLarge:
        sentence = f"The body is over {wire.MAX_BODY // 1024 // 1024} MiB; send fewer metrics at once."
        raise answers.refuse_size(sentence, wire.MAX_BODY) from None


async def _unknown(request: web.Request) -> web.StreamResponse:
    raise answers.refuse(
        web.HTTPNotFound, f"There is no {request.method} {request.path} here; this is the trials' intake."
    )
