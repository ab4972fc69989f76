"""The intake over real HTTP: who is let in, and what is made of what they bring."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from nni import errors
from nni.core import event, model
from nni.server import intake, listen
from nni.wire import intake as wire

RIGHT = "/api/v1/intake/exp1/k2f9z/2/worker/1"
METRIC = {
    "n": 1,
    "time": 1795441642.03,
    "parameter_id": 0,
    "trial_job_id": "k2f9z",
    "type": "PERIODICAL",
    "sequence": 0,
    "value": '{"default": NaN, "why": "it\'s"}',
}
EXIT = {"code": 1, "metrics": 1, "lines": ["boom"], "stopped": False, "time": 1795441643.0}


class Desk:
    """Knows one attempt, and takes in what it sends."""

    def __init__(self) -> None:
        self.taken: list[event.ReplicaReported] = []
        self.is_full = False

    def verify(self, attempt: model.AttemptKey, token: str) -> bool | None:
        if attempt != model.AttemptKey(model.TrialId("k2f9z"), 2):
            return None
        return token == "s3cret"

    async def accept(self, report: event.ReplicaReported) -> int:
        if self.is_full:
            raise errors.RecordsError("The disk is full.")
        self.taken.append(report)
        return report.metrics[-1].number if report.metrics else 0


@contextlib.asynccontextmanager
async def posting(desk: Desk) -> AsyncIterator["Poster"]:
    app = intake.make_app(experiment_id=model.ExperimentId("exp1"), verify=desk.verify, accept=desk.accept)
    listener = listen.bind("127.0.0.1", 0)
    async with listen.serve(app, listener) as port, aiohttp.ClientSession() as http:
        yield Poster(http, port)


class Poster:
    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self.http = http
        self.port = port

    async def post(self, body: Any, path: str = RIGHT, token: str | None = "s3cret") -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        async with self.http.post(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers) as answer:
            return answer.status, await answer.json()


async def test_a_batch_is_taken_and_acknowledged() -> None:
    desk = Desk()
    async with posting(desk) as poster:
        assert await poster.post({"metrics": [METRIC], "exit": EXIT}) == (200, {"acknowledged": 1})
        assert await poster.post({"metrics": [], "exit": None}) == (200, {"acknowledged": 0})
    attempt, replica = model.AttemptKey(model.TrialId("k2f9z"), 2), model.Replica("worker", 1)
    metric = model.Metric(
        number=1,
        at=1795441642.03,
        type=model.MetricType.PERIODICAL,
        sequence=0,
        value='{"default": NaN, "why": "it\'s"}',
    )
    assert desk.taken == [
        event.ReplicaReported(
            attempt=attempt,
            replica=replica,
            metrics=(metric,),
            exit=model.ReplicaExit(code=1, metrics=1, lines=("boom",)),
        ),
        event.ReplicaReported(attempt=attempt, replica=replica),
    ]


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        (RIGHT, "wrong", 401),
        (RIGHT, None, 401),
        ("/api/v1/intake/exp2/k2f9z/2/worker/1", "s3cret", 404),
        ("/api/v1/intake/exp1/zzzzz/2/worker/1", "s3cret", 404),
        ("/api/v1/intake/exp1/k2f9z/3/worker/1", "s3cret", 404),
        ("/api/v1/intake/exp1/k2f9z/2/Worker/1", "s3cret", 404),
        ("/api/v1/intake/exp1/k2f9z/2/worker/x", "s3cret", 404),
        ("/api/v1/nni/trial-jobs", "s3cret", 404),
        ("/", "s3cret", 404),
    ],
)
async def test_strangers_are_turned_away(path: str, token: str | None, status: int) -> None:
    desk = Desk()
    async with posting(desk) as poster:
        actual, answer = await poster.post({"metrics": [METRIC], "exit": None}, path, token)
    assert (actual, list(answer), desk.taken) == (status, ["error"], [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([], "not an object with a list of metrics"),
        ({}, "not an object with a list of metrics"),
        ({"metrics": [1]}, "a metric is not an object"),
        ({"metrics": [{**METRIC, "n": 0}]}, "n is not a whole number from 1 on"),
        ({"metrics": [{**METRIC, "n": True}]}, "n is not a whole number from 1 on"),
        ({"metrics": [{**METRIC, "type": "OTHER"}]}, "type is 'OTHER'"),
        ({"metrics": [{**METRIC, "value": 0.5}]}, "value is not a text"),
        ({"metrics": [{**METRIC, "time": "now"}]}, "time is not a number of seconds"),
        ({"metrics": [METRIC, {**METRIC, "n": 3}]}, "metric 3 follows metric 1"),
        ({"metrics": [], "exit": 1}, "an exit is not an object"),
        ({"metrics": [], "exit": {**EXIT, "code": None}}, "code is not a whole number"),
    ],
)
async def test_a_malformed_body_is_answered_with_a_sentence(body: Any, words: str) -> None:
    desk = Desk()
    async with posting(desk) as poster:
        status, answer = await poster.post(body)
    assert (status, words in answer["error"], desk.taken) == (400, True, []), answer


async def test_a_body_that_is_too_large() -> None:
    desk = Desk()
    async with posting(desk) as poster:
        status, answer = await poster.post(b" " * (wire.MAX_BODY + 1))
    assert (status, answer, desk.taken) == (
        413,
        {"error": "The body is over 4 MiB; send fewer metrics at once."},
        [],
    )


async def test_a_body_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BODY_SECONDS", 0.05)
    async with posting(Desk()) as poster:
        reader, writer = await asyncio.open_connection("127.0.0.1", poster.port)
        head = f"POST {RIGHT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(head.encode())
        async with asyncio.timeout(10):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()
        await writer.wait_closed()


async def test_full_records_ask_to_come_again() -> None:
    desk = Desk()
    desk.is_full = True
    async with posting(desk) as poster:
        assert await poster.post({"metrics": [METRIC], "exit": None}) == (503, {"error": "The disk is full."})
