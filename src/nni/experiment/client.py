"""Speaks to the manager of one experiment, over HTTP; blocking, with the standard library."""

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from nni import errors
from nni.records import registry

TIMEOUT_SECONDS = 20.0
TOKEN_FILE = "token"  # noqa: S105 the name of a file in the experiment's directory
STREAM_TIMEOUT_SECONDS = 60.0
"""The event stream carries a sign of life more often than this."""


class Client:
    """The manager behind one portal address."""

    def __init__(self, *, url: str, token: str) -> None:
        """Take the address; no connection is made.

        Args:
            url: The portal's address with its prefix: ``http://127.0.0.1:8080``.
            token: The experiment's token.
        """
        parts = urllib.parse.urlsplit(url)
        self.url = url.rstrip("/")
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._base = parts.path.rstrip("/") + "/api/v1/nni"
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def get(self, path: str) -> Any:
        """Return the decoded answer to a GET of a path below the API's root.

        Raises:
            ManagerUnreachableError: Nobody answers.
            RequestRefusedError: The manager answered with an error.
        """
        return self._request("GET", path)

    def put(self, path: str, body: object) -> Any:
        """Send a PUT; see ``get``."""
        return self._request("PUT", path, body)

    def post(self, path: str, body: object) -> Any:
        """Send a POST; see ``get``."""
        return self._request("POST", path, body)

    def delete(self, path: str) -> Any:
        """Send a DELETE; see ``get``."""
        return self._request("DELETE", path)

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Yield each change that the manager's stream tells, until it ends; its heartbeats are left out.

        Raises:
            ManagerUnreachableError: Nobody answers, or the connection broke.
        """
        with self._connected(STREAM_TIMEOUT_SECONDS) as connection:
            connection.request("GET", self._base + "/events", headers={**self._headers, "Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise _refused(answer)
            event = b""
            for line in answer:
                name, _, value = line.partition(b":")
                if name == b"event":
                    event = value.strip()
                elif name == b"data" and event == b"change":
                    yield json.loads(value)

    def _request(self, method: str, path: str, body: object = None) -> Any:
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        with self._connected(TIMEOUT_SECONDS) as connection:
            connection.request(method, f"{self._base}/{path.lstrip('/')}", content, headers)
            answer = connection.getresponse()
            if answer.status >= http.HTTPStatus.BAD_REQUEST:
                raise _refused(answer)
            text = answer.read()
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return text.decode()

    @contextlib.contextmanager
    def _connected(self, timeout: float) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            yield connection
        except (OSError, http.client.HTTPException) as error:
            message = f"No manager answers at {self.url} ({error}); see nnictl experiment list."
            raise errors.ManagerUnreachableError(message) from error
        finally:
            connection.close()


def of(known: registry.Known) -> Client:
    """Return a client for an experiment of this machine."""
    return Client(url=_url(known), token=_token(known))


def link(known: registry.Known) -> str:
    """Return the link that opens an experiment's portal; it holds the token."""
    return f"{_url(known)}/oview?token={_token(known)}"


def wait_until_gone(known: registry.Known) -> None:
    """Return when the manager of an experiment that has stopped has ended."""
    with contextlib.suppress(errors.ManagerUnreachableError, errors.RequestRefusedError):
        for _ in of(known).events():
            pass
    # The stream ends a moment before the process does, and nothing else tells a stranger of a process's end.
    while registry.process_mark(known.pid) == known.process_mark:
        time.sleep(0.02)


def _url(known: registry.Known) -> str:
    prefix = (known.url_prefix or "").strip("/")
    return f"http://127.0.0.1:{known.port}" + (f"/{prefix}" if prefix else "")


def _token(known: registry.Known) -> str:
    path = known.directory / TOKEN_FILE
    try:
        return path.read_text().strip()
    except OSError as error:
        message = f"The token of experiment {known.id} cannot be read from {path}: {error.strerror}."
        raise errors.ManagerUnreachableError(message) from error


def _refused(answer: http.client.HTTPResponse) -> errors.RequestRefusedError:
    text = answer.read().decode(errors="replace")
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("error", text)
    return errors.RequestRefusedError(text or f"HTTP {answer.status}", answer.status)
