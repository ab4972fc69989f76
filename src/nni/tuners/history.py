"""What a tuner that works on the cube remembers: where trials were, how they did, which still run."""

import bisect
import math
from collections.abc import Iterator

import numpy as np

from nni.tuners import outcomes
from nni.tuners.cube import Cube, Matrix, Vector

_FIRST_ROOM = 64


class History:
    """Ended trials in the order of their ends and in that of their losses, and running ones."""

    def __init__(self, cube: Cube) -> None:
        """Take the space of which nothing is known yet."""
        self._rows = np.empty((_FIRST_ROOM, len(cube)))
        self._losses = np.empty(_FIRST_ROOM)
        self._ranking: list[tuple[float, int]] = []
        self._count = 0
        self.successes = 0
        """How many trials have a loss."""
        self.active = np.zeros(len(cube), dtype=int)
        """In how many successful trials each column counted."""
        self.imported: set[int] = set()
        """Which of the ended trials are another experiment's, by their numbers."""
        self.pending: dict[int, Vector] = {}
        """Where the running trials are, by parameter id."""

    def __len__(self) -> int:
        """Return the number of ended trials, failed ones included."""
        return self._count

    @property
    def rows(self) -> Matrix:
        """Where the ended trials were, one a row."""
        return self._rows[: self._count]

    @property
    def losses(self) -> Vector:
        """The loss of each; infinity for a failed one."""
        return self._losses[: self._count]

    @property
    def running(self) -> Matrix:
        """Where the running trials are, one a row."""
        rows: Matrix = np.array(list(self.pending.values())).reshape(-1, self._rows.shape[1])
        return rows

    def add(self, row: Vector, loss: float, *, is_imported: bool = False) -> None:
        """Note an ended trial.

        Args:
            row: Where it was.
            loss: Anything that is not finite is a failure.
            is_imported: Whether it is another experiment's.
        """
        if is_imported:
            self.imported.add(self._count)
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._losses = np.concatenate([self._losses, np.empty_like(self._losses)])
        kept = min(max(loss, -outcomes.LARGEST), outcomes.LARGEST) if math.isfinite(loss) else math.inf
        self._rows[self._count], self._losses[self._count] = row, kept
        if kept < math.inf:
            bisect.insort(self._ranking, (kept, self._count))
            self.successes += 1
            self.active += ~np.isnan(row)
        self._count += 1

    def best(self, count: int) -> list[int]:
        """Return the numbers of the best trials, the best first."""
        return [number for _, number in self._ranking[:count]]

    def ranked(self, column: int) -> Iterator[float]:
        """Iterate over the numbers that successful trials had in a column, the best trial's first."""
        for _, number in self._ranking:
            value = float(self._rows[number, column])
            if value == value:  # noqa: PLR0124 not NaN
                yield value
