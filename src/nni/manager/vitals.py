"""Listens at the ports and notes signs of life, so that the portal can show how each part is.

Each class here stands before a port of the same name, passes every call on, and changes nothing of what comes back.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from nni import errors
from nni.core import event, model, ports
from nni.server import health


class Ear:
    """Hears how calls of one part end."""

    def __init__(self, part: str, vitals: health.Vitals, clock: ports.Clock) -> None:
        self._part = part
        self._vitals = vitals
        self._clock = clock

    @contextlib.contextmanager
    def on(self, bad: type[errors.NniError]) -> Iterator[None]:
        """Note that what is done in here succeeds, or that it ends with an error of this kind."""
        try:
            yield
        except bad as error:
            self.fails(str(error))
            raise
        self.hears()

    def hears(self) -> None:
        """Note a sign of life."""
        self._vitals.hears(self._part, self._clock.now())

    def fails(self, sentence: str) -> None:
        """Note a failure."""
        self._vitals.fails(self._part, sentence, self._clock.now())

    @contextlib.contextmanager
    def waiting(self, seconds: float, sentence: Callable[[], str]) -> Iterator[None]:
        """Note that what is done in here takes longer than so many seconds, as soon as it does."""
        since = self._clock.now()

        def late() -> None:
            self._vitals.fails(self._part, sentence(), since, is_late=True)

        timer = asyncio.get_running_loop().call_later(seconds, late)
        try:
            yield
        finally:
            timer.cancel()


class MakePlatform(Protocol):
    """Makes a platform that tells of its life: None for a sign of it, else why there is none, as one sentence."""

    def __call__(self, *, life: Callable[[str | None], None]) -> ports.Platform:
        """Return the platform, not yet open."""
        ...


FORGOTTEN_SECONDS = 30.0
"""A call that failed so long ago, and was not made again, says nothing about a platform that lives."""


class Platform:
    """A platform whose answers and observations are signs of life."""

    def __init__(self, make: MakePlatform, ear: Ear, clock: ports.Clock) -> None:
        self._ear = ear
        self._clock = clock
        self._is_lost = False
        self._refused_at = 0.0
        self._platform = make(life=self._lives)

    def _lives(self, trouble: str | None) -> None:
        """Take in a sign of life of a platform far away, or why there is none: until the next one it has failed.

        What it answers meanwhile does not count: it is there, and what happens on it is not seen.
        """
        was_lost, self._is_lost = self._is_lost, trouble is not None
        if trouble is not None:
            self._ear.fails(trouble)
        elif was_lost or self._clock.now() - self._refused_at > FORGOTTEN_SECONDS:
            self._ear.hears()

    async def open(self, emit: ports.Emit) -> None:
        """See the port."""

        def heard(happened: event.Event) -> None:
            # A platform that is lost tells of things all the same: that it cannot say what became of a job.
            if not self._is_lost:
                self._ear.hears()
            emit(happened)

        with self._ear.on(errors.NniError):
            await self._platform.open(heard)

    async def create(self, order: model.JobOrder) -> str:
        """See the port."""
        with self._answering():
            return await self._platform.create(order)

    async def remove(self, attempt: model.AttemptKey) -> None:
        """See the port."""
        with self._answering():
            await self._platform.remove(attempt)

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """See the port."""
        with self._answering():
            await self._platform.clean_up(keep)

    async def close(self) -> None:
        """See the port."""
        await self._platform.close()

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except errors.PlatformUnavailableError as error:
            self._refused_at = self._clock.now()
            if not self._is_lost:
                self._ear.fails(str(error))
            raise
        if not self._is_lost:
            self._ear.hears()


LATE_SECONDS = 30.0
"""Auto, the slowest of ours, has been seen to think for eleven."""


class Tuner:
    """A tuner whose answers are signs of life, and which is late with one that is long in coming."""

    def __init__(self, tuner: "Process", ear: Ear) -> None:
        self._tuner = tuner
        self._ear = ear
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def _answering_in_turn(self) -> AsyncIterator[None]:
        # The process takes one call at a time: the time of one that waits for another is not its own.
        async with self._turn:
            with self._answering():
                yield

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        with self._ear.on(errors.TunerError), self._ear.waiting(LATE_SECONDS, self._late):
            yield

    def _late(self) -> str:
        return (
            "The tuner has not answered yet: it thinks, or hangs. "
            f"If it hangs, `kill -9 {self._tuner.pid}` ends it, and then it can be started again."
        )

    async def open(self) -> None:
        """See the port."""
        with self._answering():
            await self._tuner.open()

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        """See the port."""
        async with self._answering_in_turn():
            return await self._tuner.ask(parameter_ids, new)

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        """See the port."""
        async with self._answering_in_turn():
            await self._tuner.tell(outcomes)

    async def update(self, search_space: Mapping[str, Any]) -> None:
        """See the port."""
        async with self._answering_in_turn():
            await self._tuner.update(search_space)

    async def close(self) -> None:
        """See the port."""
        await self._tuner.close()


class Volume:
    """A volume on which what succeeds is a sign of life."""

    def __init__(self, volume: ports.Volume, ear: Ear) -> None:
        self._volume = volume
        self._ear = ear

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        with self._ear.on(errors.VolumeError):
            await self._volume.put(path, content)

    async def make(self, path: str) -> None:
        """See the port."""
        with self._ear.on(errors.VolumeError):
            await self._volume.make(path)

    async def list(self, path: str) -> Sequence[str]:
        """See the port. What is read may be a user's wrong path, so that only success is noted."""
        found = await self._volume.list(path)
        self._ear.hears()
        return found

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port and ``list``."""
        content = await self._volume.read(path, offset, limit)
        self._ear.hears()
        return content

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port and ``list``."""
        found = await self._volume.stat(path)
        self._ear.hears()
        return found

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        with self._ear.on(errors.VolumeError):
            await self._volume.rename(source, target)

    async def delete(self, path: str) -> None:
        """See the port."""
        with self._ear.on(errors.VolumeError):
            await self._volume.delete(path)

    async def usage(self, path: str) -> int:
        """See the port."""
        with self._ear.on(errors.VolumeError):
            return await self._volume.usage(path)


class Process(ports.TunerPort, Protocol):
    """A tuner in a process that may end by itself, and be opened anew."""

    @property
    def pid(self) -> int | None:
        """The id of the process, None when there is none."""
        ...

    async def ended(self) -> str:
        """Return how it ended, as one sentence, as soon as it has; the next call waits for the next opening's."""
        ...


class Heard:
    """The parts of one experiment, each behind what listens to it."""

    def __init__(
        self,
        vitals: health.Vitals,
        clock: ports.Clock,
        *,
        platform: MakePlatform,
        tuner: Process,
        volume: ports.Volume,
    ) -> None:
        def ear(part: str) -> Ear:
            return Ear(part, vitals, clock)

        self.vitals = vitals
        self.platform = Platform(platform, ear(health.PLATFORM), clock)
        self.tuner = Tuner(tuner, ear(health.TUNER))
        self.volume = Volume(volume, ear(health.STORAGE))
        self.metrics = ear(health.METRICS)
        self._process = tuner
        self._tuner_ear = ear(health.TUNER)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Note the end of the tuner's process as soon as it comes, not when the tuner is next asked."""
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch())
            try:
                yield
            finally:
                watch.cancel()

    async def _watch(self) -> None:
        while True:
            self._tuner_ear.fails(await self._process.ended())
