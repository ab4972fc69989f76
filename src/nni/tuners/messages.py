"""What the manager says to the processes of tuner and assessor: JSON objects, one a line, one answer to each call.

A call is ``{"call": 7, "do": "ask", ...}``; its answer carries the same number and either ``result`` or ``error``, a
sentence. After an error the tuner process ends. An answer to an earlier call is passed over: whoever made it has gone.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nni.core import model, spec


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


def suggestions(result: Sequence[Any]) -> Sequence[model.Suggestion]:
    """Return what the answer to a question says."""
    return [model.Suggestion(parameters=parameters, promotes=promotes) for parameters, promotes in result]


def tell_call(outcomes: Sequence[model.Outcome]) -> Mapping[str, Any]:
    """Return the call that tells how trials ended; its result is null."""
    names = [field.name for field in dataclasses.fields(model.Outcome)]
    return {"do": "tell", "outcomes": [{name: getattr(outcome, name) for name in names} for outcome in outcomes]}


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Mapping[str, Any]:
    """Return the message in a line."""
    message: Mapping[str, Any] = json.loads(line)
    return message
