"""The tuner and the assessor of an experiment; each opening is a new process, so that one that failed can be mended."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from nni import errors
from nni.core import model
from nni.core.state import State
from nni.tuners import process

_Process = TypeVar("_Process", process.TunerProcess, process.AssessorProcess)


class _Seat(Generic[_Process]):
    """Where one process after the other sits."""

    def __init__(self, make: Callable[[], _Process]) -> None:
        """Take what makes a process, not opened yet, that knows how the experiment stands at that moment."""
        self._make: Callable[[], _Process] = make
        self._process: _Process | None = None
        self._is_open = asyncio.Event()

    async def open(self) -> None:
        """See the port; one that is there already is closed."""
        self._is_open.clear()
        await self.close()
        self._process = self._make()
        await self._process.open()
        self._is_open.set()

    async def ended(self) -> str:
        """Return how the process of now ended, as one sentence, as soon as it has; after that, how the next one did."""
        while True:
            await self._is_open.wait()
            said = await self._sitting.ended()
            # Not when it was closed to make room for another.
            if self._is_open.is_set():
                self._is_open.clear()
                return said

    @property
    def pid(self) -> int | None:
        """The id of the process of now, None when there is none."""
        return None if self._process is None else self._process.pid

    async def close(self) -> None:
        """See the port."""
        if self._process is not None:
            await self._process.close()

    @property
    def _sitting(self) -> _Process:
        if self._process is None:
            raise errors.TunerError("It was not started.")
        return self._process


class Tuner(_Seat[process.TunerProcess]):
    """See ``ports.TunerPort``."""

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        """See the port."""
        return await self._sitting.ask(parameter_ids, new)

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        """See the port."""
        await self._sitting.tell(outcomes)

    async def update(self, search_space: Mapping[str, Any]) -> None:
        """See the port."""
        await self._sitting.update(search_space)


class Assessor(_Seat[process.AssessorProcess]):
    """See ``ports.AssessorPort``."""

    async def assess(self, trial: model.TrialId, start: int, values: Sequence[str]) -> bool:
        """See the port."""
        return await self._sitting.assess(trial, start, values)

    async def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See the port."""
        await self._sitting.end(trial, succeeded=succeeded)


def of(state: State, log: Path) -> tuple[Tuner, Assessor | None]:
    """Return an experiment's tuner and, where one was chosen, its assessor; neither is open.

    Args:
        state: Looked at whenever one is opened: the search space of then, and the trials that run.
        log: What both print is added to this file.
    """
    chosen = state.spec.assessor
    if chosen is None:
        return Tuner(lambda: _tuner(state, log)), None
    maximize, objective = state.spec.maximize, state.spec.primary
    assessor = Assessor(
        lambda: process.AssessorProcess(assessor=chosen, maximize=maximize, objective=objective, log=log)
    )
    return Tuner(lambda: _tuner(state, log)), assessor


def _tuner(state: State, log: Path) -> process.TunerProcess:
    spec = state.spec
    return process.TunerProcess(
        tuner=spec.tuner,
        search_space=spec.search_space,
        log=log,
        first=spec.initial_parameters,
        running={state.trials[key].parameter_id: state.trials[key].parameters for key in state.live},
    )
