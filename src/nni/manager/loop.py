"""Receive, fold, plan, record, perform.

The loop owns the state. Every input is an event in its queue; it takes all that have come, folds them, plans what is
due, writes events and intents to the records in one commit, and only then has the actions performed. While one commit
is under way the next batch gathers, so that many small events cost few commits.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from nni import errors
from nni.core import event, fold, plan, ports
from nni.core.state import State
from nni.manager import narrator

_log = logging.getLogger(__name__)

RECORDS_RETRY_SECONDS = 1.0


class Loop:
    """Runs one experiment until it has been stopped and cleaned up."""

    def __init__(
        self,
        *,
        state: State,
        records: ports.Records,
        clock: ports.Clock,
        perform: Callable[[event.Action], Awaitable[None]],
        announce: Callable[[int], None],
    ) -> None:
        """Take the finished parts; nothing happens before ``run``.

        Args:
            state: Where the experiment stands; changed by this loop alone from now on.
            records: Where events go before anything is done about them.
            clock: Stamps events.
            perform: Does what an action asks for and emits what came of it. Must not raise.
            announce: Told the revision after each batch.
        """
        self.state = state
        self._records = records
        self._clock = clock
        self._perform = perform
        self._queue: asyncio.Queue[tuple[event.Event, asyncio.Future[None] | None]] = asyncio.Queue()
        self._announce = announce
        self.left = asyncio.Event()
        """Set once it was told to leave."""
        self._narrator = narrator.Narrator()

    def emit(self, happened: event.Event) -> None:
        """Take in an event; to be called on the loop's thread."""
        self._queue.put_nowait((happened, None))

    async def commit(self, happened: event.Event) -> None:
        """Take in an event and return once it is folded and durable."""
        done = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((happened, done))
        await done

    def leave(self) -> None:
        """Have ``run`` return soon, with the experiment as it is: the next manager goes on with it."""
        self.left.set()
        self.emit(event.Ticked())

    async def run(self) -> None:
        """Run until nothing of the experiment is left to do, or until told to leave."""
        async with asyncio.TaskGroup() as tasks:
            performing: set[asyncio.Task[None]] = set()
            is_over = False
            while not is_over:
                # An experiment that was stopped goes on with the first batch.
                batch = await self._receive()
                for action in await self._take(batch):
                    task = tasks.create_task(_performed(self._perform, action))
                    performing.add(task)
                    task.add_done_callback(performing.discard)
                is_over = self.state.cleaned_up or self.left.is_set()
            for task in performing:
                task.cancel()

    async def _receive(self) -> list[tuple[event.Event, asyncio.Future[None] | None]]:
        """Wait for an event or a timer, and return all that has come by then."""
        batch = []
        timer = self.state.next_timer
        timeout = None if timer is None else max(0.0, timer - self._clock.now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                batch.append(await self._queue.get())
        while not self._queue.empty():
            batch.append(self._queue.get_nowait())
        if timer is not None and timer <= self._clock.now():
            batch.append((event.Ticked(), None))
        return batch

    async def _take(self, batch: Sequence[tuple[event.Event, asyncio.Future[None] | None]]) -> Sequence[event.Action]:
        """Fold a batch, record it with what is begun because of it, and return the actions to perform."""
        at, since = self._clock.now(), self.state.revision
        entries = []
        for happened, _ in batch:
            fold.fold(self.state, happened, at)
            if _is_worth_keeping(happened):
                entries.append(ports.Entry(at=at, event=happened))
        actions = plan.plan(self.state)
        for action in actions:
            began = event.Began(action=action)
            fold.fold(self.state, began, at)
            if not isinstance(action, event.Assess):
                entries.append(ports.Entry(at=at, event=began))
        await self._record(entries)
        for _, done in batch:
            if done is not None and not done.done():
                done.set_result(None)
        self._announce(self.state.revision)
        self._narrator.tell(self.state, since)
        return actions

    async def _record(self, entries: Sequence[ports.Entry]) -> None:
        """Write events; a full disk holds the experiment up and loses nothing."""
        while entries:
            try:
                await self._records.append(entries)
            except errors.RecordsError as error:
                _log.error("%s Nothing new is started until the records can be written.", error)
                await asyncio.sleep(RECORDS_RETRY_SECONDS)
            else:
                return


async def _performed(perform: Callable[[event.Action], Awaitable[None]], action: event.Action) -> None:
    """Perform an action as a task of its own."""
    await perform(action)


def _is_worth_keeping(happened: event.Event) -> bool:
    """Whether an event belongs into the records: signs of life and timers mean nothing after a restart."""
    match happened:
        case event.Ticked():
            return False
        case event.ReplicaReported(metrics=(), exit=None):
            return False
        case _:
            return True
