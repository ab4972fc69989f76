"""The pods that wait for a node: by priority, and all that ask for the same in one line.

Pods with the same wishes fit or fail together. So when room appears the first of each line is tried, and a line whose
first does not fit is left alone: the work grows with what is placed and with how many kinds of wishes there are, not
with how many pods wait.
"""

import dataclasses
import heapq
import itertools
import json
from collections.abc import Iterable, Iterator

from nni.sandbox import quantities, schema

Rank = tuple[int, int]
"""Higher priorities first, then the older pod."""
_WISHES = ("nodeSelector", "affinity", "tolerations", "preemptionPolicy")


@dataclasses.dataclass(frozen=True)
class Waiter:
    """One pod that waits."""

    uid: str
    namespace: str
    name: str
    shape: str
    """What it wishes for, as a key: the line in which it stands."""
    asked: quantities.Amounts
    rank: Rank


class Lines:
    """Every pod that waits."""

    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}
        self._lines: dict[str, list[tuple[Rank, str]]] = {}
        self._ages = itertools.count()

    def __contains__(self, uid: str) -> bool:
        return uid in self._waiters

    def __iter__(self) -> Iterator[Waiter]:
        return iter(list(self._waiters.values()))

    def add(self, found: schema.Object) -> Waiter:
        """Put a pod at the end of its line, behind none of lower priority."""
        metadata, spec = found["metadata"], found["spec"]
        asked = quantities.requests(spec) | {"pods": quantities.ONE}
        rank = (-int(spec.get("priority") or 0), next(self._ages))
        waiter = Waiter(
            metadata["uid"], metadata["namespace"], metadata["name"], _shape(metadata["namespace"], spec, asked), asked,
            rank,
        )  # fmt: skip
        self._waiters[waiter.uid] = waiter
        heapq.heappush(self._lines.setdefault(waiter.shape, []), (rank, waiter.uid))
        return waiter

    def remove(self, uid: str) -> None:
        """Take a pod out; nothing happens when it does not wait."""
        self._waiters.pop(uid, None)

    def shapes(self) -> list[str]:
        """Name the lines in which somebody stands."""
        return [shape for shape in list(self._lines) if self.first(shape) is not None]

    def first(self, shape: str) -> Waiter | None:
        """Return the first of a line."""
        line = self._lines.get(shape, [])
        while line and line[0][1] not in self._waiters:
            heapq.heappop(line)
        if not line:
            self._lines.pop(shape, None)
            return None
        return self._waiters[line[0][1]]


def claims_of(spec: schema.Object) -> list[str]:
    """Name the claims that a pod mounts."""
    volumes: Iterable[schema.Object] = spec.get("volumes", [])
    return [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]


def _shape(namespace: str, spec: schema.Object, asked: quantities.Amounts) -> str:
    claims = claims_of(spec)
    wishes = {name: spec[name] for name in _WISHES if name in spec}
    amounts = {name: str(amount.normalize()) for name, amount in asked.items() if amount}
    return json.dumps([amounts, wishes, [namespace, *claims] if claims else []], sort_keys=True)
