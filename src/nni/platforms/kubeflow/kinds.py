"""The job kinds that trials can run as: a row each, with the function that writes it and the one that reads it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nni import errors
from nni.platforms.kubeflow import manifest, phases


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One row."""

    group: str
    plural: str
    kind: str
    container: str
    """The name of the container that runs the command."""
    index_field: str
    """Where the downward API has a replica's index."""
    version: str
    """The one that is written where no cluster can be asked."""
    install: str
    """What to install where it is missing."""
    write: Callable[[manifest.Job], dict[str, Any]]
    """Returns the object's ``spec``."""
    read: phases.Read
    """Returns what the object's ``status`` and its pods say."""
    stands_on: Callable[[], dict[str, Any]] | None = None
    """Returns an object that has to be there before any job."""


_TRAINING_OPERATOR = "the Kubeflow Training Operator 1.9"
_REPLICA_INDEX = "metadata.labels['training.kubeflow.org/replica-index']"
# As an annotation it is there in every version of Kubernetes that we run on; as a label since 1.28.
_COMPLETION_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"

KINDS: Mapping[str, JobKind] = {
    "pytorch-operator": JobKind(
        group="kubeflow.org",
        plural="pytorchjobs",
        kind="PyTorchJob",
        container="pytorch",
        index_field=_REPLICA_INDEX,
        version="v1",
        install=_TRAINING_OPERATOR,
        write=manifest.pytorch_job,
        read=phases.of_training_operator,
    ),
    "tf-operator": JobKind(
        group="kubeflow.org",
        plural="tfjobs",
        kind="TFJob",
        container="tensorflow",
        index_field=_REPLICA_INDEX,
        version="v1",
        install=_TRAINING_OPERATOR,
        write=manifest.tf_job,
        read=phases.of_training_operator,
    ),
    "trainer": JobKind(
        group="trainer.kubeflow.org",
        plural="trainjobs",
        kind="TrainJob",
        container=manifest.TRAINER_CONTAINER,
        index_field=_COMPLETION_INDEX,
        version="v1alpha1",
        install="Kubeflow Trainer 2.2 or newer",
        write=manifest.train_job,
        read=phases.of_trainer,
        stands_on=manifest.training_runtime,
    ),
    "job": JobKind(
        group="batch",
        plural="jobs",
        kind="Job",
        container="trial",
        index_field=_COMPLETION_INDEX,
        version="v1",
        install="nothing: it is a part of Kubernetes",
        write=manifest.batch_job,
        read=phases.of_batch_job,
    ),
}


def candidates(kind: JobKind, wanted: str, served: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the served versions of a kind's group in the order in which to try them: the wanted one first.

    A group may be shared: the kubeflow.org of Katib or of the MPI operator has versions that know nothing of our kind.
    """
    return sorted(served.get(kind.group, ()), key=lambda version: version != wanted)


def missing(kind: JobKind) -> errors.PlatformError:
    """Return the error for a kind that a cluster does not serve."""
    return errors.PlatformError(
        f"The cluster does not serve {kind.plural}.{kind.group}: install {kind.install} (see "
        f"`kubectl api-resources --api-group={kind.group}`), or use the operator 'job', which needs none."
    )
