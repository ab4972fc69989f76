"""What a replica reports: metrics, one line of its journal each, and how its command ended."""

import json
import math
import re
from typing import Any, Dict, List, NamedTuple, Tuple, Union

from nni import errors
from nni.wire import value

PERIODICAL = "PERIODICAL"
FINAL = "FINAL"
TYPES = (PERIODICAL, FINAL)

LAST_LINES = 20
LAST_BYTES = 4096

_CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""ECMA-48: colours, cursors, titles."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

ParameterId = Union[int, str, None]


class Metric(NamedTuple):
    """One line of a replica's journal."""

    number: int
    """Counted from 1 over all metrics of the replica."""
    time: float
    """Seconds since the epoch, by the pod's clock."""
    parameter_id: ParameterId
    trial: str
    type: str
    """``PERIODICAL`` or ``FINAL``."""
    sequence: int
    """Counts the intermediate results of the replica from 0; 0 for a final one."""
    value: str
    """JSON text."""

    def encode(self) -> bytes:
        """Return the journal's line without its line feed; ASCII."""
        record = {
            "n": self.number,
            "time": self.time,
            "parameter_id": self.parameter_id,
            "trial_job_id": self.trial,
            "type": self.type,
            "sequence": self.sequence,
            "value": self.value,
        }
        return json.dumps(record).encode("ascii")


class ReplicaExit(NamedTuple):
    """How the command of a replica ended: what ``exit.json`` holds."""

    code: int
    """Exit code; 128 + n when signal n ended it."""
    metrics: int
    """Lines in the journal."""
    lines: Tuple[str, ...]
    """Up to 20 last lines of stderr, or of stdout where that is empty."""
    stopped: bool
    """Whether it was told to stop before it ended."""
    time: float
    """Seconds since the epoch, by the pod's clock."""

    def encode(self) -> bytes:
        """Return the content of ``exit.json``; ASCII."""
        return json.dumps(self._asdict()).encode("ascii")


def decode_metric(record: Any) -> Metric:
    """Check a journal line's object.

    Raises:
        WireError: It is not one; the message names the field.
    """
    fields = _object(record, "a metric")
    metric = Metric(
        number=_integer(fields, "n", 1),
        time=_time(fields),
        parameter_id=_parameter_id(fields),
        trial=_text(fields, "trial_job_id"),
        type=_text(fields, "type"),
        sequence=_integer(fields, "sequence", 0),
        value=_text(fields, "value"),
    )
    if metric.type not in TYPES:
        raise errors.WireError("type is {!r}, not one of {}".format(metric.type, " and ".join(TYPES)))
    value.check(metric.value)
    return metric


def decode_exit(record: Any) -> ReplicaExit:
    """Check an exit's object.

    Raises:
        WireError: It is not one; the message names the field.
    """
    fields = _object(record, "an exit")
    lines = fields.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise errors.WireError("lines is not a list of texts")
    if not isinstance(fields.get("stopped"), bool):
        raise errors.WireError("stopped is neither true nor false")
    return ReplicaExit(
        code=_integer(fields, "code", 0),
        metrics=_integer(fields, "metrics", 0),
        lines=tuple(lines[-LAST_LINES:]),
        stopped=fields["stopped"],
        time=_time(fields),
    )


def parse_exit(content: bytes) -> ReplicaExit:
    """Read ``exit.json``.

    Raises:
        WireError: It holds something else.
    """
    return decode_exit(parse(content))


class Journal(NamedTuple):
    """What was read from a journal."""

    metrics: Tuple[Metric, ...]
    consumed: int
    """Bytes up to and with the last complete line: where to read on."""
    broken: int
    """Complete lines that are no metrics and were passed over."""


def parse_journal(content: bytes) -> Journal:
    """Read complete lines of a journal, which may be growing while it is read."""
    metrics: List[Metric] = []
    broken = 0
    consumed = content.rfind(b"\n") + 1
    for line in content[:consumed].splitlines():
        try:
            metrics.append(decode_metric(parse(line)))
        except errors.WireError:  # noqa: PERF203 - one bad line must not cost the others
            broken += 1
    return Journal(tuple(metrics), consumed, broken)


def parse(content: bytes) -> Any:
    """Parse JSON.

    Raises:
        WireError: It is none.
    """
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise errors.WireError(f"no JSON: {error}") from error


def last_lines(text: str) -> Tuple[str, ...]:
    """Return the lines of an output's end that an exit carries; of a progress bar only its last state."""
    lines = [plain_line(line.rstrip("\r").rpartition("\r")[2]) for line in text[-LAST_BYTES:].rstrip().split("\n")]
    return tuple(lines[-LAST_LINES:]) if any(lines) else ()


def plain_line(text: str) -> str:
    """Return a printed line as it may stand in a sentence or on a terminal: without colours and other control codes."""
    return _CONTROL.sub("", _CONTROL_SEQUENCE.sub("", text))


def _object(record: Any, what: str) -> Dict[str, Any]:
    if not isinstance(record, dict):
        raise errors.WireError(f"{what} is not an object")
    return record


def _integer(fields: Dict[str, Any], name: str, least: int) -> int:
    number = fields.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number < 2**63:
        raise errors.WireError("%s is not a whole number from %d on" % (name, least))
    return number


def _text(fields: Dict[str, Any], name: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str):
        raise errors.WireError(f"{name} is not a text")
    return text


def _time(fields: Dict[str, Any]) -> float:
    time = fields.get("time")
    if not isinstance(time, (int, float)) or isinstance(time, bool) or not math.isfinite(time):
        raise errors.WireError("time is not a number of seconds")
    return float(time)


def _parameter_id(fields: Dict[str, Any]) -> ParameterId:
    parameter_id = fields.get("parameter_id")
    if parameter_id is not None and (isinstance(parameter_id, bool) or not isinstance(parameter_id, (int, str))):
        raise errors.WireError("parameter_id is neither a whole number nor a text nor null")
    return parameter_id
