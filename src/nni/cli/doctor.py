"""``nnictl doctor`` and ``nnictl render``: what an experiment would meet on the cluster, and what it would create."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nni import errors
from nni.cli import table

if TYPE_CHECKING:
    from nni.core import spec

_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    looking = verbs.add_parser("doctor", help="look at all that an experiment needs before it is started")
    _add_config(looking)
    looking.add_argument(
        "-p", "--port", type=int, default=8080, help="the portal's (8080); the probe needs the next one"
    )
    looking.add_argument("--no-probe", action="store_true", help="run no pod that tries storage and intake")
    table.add_json(looking)
    looking.set_defaults(run=doctor)
    rendering = verbs.add_parser("render", help="print what a trial creates on the cluster, and create nothing")
    _add_config(rendering)
    rendering.set_defaults(run=render)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the experiment, in YAML")


def _spec(path: str) -> "spec.ExperimentSpec":
    from nni import check  # noqa: PLC0415 the verbs that need them load them
    from nni.experiment import config  # noqa: PLC0415

    return check.checked(config.ExperimentConfig.load(path))


def doctor(arguments: argparse.Namespace) -> int:
    """Print what is right and wrong; 0 when an experiment can run."""
    import asyncio  # noqa: PLC0415

    from nni.manager import doctor as doctors  # noqa: PLC0415
    from nni.platforms.kubeflow import preflight  # noqa: PLC0415

    spec = _spec(arguments.config)
    try:
        Path(spec.working_directory).mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix="doctor-", dir=spec.working_directory)
    except OSError as error:
        raise errors.RecordsError(f"{spec.working_directory} cannot be written: {error.strerror}.") from error
    with place as directory:
        findings = asyncio.run(
            doctors.examine(
                spec,
                environment=os.environ,
                directory=Path(directory),
                port=arguments.port,
                with_probe=not arguments.no_probe,
            )
        )
    if arguments.json:
        print(json.dumps([{"what": one.what, "verdict": one.verdict, "sentence": one.sentence} for one in findings]))
    else:
        for one in findings:
            print(f"{_MARKS[one.verdict]}  {one.what}: {one.sentence}")
    return 1 if any(one.verdict is preflight.Verdict.FAILED for one in findings) else 0


def render(arguments: argparse.Namespace) -> int:
    """Print a trial's objects as YAML."""
    import yaml  # noqa: PLC0415

    from nni.core import spec as specs  # noqa: PLC0415
    from nni.manager import volumes  # noqa: PLC0415
    from nni.platforms.kubeflow import kinds, platform  # noqa: PLC0415

    platform_spec = _spec(arguments.config).platform
    if not isinstance(platform_spec, specs.KubeflowSpec):
        raise errors.PlatformError("The local platform creates nothing on a cluster; render is for 'kubeflow'.")
    kind = kinds.KINDS[platform_spec.operator]
    # As on a cluster that is not on this machine.
    is_plain = platform_spec.manager_url is not None or platform_spec.intake_tls is False
    job = platform.example(
        kind,
        platform_spec.api_version or kind.version,
        platform_spec,
        volumes.pod_side(platform_spec.storage, platform.EXAMPLE, os.environ),
        intake_url=platform_spec.manager_url or f"{'http' if is_plain else 'https'}://MANAGER:8081",
        intake_fingerprint=None if is_plain else "SHA256-OF-THE-CERTIFICATE",
    )
    objects = [job] if kind.stands_on is None else [kind.stands_on(), job]
    yaml.safe_dump_all(objects, sys.stdout, sort_keys=False)
    return 0
