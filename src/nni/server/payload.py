"""What a replica sends to the intake, checked field by field: it comes from a pod, so nothing in it is trusted."""

import itertools
import json
import math
from typing import Any

from nni.core import model

MAX_LINES = 20


def decode(body: bytes) -> tuple[tuple[model.Metric, ...], model.ReplicaExit | None]:
    """Return the metrics and the exit in a body.

    Raises:
        ValueError: It is malformed; the message is one sentence that names the place.
    """
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None
    fields = _object(decoded, "The body")
    metrics = tuple(_metric(item, f"metrics[{place}]") for place, item in enumerate(_list(fields, "metrics")))
    for before, after in itertools.pairwise(metrics):
        if after.number != before.number + 1:
            raise ValueError(f"metrics: number {after.number} follows on {before.number}; they must be consecutive.")
    its_exit = fields.get("exit")
    return metrics, None if its_exit is None else _exit(its_exit)


def _metric(item: object, where: str) -> model.Metric:
    fields = _object(item, where)
    try:
        kind = model.MetricType(str(fields.get("type")))
    except ValueError:
        raise ValueError(f"{where}.type must be one of {', '.join(model.MetricType)}.") from None
    return model.Metric(
        number=_whole(fields, "n", where, least=1),
        at=_time(fields, where),
        type=kind,
        sequence=_whole(fields, "sequence", where),
        value=_text(fields, "value", where),
    )


def _exit(item: object) -> model.ReplicaExit:
    fields = _object(item, "exit")
    return model.ReplicaExit(
        code=_whole(fields, "code", "exit"),
        metrics=_whole(fields, "metrics", "exit"),
        lines=tuple(str(line) for line in _list(fields, "lines")[-MAX_LINES:]),
        stopped=fields.get("stopped") is True,
    )


def _object(item: object, where: str) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    raise ValueError(f"{where} must be an object.")


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if isinstance(value, list):
        return value
    raise ValueError(f"{name} must be a list.")


def _whole(fields: dict[str, Any], name: str, where: str, *, least: int = 0) -> int:
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**53:
        return value
    raise ValueError(f"{where}.{name} must be a whole number from {least}.")


def _time(fields: dict[str, Any], where: str) -> float:
    value = fields.get("time")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{where}.time must be seconds since the epoch.")


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    raise ValueError(f"{where}.{name} must be a text.")
