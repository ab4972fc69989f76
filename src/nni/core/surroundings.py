"""What is around an experiment's jobs on their platform: nodes, quotas, a queue. Nothing is decided by it.

It belongs to others and is not watched: it is asked for while somebody looks. Amounts are Kubernetes' quantities, as
the platform writes them (``4``, ``16Gi``).
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the platform."""

    name: str
    is_ready: bool
    takes_pods: bool
    """Whether new pods may come: it is not cordoned."""
    capacity: Mapping[str, str]
    """What pods may ask for, by resource."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of one resource is taken."""

    resource: str
    used: str
    most: str | None = None
    """None where that is not known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A bound on what everybody in the namespace may ask for together."""

    name: str
    amounts: tuple[Amount, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The queue that jobs are sent to."""

    name: str
    cluster_queue: str
    """Where its quota is, which it may share with other queues."""
    admitted: int
    waiting: int
    amounts: tuple[Amount, ...]
    """What is taken of the cluster queue where that may be read, else what this queue has taken."""
    places: Mapping[str, int]
    """Of the jobs that wait, by their names; 1 is next."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All of it."""

    nodes: tuple[Node, ...] = ()
    quotas: tuple[Quota, ...] = ()
    queue: Queue | None = None
    unseen: tuple[str, ...] = ()
    """A sentence for each thing that cannot be seen, and why."""
