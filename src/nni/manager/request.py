"""What a manager is started for, and the records of what has come of it so far."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import fold, model
from nni.core import spec as specs
from nni.core.state import State
from nni.records import description, registry, sqlite

HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the program that starts a manager asks for."""

    config: Mapping[str, Any]
    """Canonical JSON."""
    experiment_id: model.ExperimentId
    directory: Path
    """The experiment's own."""
    port: int
    """The portal's; the next one is the intake's."""
    url_prefix: str
    """Without slashes at its ends; empty for none."""
    is_attached: bool
    """Whether standard input stays open as long as the experiment is to live."""
    is_supervised: bool = False
    """Whether somebody starts this process again when it has ended: SIGTERM then leaves the trials running, and a
    start goes on with what the records say."""
    is_resumed: bool = False
    """Whether the experiment goes on with its records, though it has been stopped."""

    @property
    def url(self) -> str:
        """The portal's address."""
        return f"http://{HOST}:{self.port}" + (f"/{self.url_prefix}" if self.url_prefix else "")

    @property
    def is_begun(self) -> bool:
        """Whether the experiment goes on with its records."""
        return self.is_resumed or (self.is_supervised and sqlite.path_in(self.directory).exists())

    def only_looks_at(self, state: State) -> bool:
        """Whether an experiment was stopped, and is not to go on."""
        return state.cleaned_up and not self.is_resumed


def check_port(request: Request) -> None:
    """Make sure that trials which run already, and have nothing but the intake, still find it.

    Raises:
        ManagerError: They would not.
    """
    try:
        known = registry.Registry(registry.default_directory()).read(request.experiment_id)
    except errors.ExperimentNotFoundError:
        return
    if known.port != request.port:
        raise errors.ManagerError(
            f"Trials of experiment {known.id} still run and send their results to port {known.port + 1}, which goes "
            f"with the portal's port {known.port}: use --port {known.port}, and end what else may have these two ports."
        )


async def replayed(
    request: Request, spec: specs.ExperimentSpec, stack: contextlib.AsyncExitStack
) -> tuple[sqlite.SqliteRecords, State]:
    """Open the records, and return the state that they tell of."""
    records = await _records(request)
    stack.push_async_callback(records.close)
    state = State.new(experiment_id=request.experiment_id, spec=spec)
    for entry in await records.replay():
        fold.fold(state, entry.event, entry.at)
    return records, state


async def _records(request: Request) -> sqlite.SqliteRecords:
    if request.is_begun:
        return await sqlite.SqliteRecords.open_existing(request.directory)
    records = await sqlite.SqliteRecords.create(request.directory)
    await asyncio.to_thread(description.write, request.directory, request.config)
    return records
