"""Makes tables of runs: regret for each problem, a mean over all with its interval, and what a suggestion costs."""

import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = "ours Random"
"""What all others are divided by."""
SHOWN = "ours Auto"
FLOOR = 0.01
MARKS = (25, 50, 100)
RESAMPLES = 500

Run = Mapping[str, Any]
Key = tuple[str, str, int, int, int]


def key(run: Run) -> Key:
    """Return what names a run."""
    return run["tuner"], run["problem"], run["pending"], run["seed"], run["evaluations"]


def read(path: Path) -> list[Run]:
    """Return the runs in a file; a line that was broken off is passed over."""
    if not path.exists():
        return []
    runs = []
    for line in path.read_text().splitlines():
        try:
            runs.append(json.loads(line))
        except ValueError:
            continue
    return runs


class Regrets:
    """The best regret so far of every run, at each mark."""

    def __init__(self, runs: Sequence[Run], pending: int, mark: int) -> None:
        self._best: dict[tuple[str, str], dict[int, float]] = {}
        for run in runs:
            if run["pending"] == pending:
                best = max(min(run["regrets"][:mark]), 0.0)
                self._best.setdefault((run["tuner"], run["problem"]), {})[run["seed"]] = best

    @property
    def problems(self) -> list[str]:
        return list(dict.fromkeys(problem for _, problem in self._best))

    @property
    def tuners(self) -> list[str]:
        """Those that have run on every problem."""
        names = dict.fromkeys(tuner for tuner, _ in self._best)
        return [name for name in names if all((name, problem) in self._best for problem in self.problems)]

    def seeds(self, tuner: str, problem: str) -> int:
        return len(self._best.get((tuner, problem), {}))

    def ratio(self, tuner: str, problem: str, draws: Sequence[float] | None = None) -> float:
        """Return the median regret divided by random search's.

        Args:
            tuner: Whose.
            problem: On what.
            draws: Numbers from 0 to 1 that choose the seeds, for both alike; all seeds once when None.
        """
        own, base = self._best[tuner, problem], self._best[BASE, problem]
        seeds = sorted(own)
        chosen = seeds if draws is None else [seeds[int(draw * len(seeds))] for draw in draws[: len(seeds)]]
        bases = sorted(base) if draws is None else [one for one in chosen if one in base]
        mine, its = statistics.median(own[one] for one in chosen), statistics.median(base[one] for one in bases)
        return max(mine / its, FLOOR) if its > 0 else 1.0

    def mean(self, tuner: str, draws: Sequence[float] | None = None) -> float:
        """Return the geometric mean of the ratios over all problems."""
        return math.exp(statistics.fmean(math.log(self.ratio(tuner, problem, draws)) for problem in self.problems))

    def interval(self, tuner: str) -> tuple[float, float]:
        """Return a 90 % bootstrap interval of the mean, over paired seeds."""
        return _interval([self.mean(tuner, draws) for draws in _draws()])

    def against(self, tuner: str, other: str, problem: str) -> tuple[float, float, float]:
        """Return how many times another ratio a tuner's is on a problem, with its interval over common seeds."""
        own, its, base = (self._best[name, problem] for name in (tuner, other, BASE))
        seeds = sorted(own.keys() & its.keys() & base.keys())

        def times(chosen: Sequence[int]) -> float:
            bottom = statistics.median(base[one] for one in chosen) or 1.0
            pair = [max(statistics.median(best[one] for one in chosen) / bottom, FLOOR) for best in (own, its)]
            return pair[0] / pair[1]

        resampled = [[seeds[int(draw * len(seeds))] for draw in draws[: len(seeds)]] for draws in _draws()]
        return (times(seeds), *_interval([times(chosen) for chosen in resampled]))


def _draws() -> list[list[float]]:
    chance = random.Random(0)
    return [[chance.random() for _ in range(20)] for _ in range(RESAMPLES)]


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[int(0.05 * len(ordered))], ordered[int(0.95 * len(ordered))]


def tables(runs: Sequence[Run]) -> str:
    """Return all tables as Markdown."""
    parts = []
    for pending in sorted({run["pending"] for run in runs}):
        how = "one trial after the other" if pending == 1 else f"{pending} trials pending"
        shown = [_means(runs, pending), _problems(runs, pending), _against(runs, pending)]
        parts.append("\n\n".join([f"### {how[0].upper()}{how[1:]}", *filter(None, shown)]))
    parts.append(f"### CPU time of a suggestion\n\n{_costs(runs)}")
    return "\n\n".join(parts)


def _means(runs: Sequence[Run], pending: int) -> str:
    marks = {mark: Regrets(runs, pending, mark) for mark in MARKS}
    last = marks[MARKS[-1]]
    rows = []
    for tuner in sorted(last.tuners, key=last.mean):
        seeds = min(last.seeds(tuner, problem) for problem in last.problems)
        cells = []
        for regrets in marks.values():
            low, high = regrets.interval(tuner)
            cells.append(f"{regrets.mean(tuner):.3f} ({low:.3f} to {high:.3f})")
        rows.append([tuner, str(seeds), *cells])
    return _table(["geometric mean", "seeds", *(f"after {mark}" for mark in MARKS)], rows)


def _problems(runs: Sequence[Run], pending: int) -> str:
    regrets = Regrets(runs, pending, MARKS[-1])
    tuners = [tuner for tuner in sorted(regrets.tuners, key=regrets.mean) if tuner != BASE]
    rows = [[problem, *(f"{regrets.ratio(tuner, problem):.3f}" for tuner in tuners)] for problem in regrets.problems]
    return _table([f"after {MARKS[-1]}", *tuners], rows)


def _against(runs: Sequence[Run], pending: int) -> str:
    """Return how Auto stands on each problem against the two best peers."""
    regrets = Regrets(runs, pending, MARKS[-1])
    peers = sorted((tuner for tuner in regrets.tuners if not tuner.startswith("ours")), key=regrets.mean)[:2]
    if SHOWN not in regrets.tuners:
        return ""
    rows = []
    for problem in regrets.problems:
        cells = []
        for peer in peers:
            found, low, high = regrets.against(SHOWN, peer, problem)
            cells.append(f"{found:.2f} ({low:.2f} to {high:.2f})")
        rows.append([problem, *cells])
    return _table([f"{SHOWN} after {MARKS[-1]}, times the ratio of", *peers], rows)


def _costs(runs: Sequence[Run]) -> str:
    rows = []
    for tuner in dict.fromkeys(run["tuner"] for run in runs):
        spent = [one for run in runs if run["tuner"] == tuner for one in run["milliseconds"][-50:]]
        rows.append([tuner, f"{statistics.median(spent):.1f}", f"{statistics.fmean(spent):.1f}", f"{max(spent):.0f}"])
    return _table(["the last 50 of each run, ms", "median", "mean", "most"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
