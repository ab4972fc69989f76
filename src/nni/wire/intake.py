"""The one request that trials send: metrics in order, and how it ended; and its answer."""

import json
from typing import NamedTuple, Optional, Sequence, Tuple

from nni import errors
from nni.wire import report

PREFIX = "/api/v1/intake/"
MAX_BODY = 4 * 1024 * 1024
"""Bytes; a larger request is answered with 413."""
HEARTBEAT_SECONDS = 10.0
"""A replica that was silent for longer than a few of these is gone, or cannot get through."""


class Batch(NamedTuple):
    """The body of a request."""

    metrics: Tuple[report.Metric, ...]
    exit: Optional[report.ReplicaExit]


def path(experiment_id: str, trial_id: str, attempt: int, role: str, index: int) -> str:
    """Return the path of a replica's requests."""
    return PREFIX + "/".join((experiment_id, trial_id, str(attempt), role, str(index)))


def encode(lines: Sequence[bytes], ending: Optional[bytes] = None) -> bytes:
    """Return a request's body from lines of the journal and, at the end, the content of ``exit.json``."""
    return b'{"metrics": [' + b", ".join(lines) + b'], "exit": ' + (ending or b"null") + b"}"


def decode(body: bytes) -> Batch:
    """Check a request's body.

    Raises:
        WireError: It does not keep to the contract; the message says where.
    """
    content = report.parse(body)
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), list):
        raise errors.WireError("the body is not an object with a list of metrics")
    metrics = tuple(report.decode_metric(record) for record in content["metrics"])
    for before, after in zip(metrics, metrics[1:]):
        if after.number != before.number + 1:
            raise errors.WireError("metric %d follows metric %d" % (after.number, before.number))
    ending = content.get("exit")
    return Batch(metrics, None if ending is None else report.decode_exit(ending))


def encode_answer(acknowledged: int) -> bytes:
    """Return the body that says up to which number every metric is durable; 0 for none."""
    return json.dumps({"acknowledged": acknowledged}).encode("ascii")


def decode_answer(body: bytes) -> int:
    """Return the acknowledged number.

    Raises:
        WireError: The answer comes from something else than an intake.
    """
    content = report.parse(body)
    acknowledged = content.get("acknowledged") if isinstance(content, dict) else None
    if not isinstance(acknowledged, int) or isinstance(acknowledged, bool) or acknowledged < 0:
        raise errors.WireError("the answer acknowledges nothing")
    return acknowledged
