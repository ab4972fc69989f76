"""What the manager says to the processes of tuner and assessor: JSON objects, one a line, one answer to each call.

A call is ``{"call": 7, "do": "ask", ...}``; its answer carries the same number and either ``result`` or ``error``, a
sentence. After an error the tuner process ends. An answer to an earlier call is passed over: whoever made it has gone.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import model, plain, spec

_LONGEST = 2000
"""Characters of a sentence about a failure."""


def open_call(
    tuner: spec.AlgorithmSpec,
    search_space: Mapping[str, Any],
    first: Sequence[model.Parameters] = (),
    running: Mapping[int, model.Parameters] | None = None,
) -> Mapping[str, Any]:
    """Return the first call: make the tuner.

    Args:
        tuner: The choice and its arguments.
        search_space: As the user wrote it.
        first: Tried before the tuner is asked.
        running: The trials that run from before a restart, by parameter id.
    """
    return {
        "do": "open_tuner",
        "algorithm": dataclasses.asdict(tuner),
        "search_space": search_space,
        "first": list(first),
        "running": list((running or {}).items()),
    }


def update_call(search_space: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the call that gives the tuner another search space; its result is null."""
    return {"do": "update", "search_space": search_space}


def open_assessor_call(
    assessor: spec.AlgorithmSpec, *, maximize: bool, objective: str = "default"
) -> Mapping[str, Any]:
    """Return the first call: make the assessor; ``maximize`` and the primary objective are the tuner's."""
    chosen = dataclasses.asdict(assessor)
    return {"do": "open_assessor", "algorithm": chosen, "maximize": maximize, "objective": objective}


def assess_call(trial: model.TrialId, start: int, values: Sequence[str]) -> Mapping[str, Any]:
    """Return the call that asks whether a trial may go on; its result is true or false."""
    return {"do": "assess", "trial": trial, "start": start, "values": list(values)}


def end_call(trial: model.TrialId, *, succeeded: bool) -> Mapping[str, Any]:
    """Return the call that tells an assessor that a trial has ended; its result is null."""
    return {"do": "end", "trial": trial, "succeeded": succeeded}


def ask_call(parameter_ids: Sequence[int], new: int | None = None) -> Mapping[str, Any]:
    """Return the call that asks for suggestions; its result is a list of parameters and promoted trials.

    Args:
        parameter_ids: One for each suggestion.
        new: How many may be new trials, None for all.
    """
    return {"do": "ask", "parameter_ids": list(parameter_ids), "new": new}


def ask_result(answers: Sequence[model.Suggestion]) -> Sequence[Any]:
    """Return suggestions as the answer has them."""
    return [[answer.parameters, answer.promotes] for answer in answers]


def suggestions(result: Any) -> Sequence[model.Suggestion]:
    """Return what the answer to a question says.

    Raises:
        WireError: It is no list of parameters and promoted trials.
    """
    return [_suggestion(one) for one in _insist(result, list, "no list of suggestions")]


def _suggestion(written: Any) -> model.Suggestion:
    pair = _insist(written, list, "no suggestion")
    if len(pair) != 2 or not isinstance(pair[0], dict) or not isinstance(pair[1], str | None):
        raise errors.WireError(f"no suggestion of parameters: {plain.shown(pair)}")
    fault = plain.fault(pair[0])
    if fault is not None:
        raise errors.WireError(f"parameters that JSON cannot hold: {fault}")
    return model.Suggestion(parameters=pair[0], promotes=None if pair[1] is None else model.TrialId(pair[1]))


def verdict(result: Any) -> bool:
    """Return what the answer to the question says whether a trial may go on.

    Raises:
        WireError: It is neither true nor false.
    """
    is_good: bool = _insist(result, bool, "neither true nor false")
    return is_good


def nothing(result: Any) -> None:
    """Take an answer that says no more than that a call was done."""
    _insist(result, type(None), "more than was asked for")


def _insist(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise errors.WireError(f"{what}: {plain.shown(value)}")
    return value


def tell_call(outcomes: Sequence[model.Outcome]) -> Mapping[str, Any]:
    """Return the call that tells how trials ended; its result is null."""
    names = [field.name for field in dataclasses.fields(model.Outcome)]
    return {"do": "tell", "outcomes": [{name: getattr(outcome, name) for name in names} for outcome in outcomes]}


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Mapping[str, Any]:
    """Return the message in a line.

    Raises:
        WireError: It is no message.
    """
    try:
        message: Mapping[str, Any] = _insist(json.loads(line), dict, "no message")
    except (ValueError, RecursionError) as error:
        raise errors.WireError(f"no message: {sentence(str(error))}") from error
    if "call" not in message or not message.keys() & {"do", "result", "error"}:
        raise errors.WireError(f"no message: {plain.shown(message)}")
    return message


def sentence(said: Any) -> str:
    """Return what went wrong as others can show and keep it: on one line, not too long, of whole characters."""
    line = "; ".join(filter(None, map(str.strip, str(said).splitlines())))
    cut = line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
    return cut.encode("utf-8", "replace").decode()
