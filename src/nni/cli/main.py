"""``nnictl``: the verbs, and how an error ends."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from nni import errors
from nni._version import __version__
from nni.cli import changing, create, doctor, experiments, sandbox, trials


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="nnictl",
        description="Tune models on Kubernetes: every trial a Kubeflow job on your own cluster.",
    )
    parser.add_argument("-v", "--version", action="version", version=__version__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for room in (create, experiments, trials, changing, doctor, sandbox):
        room.add_parser(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after ``nnictl``; those of the process when None.
    """
    try:
        try:
            return _run(build_parser().parse_args(arguments))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        # Output that could not be written is not to be tried again at exit.
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, sys.stdout.fileno())
        os.close(silent)
        if isinstance(error, BrokenPipeError):
            return 141  # its reader has gone (``| head``): nothing is wrong
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(chosen: argparse.Namespace) -> int:
    run: Callable[[argparse.Namespace], int] = chosen.run
    try:
        return run(chosen)
    except errors.ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
    except (errors.NniError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
