"""``nnictl trial ls`` and ``trial show``: the trials of an experiment, and why they are where they are."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nni import errors
from nni.cli import finding, table
from nni.core import objectives, spec


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    group = verbs.add_parser("trial", help="trials of an experiment").add_subparsers(metavar="VERB", required=True)
    listing = group.add_parser("ls", help="list them, with the reason of those that failed or wait")
    finding.add_id(listing)
    listing.add_argument("--head", type=table.count, metavar="N", help="only the N best")
    listing.add_argument("--tail", type=table.count, metavar="N", help="only the N worst")
    table.add_json(listing)
    listing.set_defaults(run=list_trials)
    showing = group.add_parser("show", help="all that is known of one: its attempts, pods and events")
    showing.add_argument("trial", help="its id")
    finding.add_id(showing)
    table.add_json(showing)
    showing.set_defaults(run=show_trial)


def list_trials(arguments: argparse.Namespace) -> int:
    """Print the trials in the order of the experiment, or the best or worst of them."""
    manager = finding.connect(arguments.id)
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


def show_trial(arguments: argparse.Namespace) -> int:
    """Print one trial."""
    trial: dict[str, Any] | None = finding.connect(arguments.id).get(f"trial-jobs/{arguments.trial}")
    if trial is None:
        raise errors.ExperimentNotFoundError(f"There is no trial {arguments.trial}; see nnictl trial ls.")
    if arguments.json:
        print(json.dumps(trial, indent=2))
        return 0
    for line in _description(trial):
        print(line)
    return 0


def _named(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _description(trial: Mapping[str, Any]) -> Iterator[str]:
    *earlier, current = (_named(json.loads(text)["parameters"]) for text in trial["hyperParameters"])
    yield f"Trial {trial['trialJobId']} (number {trial['sequenceId']}): {trial['status']}"
    if reason := trial.get("reason"):
        yield f"why:        {reason['sentence']} ({reason['class']})"
        if reason["evidence"]:
            yield f"evidence:   {reason['evidence']}"
    yield f"parameters: {current}"
    yield from (f"result for: {parameters}" for parameters in earlier)
    for name, label in (("finalValue", "result:    "), ("logPath", "files:     "), ("job", "job:       ")):
        if trial.get(name) is not None:
            yield f"{label} {trial[name]}"
    yield from (f"  | {line}" for line in trial.get("lastLines", ()))
    yield from map(_attempt_line, trial["attempts"])
    for pod in trial["pods"]:
        node = f" on {pod['node']}" if pod["node"] else ""
        yield f"pod {pod['name']}: {pod['phase']}{node} {pod['state']}".rstrip()
    yield from (f"event {one['reason']} x{one['count']}: {one['message']}" for one in trial["events"])


def _attempt_line(attempt: Mapping[str, Any]) -> str:
    why = (attempt.get("reason") or {}).get("sentence", "")
    if attempt.get("finalValue") is not None:
        why = f"gave {attempt['finalValue']:.6g} with {_named(attempt['parameters'])} {why}"
    return f"attempt {attempt['attempt']} ({attempt['cause']}): {attempt['job'] or 'no job yet'} {why}".rstrip()


def _ranked(trials: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    tuner = spec.AlgorithmSpec.written(params.get("tuner") or params.get("advisor"))
    assessor = spec.AlgorithmSpec.written(params.get("assessor"))
    measured = [trial for trial in trials if trial.get("finalValue") is not None]
    is_maximized = objectives.is_maximized(tuner, assessor)
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
