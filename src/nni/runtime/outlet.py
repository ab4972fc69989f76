"""What takes a replica's files out of the pod: copies on a shared volume, or what is sent to the intake."""

import os
import sys
from typing import Callable, List, Sequence, Union

from nni.runtime import flush, post, relay, remote, settings, sweep
from nni.wire import intake, layout

Outlet = Union[sweep.Sweep, relay.Relay, flush.Flush]
Tell = Callable[[str], None]
Ended = Callable[[str], Callable[[], None]]
"""Gives what a thread of this name calls at its end."""

_GROWING = (layout.STDOUT, layout.STDERR, layout.LOG, layout.JOURNAL)


def make(told: settings.Settings, work: str, *, tell: Tell, ended: Ended) -> Sequence[Outlet]:
    """Return the threads that a replica needs, not started.

    Args:
        told: Who this replica is.
        work: The work directory, as it came with the bundle.
        tell: Is given a sentence when something is left out.
        ended: Gives what each thread calls at its end.
    """
    output = os.path.join(told.directory, layout.OUTPUT)
    relays = make_relay(told, tell=tell, ended=ended)
    if told.storage != settings.MANAGER:
        folder = sweep.Folder(output)
        copying = sweep.Sweep("nni-sweep", work, folder, tell=tell, ended=ended("nni-sweep"))
        return [*relays, copying, *_make_flush(told, ended)]
    sweeps = [
        sweep.Sweep(
            name,
            source,
            remote.Sink(_remote(told), told.below(target), output if source == work else ""),
            tell=tell,
            ended=ended(name),
            # How much the manager takes is its own to say.
            limit=sys.maxsize,
            follows_deletions=target == told.checkpoint,
        )
        for name, source, target in (
            ("nni-sweep", work, output),
            ("nni-output", output, output),
            ("nni-checkpoint", told.checkpoint, told.checkpoint),
        )
    ]
    return [*relays, *sweeps]


def make_relay(told: settings.Settings, *, tell: Tell, ended: Ended) -> List[Outlet]:
    """Return the thread that sends what the replica says; none where the manager has the volume, too."""
    if not told.storage:
        return []
    return [
        relay.Relay(
            _remote(told),
            source=told.directory,
            target=told.below(told.directory),
            growing=_GROWING,
            last=layout.EXIT,
            tell=tell,
            ended=ended("nni-relay"),
        )
    ]


def stirs(outlets: Sequence[Outlet]) -> List[Callable[[], None]]:
    """Return what is to be called when something that the replica says was written."""
    return [one.stir for one in outlets if not isinstance(one, sweep.Sweep)]


def _make_flush(told: settings.Settings, ended: Ended) -> List[Outlet]:
    if told.platform == "local":
        # The manager is on the same machine, and sees what is in its memory.
        return []
    paths = [os.path.join(told.directory, name) for name in (layout.STDOUT, layout.STDERR, layout.LOG)]
    return [flush.Flush(paths, ended=ended("nni-flush"))]


def _remote(told: settings.Settings) -> remote.Remote:
    path = intake.path(told.experiment, told.trial, told.attempt, told.role, told.replica)
    return remote.Remote(post.Post(told.intake, path, told.token, told.fingerprint))
