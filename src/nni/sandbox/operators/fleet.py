"""All operators and their webhooks, made and joined here."""

from collections.abc import Sequence
from typing import Protocol

from nni.sandbox import events, kinds, registry, store
from nni.sandbox.operators import garbage, namespaces, pytorch, tensorflow, training, training_webhook


class Operator(Protocol):
    """What follows the store and makes true what it says."""

    async def run(self) -> None:
        """Work until the store is closed."""


def operators(objects: registry.Registry, served: kinds.Kinds) -> Sequence[Operator]:
    """Make every operator of the sandbox."""
    recorders = {
        name: events.Recorder(objects, name)
        for name in (pytorch.FRAMEWORK.operator, tensorflow.FRAMEWORK.operator)
    }  # fmt: skip
    return (
        garbage.GarbageCollector(objects, served),
        namespaces.Namespaces(objects, served),
        training.TrainingJobs(
            objects, recorders[pytorch.FRAMEWORK.operator], pytorch.FRAMEWORK, pytorch.adapt, pytorch.judge
        ),
        training.TrainingJobs(
            objects, recorders[tensorflow.FRAMEWORK.operator], tensorflow.FRAMEWORK, tensorflow.adapt, tensorflow.judge
        ),
    )


def webhooks(objects: store.Store) -> dict[str, registry.Webhook]:
    """Give the validating webhooks by resource."""
    return {
        kinds.PYTORCH_JOB.resource: training_webhook.check_pytorch,
        kinds.TF_JOB.resource: training_webhook.check_tensorflow,
    }
