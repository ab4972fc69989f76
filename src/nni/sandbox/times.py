"""Times as Kubernetes writes them."""

import datetime
from collections.abc import Callable

Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Give the time of this machine."""
    return datetime.datetime.now(datetime.UTC)


def stamp(moment: datetime.datetime) -> str:
    """Write a time in whole seconds: ``2026-11-24T10:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_fine(moment: datetime.datetime) -> str:
    """Write a time in microseconds, as leases and log lines have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime.datetime:
    """Read either form."""
    return datetime.datetime.fromisoformat(text)
