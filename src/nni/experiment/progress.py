"""Shows how far an experiment is: a live line on a terminal, plain lines in a pipe, a table at the end."""

import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nni import errors
from nni.experiment import client, data

BEST_SHOWN = 5
OVER = ("DONE", "STOPPED", "ERROR")


def say(sentence: str) -> None:
    """Print a line for people, beside what the program itself prints."""
    print(sentence, file=sys.stderr, flush=True)


class Line:
    """One line about an experiment, redrawn in place where that is possible."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._shown = ""
        self._milestone: object = None
        self._values: dict[str, float] = {}
        self._told: set[str] = set()
        """Reasons, and the trials that had them."""

    def show(self, change: Mapping[str, Any]) -> None:
        """Show the state that an event of the manager's stream carries."""
        for trial in change["trials"]:
            value = trial.get("finalValue")
            if value is not None:
                self._values[trial["trialJobId"]] = value
            self._tell_what_to_mend(trial)
        text, milestone = self._text(change), self._milestone_of(change)
        if self._is_live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r" + text[:width].ljust(min(len(self._shown), width)))
            sys.stderr.flush()
        elif milestone != self._milestone:
            say(text)
        self._shown, self._milestone = text, milestone

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._is_live and self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _tell_what_to_mend(self, trial: Mapping[str, Any]) -> None:
        """Say why a trial waits where that does not pass by itself: once a reason, and once a trial."""
        reason, name = trial.get("reason") or {}, trial["trialJobId"]
        if trial["status"] != "WAITING" or reason.get("class") != "config":
            return
        if reason["sentence"] not in self._told and name not in self._told:
            if self._is_live:
                sys.stderr.write("\r" + " " * len(self._shown) + "\r")
            say(f"trial {name} waits: {reason['sentence']}")
        self._told |= {reason["sentence"], name}

    def _text(self, change: Mapping[str, Any]) -> str:
        summary, counts = change["experiment"], change["counts"]
        over = sum(number for status, number in counts.items() if status not in ("WAITING", "RUNNING"))
        total = summary["maxTrialNumber"]
        started = summary["startTime"]
        elapsed = 0 if started is None else max(0, int(time.time() - started / 1000))  # noqa: TID251 a display
        parts = [
            f"[{elapsed // 60:d}:{elapsed % 60:02d}] {summary['status'].lower().replace('_', ' ')}",
            f"{over}/{total} trials" if total else f"{over} trials",
            f"{counts['RUNNING']} running",
            f"{counts['WAITING']} waiting",
        ]
        if counts["FAILED"]:
            parts.append(f"{counts['FAILED']} failed")
        best = change["best"]
        if best in self._values:
            parts.append(f"best {self._values[best]:.6g} (trial {best})")
        return "  ".join(parts)

    @staticmethod
    def _milestone_of(change: Mapping[str, Any]) -> object:
        counts = change["counts"]
        ended = tuple(number for status, number in counts.items() if status not in ("WAITING", "RUNNING"))
        return change["experiment"]["status"], ended, change["best"]


def follow(manager: client.Client) -> str:
    """Show an experiment until it is over, and return its last status.

    A broken connection is taken up again; a manager that is gone is an error.

    Raises:
        ManagerUnreachableError: The manager ended without a word.
    """
    line = Line()
    try:
        while True:
            for change in manager.events():
                line.show(change)
                if change["experiment"]["status"] in OVER:
                    return str(change["experiment"]["status"])
            manager.get("check-status")
    except errors.ManagerUnreachableError:
        # One more look: the stream may have been cut while the manager is well.
        status = str(manager.get("check-status")["status"])
        if status in OVER:
            return status
        raise
    finally:
        line.end()


def summarize(trials: Sequence[data.TrialJob], objective: str = "default", *, maximize: bool) -> None:
    """Print the best trials as a table, the failed ones with their reason, and the best of all in one line.

    Args:
        trials: All trials.
        objective: What they are compared by, where their metric is a dictionary.
        maximize: Whether a larger one is better.
    """
    for trial in trials:
        if trial.status == "FAILED":
            say(f"trial {trial.trialJobId} failed: {(trial.reason or {}).get('sentence', 'no reason is known')}")
    ranked = sorted(
        ((value, trial) for trial in trials if (value := _value(trial, objective)) is not None),
        key=lambda pair: pair[0],
        reverse=maximize,
    )
    if not ranked:
        print("no trial gave a result")
        return
    rows = [
        (str(rank), trial.trialJobId, f"{value:.6g}", _duration(trial), _parameters(trial))
        for rank, (value, trial) in enumerate(ranked[:BEST_SHOWN], start=1)
    ]
    for row in _table(("", "trial", objective, "seconds", "parameters"), rows):
        print(row)
    value, best = ranked[0]
    print(f"best trial {best.trialJobId}: {objective}={value:.6g}  {_parameters(best)}")


def _value(trial: data.TrialJob, objective: str) -> float | None:
    if not trial.finalMetricData:
        return None
    value = trial.finalMetricData[-1].data
    if isinstance(value, Mapping):
        value = value.get(objective)
    return float(value) if isinstance(value, (int, float)) and not math.isnan(value) else None


def _duration(trial: data.TrialJob) -> str:
    if trial.startTime is None or trial.endTime is None:
        return ""
    return f"{(trial.endTime - trial.startTime) / 1000:.1f}"


def _parameters(trial: data.TrialJob) -> str:
    # The first are those that the result is for.
    values = trial.hyperParameters[0]["parameters"]
    if not isinstance(values, Mapping):
        return json.dumps(values)
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) and value.isprintable() and " " not in value else json.dumps(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
