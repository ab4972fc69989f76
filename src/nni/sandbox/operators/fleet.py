"""All operators and their webhooks, made and joined here."""

from collections.abc import Sequence
from typing import Protocol

from nni.sandbox import events, kinds, registry, store
from nni.sandbox.operators import (
    garbage,
    job,
    jobset,
    namespaces,
    pytorch,
    runtimes,
    tensorflow,
    trainer_webhook,
    training,
    training_webhook,
    trainjob,
)


class Operator(Protocol):
    """What follows the store and makes true what it says."""

    async def run(self) -> None:
        """Work until the store is closed."""


def operators(objects: registry.Registry, served: kinds.Kinds) -> Sequence[Operator]:
    """Make every operator of the sandbox."""

    def recorder(name: str) -> events.Recorder:
        return events.Recorder(objects, name)

    return (
        garbage.GarbageCollector(objects, served),
        namespaces.Namespaces(objects, served),
        job.Jobs(objects, recorder("job-controller")),
        jobset.JobSets(objects, recorder("jobset")),
        trainjob.TrainJobs(objects, recorder("trainer-trainjob-controller")),
        *(runtimes.Runtimes(objects, kind) for kind in trainjob.RUNTIMES.values()),
        *(
            training.TrainingJobs(objects, recorder(each.FRAMEWORK.operator), each.FRAMEWORK, each.adapt, each.judge)
            for each in (pytorch, tensorflow)
        ),
    )


def webhooks(objects: store.Store) -> dict[str, registry.Webhook]:
    """Give the validating webhooks by resource."""
    return {
        kinds.PYTORCH_JOB.resource: training_webhook.check_pytorch,
        kinds.TF_JOB.resource: training_webhook.check_tensorflow,
        kinds.TRAIN_JOB.resource: trainer_webhook.TrainJobWebhook(objects).check,
        kinds.JOB_SET.resource: trainer_webhook.check_jobset,
        **{each.resource: trainer_webhook.check_runtime(each) for each in trainjob.RUNTIMES.values()},
    }
