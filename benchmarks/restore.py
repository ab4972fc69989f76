"""What it takes to bring a tuner back: seconds until a new tuner process that is told results gives a suggestion.

Ten mixed parameters; the process begins, takes in 1,000 or 10,000 results in one call, as after a restart of the
manager, and is asked once (goal: 5 s for 10,000). In quadratic time ten times the results would take a hundred times as
long. Beside the time that passes stands the CPU time of the process, which other work on the machine does not change.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.search import problems
from nni.core import model, space, spec
from nni.testing import tuner as scripted
from nni.tuners import process, random_search

COUNTS = (1_000, 10_000)
TUNERS: Mapping[str, Mapping[str, Any]] = {
    "Auto": {},
    "GP": {},
    "TPE": {},
    "Random": {},
    "GridSearch": {},
    "Anneal": {},
    "Evolution": {},
    "CMA-ES": {},
    "QMC": {},
    "NSGA-II": {},
    "Hyperband": {"TRIAL_BUDGET": 1},
    "ASHA": {"TRIAL_BUDGET": 1},
}
"""With what their trials get beside the parameters."""


def main() -> int:
    """Measure and print."""
    described = next(one.space for one in problems.REPORT if one.name == "mixed10")
    numbers = {name: one for name, one in described.items() if one["_type"] != "choice"}
    print(f"{'seconds (CPU) after so many results':36}" + "".join(f"{count:14,}" for count in COUNTS))
    for name, extra in TUNERS.items():
        searched = numbers if name == "CMA-ES" else described
        cells = []
        for count in COUNTS:
            before = _cpu()
            seconds = asyncio.run(_restored(name, searched, extra, count))
            cells.append(f"{seconds:.2f} ({_cpu() - before:.2f})")
        print(f"{name:36}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    return 0


def _cpu() -> float:
    """Return the CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _restored(name: str, described: Mapping[str, Any], extra: Mapping[str, Any], count: int) -> float:
    drawn = random_search.RandomSearch(space.parse(described), seed=1)
    outcomes: list[model.Outcome] = []
    for number in range(count):
        parameters = drawn.suggest(number)
        loss = sum(one for one in parameters.values() if isinstance(one, int | float))
        outcomes.append(scripted.outcome(number, {**parameters, **extra}, float(loss)))
    with tempfile.TemporaryDirectory() as directory:
        tuner = process.TunerProcess(
            tuner=spec.AlgorithmSpec(name=name), search_space=described, log=Path(directory, "tuner.log")
        )
        before = time.perf_counter()
        await tuner.open()
        try:
            await tuner.tell(outcomes)
            await tuner.ask([count])
            return time.perf_counter() - before
        finally:
            await tuner.close()


if __name__ == "__main__":
    sys.exit(main())
