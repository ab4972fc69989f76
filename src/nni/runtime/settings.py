"""What a replica is told: by the script's arguments and by the container's environment."""

import argparse
import os
import urllib.parse
from typing import Mapping, NamedTuple, Sequence

from nni import errors
from nni.wire import layout

MANAGER = "manager"
"""The volume is the pod's own and goes with it: all files are sent to the intake."""
CLAIM = "claim"
"""Pods share the volume, but not with the manager: what the replica says is sent, its other files stay."""


class Settings(NamedTuple):
    """Who this replica is, and where things stand."""

    experiment: str
    trial: str
    attempt: int
    role: str
    replica: int
    """The replica's index in its role."""
    sequence: int
    bundle: str
    command: str
    platform: str
    volume: str
    """Where the storage volume is mounted."""
    pod: str
    """The pod's own directory; empty when the platform gives none."""
    intake: str
    """URL without a path; empty for no push."""
    token: str
    fingerprint: str
    """sha256 of the intake's certificate, in hexadecimal; empty to trust the image's authorities."""
    grace: float
    """Seconds from SIGTERM to SIGKILL."""
    storage: str = ""
    """What the manager does not have of the volume: nothing of it (``MANAGER``), or what trials wrote (``CLAIM``)."""

    @property
    def attempt_directory(self) -> str:
        """Absolute, on the volume."""
        return os.path.join(self.volume, layout.attempt(self.experiment, self.trial, self.attempt))

    @property
    def directory(self) -> str:
        """The replica's own directory: absolute, on the volume."""
        relative = layout.replica(self.experiment, self.trial, self.attempt, self.role, self.replica)
        return os.path.join(self.volume, relative)

    @property
    def checkpoint(self) -> str:
        """The trial's directory for checkpoints: absolute, on the volume."""
        return os.path.join(self.volume, layout.checkpoint(self.experiment, self.trial))

    def below(self, path: str) -> str:
        """Return an absolute path on the volume as one relative to its root."""
        return os.path.relpath(path, self.volume)

    @property
    def bundle_path(self) -> str:
        """Where the bundle stands: absolute, on the volume."""
        return os.path.join(self.volume, layout.bundle(self.experiment, self.bundle))


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings.

    Raises:
        TrialError: The environment does not keep to the contract.
    """
    parser = argparse.ArgumentParser(prog="nni runtime", description="Runs one replica of a trial.")
    for name in ("experiment", "trial", "role", "bundle", "command"):
        parser.add_argument("--" + name, required=True)
    for name in ("attempt", "sequence"):
        parser.add_argument("--" + name, required=True, type=int)
    options = parser.parse_args(argv)
    if not environ.get("NNI_VOLUME"):
        raise errors.TrialError("NNI_VOLUME does not say where the storage volume is mounted")
    return Settings(
        experiment=options.experiment,
        trial=options.trial,
        attempt=options.attempt,
        role=options.role,
        replica=int(_number(environ, "NNI_REPLICA_INDEX", "0")),
        sequence=options.sequence,
        bundle=options.bundle,
        command=options.command,
        platform=environ.get("NNI_PLATFORM") or "kubeflow",
        volume=environ["NNI_VOLUME"],
        pod=environ.get("NNI_POD_DIR", ""),
        intake=url(environ),
        token=token(environ),
        fingerprint=fingerprint(environ),
        grace=_number(environ, "NNI_GRACE_SECONDS", "30"),
        storage=environ.get("NNI_STORAGE", ""),
    )


def url(environ: Mapping[str, str]) -> str:
    """Return the intake's URL, empty when there is none.

    Raises:
        TrialError: It is none.
    """
    return _url(environ.get("NNI_INTAKE_URL", "").strip())


def token(environ: Mapping[str, str]) -> str:
    """Return the attempt's token, empty when there is none."""
    return environ.get("NNI_TRIAL_TOKEN", "").strip()


def fingerprint(environ: Mapping[str, str]) -> str:
    """Return the sha256 of the intake's certificate, empty when none is given."""
    return environ.get("NNI_INTAKE_CERT_SHA256", "").replace(":", "").lower()


def _url(text: str) -> str:
    try:
        parts = urllib.parse.urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if text and not is_usable:
        raise errors.TrialError(f"NNI_INTAKE_URL is {text!r}, not http://host:port")
    return text


def _number(environ: Mapping[str, str], name: str, default: str) -> float:
    text = environ.get(name) or default
    try:
        return float(text)
    except ValueError as error:
        raise errors.TrialError(f"{name} is {text!r}, not a number") from error
