"""Times as Kubernetes writes them."""

import datetime as dt
from collections.abc import Callable

Now = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """Give the time of this machine."""
    return dt.datetime.now(dt.UTC)


def stamp(moment: dt.datetime) -> str:
    """Write a time in whole seconds: ``2026-11-24T10:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_fine(moment: dt.datetime) -> str:
    """Write a time in microseconds, as leases and log lines have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> dt.datetime:
    """Read either form."""
    return dt.datetime.fromisoformat(text)
