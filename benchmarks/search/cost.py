"""What a suggestion costs after many results, ours and the peers' in turns; ``python -m benchmarks.search.cost``."""

import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.search import peers

TUNERS = ("optuna TPE", "ours TPE", "nni TPE", "ours Auto", "ours Anneal")
HISTORIES = (100, 1_000, 10_000)
ROUNDS = 3
SUGGESTIONS = 50


def table(home: Path) -> str:
    """Measure and return a table: CPU time of a suggestion with ten mixed parameters, and memory of the process."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for turn in range(ROUNDS):
        for history in HISTORIES:
            for tuner in TUNERS:
                run = {"tuner": tuner, "problem": "mixed10", "seed": turn, "history": history}
                for line in peers.lines([{**run, "evaluations": SUGGESTIONS}], home):
                    found.setdefault((tuner, history), []).append(json.loads(line))
    head = [
        "### A suggestion after many results",
        "",
        f"Ten mixed parameters; CPU ms of {SUGGESTIONS} suggestions, {ROUNDS} processes in turns; load average "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.",
        "",
        "| tuner | results | median | mean | most | taking them in, s | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows = [_row(tuner, history, found[tuner, history]) for tuner in TUNERS for history in HISTORIES]
    return "\n".join([*head, *rows])


def _row(tuner: str, history: int, runs: list[dict[str, Any]]) -> str:
    spent = [one for run in runs for one in run["milliseconds"]]
    restored = statistics.median(run["restored"] for run in runs)
    peak = statistics.median(run["megabytes"] for run in runs)
    mean = statistics.median(statistics.mean(run["milliseconds"]) for run in runs)
    return (
        f"| {tuner} | {history:,} | {statistics.median(spent):.1f} | {mean:.1f} | {max(spent):.0f} "
        f"| {restored:.2f} | {peak:.0f} |"
    )


if __name__ == "__main__":
    print(table(Path(".bench")))
    sys.exit(0)
