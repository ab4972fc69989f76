"""The job kinds that trials can run as: a row each, with the function that writes it and the one that reads it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import manifest, status


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One row."""

    group: str
    plural: str
    kind: str
    container: str
    """The name of the container that runs the command."""
    install: str
    """What to install where it is missing."""
    write: Callable[[manifest.Job], dict[str, Any]]
    """Returns the object's ``spec``."""
    read: Callable[[Mapping[str, Any]], model.JobPhase]
    """Returns what the object's ``status`` says."""


KINDS: Mapping[str, JobKind] = {
    "pytorch-operator": JobKind(
        group="kubeflow.org",
        plural="pytorchjobs",
        kind="PyTorchJob",
        container="pytorch",
        install="the Kubeflow Training Operator 1.9",
        write=manifest.pytorch_job,
        read=status.training_operator_phase,
    ),
}


def fall_forward(kind: JobKind, wanted: str, served: Mapping[str, Sequence[str]]) -> str:
    """Return the version in which a kind is created: the wanted one where it is served, else the preferred one.

    Raises:
        PlatformError: The cluster does not serve the group at all.
    """
    versions = served.get(kind.group, ())
    if not versions:
        raise missing(kind)
    return wanted if wanted in versions else versions[0]


def missing(kind: JobKind) -> errors.PlatformError:
    """Return the error for a kind that a cluster does not serve."""
    return errors.PlatformError(
        f"The cluster does not serve {kind.plural}.{kind.group}: install {kind.install} (see "
        f"`kubectl api-resources --api-group={kind.group}`)."
    )
