"""What the API server is asked for and what it answers, as plain values."""

import dataclasses
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import urllib3

from nni import errors

_log = logging.getLogger(__name__)

Object = dict[str, Any]


class Refusal(Exception):  # noqa: N818 it is the server's answer, and callers handle it as one
    """The API server refused a request.

    Attributes:
        code: The HTTP status.
        reason: As in the Status object: ``NotFound``, ``AlreadyExists``, ``Conflict``, ``Forbidden`` ...
        message: The server's own sentence.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object, as a path of the API names it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    is_namespaced: bool = True


PODS = Resource(group="", version="v1", plural="pods")
QUOTAS = Resource(group="", version="v1", plural="resourcequotas")


class Page(NamedTuple):
    """A part of a list."""

    items: Sequence[Object]
    version: str
    """The resourceVersion of the whole list."""
    rest: str | None
    """The token that continues the list."""


class Stream:
    """An open watch; read in one thread, closed from any."""

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response

    def batches(self) -> Iterator[list[Object]]:
        """Yield the events as they come, those that came together in one list, until the stream ends.

        Raises:
            PlatformUnavailableError: The connection broke.
        """
        left = b""
        try:
            for chunk in self._response.stream(65536, decode_content=True):
                *lines, left = (left + chunk).split(b"\n")
                events = [json.loads(line) for line in lines if line.strip()]
                if events:
                    yield events
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # A stream that is shut down while it is read may show as any of these.
            raise errors.PlatformUnavailableError(f"the watch broke off: {words(error)}") from error
        finally:
            self._response.release_conn()
            self._response.close()

    def shut_down(self) -> None:
        """End the stream: whoever reads it sees its end at once."""
        try:
            self._response.shutdown()
        except (ValueError, OSError):
            _log.debug("the watch had ended already")


def words(error: BaseException) -> str:
    """Return what an error says, without the innards that libraries print with it."""
    text = str(error).strip() or type(error).__name__
    return text.rpartition(">: ")[2].splitlines()[0]
