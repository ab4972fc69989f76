"""The loop: batches, durability before action, timers, and a disk that is full for a while."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from nni import errors
from nni.core import event, model, ports, spec
from nni.core.state import State
from nni.manager import loop as loops
from nni.testing import records as fakes

SPEC = spec.ExperimentSpec(
    name=None,
    search_space={},
    tuner=spec.AlgorithmSpec(name="Random"),
    platform=spec.LocalSpec(roles=(spec.RoleSpec(name="worker", replicas=1, command="true", code_directory="/code"),)),
    trial_concurrency=1,
    max_experiment_seconds=100,
    working_directory="/experiments",
)


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class WatchedRecords(fakes.MemoryRecords):
    """Records in memory that count their commits, and can be full or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[event.Event]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def append(self, entries: Sequence[ports.Entry]) -> None:
        self.asked.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise errors.RecordsError("The disk is full.")
        self.commits.append([entry.event for entry in entries])
        await super().append(entries)


class World:
    """A loop around what a test looks at."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.records = WatchedRecords()
        self.performed: asyncio.Queue[event.Action] = asyncio.Queue()
        self.revisions: list[int] = []
        self.state = State.new(experiment_id=model.ExperimentId("exp"), spec=SPEC)
        self.loop = loops.Loop(
            state=self.state,
            records=self.records,
            clock=self.clock,
            perform=self.performed.put,
            announce=self.revisions.append,
        )


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(loops, "RECORDS_RETRY_SECONDS", 0.0)
    made = World()
    running = asyncio.get_running_loop().create_task(made.loop.run())
    yield made
    made.records.gate.set()
    made.loop.emit(event.StopRequested(by="the test"))
    made.loop.emit(event.CleanedUp())
    await asyncio.wait_for(running, 5)


async def test_what_is_begun_is_durable_before_it_is_performed(world: World) -> None:
    world.records.gate.clear()
    world.loop.emit(event.Started())
    await asyncio.sleep(0)
    assert world.performed.empty()

    world.records.gate.set()

    action = await asyncio.wait_for(world.performed.get(), 5)
    assert action == event.Ask(parameter_ids=(0,))
    assert world.records.commits == [[event.Started(), event.Began(action=action)]]


async def test_what_gathers_during_a_commit_is_committed_at_once(world: World) -> None:
    await world.loop.commit(event.Started())
    world.records.asked.clear()
    world.records.gate.clear()
    first = asyncio.get_running_loop().create_task(
        world.loop.commit(event.LimitsChanged(trial_concurrency=1, max_trial_number=1, max_experiment_seconds=None))
    )
    await asyncio.wait_for(world.records.asked.wait(), 5)
    rest = [event.LimitsChanged(trial_concurrency=1, max_trial_number=n, max_experiment_seconds=None) for n in (2, 3)]
    for one in rest:
        world.loop.emit(one)
    world.records.gate.set()

    await asyncio.wait_for(first, 5)
    await asyncio.wait_for(world.loop.commit(event.TunerTold(trials=())), 5)

    assert rest in world.records.commits


async def test_a_commit_returns_when_the_event_is_durable(world: World) -> None:
    world.records.gate.clear()
    waiting = asyncio.get_running_loop().create_task(world.loop.commit(event.Started()))
    await asyncio.wait_for(world.records.asked.wait(), 5)
    assert not waiting.done()

    world.records.gate.set()

    await asyncio.wait_for(waiting, 5)


async def test_a_full_disk_holds_up_and_loses_nothing(world: World) -> None:
    world.records.failures = 3

    await asyncio.wait_for(world.loop.commit(event.Started()), 5)

    assert [len(commit) for commit in world.records.commits] == [2]
    assert await asyncio.wait_for(world.performed.get(), 5) == event.Ask(parameter_ids=(0,))


async def test_signs_of_life_are_not_kept(world: World) -> None:
    await world.loop.commit(event.Started())
    alive = event.ReplicaReported(attempt=model.AttemptKey(model.TrialId("aaaaa"), 1), replica=model.Replica("worker"))

    await world.loop.commit(alive)

    assert [
        kept for commit in world.records.commits for kept in commit if isinstance(kept, event.ReplicaReported)
    ] == []


async def test_a_timer_that_is_due_is_looked_at(world: World) -> None:
    await world.loop.commit(event.Started())
    world.clock.time += 101

    world.loop.emit(event.TunerTold(trials=()))

    await world.loop.commit(event.TunerTold(trials=()))
    assert world.state.time_is_up


async def test_listeners_hear_of_every_batch(world: World) -> None:
    await world.loop.commit(event.Started())

    assert world.revisions == [world.state.revision]
