"""How a write or a deletion is to be done."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a write is to be done."""

    part: str = ""
    """``status`` for that subresource alone."""
    is_dry: bool = False
    """Answer as if it were done, and do nothing."""
    is_strict: bool = False
    """Refuse unknown fields instead of pruning them."""
    manager: str = ""
    """Who is to own what is written; empty for the cluster's own parts, whose writes nobody keeps apart."""
    is_forced: bool = False
    """Take fields from other managers when applying."""
    is_apply: bool = False
    warnings: list[str] | None = None
    """Where to tell of unknown fields that are pruned; None when nobody wants to know."""


@dataclasses.dataclass(frozen=True)
class Deletion:
    """How an object is to be deleted."""

    grace: int | None = None
    """Seconds; None is the object's own."""
    policy: str = "Background"
    """Empty is the kind's own."""
    uid: str | None = None
    version: str | None = None
    is_dry: bool = False


PLAIN = Manner()
DELETION = Deletion()
