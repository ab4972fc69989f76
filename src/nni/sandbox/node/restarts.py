"""When a container is started again, and how long that is put off."""

_FIRST = 10.0
_LONGEST = 300.0
_FORGIVEN = 600.0
"""Seconds after which a container that has run so long counts as well."""


def is_due(policy: str, code: int | None) -> bool:
    """Say whether a container that has ended with a code is to run again."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


class Backoff:
    """The kubelet's delays: at once, then 10 s, doubled up to 5 minutes."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lived: float) -> float:
        """Give the seconds until the next start, after a run of ``lived`` seconds."""
        delay = 0.0 if lived >= _FORGIVEN else self._next
        self._next = min(max(_FIRST, 2 * delay), _LONGEST)
        return delay


def written(seconds: float) -> str:
    """Write a duration as the kubelet does: ``10s``, ``1m20s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
