"""Metrics on standard output, as a stock ``nni`` prints them outside of its local mode.

``NNISDK_MEb'{"parameter_id": 0, "trial_job_id": "...", "type": "PERIODICAL", "sequence": 0, "value": "0.5"}'``
A line may hold several of them, between other text. Each ends where its JSON ends, so an apostrophe in it is harmless.
"""

import json
from typing import Any, Iterator, NamedTuple, Optional, Union

from nni import errors
from nni.wire import channel, report, value

START = "NNISDK_MEb'"
MARKER = START.encode("ascii")


class Found(NamedTuple):
    """A metric on a line."""

    report: channel.Report
    trial: Optional[str]
    """Whose it says it is."""


class Broken(NamedTuple):
    """A marker without a metric behind it."""

    why: str
    text: str
    """The first characters behind the marker."""


def find(line: bytes) -> Iterator[Union[Found, Broken]]:
    """Yield what a line of standard output holds, in order; nothing for most lines."""
    text = line.decode("utf-8", "replace")
    start = text.find(START)
    while start >= 0:
        start += len(START)
        end = start
        try:
            record, end = json.JSONDecoder().raw_decode(text, start)
            found = _metric(record)
        except (ValueError, RecursionError) as error:
            yield Broken(str(error), text[start : start + 100])
        else:
            if found is not None:
                yield found
        start = text.find(START, end)


def encode(message: channel.Report, *, trial: str, parameter_id: report.ParameterId, sequence: int) -> str:
    """Return the line, without its line feed, as a stock ``nni`` prints it."""
    record = {
        "parameter_id": parameter_id,
        "trial_job_id": trial,
        "type": message.type,
        "sequence": sequence,
        "value": message.value,
    }
    return START + json.dumps(record) + "'"


def _metric(record: Any) -> Optional[Found]:
    """Return the metric in a marker's object; None for a request, which needs no answer."""
    if not isinstance(record, dict):
        raise errors.WireError("not an object")
    if record.get("type") == "REQUEST_PARAMETER":
        return None
    if record.get("type") not in report.TYPES or "value" not in record:
        raise errors.WireError("not a metric of a known type")
    text = record["value"]
    if not isinstance(text, str):
        # Clients before 1.9 encoded the value once.
        text = json.dumps(text)
    value.check(text)
    return Found(channel.Report(record["type"], text), record.get("trial_job_id"))
