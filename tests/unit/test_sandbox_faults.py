"""Faults and scripts as data: read, written, counted, and the same each time."""

import asyncio
import dataclasses
from typing import Any

import pytest

from nni import errors
from nni.sandbox.faults import board, catalogue, reading
from nni.sandbox.simulation import script

NEEDED = {"operator": "o", "namespace": "n"}


def make(kind: type[catalogue.Fault], **given: Any) -> catalogue.Fault:
    needed = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
    return kind(**{name: NEEDED[name] for name in needed} | given)


def pod(name: str, uid: str = "", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "uid": uid or name, "labels": labels}, "spec": {}}


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_every_fault_is_read_as_it_is_written(kind: type[catalogue.Fault]) -> None:
    for fault in (make(kind), make(kind, count=3, duration=1.5)):
        written = reading.write(fault)
        assert written["kind"] == kind.__name__
        assert reading.read(written, ["o"]) == [fault]


def test_fields_are_written_in_camel_case_and_defaults_left_out() -> None:
    fault = catalogue.TooManyRequests(verbs=["create"], retry_after=3)
    assert reading.write(fault) == {"kind": "TooManyRequests", "verbs": ["create"], "retryAfter": 3}


def test_one_text_stands_for_a_list_of_one() -> None:
    assert reading.read({"kind": "HalfOpen", "verbs": "get"}, []) == [catalogue.HalfOpen(verbs=("get",))]


@pytest.mark.parametrize(
    ("data", "mistake"),
    [
        ({"kind": "ApiLatency", "latency": "long"}, "faults[0].latency: 'long' is not a number, 0 or more."),
        ({"kind": "ApiLatency", "latency": True}, "faults[0].latency: True is not a number, 0 or more."),
        ({"kind": "ApiLatency", "count": 1.5}, "faults[0].count: 1.5 is not a whole number, 0 or more."),
        ({"kind": "HalfOpen", "isDone": "yes"}, "faults[0].isDone: 'yes' is not true or false."),
        ({"kind": "HalfOpen", "methods": ["FETCH"]},
         "faults[0].methods: FETCH is none of GET, HEAD, POST, PUT, PATCH, DELETE."),
        ({"kind": "SlowStart", "name": 3}, "faults[0].name: 3 is not a text."),
        ({"kind": "QuotaExceeded", "resources": 3}, "faults[0].resources: 3 is not a text or a list of texts."),
        (None, "faults[0]: is not an object with a kind, as in {kind: ApiLatency, latency: 2}."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(data: Any, mistake: str) -> None:
    with pytest.raises(errors.ConfigError) as refused:
        reading.read(data, [])
    assert str(refused.value) == mistake


async def test_a_fault_strikes_as_often_as_it_may_and_each_pod_once() -> None:
    faults = board.Board()
    (entry,) = faults.add([catalogue.OutOfMemory(count=2)])
    assert [entry.hit(uid) for uid in ("a", "a", "b", "c")] == [True, False, True, False]
    assert (entry.hits, entry.is_spent, entry.is_over) == (2, True, False)


async def test_a_lasting_fault_keeps_the_pods_that_it_befell_until_it_is_taken_back() -> None:
    faults = board.Board()
    (entry,) = faults.add([catalogue.SlowStart(count=1, labels="app=a")])
    befallen, spared, other = pod("one", app="a"), pod("two", app="a"), pod("three", app="b")
    assert faults.befalls(catalogue.SlowStart, other) is None
    assert [faults.befalls(catalogue.SlowStart, befallen) is not None for _ in range(2)] == [True, True]
    assert faults.befalls(catalogue.SlowStart, spared) is None
    assert faults.remove(entry.id)
    assert faults.befalls(catalogue.SlowStart, befallen) is None


async def test_a_fault_ends_with_its_duration_and_whoever_waits_is_told() -> None:
    faults = board.Board()
    (entry,) = faults.add([catalogue.HalfOpen(duration=0.01)])
    async with asyncio.timeout(5):
        await faults.changed()
    assert (entry.is_over, faults.of(catalogue.HalfOpen)) == (True, [])


def test_a_part_is_the_same_for_the_same_pod_and_seed() -> None:
    acts = (script.Act(duration=(1, 100), final=(0, 1)),)
    first, again = (script.Script(acts).part(pod("trial", uid)) for uid in "ab")
    assert first == again
    assert script.Script(acts, seed=1).part(pod("trial")) != first
    assert script.Script(acts).part(pod("other")) != first


def test_the_first_act_that_is_meant_for_a_pod_is_played() -> None:
    acts = (
        script.Act(name="*-worker-*", metrics=0, final=None),
        script.Act(labels="app=slow", duration=(9, 9)),
        script.Act(duration=(1, 1)),
    )
    plot = script.Script(acts)
    assert plot.part(pod("j-worker-0", app="slow")).final is None
    assert plot.part(pod("j-master-0", app="slow")).duration == 9
    assert plot.part(pod("j-master-0")).duration == 1


def test_results_come_closer_to_the_final_one_and_a_failure_has_none() -> None:
    part = script.Script((script.Act(duration=(8, 8), metrics=3, final=(0.8, 0.8)),)).part(pod("p"))
    assert [moment for moment, _ in part.metrics] == [2, 4, 6]
    assert [value for _, value in part.metrics] == pytest.approx([0.4, 0.6, 0.7])
    assert (part.final, part.exit_code) == (0.8, 0)
    failed = script.Script((script.Act(duration=(8, 8), failures=1, exit_code=4),)).part(pod("p"))
    assert (failed.final, failed.exit_code, failed.duration < 8) == (None, 4, True)
    assert all(moment <= failed.duration for moment, _ in failed.metrics)


def test_a_share_of_pods_fails() -> None:
    plot = script.Script((script.Act(failures=0.3),))
    failed = sum(plot.part(pod(f"trial-{index}")).exit_code > 0 for index in range(500))
    assert 100 < failed < 200
