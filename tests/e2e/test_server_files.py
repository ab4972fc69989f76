"""Files of trials and logs of the manager over real HTTP, and what may not be reached."""

import asyncio
import contextlib
import io
import pathlib
import tarfile
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from nni.core import event, model
from nni.server import shelf
from nni.testing import story

API = "/api/v1/nni"
WORKER = model.Replica("worker")


@pytest.fixture
async def tale() -> story.Story:
    tale = story.Story()
    tale.happens(event.Started())
    tale.runs("aaaaa", "bbbbb")
    await tale.writes("aaaaa", "stdout", "0123456789\n")
    await tale.writes("aaaaa", "output/model.png", b"\x89PNG")
    await tale.writes("aaaaa", "output/page.html", "<script>alert(1)</script>")
    await tale.writes("aaaaa", "stderr", "of the worker\n", who=WORKER)
    await tale.writes("bbbbb", "stdout", "another trial's\n")
    await tale.logs.put("nnimanager.log", b"one\ntwo\n")
    return tale


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content


class Caller:
    """Asks with the token."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def get(self, path: str) -> Answer:
        async with self.http.get(f"{self.url}{API}/{path}") as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def json(self, path: str) -> dict[str, object]:
        async with self.http.get(f"{self.url}{API}/{path}") as answer:
            found: dict[str, object] = await answer.json()
            return found


@contextlib.asynccontextmanager
async def calling(tale: story.Story) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {tale.token}"}
    async with tale.shown(pathlib.Path("absent")) as url, aiohttp.ClientSession(headers=headers) as http:
        yield Caller(http, url)


async def test_directories_are_listed(tale: story.Story) -> None:
    async with calling(tale) as portal:
        top = await portal.json("trial-files/aaaaa")
        inner = await portal.json("trial-files/aaaaa?path=1/master-0/")
        absent = await portal.json("trial-files/aaaaa?path=nothing")
    assert (top["url"], top["path"]) == ("nfs://10.20.30.40/mnt/nfs/nni/nni/story123/aaaaa", "")
    assert isinstance(inner["files"], list)
    assert [(its["name"], its["isDirectory"], its["size"]) for its in inner["files"]] == [
        ("output", True, 0),
        ("stdout", False, 11),
    ]
    assert inner["url"] == "nfs://10.20.30.40/mnt/nfs/nni/nni/story123/aaaaa/1/master-0"
    assert absent["files"] == []


@pytest.mark.parametrize(
    ("path", "content", "offset"),
    [
        ("trial-file/aaaaa/1/master-0/stdout", "0123456789\n", 0),
        ("trial-file/aaaaa/1/master-0/stdout?offset=4&limit=3", "456", 4),
        ("trial-file/aaaaa/1/master-0/stdout?offset=-4", "789\n", 7),
        ("trial-file/aaaaa/1/master-0/stdout?offset=-400", "0123456789\n", 0),
        ("trial-file/aaaaa/1/master-0/stdout?offset=400", "", 400),
        ("trial-file/aaaaa/stdout", "0123456789\n", 0),
        ("trial-file/aaaaa/trial.stdout", "0123456789\n", 0),
        ("trial-file/aaaaa/1/worker-0/stderr", "of the worker\n", 0),
        ("log-file/nnimanager.log?offset=-4", "two\n", 4),
    ],
)
async def test_parts_of_files(tale: story.Story, path: str, content: str, offset: int) -> None:
    async with calling(tale) as portal:
        answer = await portal.get(path)
    assert (answer.status, answer.content.decode(), answer.headers["X-Offset"]) == (200, content, str(offset))


@pytest.mark.parametrize(
    ("path", "kind", "disposition"),
    [
        ("output/page.html", "text/plain; charset=utf-8", None),
        ("output/model.png", "image/png", None),
        (
            "output/page.html?download",
            "application/octet-stream",
            "attachment; filename=\"page.html\"; filename*=UTF-8''page.html",
        ),
    ],
)
async def test_a_browser_runs_nothing_that_a_trial_wrote(
    tale: story.Story, path: str, kind: str, disposition: str | None
) -> None:
    async with calling(tale) as portal:
        answer = await portal.get(f"trial-file/aaaaa/1/master-0/{path}")
    assert (answer.headers["Content-Type"], answer.headers.get("Content-Disposition")) == (kind, disposition)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("trial-file/aaaaa/..%2fbbbbb%2f1%2fmaster-0%2fstdout", 400, ".."),
        ("trial-files/aaaaa?path=../bbbbb", 400, ".."),
        ("log-file/..%2ftoken", 400, ".."),
        ("trial-file/aaaaa/1/master-0/nothing", 404, "There is no file 1/master-0/nothing (yet)."),
        ("trial-file/aaaaa/1/master-0", 400, "1/master-0 is a directory."),
        ("trial-file/zzzzz/stdout", 404, "Experiment story123 has no trial zzzzz."),
        ("trial-file/aaaaa/stdout?offset=x", 400, "offset=x is not a number of bytes."),
        ("trial-file/aaaaa/stdout?offset=1_0", 400, "offset=1_0 is not a number of bytes."),
        ("trial-file/aaaaa/stdout?offset=99999999999999999999", 400, "99999999999999999999 is not a number of bytes."),
        ("trial-file/aaaaa/stdout?offset=9999999999999999999", 400, "9999999999999999999 is not a number of bytes."),
        ("trial-file/aaaaa/stdout?limit=-5", 400, "limit=-5 is not a number of bytes."),
        ("trial-file/aaaaa/stdout?limit=%D9%A3", 400, "is not a number of bytes."),
    ],
)
async def test_what_is_refused(tale: story.Story, path: str, status: int, words: str) -> None:
    async with calling(tale) as portal:
        answer = await portal.get(path)
    assert (answer.status, words in answer.content.decode()) == (status, True), answer.content
    assert b"another" not in answer.content


async def test_a_file_is_followed_from_before_it_is_there_until_its_trial_ends(
    tale: story.Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "FOLLOW_SECONDS", 0.01)
    path = f"{API}/trial-file/bbbbb/1/master-0/stderr?follow"
    async with asyncio.timeout(10), calling(tale) as portal, portal.http.get(portal.url + path) as answer:
        await tale.writes("bbbbb", "stderr", "first\n")
        assert await answer.content.readline() == b"first\n"
        await tale.writes("bbbbb", "stderr", "first\nsecond\n")
        assert await answer.content.readline() == b"second\n"
        tale.ends("bbbbb")
        assert await answer.content.readline() == b""


async def test_stopping_the_server_ends_a_follower_at_once(tale: story.Story) -> None:
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        portal = await stack.enter_async_context(calling(tale))
        answer = await stack.enter_async_context(portal.http.get(f"{portal.url}{API}/log-file/nnimanager.log?follow"))
        assert await answer.content.readline() == b"one\n"
        before = loop.time()
    assert loop.time() - before < 0.9


async def test_all_files_of_a_trial_in_an_archive(tale: story.Story) -> None:
    async with calling(tale) as portal:
        answer = await portal.get("trial-archive/aaaaa")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        found = {its.name: its.size for its in archive}
        stdout = archive.extractfile("aaaaa/1/master-0/stdout")
        assert stdout is not None
        assert stdout.read() == b"0123456789\n"
    assert found == {
        **dict.fromkeys(["aaaaa/1", "aaaaa/1/master-0", "aaaaa/1/master-0/output", "aaaaa/1/worker-0"], 0),
        "aaaaa/1/master-0/output/model.png": 4,
        "aaaaa/1/master-0/output/page.html": 25,
        "aaaaa/1/master-0/stdout": 11,
        "aaaaa/1/worker-0/stderr": 14,
    }
    assert answer.headers["Content-Disposition"] == "attachment; filename=\"aaaaa.tar\"; filename*=UTF-8''aaaaa.tar"
