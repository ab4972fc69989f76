"""``nnictl create``: start an experiment from a YAML file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from nni.experiment import config


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser("create", help="start an experiment from a YAML file")
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the experiment, in YAML")
    parser.add_argument(
        "-p", "--port", type=int, default=8080, help="the portal's (8080); trials report to the next one"
    )
    parser.add_argument("-u", "--url_prefix", metavar="PREFIX", help="put before every path of the portal")
    parser.add_argument("-d", "--debug", action="store_true", help="write a detailed log")
    parser.add_argument("-f", "--foreground", action="store_true", help="show progress, and stop with this command")
    parser.add_argument(
        "--supervised",
        action="store_true",
        help="with --foreground, where something starts this again when it ends (Kubernetes): SIGTERM leaves the "
        "trials running, and the next start goes on with them; experimentName is the id",
    )
    parser.set_defaults(run=create)


def create(arguments: argparse.Namespace) -> int:
    """Start the experiment and, in the foreground, follow it to its end."""
    from nni.experiment import config, experiment  # noqa: PLC0415 the verbs that need them load them

    described = config.ExperimentConfig.load(arguments.config)
    if arguments.supervised:
        _supervise(described, arguments)
    created = experiment.Experiment(described)
    created.url_prefix = arguments.url_prefix
    if arguments.foreground:
        done = created.run(arguments.port, debug=arguments.debug)
        created.stop()
        if not done:
            print(f"Go on with it:  nnictl resume {created.id}")
        return 0 if done else 1
    created.start(arguments.port, debug=arguments.debug, run_mode=experiment.RunMode.Detach)
    print(f"Follow it with: nnictl trial ls {created.id}")
    print(f"Stop it with:   nnictl stop {created.id}")
    return 0


def _supervise(described: "config.ExperimentConfig", arguments: argparse.Namespace) -> NoReturn:
    """Become the experiment's manager."""
    from nni import check, errors  # noqa: PLC0415
    from nni.experiment import experiment, launch  # noqa: PLC0415

    if not arguments.foreground:
        raise errors.ManagerError("--supervised needs --foreground: whoever supervises waits for this process.")
    described.debug = described.debug or arguments.debug
    spec = check.checked(described, is_begun=_is_begun(described))
    if spec.name is None:
        problem = errors.Problem("experimentName", "is not set; a supervised experiment goes by it at every start")
        raise errors.ConfigError([problem])
    experiment_id = experiment.Experiment(described, id=spec.name).id
    launch.check_prefix(arguments.url_prefix)
    launch.become(
        spec.canonical,
        experiment_id=experiment_id,
        directory=Path(spec.working_directory) / experiment_id,
        port=arguments.port,
        url_prefix=arguments.url_prefix,
    )


def _is_begun(described: "config.ExperimentConfig") -> bool:
    """Whether an earlier start has made records; a name or a directory that can be none is reported elsewhere."""
    import os  # noqa: PLC0415

    from nni.records import sqlite  # noqa: PLC0415

    name, place = described.experiment_name, described.experiment_working_directory
    if not isinstance(name, str) or not isinstance(place, str | os.PathLike):
        return False
    return sqlite.path_in(Path(described.resolved(place), name)).exists()
