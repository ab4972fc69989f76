"""Asks the platform what is around the jobs: once for all pages that ask within a moment."""

import asyncio
from collections.abc import Awaitable, Callable

from nni.core import ports
from nni.core import surroundings as around

SECONDS = 5.0
"""How long an answer is good enough."""


class Lookout:
    """Keeps the last answer."""

    def __init__(self, look: Callable[[], Awaitable[around.Surroundings]], clock: ports.Clock) -> None:
        """Take what asks; nothing is asked before somebody wants to know."""
        self._look = look
        self._clock = clock
        self._turn = asyncio.Lock()
        self._seen: around.Surroundings | None = None
        self._seen_at = 0.0

    async def ask(self) -> around.Surroundings:
        """Return what is around the jobs.

        Raises:
            PlatformUnavailableError: The platform does not answer.
        """
        async with self._turn:
            if self._seen is None or self._clock.now() - self._seen_at > SECONDS:
                self._seen = await self._look()
                self._seen_at = self._clock.now()
            return self._seen
