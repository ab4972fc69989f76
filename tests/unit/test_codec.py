"""Every event, written as JSON and read back."""

import dataclasses
import enum
import inspect
import itertools
import json
import random
import types
import typing
from collections.abc import Mapping
from typing import Any

import pytest

from nni.core import event, model
from nni.records import codec

EVENTS = typing.get_args(event.Event)
ACTIONS = typing.get_args(event.Action)


class Maker:
    """Makes values of any type that the records use, at random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def make(self, hint: Any) -> Any:
        if isinstance(hint, typing.NewType):
            return self.make(hint.__supertype__)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            hints = typing.get_type_hints(hint)
            return hint(**{field.name: self.make(hints[field.name]) for field in dataclasses.fields(hint)})
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self._random.choice(list(hint))
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            return self.make(self._random.choice(typing.get_args(hint)))
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is tuple:
            return tuple(self.make(arguments[0]) for _ in range(self._random.randrange(3)))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {self.make(arguments[0]): self.make(arguments[1]) for _ in range(self._random.randrange(3))}
        return self._plain(hint)

    def _plain(self, hint: Any) -> Any:
        if hint is types.NoneType:
            return None
        if hint is str:
            return self._random.choice(["", "it's", 'a "quote"', "Grüße\n", "k2f9z"])
        if hint is bool:
            return self._random.random() < 0.5
        if hint is int:
            return self._random.randrange(3)
        if hint is float:
            return self._random.choice([0.0, 1795441642.03, float("inf"), -1e-300])
        assert hint is Any, f"teach the test to make {hint}"
        return self._random.choice([None, 1, 0.5, True, "a", [1, {"b": []}], {"_name": "x", "is": 1}])


def through_json(written: Any) -> Any:
    return json.loads(json.dumps(written))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: str(kind.__name__))
def test_every_event_comes_back_as_it_was(kind: type, seed: int) -> None:
    happened, known = Maker(seed).make(kind), dict[int, Any]()
    written = through_json(codec.encode(happened, known))
    assert codec.decode(written, known) == happened


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: str(kind.__name__))
def test_every_action_comes_back_as_it_was(kind: type, seed: int) -> None:
    began, known = event.Began(action=Maker(seed).make(kind)), dict[int, Any]()
    written = through_json(codec.encode(began, known))
    assert codec.decode(written, known) == began


@pytest.mark.parametrize("seed", range(5))
def test_a_long_story_comes_back_as_it_was(seed: int) -> None:
    maker = Maker(seed)
    story = [maker.make(kind) for kind in itertools.islice(itertools.cycle(EVENTS), 200)]
    known: dict[int, Any] = {}
    written = [through_json(codec.encode(happened, known)) for happened in story]
    assert [codec.decode(one, known) for one in written] == story


def test_no_event_and_no_action_is_forgotten_in_the_unions() -> None:
    defined = {
        kind for _, kind in inspect.getmembers(event, dataclasses.is_dataclass) if kind.__module__ == event.__name__
    }
    assert defined - set(EVENTS) - set(ACTIONS) == {event.Proposal, event.ResultImported}


def test_parameters_are_kept_once() -> None:
    trial, parameters = model.TrialId("k2f9z"), {"lr": 0.1, "note": "x" * 1000}
    attempt = model.AttemptKey(trial, 1)
    proposal = event.Proposal(trial=trial, parameter_id=7, parameters=parameters)
    order = model.JobOrder(attempt=attempt, sequence=0, slot=0)
    outcome = model.Outcome(parameter_id=7, parameters=parameters, value=0.5, metric="0.5", succeeded=True)
    changed = event.Submit(order=order, parameter_id=7, parameters={"lr": 0.2})
    story: list[event.Event] = [
        event.Proposed(asked=1, proposals=(proposal,)),
        event.Began(action=event.Submit(order=order, parameter_id=7, parameters=parameters)),
        event.Began(action=changed),
        event.Began(action=event.Tell(outcomes={trial: outcome})),
    ]
    known: dict[int, Any] = {}
    written = [json.dumps(codec.encode(happened, known)) for happened in story]
    assert known == {7: parameters}
    assert ["xxx" in text for text in written] == [False, False, False, False]
    assert '{"lr": 0.2}' in written[2]
    assert [codec.decode(json.loads(text), known) for text in written] == story


def test_what_it_writes_stays_readable() -> None:
    """Records of an older release are read by the next one: a change here needs a new schema version."""
    attempt = model.AttemptKey(model.TrialId("k2f9z"), 1)
    reason = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No node has a GPU free.", since=5.0)
    seen = model.Observation(phase=model.JobPhase.PENDING, reason=reason)
    assert codec.encode(event.JobObserved(attempt=attempt, observation=seen), {}) == {
        "is": "JobObserved",
        "attempt": {"trial": "k2f9z", "number": 1},
        "observation": {
            "phase": "pending",
            "reason": {"kind": "capacity", "sentence": "No node has a GPU free.", "since": 5.0},
        },
    }


@pytest.mark.parametrize("written", [{"is": "Unheard"}, {"is": "JobRemoved"}, {"is": "Failed", "massage": "x"}])
def test_what_is_no_event_is_refused(written: Mapping[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        codec.decode(written, {})
