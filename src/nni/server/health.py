"""Signs of life of what an experiment leans on: when each part was heard of last, and whether it has failed.

Whoever deals with a part says here what came of it; the portal shows it. Nothing is decided by it.
"""

import dataclasses
from collections.abc import Callable, Mapping

from nni.server import views

TUNER = "tuner"
PLATFORM = "platform"
STORAGE = "storage"
METRICS = "metrics"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What is known of one part."""

    heard_at: float | None = None
    """When it last did what it should, in seconds since the epoch; None before the first time."""
    failure: str | None = None
    """What went wrong since, as one sentence; None when nothing did."""
    failed_at: float | None = None
    is_late: bool = False
    """Whether that is only an answer that is long in coming: it may come yet."""


TOLD_AGAIN_SECONDS = 10.0
"""A part that goes on living is told to do so no more often than that."""


class Vitals:
    """The parts by name, in the order in which people look at them. Belongs to one event loop."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Begin with parts of which nothing is known.

        Args:
            changed: Called when a part fails or comes back, and now and then for one that lives.
        """
        self._changed = changed
        self._signs = dict.fromkeys((TUNER, PLATFORM, STORAGE, METRICS), Sign())
        self._told_at: dict[str, float] = {}

    @property
    def signs(self) -> Mapping[str, Sign]:
        """What is known now."""
        return self._signs

    def is_failing(self, part: str) -> bool:
        """Whether the last that is known of a part is a failure."""
        return self._signs[part].failure is not None

    def hears(self, part: str, at: float) -> None:
        """Note that a part did what it should."""
        was_failing = self._signs[part].failure is not None
        self._signs[part] = Sign(heard_at=at)
        if was_failing or at - self._told_at.setdefault(part, at) >= TOLD_AGAIN_SECONDS:
            self._told_at[part] = at
            self._changed()

    def fails(self, part: str, sentence: str, at: float, *, is_late: bool = False) -> None:
        """Note that a part did not do what it should, or has not done it yet for long."""
        before = self._signs[part]
        failed_at = before.failed_at if before.failure is not None else at
        self._signs[part] = Sign(heard_at=before.heard_at, failure=sentence, failed_at=failed_at, is_late=is_late)
        if before.failure != sentence:
            self._changed()


def shown(signs: Mapping[str, Sign]) -> list[views.Json]:
    """Return the parts as the portal's pages read them."""
    return [_shown(part, sign) for part, sign in signs.items()]


def _shown(part: str, sign: Sign) -> views.Json:
    state = "failed" if sign.failure is not None else "unknown" if sign.heard_at is None else "ok"
    state = "late" if sign.is_late else state
    answer: views.Json = {"part": part, "state": state}
    if sign.heard_at is not None:
        answer["heardAt"] = views.milliseconds(sign.heard_at)
    if sign.failure is not None and sign.failed_at is not None:
        answer |= {"sentence": sign.failure, "since": views.milliseconds(sign.failed_at)}
    return answer
