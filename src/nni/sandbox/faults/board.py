"""The board: which faults are in force, what they hit, and how often they may still."""

import asyncio
import dataclasses
import fnmatch
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nni.sandbox import schema, selectors
from nni.sandbox.faults import catalogue

F = TypeVar("F", bound=catalogue.Fault)


@dataclasses.dataclass(eq=False)
class Entry:
    """A fault on the board."""

    id: str
    fault: catalogue.Fault
    hits: int = 0
    is_over: bool = False
    """Taken back, or its time has passed."""
    befallen: set[str] = dataclasses.field(default_factory=set)
    """The uids of the pods that it has hit."""

    def hit(self, uid: str = "") -> bool:
        """Take one of its strikes, for the object of that uid; False when it is over, spent or has hit it before."""
        if self.is_over or uid in self.befallen or self.is_spent:
            return False
        self.hits += 1
        if uid:
            self.befallen.add(uid)
        return True

    @property
    def is_spent(self) -> bool:
        """Whether it has struck as often as it may."""
        return self.fault.count is not None and self.hits >= self.fault.count


class Board:
    """The faults of one sandbox."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._reactions: list[Callable[[Entry], None]] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def on_add(self, react: Callable[[Entry], None]) -> None:
        """Call ``react`` with each fault before anybody else sees it."""
        self._reactions.append(react)

    def add(self, faults: Sequence[catalogue.Fault]) -> list[Entry]:
        """Put faults into force."""
        added = [Entry(f"f{next(self._ids)}", fault) for fault in faults]
        for entry in added:
            self._entries[entry.id] = entry
            for react in self._reactions:
                react(entry)
            if entry.fault.duration is not None:
                asyncio.get_running_loop().call_later(entry.fault.duration, self._end, entry)
        self._pulse()
        return added

    def remove(self, fault_id: str) -> bool:
        """Take a fault back; False when there is none of that id."""
        entry = self._entries.pop(fault_id, None)
        if entry is not None:
            self._end(entry)
        return entry is not None

    def clear(self) -> None:
        """Take all back."""
        for fault_id in list(self._entries):
            self.remove(fault_id)

    async def changed(self) -> None:
        """Wait until a fault comes or ends."""
        await self._changed.wait()

    def of(self, kind: type[F]) -> list[tuple[Entry, F]]:
        """List the faults of a kind that are in force, oldest first."""
        return [
            (entry, entry.fault)
            for entry in self._entries.values()
            if isinstance(entry.fault, kind) and not entry.is_over
        ]

    def befalls(self, kind: type[F], pod: schema.Object, concerns: Callable[[F], bool] = lambda _: True) -> F | None:
        """Give the lasting fault of a kind that has hit a pod, or hits it now.

        Args:
            kind: The kind of fault.
            pod: The pod.
            concerns: Says of a fault whether it is about anything that the pod has.
        """
        uid = pod["metadata"]["uid"]
        for entry, fault in self.of(kind):
            if concerns(fault) and (uid in entry.befallen or (hits_pod(fault, pod) and entry.hit(uid))):
                return fault
        return None

    def _end(self, entry: Entry) -> None:
        entry.is_over = True
        self._pulse()

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def hits_pod(fault: catalogue.Fault, pod: schema.Object) -> bool:
    """Say whether a fault is meant for a pod."""
    metadata = pod["metadata"]
    return (
        isinstance(fault, catalogue.PodFault)
        and fnmatch.fnmatchcase(metadata["namespace"], fault.namespace)
        and fnmatch.fnmatchcase(metadata["name"], fault.name)
        and fnmatch.fnmatchcase(pod["spec"].get("nodeName", ""), fault.node)
        and selectors.labels(fault.labels)(metadata.get("labels", {}))
    )
