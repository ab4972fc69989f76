"""Operators that can be down: a fault ends their work, and after it they begin anew with all that there is."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nni.sandbox.faults import board, catalogue

Run = Callable[[], Coroutine[Any, Any, None]]
"""Works until the store is closed."""


async def supervise(faults: board.Board, name: str, run: Run) -> None:
    """Run an operator whenever no fault keeps it down, until it ends by itself.

    An operator that is down when the store is closed waits for its fault to end: cancel this then.
    """
    while True:
        while _is_down(faults, name):
            await faults.changed()
        async with asyncio.TaskGroup() as group:
            working = group.create_task(run())
            falling = group.create_task(_until_down(faults, name))
            await asyncio.wait([working, falling], return_when=asyncio.FIRST_COMPLETED)
            has_ended = working.done()
            working.cancel()
            falling.cancel()
        if has_ended:
            return


async def _until_down(faults: board.Board, name: str) -> None:
    while not _is_down(faults, name):
        await faults.changed()


def _is_down(faults: board.Board, name: str) -> bool:
    down = False
    for entry, fault in faults.of(catalogue.OperatorDown):
        down = down or (fault.operator == name and (name in entry.befallen or entry.hit(name)))
    return down
