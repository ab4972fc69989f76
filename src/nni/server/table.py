"""All trials at once, by columns: what a page begins with before it listens to the stream.

Ten thousand trials as NNI lists them are some ten megabytes. Here a column is one array, numbers have six significant
digits (``trial-jobs/<id>`` has all of them), times are in tenths of a second, each from the one before it, the last
intermediate result stands only where a trial goes on or has no final one, and a reason that many trials share stands
once. A column of which most is missing is given as pairs of place and value.
"""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nni.core import model
from nni.core import trial as trials
from nni.server import views

STATUSES = tuple(model.TrialStatus)
DIGITS = 6
TICK = 100
"""Milliseconds in which times are given."""


def columns(known: Sequence[trials.Trial], origin: float) -> views.Json:
    """Return the table of some trials.

    Args:
        known: The trials, in the order of the experiment.
        origin: Seconds since the epoch from which the first time is counted.
    """
    start = views.milliseconds(origin)
    submitted = [views.milliseconds(its.created_at) for its in known]
    codes = {status: code for code, status in enumerate(STATUSES)}

    return {
        "statuses": [status.value for status in STATUSES],
        "origin": start,
        "tick": TICK,
        "id": [its.id for its in known],
        "status": [codes[its.status] for its in known],
        "submitTime": _steps([start, *submitted]),
        "startTime": _since((its.started_at for its in known), submitted),
        "endTime": _since((its.ended_at for its in known), submitted),
        "attempt": _sparse(None if its.attempt == 1 else its.attempt for its in known),
        "cause": _sparse(its.cause.value if its.past else None for its in known),
        "past": _sparse(_past(its, start) if its.past else None for its, start in zip(known, submitted, strict=True)),
        "reportTime": _reports(known, submitted),
        "intermediateCount": [its.intermediate_count for its in known],
        "finalValue": [rounded(its.shown_value) for its in known],
        "lastValue": _sparse(
            None if its.is_over and its.shown_value is not None else rounded(its.last_value) for its in known
        ),
        "metrics": _metric_columns(known),
        "exitCode": _sparse(its.exit_code or None for its in known),
        **_reasons(known),
        "parameters": _parameter_columns(known),
    }


def rounded(value: Any) -> Any:
    """Return a value with as many digits as a table shows; what JSON cannot hold becomes its name."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return views.name_of_number(value)
        short = float(f"{value:.{DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    if isinstance(value, Mapping):
        return {name: rounded(its) for name, its in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(its) for its in value]
    return value


def _steps(moments: Sequence[int]) -> list[int]:
    """Return how far each moment is from the one before; errors of rounding do not add up."""
    ticks = [moment // TICK for moment in moments]
    return [after - before for before, after in itertools.pairwise(ticks)]


def _since(moments: Iterable[float | None], starts: Sequence[int]) -> list[int | None]:
    return [
        None if at is None else views.milliseconds(at) // TICK - start // TICK
        for at, start in zip(moments, starts, strict=True)
    ]


def _reports(known: Sequence[trials.Trial], starts: Sequence[int]) -> list[list[Any]]:
    """Return when the last metric came of each trial from which another may come."""
    return _sparse(_since((None if its.is_over else its.reported_at for its in known), starts))


def _past(trial: trials.Trial, submitted: int) -> list[list[Any]]:
    """Return ``[cause, start, end]`` of each attempt before the current one."""
    return [[one.cause.value, *_since((one.started_at, one.ended_at), (submitted, submitted))] for one in trial.past]


def _sparse(values: Iterable[Any]) -> list[list[Any]]:
    return [[place, value] for place, value in enumerate(values) if value is not None]


def _parameter_columns(known: Sequence[trials.Trial]) -> list[views.Json]:
    """Return a column for each parameter at the top, in the order of first sight."""
    names = dict.fromkeys(name for its in known for name in its.parameters)
    return [{"name": name, "values": [rounded(its.parameters.get(name)) for its in known]} for name in names]


def _metric_columns(known: Sequence[trials.Trial]) -> list[views.Json]:
    """Return a column for each further number in final metrics that are dictionaries."""
    found: dict[str, list[list[Any]]] = {}
    for place, its in enumerate(known):
        for name, value in other_metrics(its).items():
            found.setdefault(name, []).append([place, rounded(value)])
    return [{"name": name, "values": values} for name, values in found.items()]


def other_metrics(trial: trials.Trial) -> dict[str, float]:
    """Return the numbers beside ``default`` in a final metric that is a dictionary."""
    final = trial.result.metric if trial.final is None and trial.result else trial.final
    if final is None or not final.startswith("{"):
        return {}
    decoded = json.loads(final)
    return {
        name: float(value)
        for name, value in decoded.items()
        if name != "default" and isinstance(value, (int, float)) and math.isfinite(value)
    }


def _reasons(known: Sequence[trials.Trial]) -> views.Json:
    """Return each distinct reason once, and ``[place, which, since]`` for the trials that have one."""
    which: dict[tuple[str, str], int] = {}
    rows = []
    for place, its in enumerate(known):
        if its.reason is not None:
            key = (its.reason.kind.value, its.reason.sentence)
            number = which.setdefault(key, len(which))
            rows.append([place, number, views.milliseconds(its.reason.since)])
    return {"reasons": [{"class": kind, "sentence": sentence} for kind, sentence in which], "reason": rows}
