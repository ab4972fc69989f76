"""Follows one kind of object: a list, then a watch from where the list was, in a thread.

What the list lacks of what was known is told as gone. A watch that ends is opened again where it stopped; one that the
server has forgotten (410) starts over with a list. Events are cut to what is needed and handed over in the batches in
which they came.
"""

import concurrent.futures
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from nni import errors
from nni.platforms.kubeflow import api, client

_log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
FORBIDDEN_PAUSE_SECONDS = 10.0
STOP_SECONDS = 0.8
SHORTEST_ROUND_SECONDS = 1.0
"""A server that ends each watch at once is not asked more often than that."""


class Change(NamedTuple):
    """What became of an object."""

    object: api.Object
    is_gone: bool


class Source(Protocol):
    """The part of the client that a watcher needs."""

    def page(self, resource: api.Resource, selector: str, rest: str | None = None) -> api.Page:
        """Return one page of a list."""
        ...

    def watch(self, resource: api.Resource, selector: str, version: str, seconds: int) -> api.Stream:
        """Open a watch."""
        ...


class _GoneError(Exception):
    """The server does not have the version any more from which it was to go on."""


class Watcher:
    """Keeps somebody told about all objects of a kind that a selector picks."""

    def __init__(
        self,
        source: Source,
        resource: api.Resource,
        selector: str,
        *,
        cut: Callable[[api.Object], api.Object],
        deliver: Callable[[Sequence[Change]], None],
        report: Callable[[str | None], None] = lambda trouble: None,
    ) -> None:
        """Take the finished parts; nothing happens before ``start``.

        Args:
            source: Where objects are listed and watched.
            resource: Their kind.
            selector: Which ones.
            cut: Returns what is needed of an object.
            deliver: Takes changes in order, called in the watcher's thread.
            report: Told None when a watch is open, and why none can be opened, as one sentence; in that thread too.
        """
        self._source = source
        self._resource = resource
        self._selector = selector
        self._cut = cut
        self._deliver = deliver
        self._report = report
        self._known: dict[str, api.Object] = {}
        self._version: str | None = None
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._is_cut = False
        self._stream: api.Stream | None = None
        self._guard = threading.Lock()
        self._said = ""
        self._random = random.SystemRandom()
        self._thread = threading.Thread(target=self._run, name=f"watch {resource.plural}", daemon=True)
        self.listed: concurrent.futures.Future[None] = concurrent.futures.Future()
        """Done once the first list has been delivered; failed when the server refuses it for good."""

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following, and wait a little for the thread: the open watch is cut."""
        self._stopping.set()
        self.renew()
        # A call that hangs on a dead connection ends by its own time-out, and its thread with it.
        self._thread.join(timeout=STOP_SECONDS)

    def renew(self) -> None:
        """Open the watch anew, now: it goes on where it was."""
        with self._guard:
            self._is_cut = True
            if self._stream is not None:
                self._stream.shut_down()
        self._hurry.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._round()
            except _GoneError:
                self._version = None
                continue
            except api.Refusal as refusal:
                self._refused(refusal)
                pause = max(pause, FORBIDDEN_PAUSE_SECONDS)
            except errors.PlatformUnavailableError as error:
                self._say(logging.WARNING, f"{self._resource.plural} cannot be watched now: {error}")
            else:
                pause, self._said = FIRST_PAUSE_SECONDS, ""
                self._rest(SHORTEST_ROUND_SECONDS - (time.monotonic() - began))
                continue
            self._rest(pause * self._random.uniform(0.5, 1.5))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _rest(self, seconds: float) -> None:
        """Wait, unless somebody is in a hurry."""
        self._hurry.wait(seconds)
        self._hurry.clear()

    def _round(self) -> None:
        """List if need be, and follow one watch to its end."""
        with self._guard:
            self._is_cut = False
        stream = self._opened()
        self._report(None)
        with self._guard:
            if self._stopping.is_set():
                stream.shut_down()
            self._stream = stream
        try:
            for events in stream.batches():
                self._take(events)
        except errors.PlatformUnavailableError:
            if not self._is_cut:
                raise
        finally:
            with self._guard:
                self._stream = None

    def _opened(self) -> api.Stream:
        """Return a watch that goes on from the last version that is known, after a list where none is."""
        try:
            if self._version is None:
                self._version = self._list()
                if not self.listed.done():
                    self.listed.set_result(None)
            seconds = int(client.WATCH_SECONDS * self._random.uniform(0.8, 1.0))
            return self._source.watch(self._resource, self._selector, self._version, seconds)
        except api.Refusal as refusal:
            if refusal.code == 410:
                raise _GoneError from refusal
            self._report(f"{self._resource.plural} cannot be watched: {refusal.message}")
            raise
        except errors.PlatformUnavailableError as error:
            self._report(f"{self._resource.plural} cannot be watched now: {error}")
            raise

    def _list(self) -> str:
        """Take in a whole list and return its version; what has gone meanwhile is told too."""
        found: dict[str, api.Object] = {}
        rest: str | None = None
        while True:
            page = self._source.page(self._resource, self._selector, rest)
            found.update((item["metadata"]["uid"], self._cut(item)) for item in page.items)
            rest = page.rest
            if rest is None:
                break
        changes = [Change(known, is_gone=True) for uid, known in self._known.items() if uid not in found]
        changes += [Change(one, is_gone=False) for uid, one in found.items() if self._is_news(uid, one)]
        self._known = found
        if changes:
            self._deliver(changes)
        return page.version

    def _is_news(self, uid: str, found: api.Object) -> bool:
        known = self._known.get(uid)
        return known is None or known["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]

    def _take(self, events: Sequence[api.Object]) -> None:
        changes: list[Change] = []
        for event in events:
            kind, found = event["type"], event["object"]
            if kind == "ERROR":
                self._hand_over(changes)
                if found.get("code") == 410:
                    raise _GoneError
                raise errors.PlatformUnavailableError(str(found.get("message", "the watch failed")))
            self._version = found["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            uid, cut = found["metadata"]["uid"], self._cut(found)
            if kind == "DELETED":
                self._known.pop(uid, None)
            else:
                self._known[uid] = cut
            changes.append(Change(cut, is_gone=kind == "DELETED"))
        self._hand_over(changes)

    def _hand_over(self, changes: Sequence[Change]) -> None:
        if changes:
            self._deliver(changes)

    def _refused(self, refusal: api.Refusal) -> None:
        if not self.listed.done():
            self.listed.set_exception(refusal)
        self._say(logging.ERROR, f"{self._resource.plural} cannot be watched: {refusal.message}")

    def _say(self, level: int, message: str) -> None:
        """Log a message, unless it is what was said last."""
        if message != self._said:
            self._said = message
            _log.log(level, "%s", message)
