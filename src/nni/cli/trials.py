"""``nnictl trial ls``: the trials of an experiment, with the reason of those that failed or wait."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nni.cli import experiments, table


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    group = verbs.add_parser("trial", help="trials of an experiment").add_subparsers(metavar="VERB", required=True)
    listing = group.add_parser("ls", help="list them, with the reason of those that failed or wait")
    experiments.add_id(listing)
    listing.add_argument("--head", type=table.count, metavar="N", help="only the N best")
    listing.add_argument("--tail", type=table.count, metavar="N", help="only the N worst")
    table.add_json(listing)
    listing.set_defaults(run=list_trials)


def list_trials(arguments: argparse.Namespace) -> int:
    """Print the trials in the order of the experiment, or the best or worst of them."""
    manager = experiments.connect(arguments.id)
    trials: list[dict[str, Any]] = manager.get("trial-jobs")
    none = "There is no trial yet."
    if arguments.head is not None or arguments.tail is not None:
        trials = _ranked(trials, manager.get("experiment")["params"])
        trials = trials[: arguments.head] if arguments.head is not None else trials[-arguments.tail :]
        none = "No trial has a final metric yet."
    if arguments.json:
        print(json.dumps(trials, indent=2))
        return 0
    if not trials:
        print(none)
        return 0
    table.show(("no", "trial", "status", "metric", "steps", "job", "why"), [_row(trial) for trial in trials])
    return 0


def _ranked(trials: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    arguments = params.get("tuner", {}).get("classArgs", {})
    is_maximized = arguments.get("optimize_mode", "minimize") == "maximize"
    measured = [trial for trial in trials if trial.get("finalValue") is not None]
    return sorted(measured, key=lambda trial: float(trial["finalValue"]), reverse=is_maximized)


def _row(trial: Mapping[str, Any]) -> Sequence[str]:
    value = trial.get("finalValue", trial.get("lastValue"))
    return (
        str(trial["sequenceId"]),
        trial["trialJobId"],
        trial["status"],
        "" if value is None else f"{value:.6g}",
        str(trial["intermediateCount"]),
        trial.get("job", ""),
        trial.get("reason", {}).get("sentence", ""),
    )
