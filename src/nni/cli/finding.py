"""The experiment of this machine that a command means."""

import argparse
from typing import TYPE_CHECKING

from nni import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nni.experiment import client
    from nni.records import registry


def add_id(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names an experiment."""
    parser.add_argument("id", nargs="?", help="the experiment's id or its beginning; not needed where one runs")


def find(prefix: str | None, *, or_ended: bool = False) -> "registry.Known":
    """Return the experiment that the user means.

    Args:
        prefix: What the user gave; None stands for the only one that runs.
        or_ended: Whether one that has ended will do.

    Raises:
        ExperimentNotFoundError: There is none, or more than one.
    """
    listed = registered().list()
    alive = [known for known in listed if known.is_alive]
    if prefix is not None:
        known = _by_prefix(prefix, alive)
        if known.is_alive or or_ended:
            return known
        if known.was_cut_off:
            raise errors.ExperimentNotFoundError(_cut_off(known))
        raise errors.ExperimentNotFoundError(
            f"Experiment {known.id} does not run any more ({known.status}); nnictl resume {known.id} opens it again."
        )
    if len(alive) == 1:
        return alive[0]
    if not alive and (cut_off := [known for known in listed if known.was_cut_off]):
        raise errors.ExperimentNotFoundError(_cut_off(cut_off[-1]))
    if not alive:
        raise errors.ExperimentNotFoundError(
            "No experiment runs on this machine; those that have ended: nnictl experiment list --all."
        )
    ids = ", ".join(known.id for known in alive)
    raise errors.ExperimentNotFoundError(f"Several experiments run on this machine; say which: {ids}.")


def _cut_off(known: "registry.Known") -> str:
    """Say what has become of an experiment that nobody stopped."""
    return (
        f"The manager of experiment {known.id} is gone and did not stop it, so its jobs may still run: nnictl resume "
        f"{known.id} goes on with them, nnictl experiment delete {known.id} removes them with all that it left."
    )


def _by_prefix(prefix: str, alive: "Sequence[registry.Known]") -> "registry.Known":
    if not prefix:
        # An empty variable of a script must not stop whatever happens to run.
        raise errors.ExperimentNotFoundError("The experiment's id is empty; leave it out to mean the one that runs.")
    try:
        return registered().find(prefix)
    except errors.ExperimentNotFoundError:
        # Of several that begin so, the one that runs is meant.
        begun = [known for known in alive if known.id.startswith(prefix)]
        if len(begun) != 1:
            raise
        return begun[0]


def connect(prefix: str | None) -> "client.Client":
    """Return the manager of the experiment that the user means."""
    from nni.experiment import client  # noqa: PLC0415 the verbs that need it load it

    return client.of(find(prefix))


def registered() -> "registry.Registry":
    """Return the list of this machine's experiments."""
    from nni.records import registry  # noqa: PLC0415 the verbs that need it load it

    return registry.Registry(registry.default_directory())
