"""Runs what is missing of the search benchmark and prints its tables; ``make bench-search``, with ``FULL=1`` all of it.

Every run is kept in ``.bench/search.jsonl`` as it ends, so that the benchmark can be broken off and taken up again.
``FRESH="ours Auto"`` forgets the runs of a tuner that has changed, ``ONLY`` names the tuners to run, ``SET=design``
takes the problems that tuners were designed on, ``HOURS`` ends it after so long, ``JOBS`` run at once.
"""

import concurrent.futures
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search import cost, peers, problems, report

HOME = Path(".bench")
TABLES = HOME / "tables.json"
RESULTS = HOME / "search.jsonl"
EVALUATIONS = 100
PENDING = (1, 8)
OURS = ("ours Auto", "ours TPE", "ours Anneal", "ours CMA-ES", "ours Random")
PEERS = ("nni TPE", "nni Anneal", "optuna TPE", "optuna CMA-ES", "hyperopt TPE")
SLOW = ("optuna-gp GPSampler",)
QUICK_PROBLEMS = ("branin2", "hartmann6", "mixed10", "conditional", "svm")

Run = Mapping[str, Any]


def wanted(*, full: bool, design: bool, tuners: Sequence[str]) -> list[dict[str, Any]]:
    """Return the runs of a benchmark, the first seeds of all first."""
    names = [problem.name for problem in (problems.DESIGN if design else (*problems.REPORT, *problems.trained(TABLES)))]
    if not full and not design:
        names = [name for name in names if name in QUICK_PROBLEMS]
    return [
        {"tuner": tuner, "problem": name, "pending": pending, "seed": seed, "evaluations": EVALUATIONS}
        for seed in range(20 if full else 3)
        for tuner in tuners
        if tuner not in SLOW or seed < 5
        for pending in PENDING
        for name in names
    ]


def main() -> int:
    """Run and report."""
    full, design = os.environ.get("FULL") == "1", os.environ.get("SET") == "design"
    HOME.mkdir(exist_ok=True)
    if not TABLES.exists():
        print("training the models of the tables (once, about a minute)")
        subprocess.run([sys.executable, "-m", "benchmarks.search.tables", str(TABLES)], check=True)
    tuners = (*OURS, *PEERS, *SLOW) if full else (*OURS, *PEERS)
    only = os.environ.get("ONLY")
    chosen = tuple(only.split(",")) if only else tuners
    fresh = (os.environ.get("FRESH") or "").split(",")
    runs = wanted(full=full, design=design, tuners=tuners)
    if any(fresh):
        kept = [run for run in report.read(RESULTS) if run["tuner"] not in fresh]
        RESULTS.write_text("".join(json.dumps(run) + "\n" for run in kept))
    done = {report.key(run) for run in report.read(RESULTS)}
    missing = [run for run in runs if report.key(run) not in done and run["tuner"] in chosen]
    print(f"{len(runs)} runs, {len(missing)} of them missing")
    _run_all(missing)
    by_key = {report.key(run): run for run in report.read(RESULTS)}
    found = [by_key[report.key(run)] for run in runs if report.key(run) in by_key]
    print(report.tables(found))
    print(cost.table(HOME))
    return 0


def _run_all(missing: Sequence[Run]) -> None:
    """Run what is missing, in as many processes at once as there are cores, each a portion of one tuner."""
    deadline = time.monotonic() + 3600 * float(os.environ.get("HOURS") or 1e9)
    portions: queue.SimpleQueue[Sequence[Run]] = queue.SimpleQueue()
    for portion in _portions(missing):
        portions.put(portion)
    writing = threading.Lock()

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                portion = portions.get_nowait()
            except queue.Empty:
                return
            for line in peers.lines(portion, HOME):
                with writing, RESULTS.open("a") as file:
                    file.write(line)

    jobs = int(os.environ.get("JOBS") or os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(work) for _ in range(jobs)]:
            future.result()


def _portions(missing: Iterable[Run]) -> list[list[Run]]:
    """Group runs that one process does: of one tuner and one seed, sequential or not."""
    groups: dict[tuple[str, int, int], list[Run]] = {}
    for run in missing:
        groups.setdefault((run["tuner"], run["seed"], run["pending"]), []).append(run)
    return list(groups.values())


if __name__ == "__main__":
    sys.exit(main())
