"""What the manager needs of the outside world.

Every call may be repeated: the same call twice has the effect of one. Each port has a contract suite in
``nni.testing`` that runs over its fake and over the real thing.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nni.core import event, model

Emit = Callable[[event.Event], None]
"""Takes an event into the loop; to be called on the loop's thread."""


class Clock(Protocol):
    """The time, and nothing else."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...


class Platform(Protocol):
    """Where jobs run."""

    async def open(self, emit: Emit) -> None:
        """Connect and start to observe; from here on ``JobObserved`` events are emitted.

        Jobs of this experiment that exist already are observed too.

        Raises:
            PlatformError: The platform cannot be used; the message says why.
        """
        ...

    async def create(self, order: model.JobOrder) -> str:
        """Create the job of an attempt and return the name that users find it under.

        A job that exists already for the attempt is adopted.

        Raises:
            PlatformError: The job is refused for good.
            PlatformUnavailableError: The same call may pass later.
        """
        ...

    async def remove(self, attempt: model.AttemptKey) -> None:
        """Stop the attempt's pods (SIGTERM, grace period, SIGKILL) and delete its job, if there is one.

        Raises:
            PlatformUnavailableError: The same call may pass later.
        """
        ...

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """Remove everything of this experiment, except ended jobs of these attempts, and wait until it is gone.

        Raises:
            PlatformUnavailableError: The same call may pass later.
        """
        ...

    async def close(self) -> None:
        """Stop observing and disconnect; jobs go on. Takes under a second."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What a volume knows of a name."""

    is_directory: bool
    size: int
    """Bytes; 0 for a directory."""
    modified_at: float
    is_special: bool = False
    """Whether it is a link, a pipe or the like: it is listed, and never read or followed."""
    identity: str = ""
    """Differs from that of every other file that is or was under this name; empty where nobody knows."""


class Readable(Protocol):
    """The part of a volume that is looked at: see ``Volume``."""

    async def list(self, path: str) -> Sequence[str]:
        """Return the sorted names in a directory; none when it does not exist."""
        ...

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; nothing past the end. The file may be growing."""
        ...

    async def stat(self, path: str) -> Stat | None:
        """Return what is known of a path, None when it does not exist."""
        ...


class Growth(Protocol):
    """A volume that knows when its files grow, because they are written through it."""

    def listening(self, path: str, wake: Callable[[], None]) -> contextlib.AbstractContextManager[bool]:
        """Call ``wake`` on the loop's thread after each change of a file, while the context is open.

        The context is whether changes of this file are known at all.
        """
        ...


class Volume(Readable, Protocol):
    """The manager's side of the storage that it shares with pods.

    Paths are relative to the volume's root, with ``/`` between names, and never leave it: an absolute path or one with
    ``..`` raises VolumeError, as does every operation that fails.
    """

    async def put(self, path: str, content: bytes) -> None:
        """Write a whole file, atomically (temporary name, then rename), making missing parents."""
        ...

    async def make(self, path: str) -> None:
        """Make a directory and its missing parents; the directory is writable by every pod."""
        ...

    async def rename(self, source: str, target: str) -> None:
        """Move a file, over an existing one too."""
        ...

    async def delete(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it; nothing happens when it does not exist."""
        ...

    async def usage(self, path: str) -> int:
        """Return the bytes that files below a path take, without those that may not be looked at."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event with the moment at which the loop took it in."""

    at: float
    event: event.Event


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """A metric with all that says whose it is."""

    attempt: model.AttemptKey
    replica: model.Replica
    metric: model.Metric
    received_at: float


class Records(Protocol):
    """The experiment's database."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write events in order, all or none; durable on return.

        A metric whose replica, attempt and number are there already is left out.

        Raises:
            RecordsError: They could not be written.
        """
        ...

    async def replay(self) -> Sequence[Entry]:
        """Return all events in the order in which they were written, metrics in their places."""
        ...

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[MetricRow]:
        """Return metrics in the order in which they were received, of one trial or of all."""
        ...

    async def close(self) -> None:
        """Close the database."""
        ...


class AssessorPort(Protocol):
    """The assessor, in a process of its own, so that a tuner that thinks delays no early stop."""

    async def open(self) -> None:
        """Start the assessor.

        Raises:
            TunerError: It cannot start with its arguments.
        """
        ...

    async def assess(self, trial: model.TrialId, start: int, values: Sequence[str]) -> bool:
        """Return whether a trial may go on.

        Args:
            trial: The trial.
            start: How many intermediate results of the current attempt came before these; 0 begins a new curve.
            values: The intermediate results that are new, as JSON text.

        Raises:
            TunerError: The assessor failed; it will not answer any more.
        """
        ...

    async def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """Tell that a trial has ended, and whether well.

        Raises:
            TunerError: The assessor failed; it will not answer any more.
        """
        ...

    async def close(self) -> None:
        """End the assessor's process."""
        ...


class TunerPort(Protocol):
    """The tuner, in a process of its own."""

    async def open(self) -> None:
        """Start the tuner.

        Raises:
            TunerError: It cannot start with its arguments or its search space.
        """
        ...

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        """Return a suggestion for each id, in order; fewer when there are no more, or none before more is told.

        An id that was answered before gets the same answer again.

        Args:
            parameter_ids: One for each suggestion.
            new: How many may be new trials, None for all; the others can only be promotions.

        Raises:
            TunerError: The tuner failed; it will not answer any more.
        """
        ...

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        """Tell how trials ended; an outcome told before is passed over.

        Raises:
            TunerError: The tuner failed; it will not answer any more.
        """
        ...

    async def update(self, search_space: Mapping[str, Any]) -> None:
        """Give it another search space; ids that were answered keep their answers, and what was told stays known.

        Raises:
            TunerError: The tuner failed; it will not answer any more.
        """
        ...

    async def close(self) -> None:
        """End the tuner's process."""
        ...
