"""Asks for the events about jobs that do not start: what is worth a call for a few, and a flood for all.

A job is asked about when it has not started for a while, and again while that stays so; the calls are made one after
the other.
"""

import asyncio
import functools
import heapq
import logging
from collections.abc import Callable

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import api, client, status

_log = logging.getLogger(__name__)

SECONDS = 10.0
"""Between a job's creation and the first question, and between two questions about one job."""
LARGEST_ANSWER = 20
"""Events kept of a job."""
WORKLOADS = api.Resource(group="kueue.x-k8s.io", version="v1beta1", plural="workloads")


class Inquiries:
    """Keeps asking about the attempts that were put on its list."""

    def __init__(
        self,
        connection: client.Client,
        *,
        look_up: Callable[[model.AttemptKey], tuple[api.Object, ...]],
        answer: Callable[[model.AttemptKey, status.Asked], None],
        asks_queue: bool,
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The cluster.
            look_up: Returns an attempt's job and pods as long as it has not started; nothing when it has.
            answer: Takes what was found.
            asks_queue: Whether jobs are in a queue of Kueue.
        """
        self._connection = connection
        self._look_up = look_up
        self._answer = answer
        self._asks_queue = asks_queue
        self._due: list[tuple[float, model.AttemptKey]] = []
        self._listed: dict[model.AttemptKey, float] = {}
        self._news = asyncio.Event()

    def add(self, attempt: model.AttemptKey) -> None:
        """Put an attempt on the list, unless it is there."""
        if attempt in self._listed:
            return
        now = asyncio.get_running_loop().time()
        self._listed[attempt] = now
        heapq.heappush(self._due, (now + SECONDS, attempt))
        self._news.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            wait = self._due[0][0] - loop.time() if self._due else None
            if wait is None or wait > 0:
                await self._wait(wait)
                continue
            _, attempt = heapq.heappop(self._due)
            if await self._asked(attempt):
                heapq.heappush(self._due, (loop.time() + SECONDS, attempt))
            else:
                del self._listed[attempt]

    async def _wait(self, seconds: float | None) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _asked(self, attempt: model.AttemptKey) -> bool:
        """Ask about an attempt; return whether it is worth asking again."""
        objects = self._look_up(attempt)
        if not objects:
            return False
        try:
            notices, workload = await self._connection.run(functools.partial(self._fetch, objects))
        except (api.Refusal, errors.PlatformUnavailableError) as error:
            _log.warning("the events of trial %s cannot be read: %s", attempt.trial, error)
            notices, workload = (), None
        waited = asyncio.get_running_loop().time() - self._listed[attempt]
        self._answer(attempt, status.Asked(notices=notices, workload=workload, waited=waited))
        return True

    def _fetch(self, objects: tuple[api.Object, ...]) -> tuple[tuple[model.Notice, ...], api.Object | None]:
        """Ask for the events about some objects, and for what Kueue says of the first; in a thread."""
        found = [status.notice(event) for one in objects for event in self._connection.events(one["metadata"]["uid"])]
        found.sort(key=lambda one: one.last_at)
        return tuple(found[-LARGEST_ANSWER:]), self._workload(objects[0]) if self._asks_queue else None

    def _workload(self, job: api.Object) -> api.Object | None:
        selector = f"kueue.x-k8s.io/job-uid={job['metadata']['uid']}"
        try:
            items = self._connection.page(WORKLOADS, selector).items
        except api.Refusal as refusal:
            _log.info("Kueue's workloads cannot be read: %s", refusal)
            return None
        return items[0] if items else None
