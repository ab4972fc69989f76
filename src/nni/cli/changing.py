"""``nnictl update`` and ``nnictl resume``: changing an experiment while it runs, and going on after a failure."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.cli import finding

if TYPE_CHECKING:
    from nni.records import registry


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    group = verbs.add_parser("update", help="change an experiment that runs").add_subparsers(
        metavar="VERB", required=True
    )
    space = group.add_parser("searchspace", help="give it another search space")
    finding.add_id(space)
    space.add_argument("-f", "--filename", metavar="FILE", required=True, help="the search space, in JSON or YAML")
    space.set_defaults(run=update_space)
    for name, what, kind in (
        ("concurrency", "how many trials run at once; 0 is a pause, which nnictl resume ends", int),
        ("trialnum", "how many trials there may be", int),
        ("duration", "how long trials may be added: 90s, 1h30m, 2h, 1d", _seconds_or_text),
    ):
        limit = group.add_parser(name, help=f"change {what}")
        finding.add_id(limit)
        limit.add_argument("-v", "--value", type=kind, required=True, help=what)
        limit.set_defaults(run=update_limit, limit=name)
    resuming = verbs.add_parser(
        "resume",
        help="go on with an experiment that was stopped or paused, or whose tuner or assessor failed and was mended",
    )
    finding.add_id(resuming)
    resuming.add_argument("-p", "--port", type=int, help="the portal's (the one that it had), of one that was stopped")
    resuming.add_argument("-d", "--debug", action="store_true", help="write a detailed log")
    resuming.add_argument("-f", "--foreground", action="store_true", help="show progress, and stop with this command")
    resuming.set_defaults(run=resume)


_LIMITS = {
    "searchspace": ("SEARCH_SPACE", "searchSpace"),
    "concurrency": ("TRIAL_CONCURRENCY", "trialConcurrency"),
    "trialnum": ("MAX_TRIAL_NUM", "maxTrialNumber"),
    "duration": ("MAX_EXEC_DURATION", "maxExperimentDuration"),
}


def _seconds_or_text(written: str) -> int | str:
    """Return a duration as a configuration has it: seconds are a number there, all else is text."""
    return int(written) if written.isdecimal() else written


def update_space(arguments: argparse.Namespace) -> int:
    """Give an experiment another search space."""
    from nni.config import files  # noqa: PLC0415 the verbs that need it load it

    _update(arguments.id, "searchspace", files.read_search_space(Path(arguments.filename)))
    return 0


def update_limit(arguments: argparse.Namespace) -> int:
    """Change a limit of an experiment."""
    known = _update(arguments.id, arguments.limit, arguments.value)
    if arguments.limit == "concurrency" and known.platform == "local":
        from nni.core import spec  # noqa: PLC0415 the verbs that need it load it

        if doubt := spec.crowding(arguments.value, os.cpu_count() or 1):
            print(f"warning: {doubt}", file=sys.stderr)
    return 0


def resume(arguments: argparse.Namespace) -> int:
    """Start the manager of an experiment again, or the tuner and the assessor of one that runs, or end its pause."""
    from nni.experiment import experiment  # noqa: PLC0415 the verbs that need it load it

    known = finding.find(arguments.id, or_ended=True)
    if known.is_alive:
        finding.connect(known.id).post("experiment/resume", {})
        print(f"Experiment {known.id} goes on.")
        return 0
    resumed = experiment.Experiment(id=known.id)
    mode = experiment.RunMode.Foreground if arguments.foreground else experiment.RunMode.Detach
    done = resumed.resume(arguments.port, arguments.foreground, arguments.debug, mode)
    if arguments.foreground:
        resumed.stop()
        return 0 if done else 1
    return 0


def _update(prefix: str | None, what: str, value: Any) -> "registry.Known":
    known = finding.find(prefix)
    kind, field = _LIMITS[what]
    finding.connect(known.id).put(f"experiment?update_type={kind}", {"params": {field: value}})
    print(f"Experiment {known.id} is changed.")
    return known
