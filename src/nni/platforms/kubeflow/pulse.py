"""Knows whether what is seen of the cluster is fresh: the API server answers, and every watch is open.

A server that ends its connections is noticed by the watches. One that hangs, or a network that swallows what is sent,
leaves them open and silent, as they are where nothing happens; so the server is asked for its version now and then, as
other clients ping theirs.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from nni import errors
from nni.platforms.kubeflow import api

_log = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0
PATIENCE_SECONDS = 5.0
"""How long an answer may take that costs the server nothing."""
AGAIN_SECONDS = 2.0
"""How soon a server that did not answer is asked again."""
STOP_SECONDS = 0.8
_SERVER = "server"


class Source(Protocol):
    """The part of the client that is needed here."""

    def version(self, seconds: float) -> str:
        """Return the server's version, for which it has so many seconds."""
        ...


class Pulse:
    """Keeps somebody told whether an API server lives."""

    def __init__(self, source: Source, *, tell: Callable[[str | None], None], renew: Callable[[], None]) -> None:
        """Take the finished parts; nothing is asked before ``start``.

        Args:
            source: What is asked.
            tell: Told None for a sign of life, else what is wrong as one sentence. Called in several threads, never
                in two at once.
            renew: Called when the server answers again: connections from before may be dead for good.
        """
        self._source = source
        self._tell = tell
        self._renew = renew
        self._troubles: dict[str, str] = {}
        self._said: str | None = None
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, and wait a little for the thread; nothing is told any more."""
        with self._guard:
            self._stopping.set()
        self._thread.join(timeout=STOP_SECONDS)

    def note(self, what: str, trouble: str | None) -> None:
        """Take in how one thing is that has to be well: None for well, else what is wrong with it."""
        with self._guard:
            if trouble is None:
                self._troubles.pop(what, None)
            else:
                self._troubles[what] = trouble
            if self._stopping.is_set():
                return
            # Watches do not open where the server does not answer: that says why.
            said = self._troubles.get(_SERVER) or next(iter(self._troubles.values()), None)
            if said is None and self._said is not None:
                _log.info("The API server answers, and what happens on the cluster is seen again.")
            self._said = said
            self._tell(said)

    def _run(self) -> None:
        while not self._stopping.is_set():
            was_away = _SERVER in self._troubles
            trouble = self._asked()
            if trouble is not None and not was_away:
                _log.warning("%s", trouble)
            self.note(_SERVER, trouble)
            if was_away and trouble is None:
                self._renew()
            self._stopping.wait(PERIOD_SECONDS if trouble is None else AGAIN_SECONDS)

    def _asked(self) -> str | None:
        try:
            try:
                self._source.version(PATIENCE_SECONDS)
            except errors.PlatformBusyError:
                # A connection that lay idle may have been closed by whoever stands in between.
                self._source.version(PATIENCE_SECONDS)
        except api.Refusal:
            return None
        except (errors.PlatformError, errors.PlatformUnavailableError) as error:
            return str(error)
        return None
