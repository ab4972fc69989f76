"""Signs of life: what is heard at the ports, and who is told."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from nni import errors
from nni.core import event, model, ports
from nni.manager import vitals
from nni.server import health
from nni.testing import volume


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        self.time += 1
        return self.time


class Tuner:
    """Answers one call after the other until it is broken."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.broken = asyncio.Event()
        self.has_told = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.pid = 4711

    async def open(self) -> None:
        pass

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        if self.broken.is_set():
            raise errors.TunerError("The tuner is gone.")
        async with self.turn:
            await self.answers.wait()
        return [model.Suggestion(parameters={}) for _ in parameter_ids]

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        pass

    async def update(self, search_space: Mapping[str, Any]) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ended(self) -> str:
        await self.broken.wait()
        if self.has_told:
            await asyncio.Event().wait()
        self.has_told = True
        return "The tuner ended by itself."


class Platform:
    """Is away when it is told so."""

    def __init__(self) -> None:
        self.is_away = False
        self.emit: ports.Emit | None = None

    async def open(self, emit: ports.Emit) -> None:
        self.emit = emit

    async def create(self, order: model.JobOrder) -> str:
        if self.is_away:
            raise errors.PlatformUnavailableError("The API server does not answer.")
        if order.slot:
            raise errors.PlatformError("No such image.")
        return "job"

    async def remove(self, attempt: model.AttemptKey) -> None:
        pass

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        pass

    async def close(self) -> None:
        pass


class Scene:
    """The parts of an experiment, and what is shown of them."""

    def __init__(self) -> None:
        self.changes = 0
        self.changed = asyncio.Event()
        self.signs = health.Vitals(self._change)
        self.tuner, self.platform, self.files = Tuner(), Platform(), volume.MemoryVolume()
        self.clock = Clock()
        self.heard = vitals.Heard(self.signs, self.clock, platform=self._make, tuner=self.tuner, volume=self.files)

    def _make(self, *, life: Callable[[str | None], None]) -> ports.Platform:
        self.lives = life
        return self.platform

    def _change(self) -> None:
        self.changes += 1
        self.changed.set()

    def shown(self, part: str) -> tuple[str, str | None]:
        told = next(its for its in health.shown(self.signs.signs) if its["part"] == part)
        return told["state"], told.get("sentence")


def order(slot: int = 0) -> model.JobOrder:
    return model.JobOrder(attempt=model.AttemptKey(model.TrialId("aaaaa"), 1), sequence=0, slot=slot)


async def test_answers_are_signs_of_life_and_failures_are_told() -> None:
    scene = Scene()
    assert scene.shown(health.TUNER) == ("unknown", None)
    await scene.heard.tuner.ask([1])
    assert scene.shown(health.TUNER) == ("ok", None)
    assert scene.changes == 0
    scene.tuner.broken.set()
    for _ in range(2):
        with pytest.raises(errors.TunerError):
            await scene.heard.tuner.ask([2])
    assert scene.shown(health.TUNER) == ("failed", "The tuner is gone.")
    assert scene.changes == 1


async def test_an_answer_that_is_long_in_coming_is_told_with_the_time_of_the_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vitals, "LATE_SECONDS", 0.01)
    scene = Scene()
    scene.tuner.answers.clear()
    asking = asyncio.create_task(scene.heard.tuner.ask([1]))
    await scene.changed.wait()
    state, sentence = scene.shown(health.TUNER)
    assert (state, "`kill -9 4711` ends it" in str(sentence)) == ("late", True)
    assert scene.signs.signs[health.TUNER].failed_at == 101.0
    scene.tuner.answers.set()
    await asking
    assert scene.shown(health.TUNER) == ("ok", None)


async def test_a_question_that_waits_for_another_is_late_by_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "LATE_SECONDS", 0.01)
    scene = Scene()
    scene.tuner.answers.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(scene.heard.tuner.ask([1]))
        tasks.create_task(scene.heard.tuner.ask([2]))
        await scene.changed.wait()
        # Two would be late by now if both times had begun.
        await asyncio.sleep(0.02)
        answers, scene.tuner.answers = scene.tuner.answers, asyncio.Event()
        answers.set()
        await first
        async with asyncio.timeout(10):
            while scene.shown(health.TUNER)[0] != "late":
                scene.changed.clear()
                await scene.changed.wait()
        scene.tuner.answers.set()
    assert scene.shown(health.TUNER) == ("ok", None)


async def test_the_end_of_the_tuner_s_process_is_noted_without_a_call() -> None:
    scene = Scene()
    async with scene.heard.watching():
        scene.tuner.broken.set()
        await scene.changed.wait()
    assert scene.shown(health.TUNER) == ("failed", "The tuner ended by itself.")


async def test_a_platform_that_is_away_has_failed_and_one_that_refuses_has_not() -> None:
    scene = Scene()
    heard: list[event.Event] = []
    await scene.heard.platform.open(heard.append)
    assert scene.shown(health.PLATFORM) == ("ok", None)
    scene.platform.is_away = True
    with pytest.raises(errors.PlatformUnavailableError):
        await scene.heard.platform.create(order())
    assert scene.shown(health.PLATFORM) == ("failed", "The API server does not answer.")
    assert scene.platform.emit is not None
    scene.platform.emit(event.Ticked())
    assert (scene.shown(health.PLATFORM), heard) == (("ok", None), [event.Ticked()])
    scene.platform.is_away = False
    with pytest.raises(errors.PlatformError):
        await scene.heard.platform.create(order(slot=1))
    assert scene.shown(health.PLATFORM) == ("ok", None)


async def test_a_platform_whose_life_is_not_heard_of_has_failed_until_it_is_again() -> None:
    scene = Scene()
    await scene.heard.platform.open(lambda happened: None)
    scene.lives("Pods cannot be watched.")
    failed_at = scene.signs.signs[health.PLATFORM].failed_at
    # It answers and tells, and what happens on it is not seen all the same.
    await scene.heard.platform.create(order())
    assert scene.platform.emit is not None
    scene.platform.emit(event.Ticked())
    assert scene.shown(health.PLATFORM) == ("failed", "Pods cannot be watched.")
    scene.lives("Jobs cannot be watched.")
    assert scene.shown(health.PLATFORM) == ("failed", "Jobs cannot be watched.")
    assert scene.signs.signs[health.PLATFORM].failed_at == failed_at
    scene.lives(None)
    assert scene.shown(health.PLATFORM) == ("ok", None)


async def test_a_call_that_failed_is_forgotten_when_it_is_not_made_again_and_the_platform_lives() -> None:
    scene = Scene()
    scene.platform.is_away = True
    with pytest.raises(errors.PlatformUnavailableError):
        await scene.heard.platform.create(order())
    scene.lives(None)
    assert scene.shown(health.PLATFORM)[0] == "failed"
    scene.clock.time += vitals.FORGOTTEN_SECONDS
    scene.lives(None)
    assert scene.shown(health.PLATFORM) == ("ok", None)


async def test_what_lives_on_is_told_now_and_then() -> None:
    scene = Scene()
    for second in range(25):
        scene.signs.hears(health.PLATFORM, 100.0 + second)
    assert scene.changes == 2


async def test_a_path_that_a_user_got_wrong_is_no_failure_of_the_volume() -> None:
    scene = Scene()
    await scene.heard.volume.put("a/b", b"x")
    with pytest.raises(errors.VolumeError):
        await scene.heard.volume.read("../secret")
    assert scene.shown(health.STORAGE) == ("ok", None)
    with pytest.raises(errors.VolumeError):
        await scene.heard.volume.put("a", b"x")
    assert scene.shown(health.STORAGE)[0] == "failed"
