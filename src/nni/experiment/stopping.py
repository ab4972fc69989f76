"""Follows an experiment that stops: says what it waits for, and how it stops without its platform."""

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from nni import errors
from nni.experiment import client


def follow(manager: client.Client, say: Callable[[str], None], way_on: str) -> None:
    """Say what a stop waits for on a cluster, until it has stopped or nobody tells any more.

    Args:
        manager: Of the experiment, which was told to stop.
        say: Takes a sentence for people: one when the wait begins, others when the platform fails or is back.
        way_on: How to stop without the platform; said with a failure.
    """
    before: str | None = None
    with contextlib.suppress(errors.ManagerUnreachableError, errors.RequestRefusedError):
        for change in manager.events():
            if change["experiment"]["status"] != "STOPPING":
                return
            if change["experiment"]["platform"] == "local":
                continue
            failure = _failure(change)
            if change["experiment"]["leaving"]["jobs"] > 0 and failure != before:
                say(_sentence(change, failure, way_on))
                before = failure


def force(manager: client.Client) -> None:
    """Have an experiment stop without its platform; nothing happens when it has stopped."""
    with contextlib.suppress(errors.ManagerUnreachableError, errors.RequestRefusedError):
        manager.delete("experiment?force=true")


def _failure(change: Mapping[str, Any]) -> str:
    """Return how the platform fails, as one sentence; empty when it does not."""
    sign = next(its for its in change["health"] if its["part"] == "platform")
    if sign["state"] != "failed":
        return ""
    since = dt.datetime.fromtimestamp(sign["since"] / 1000).strftime("%T")  # noqa: DTZ006 the reader's own time
    return f"since {since}: {sign['sentence'].rstrip('.')}."


def _sentence(change: Mapping[str, Any], failure: str, way_on: str) -> str:
    count = change["experiment"]["leaving"]["jobs"]
    jobs = "1 job" if count == 1 else f"{count} jobs"
    waits = f"Waiting for the cluster to delete {jobs}"
    return f"{waits}; {failure} {way_on}" if failure else f"{waits}."
