"""What ends an experiment whose program has gone."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from nni.core import event, model, spec
from nni.core.state import State
from nni.manager import lifetime
from nni.manager import loop as loops
from nni.testing import records as fakes

SPEC = spec.ExperimentSpec(
    name=None,
    search_space={},
    tuner=spec.AlgorithmSpec(name="Random"),
    platform=spec.LocalSpec(roles=(spec.RoleSpec(name="worker", replicas=1, command="true", code_directory="/code"),)),
    trial_concurrency=1,
    working_directory="/experiments",
)


class Clock:
    def now(self) -> float:
        return 1000.0


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of the pipe that the program holds which has started the manager."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as file:
        monkeypatch.setattr(sys, "stdin", file)
        monkeypatch.setattr(lifetime, "ALONE_SECONDS", 0.0)
        yield theirs


@pytest.mark.parametrize("is_silent", [True, False])
async def test_only_a_platform_that_does_not_answer_is_given_up(program: int, is_silent: bool) -> None:
    performed: asyncio.Queue[event.Action] = asyncio.Queue()
    loop = loops.Loop(
        state=State.new(experiment_id=model.ExperimentId("exp"), spec=SPEC),
        records=fakes.MemoryRecords(),
        clock=Clock(),
        perform=performed.put,
        announce=lambda revision: None,
    )
    asked = asyncio.Event()

    def silent() -> bool:
        asked.set()
        return is_silent

    running = asyncio.get_running_loop().create_task(loop.run())
    loop.emit(event.Started())
    with lifetime.stopping(loop, attached=True, supervised=False, is_silent=silent):
        os.close(program)
        await asked.wait()
        while is_silent and await performed.get() != event.CleanUp(without_platform=True):
            pass
    loop.emit(event.CleanedUp())
    await running
    assert loop.state.abandons is is_silent
