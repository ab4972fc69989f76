"""An API server that fails in every way: nothing is lost, nothing is created twice, nothing hangs."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import client, pulse, watch
from nni.testing import faults
from nni.testing.sandbox import Sandbox
from platforms import World

JOBS = "pytorchjobs.kubeflow.org"
OBJECTS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"


@pytest.fixture(scope="module")
def troubled() -> Iterator[Sandbox]:
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}) as running:
        yield running


@pytest.fixture
def world(troubled: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FORBIDDEN_PAUSE_SECONDS", "SHORTEST_ROUND_SECONDS"):
        monkeypatch.setattr(watch, name, 0.05)
    return World(troubled)


def is_over(seen: model.Observation) -> bool:
    return seen.phase.is_final


WATCHES: list[list[faults.Fault]] = [
    [faults.DroppedWatch(is_reset=True)],
    [faults.DroppedWatch()],
    [faults.ExpiredWatch(count=4)],
    [faults.ConnectionReset(verbs=["watch", "list"], count=4)],
    [faults.ServerError(verbs=["watch"], count=4, code=503)],
    [faults.TooManyRequests(verbs=["list", "watch"], count=4)],
    [faults.DroppedWatch(), faults.ExpiredWatch(count=2), faults.ServerError(verbs=["list"], count=2)],
]


@pytest.mark.parametrize(
    "wanted", WATCHES, ids=["reset", "dropped", "expired", "refused", "down", "busy", "everything at once"]
)
async def test_a_watch_that_fails_misses_nothing(world: World, wanted: list[faults.Fault]) -> None:
    async with world.platform() as jobs:
        with world.sandbox.faults(*wanted):
            orders = [world.order(f"t{slot}", "exit 0", slot=slot) for slot in range(3)]
            for ordered in orders:
                await jobs.create(ordered)
            for ordered in orders:
                await world.observed.until(ordered.attempt, is_over)
        for ordered in orders:
            phases = world.observed.phases(ordered.attempt)
            assert phases[-1] is model.JobPhase.SUCCEEDED
            assert phases.count(model.JobPhase.SUCCEEDED) == 1
        await jobs.clean_up()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the server often, and wait little for its answers."""
    for name in ("PERIOD_SECONDS", "AGAIN_SECONDS"):
        monkeypatch.setattr(pulse, name, 0.05)
    monkeypatch.setattr(pulse, "PATIENCE_SECONDS", 0.5)


@pytest.mark.usefixtures("eager")
async def test_a_server_that_hangs_and_one_that_is_killed_are_noticed_though_nothing_is_asked_of_them() -> None:
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}) as lonely:
        world = World(lonely)
        async with world.platform() as jobs, asyncio.timeout(60):
            await world.heard(well=True)
            os.kill(lonely.pid, signal.SIGSTOP)
            assert "does not answer" in await world.heard(well=False)
            os.kill(lonely.pid, signal.SIGCONT)
            await world.heard(well=True)
            # The watches go on, too.
            ordered = world.order("t0", "exit 0")
            await jobs.create(ordered)
            await world.observed.until(ordered.attempt, is_over)
            os.kill(lonely.pid, signal.SIGKILL)
            assert "does not answer" in await world.heard(well=False)


@pytest.mark.usefixtures("eager")
async def test_a_watch_that_cannot_be_opened_is_no_sign_of_life(world: World) -> None:
    async with world.platform(), asyncio.timeout(60):
        await world.heard(well=True)
        down = faults.ServerError(verbs=["watch"], resources=["pods"], code=503)
        with world.sandbox.faults(down, faults.DroppedWatch(resources=["pods"])):
            assert (await world.heard(well=False)).startswith("pods cannot be watched now: ")
        await world.heard(well=True)


CREATES: list[faults.Fault] = [
    faults.ServerError(resources=[JOBS], verbs=["create"], count=1),
    faults.ServerError(resources=[JOBS], verbs=["create"], count=1, is_done=True),
    faults.ConnectionReset(resources=[JOBS], verbs=["create"], count=1, is_done=True),
    faults.TooManyRequests(resources=[JOBS], verbs=["create"], count=1),
    faults.HalfOpen(resources=[JOBS], verbs=["create"], count=1, is_done=True),
    faults.QuotaExceeded(resources=[JOBS], count=1),
]


@pytest.mark.parametrize("fault", CREATES, ids=lambda one: f"{type(one).__name__}-{getattr(one, 'is_done', '')}")
async def test_a_create_that_fails_is_repeated_and_makes_one_job(
    world: World, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    ordered = world.order("once", "exit 0")
    async with world.platform() as jobs:
        with world.sandbox.faults(fault):
            with pytest.raises(errors.PlatformUnavailableError):
                await jobs.create(ordered)
            await jobs.create(ordered)
        await world.observed.until(ordered.attempt, is_over)
        assert len(world.api.call("GET", OBJECTS)[1]["items"]) == 1
        await jobs.clean_up()


async def test_a_watch_that_went_silent_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WATCH_SECONDS", 1)
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    ordered = world.order("silent", "exit 0")
    async with world.platform() as jobs:
        with world.sandbox.faults(faults.SilentWatch()):
            await jobs.create(ordered)
            # Long enough that whatever watch is open has gone silent.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.5):
                    await world.observed.until(ordered.attempt, is_over)
        await world.observed.until(ordered.attempt, is_over)
        await jobs.clean_up()


async def test_credentials_that_expire_meanwhile_are_read_again(world: World) -> None:
    first, second = world.order("before", "exit 0"), world.order("after", "exit 0", slot=1)
    async with world.platform() as jobs:
        await jobs.create(first)
        await world.observed.until(first.attempt, is_over)
        with world.sandbox.faults(faults.ExpiredCredentials(is_rotated=True)):
            await jobs.create(second)
            await world.observed.until(second.attempt, is_over)
        await jobs.clean_up()


@pytest.mark.parametrize("wanted", [[], [faults.HalfOpen(verbs=["watch", "list"])]], ids=["well", "half open"])
async def test_stopping_takes_no_time(world: World, wanted: list[faults.Fault]) -> None:
    async with world.platform() as jobs:
        with world.sandbox.faults(*wanted, faults.DroppedWatch(count=2)):
            began = time.monotonic()
            await jobs.close()
            # A second, and a busy machine's patience.
            assert time.monotonic() - began < 2
