"""The wish that something ends, and how long that may take."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class StoppedError(Exception):
    """The pod is to end: whatever was waited for no longer matters."""


class Stop:
    """A wish to end, which comes at most once and whose grace can be shortened."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._changed = asyncio.Event()
        self._end = float("inf")

    @property
    def is_asked(self) -> bool:
        """Whether it has come."""
        return self._asked.is_set()

    def ask(self, grace: float) -> None:
        """Ask for the end within ``grace`` seconds from now; a later call can only shorten what is left."""
        self._end = min(self._end, asyncio.get_running_loop().time() + grace)
        self._asked.set()
        self._changed.set()

    async def asked(self) -> None:
        """Wait until it comes."""
        await self._asked.wait()

    async def overdue(self) -> None:
        """Wait until it has come and the grace has passed."""
        await self._asked.wait()
        while True:
            self._changed = asyncio.Event()
            try:
                async with asyncio.timeout_at(self._end):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def unless(self, *waits: Coroutine[Any, Any, object]) -> None:
        """Wait for the first of some things. Raises StoppedError when the end is asked for before."""
        await first(*waits, self.asked())
        if self.is_asked:
            raise StoppedError


async def first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of some things, and leave the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def settled(future: "asyncio.Future[Any]") -> None:
    """Wait for a future without owning it: to be cancelled here does nothing to it."""
    await asyncio.wait([future])
