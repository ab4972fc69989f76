"""List and watch: nothing is missed, nothing is told twice, whatever the server does."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Self

import pytest

from nni import errors
from nni.platforms.kubeflow import api, watch

Batch = Sequence[dict[str, Any]] | Exception


def thing(name: str, version: int, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"uid": name, "name": name, "resourceVersion": str(version)}, **fields}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": thing(name, version)}


EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


class Stream:
    """A watch whose batches the test hands in; None ends it."""

    def __init__(self) -> None:
        self.coming: queue.Queue[Batch | None] = queue.Queue()

    def batches(self) -> Iterator[Sequence[dict[str, Any]]]:
        while (batch := self.coming.get(timeout=10)) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def shut_down(self) -> None:
        self.coming.put(None)


class Server:
    """Answers lists and watches as the test says, and remembers from where it was watched."""

    def __init__(self) -> None:
        self.pages: queue.Queue[api.Page | Exception] = queue.Queue()
        self.streams: queue.Queue[Stream | Exception] = queue.Queue()
        self.watched_from: list[str] = []

    def lists(self, *items: dict[str, Any], version: int, rest: str | None = None) -> None:
        self.pages.put(api.Page(items, str(version), rest))

    def streams_one(self, *batches: Batch | None) -> Stream:
        stream = Stream()
        for batch in batches:
            stream.coming.put(batch)
        self.streams.put(stream)
        return stream

    def page(self, resource: api.Resource, selector: str, rest: str | None = None) -> api.Page:
        answer = self.pages.get(timeout=10)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self, resource: api.Resource, selector: str, version: str, seconds: int) -> Any:
        self.watched_from.append(version)
        answer = self.streams.get(timeout=10)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Story:
    """A watcher of things on a server, and what it told."""

    def __init__(self) -> None:
        self.server = Server()
        self.told: queue.Queue[list[str]] = queue.Queue()
        self.watcher = watch.Watcher(
            self.server,
            api.PODS,
            "nni/experiment=x",
            cut=lambda found: {"metadata": found["metadata"]},
            deliver=self._take,
        )

    def _take(self, changes: Sequence[watch.Change]) -> None:
        words = [f"{'-' if change.is_gone else '+'}{change.object['metadata']['name']}" for change in changes]
        self.told.put(words)

    def next(self) -> list[str]:
        return self.told.get(timeout=10)

    def __enter__(self) -> Self:
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.streams.put(errors.PlatformUnavailableError("over"))
        self.watcher.stop()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FORBIDDEN_PAUSE_SECONDS", "SHORTEST_ROUND_SECONDS"):
        monkeypatch.setattr(watch, name, 0.001)


def test_what_is_there_comes_first_then_what_happens() -> None:
    story = Story()
    story.server.lists(thing("a", 1), version=3, rest="more")
    story.server.lists(thing("b", 2), version=3)
    story.server.streams_one([event("ADDED", "c", 4), event("MODIFIED", "a", 5)], [event("DELETED", "b", 6)])
    with story:
        assert [story.next() for _ in range(3)] == [["+a", "+b"], ["+c", "+a"], ["-b"]]
        story.watcher.listed.result(timeout=10)
    assert story.server.watched_from[0] == "3"


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    story = Story()
    story.server.lists(version=3)
    story.server.streams_one([event("ADDED", "a", 4)], [{"type": "BOOKMARK", "object": thing("", 9)}], None)
    story.server.streams_one([event("DELETED", "a", 10)])
    with story:
        assert [story.next(), story.next()] == [["+a"], ["-a"]]
    assert story.server.watched_from[:2] == ["3", "9"]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param([EXPIRED], id="in the stream"),
        pytest.param(api.Refusal(410, "Expired", "too old"), id="as the answer"),
    ],
)
def test_a_forgotten_version_is_listed_anew_and_what_has_gone_is_told(end: Any) -> None:
    story = Story()
    story.server.lists(thing("a", 1), thing("b", 2), thing("c", 2), version=3)
    if isinstance(end, Exception):
        story.server.streams.put(end)
    else:
        story.server.streams_one(end)
    story.server.lists(thing("b", 2), thing("c", 7), version=8)
    story.server.streams_one()
    with story:
        assert [story.next(), story.next()] == [["+a", "+b", "+c"], ["-a", "+c"]]


@pytest.mark.parametrize("what", [errors.PlatformUnavailableError("reset"), api.Refusal(403, "Forbidden", "no")])
def test_a_watch_that_fails_is_tried_again(what: Exception, caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    story.server.lists(version=3)
    for _ in range(3):
        story.server.streams.put(what)
    story.server.streams_one([event("ADDED", "a", 4)])
    with story:
        assert story.next() == ["+a"]
    assert story.server.watched_from[:4] == ["3"] * 4
    said = [record.message for record in caplog.records if str(what) in record.message]
    assert len(said) == 1


def test_a_refused_list_is_told_to_whoever_waits_for_it() -> None:
    story = Story()
    story.server.pages.put(api.Refusal(403, "Forbidden", 'pods is forbidden: User "x" cannot list'))
    story.server.lists(thing("a", 1), version=3)
    story.server.streams_one()
    with story:
        with pytest.raises(api.Refusal, match="cannot list"):
            story.watcher.listed.result(timeout=10)
        assert story.next() == ["+a"]


def test_stopping_cuts_the_open_watch() -> None:
    story = Story()
    story.server.lists(thing("a", 1), version=3)
    story.server.streams_one()
    with story:
        story.next()
    assert not [one for one in threading.enumerate() if one.name == "watch pods"]
