"""``nnictl create``: start an experiment from a YAML file."""

import argparse


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
    parser.set_defaults(run=create)


def create(arguments: argparse.Namespace) -> int:
    """Start the experiment and, in the foreground, follow it to its end."""
    from nni.experiment import config, experiment  # noqa: PLC0415 the verbs that need them load them

    described = config.ExperimentConfig.load(arguments.config)
    created = experiment.Experiment(described)
    created.url_prefix = arguments.url_prefix
    if arguments.foreground:
        done = created.run(arguments.port, debug=arguments.debug)
        created.stop()
        return 0 if done else 1
    created.start(arguments.port, debug=arguments.debug, run_mode=experiment.RunMode.Detach)
    print(f"Follow it with: nnictl trial ls {created.id}")
    print(f"Stop it with:   nnictl stop {created.id}")
    return 0
