"""What the trial functions and the runtime say to each other over the Unix socket: one line each way for a metric."""

import json
from typing import NamedTuple

from nni import errors
from nni.wire import report, value

MAX_LINE = 2 * value.LIMIT + 1024
"""Bytes; the value is JSON in a JSON text, so that each of its characters may take two."""


class Report(NamedTuple):
    """A metric as the trial's code gave it; the runtime numbers it."""

    type: str
    value: str
    """JSON text."""


def encode(message: Report) -> bytes:
    """Return the line that hands a metric over."""
    return json.dumps(message._asdict()).encode("ascii") + b"\n"


def decode(line: bytes) -> Report:
    """Check a line.

    Raises:
        WireError: It is no metric.
    """
    content = report.parse(line)
    if not isinstance(content, dict) or content.get("type") not in report.TYPES:
        raise errors.WireError("not a metric of a known type")
    if not isinstance(content.get("value"), str):
        raise errors.WireError("the metric's value is not a text")
    value.check(content["value"])
    return Report(content["type"], content["value"])


def encode_taken(number: int) -> bytes:
    """Return the answer that says that the metric stands in the journal."""
    return json.dumps({"n": number}).encode("ascii") + b"\n"


def encode_refused(why: str) -> bytes:
    """Return the answer to a line that is no metric."""
    return json.dumps({"error": why}).encode("ascii") + b"\n"
