"""A platform in memory, and what all platforms have to do.

A test class inherits ``PlatformContract`` and says how its platform is opened and how a job's behaviour is set:

    class TestMine(platform.PlatformContract):
        @contextlib.asynccontextmanager
        async def place(self, directory): ...
"""
# ruff: noqa: S101 - a contract is told in assertions

import abc
import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from nni.core import event, model, ports

Behaviour = int | Literal["endless"]
"""What a job does: it ends with this exit code, or runs until it is stopped."""

WAIT_SECONDS = 30.0


class MemoryPlatform:
    """``Platform`` whose jobs do at once what they were told to do."""

    def __init__(self) -> None:
        self.behaviours: dict[model.AttemptKey, Behaviour] = {}
        self.jobs: dict[model.AttemptKey, model.JobOrder] = {}
        self.failures: list[Exception] = []
        """Raised one by one by the next calls of ``create``."""
        self._emit: ports.Emit = lambda happened: None

    async def open(self, emit: ports.Emit) -> None:
        """See the port."""
        self._emit = emit

    async def create(self, order: model.JobOrder) -> str:
        """See the port."""
        if self.failures:
            raise self.failures.pop(0)
        name = f"job-{order.attempt.trial}-{order.attempt.number}"
        if order.attempt in self.jobs:
            return name
        self.jobs[order.attempt] = order
        self.shows(order.attempt, model.JobPhase.RUNNING)
        code = self.behaviours.get(order.attempt, 0)
        if code != "endless":
            self.shows(order.attempt, model.JobPhase.FAILED if code else model.JobPhase.SUCCEEDED, code or None)
        return name

    def shows(self, attempt: model.AttemptKey, phase: model.JobPhase, code: int | None = None) -> None:
        """Have a job be seen in a phase."""
        observation = model.Observation(phase=phase, exit_code=code)
        self._emit(event.JobObserved(attempt=attempt, observation=observation))

    async def remove(self, attempt: model.AttemptKey) -> None:
        """See the port."""
        self.jobs.pop(attempt, None)

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """See the port."""
        self.jobs = {attempt: order for attempt, order in self.jobs.items() if attempt in keep}

    async def close(self) -> None:
        """See the port."""
        self._emit = lambda happened: None


class Observed:
    """What a platform emitted, to be waited for."""

    def __init__(self) -> None:
        self.seen: dict[model.AttemptKey, list[model.Observation]] = {}
        self._news = asyncio.Event()

    def take(self, happened: event.Event) -> None:
        """Take an event: the platform's ``emit``."""
        assert isinstance(happened, event.JobObserved)
        self.seen.setdefault(happened.attempt, []).append(happened.observation)
        self._news.set()
        self._news = asyncio.Event()

    def phases(self, attempt: model.AttemptKey) -> list[model.JobPhase]:
        """Return the phases in which a job was seen, in order."""
        return [one.phase for one in self.seen.get(attempt, [])]

    async def until(self, attempt: model.AttemptKey, holds: Callable[[model.Observation], bool]) -> model.Observation:
        """Return the first observation of an attempt for which something holds."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for one in self.seen.get(attempt, []):
                    if holds(one):
                        return one
                await self._news.wait()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A platform, open, and what a test does around it."""

    platform: ports.Platform
    observed: Observed
    behaves: Callable[[model.AttemptKey, Behaviour], Awaitable[None]]
    """Sets what an attempt's job will do, before it is created."""
    count: Callable[[], Awaitable[int]]
    """Returns how many jobs are there: those that run, at least."""


def order(trial: str, slot: int, number: int = 1) -> model.JobOrder:
    """Return the order for an attempt."""
    return model.JobOrder(attempt=model.AttemptKey(model.TrialId(trial), number), sequence=slot, slot=slot)


def _is_final(seen: model.Observation) -> bool:
    return seen.phase.is_final


def _runs(seen: model.Observation) -> bool:
    return seen.phase is model.JobPhase.RUNNING


class PlatformContract(abc.ABC):
    """What every implementation of ``Platform`` has to do."""

    @abc.abstractmethod
    def place(self, directory: Path) -> contextlib.AbstractAsyncContextManager[Place]:
        """Open a platform without jobs; ``directory`` is empty and its own. It is closed with the context."""

    @pytest.mark.parametrize(
        ("code", "phase", "exit_code"),
        [(0, model.JobPhase.SUCCEEDED, (None, 0)), (3, model.JobPhase.FAILED, (3,))],
    )
    async def test_a_job_is_seen_to_end(
        self, code: int, phase: model.JobPhase, exit_code: tuple[int | None, ...], tmp_path: Path
    ) -> None:
        """Once, as what it was, and last of all."""
        async with self.place(tmp_path) as place:
            ordered = order("ended", 0)
            await place.behaves(ordered.attempt, code)
            await place.platform.create(ordered)
            last = await place.observed.until(ordered.attempt, _is_final)
            assert (last.phase, last.exit_code in exit_code) == (phase, True)
            await place.platform.clean_up()
            finals = [one for one in place.observed.phases(ordered.attempt) if one.is_final]
            assert finals == [phase]
            assert place.observed.phases(ordered.attempt)[-1] is phase

    async def test_the_same_order_twice_is_one_job(self, tmp_path: Path) -> None:
        """And it has one name."""
        async with self.place(tmp_path) as place:
            ordered = order("twice", 0)
            await place.behaves(ordered.attempt, "endless")
            first = await place.platform.create(ordered)
            assert await place.platform.create(ordered) == first
            assert await place.count() == 1
            await place.observed.until(ordered.attempt, _runs)
            assert await place.platform.create(ordered) == first
            assert await place.count() == 1
            await place.platform.clean_up()

    async def test_a_removed_job_has_ended(self, tmp_path: Path) -> None:
        """When the call returns; a second time, and for a job that never was, nothing happens."""
        async with self.place(tmp_path) as place:
            stays, goes = order("stays", 0), order("goes", 1)
            for ordered in (stays, goes):
                await place.behaves(ordered.attempt, "endless")
                await place.platform.create(ordered)
                await place.observed.until(ordered.attempt, _runs)
            for _ in range(2):
                await place.platform.remove(goes.attempt)
                assert await place.count() == 1
            await place.platform.remove(order("never", 7).attempt)
            assert model.JobPhase.GONE not in place.observed.phases(goes.attempt)
            await place.platform.clean_up()

    async def test_a_job_may_be_removed_as_soon_as_it_was_created(self, tmp_path: Path) -> None:
        """Before it is seen at all."""
        async with self.place(tmp_path) as place:
            ordered = order("short", 0)
            await place.behaves(ordered.attempt, "endless")
            await place.platform.create(ordered)
            await place.platform.remove(ordered.attempt)
            assert await place.count() == 0
            await place.platform.clean_up()

    async def test_the_next_attempt_is_a_job_of_its_own(self, tmp_path: Path) -> None:
        """Under another name."""
        async with self.place(tmp_path) as place:
            first, second = order("again", 0), order("again", 1, number=2)
            await place.behaves(first.attempt, 3)
            await place.behaves(second.attempt, 0)
            names = {await place.platform.create(first)}
            await place.observed.until(first.attempt, _is_final)
            names.add(await place.platform.create(second))
            assert (await place.observed.until(second.attempt, _is_final)).phase is model.JobPhase.SUCCEEDED
            assert len(names) == 2
            await place.platform.clean_up()

    async def test_cleaning_up_leaves_nothing(self, tmp_path: Path) -> None:
        """However often, and with nothing there."""
        async with self.place(tmp_path) as place:
            await place.platform.clean_up()
            behaviours: tuple[Behaviour, ...] = ("endless", "endless", 0)
            for slot, behaviour in enumerate(behaviours):
                ordered = order(f"t{slot}", slot)
                await place.behaves(ordered.attempt, behaviour)
                await place.platform.create(ordered)
            for _ in range(2):
                await place.platform.clean_up()
                assert await place.count() == 0

    async def test_closing_is_quick(self, tmp_path: Path) -> None:
        """The loop is not held up by it."""
        async with self.place(tmp_path) as place:
            await place.platform.clean_up()
            began = time.monotonic()
            await place.platform.close()
            assert time.monotonic() - began < WAIT_SECONDS / 6
