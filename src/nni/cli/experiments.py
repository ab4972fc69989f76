"""``nnictl stop``, ``experiment list``, ``experiment status``, ``webui url``: experiments of this machine."""

import argparse
import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nni import errors
from nni.cli import deleting, finding, results, table

if TYPE_CHECKING:
    from nni.records import registry


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    stopping = verbs.add_parser("stop", help="stop an experiment; nothing of it is left on the cluster")
    finding.add_id(stopping)
    stopping.add_argument("-p", "--port", type=int, help="the one whose portal has this port")
    stopping.add_argument(
        "-f", "--force", action="store_true", help="do not wait for the cluster; says what removes what is left there"
    )
    stopping.add_argument("-a", "--all", action="store_true", help="all that run on this machine")
    stopping.set_defaults(run=stop)

    group = verbs.add_parser("experiment", help="experiments of this machine").add_subparsers(
        metavar="VERB", required=True
    )
    listing = group.add_parser("list", help="those that run")
    listing.add_argument("--all", action="store_true", help="those that have ended too")
    table.add_json(listing)
    listing.set_defaults(run=list_experiments)
    for name in ("status", "show"):
        showing = group.add_parser(name, help="how far one is")
        finding.add_id(showing)
        table.add_json(showing)
        showing.set_defaults(run=status)

    deleting.add_parser(group)
    results.add_parser(group)

    portal = verbs.add_parser("webui", help="the portal").add_subparsers(metavar="VERB", required=True)
    linking = portal.add_parser("url", help="print the link that opens it")
    finding.add_id(linking)
    linking.set_defaults(run=print_url)


def stop(arguments: argparse.Namespace) -> int:
    """Stop experiments and wait until they have stopped."""
    from nni.experiment import client  # noqa: PLC0415 the verbs that need it load it

    if arguments.all:
        chosen = [known for known in finding.registered().list() if known.is_alive]
    elif arguments.port is not None:
        chosen = [known for known in finding.registered().list() if known.is_alive and known.port == arguments.port]
        if not chosen:
            raise errors.ExperimentNotFoundError(f"No experiment runs on port {arguments.port} of this machine.")
    else:
        chosen = [finding.find(arguments.id)]
    for known in chosen:
        client.of(known).delete(f"experiment?force={str(arguments.force).lower()}")
    lefts = [_until_stopped(known) for known in chosen]
    if not chosen:
        print("No experiment runs on this machine.")
    return 1 if any(lefts) else 0


def _until_stopped(known: "registry.Known") -> str | None:
    """Wait for an experiment that was told to stop, and print that it has; return what it has left."""
    from nni.experiment import client, progress, stopping  # noqa: PLC0415 the verbs that need it load it

    manager = client.of(known)
    try:
        try:
            stopping.follow(manager, progress.say, f"`nnictl stop {known.id} --force` stops without the cluster.")
        except KeyboardInterrupt:
            progress.say("It goes on stopping; Ctrl-C once more stops without waiting for the cluster.")
            stopping.follow(manager, progress.say, "Ctrl-C stops without the cluster.")
    except KeyboardInterrupt:
        stopping.force(manager)
    client.wait_until_gone(known)
    print(f"Experiment {known.id} has stopped.")
    left = finding.registered().read(known.id).left
    if left:
        print(left)
    return left


def list_experiments(arguments: argparse.Namespace) -> int:
    """Print the experiments of this machine."""
    chosen = [known for known in finding.registered().list() if known.is_alive or arguments.all]
    if arguments.json:
        print(json.dumps([_fields(known) for known in chosen], indent=2))
        return 0
    if not chosen:
        none = "No experiment runs on this machine. Add --all for those that have ended."
        print("No experiment is known on this machine." if arguments.all else none)
        return 0
    head = ("id", "name", "status", "platform", "port", "started")
    table.show(head, [_row(known) for known in chosen])
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print how far an experiment is."""
    from nni.experiment import client  # noqa: PLC0415 the verbs that need it load it

    known = finding.find(arguments.id, or_ended=True)
    if not known.is_alive:
        print(json.dumps(_fields(known), indent=2) if arguments.json else f"Experiment {known.id}: {known.status}")
        if known.left and not arguments.json:
            print(known.left)
        return 0
    manager = client.of(known)
    seen: dict[str, Any] = {**_fields(known), **manager.get("check-status")}
    seen["trials"] = {one["trialJobStatus"]: one["trialJobNumber"] for one in manager.get("job-statistics")}
    if arguments.json:
        print(json.dumps(seen, indent=2))
        return 0
    counts = ", ".join(f"{number} {name.lower().replace('_', ' ')}" for name, number in seen["trials"].items())
    print(f"Experiment {known.id}: {seen['status']}")
    if manager.get("experiment")["params"]["trialConcurrency"] == 0:
        print(f"paused: nnictl resume {known.id} goes on with as many trials at once as before")
    print(f"trials: {counts or 'none yet'}")
    print(f"files:  {known.directory}")
    for line in seen["errors"]:
        print(f"error:  {line}")
    return 0


def print_url(arguments: argparse.Namespace) -> int:
    """Print the portal's link."""
    from nni.experiment import client  # noqa: PLC0415 the verbs that need it load it

    print(client.link(finding.find(arguments.id)))
    return 0


def _fields(known: "registry.Known") -> dict[str, Any]:
    return {
        "id": known.id,
        "name": known.name,
        "status": known.status,
        "platform": known.platform,
        "port": known.port,
        "pid": known.pid,
        "startTime": known.start_time,
        "endTime": known.end_time,
        "directory": str(known.directory),
        "left": known.left,
    }


def _row(known: "registry.Known") -> Sequence[str]:
    started = "" if known.start_time is None else dt.datetime.fromtimestamp(known.start_time).strftime("%F %T")  # noqa: DTZ006 the reader's own time
    return (known.id, known.name or "", known.status, known.platform, str(known.port), started)
