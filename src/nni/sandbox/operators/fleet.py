"""All operators and their webhooks, made and joined here."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

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

Run = Callable[[], Coroutine[Any, Any, None]]
"""Works until the store is closed; a further call begins anew with what there is."""


def operators(objects: registry.Registry, served: kinds.Kinds) -> dict[str, Run]:
    """Make every operator of the sandbox, by the names under which clusters run them."""

    def recorder(name: str) -> events.Recorder:
        return events.Recorder(objects, name)

    trainer = trainjob.TrainJobs(objects, recorder("trainer-trainjob-controller"))
    held = (
        runtimes.Runtimes(objects, kinds.TRAINING_RUNTIME),
        runtimes.Runtimes(objects, kinds.CLUSTER_TRAINING_RUNTIME, (runtimes.TORCH,)),
    )
    frameworks = [
        training.TrainingJobs(objects, recorder(each.FRAMEWORK.operator), each.FRAMEWORK, each.adapt, each.judge)
        for each in (pytorch, tensorflow)
    ]
    return {
        "garbage-collector": lambda: garbage.GarbageCollector(objects, served).run(),
        "namespace-controller": namespaces.Namespaces(objects, served).run,
        "job-controller": job.Jobs(objects, recorder("job-controller")).run,
        "jobset-controller": jobset.JobSets(objects, recorder("jobset")).run,
        "trainer": lambda: _together(trainer.run, *(each.run for each in held)),
        "training-operator": lambda: _together(*(each.run for each in frameworks)),
    }


async def _together(*runs: Run) -> None:
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(run())


def webhooks(objects: store.Store) -> dict[str, registry.Webhook]:
    """Give the validating webhooks by resource."""
    return {
        kinds.PYTORCH_JOB.resource: training_webhook.check_pytorch,
        kinds.TF_JOB.resource: training_webhook.check_tensorflow,
        kinds.TRAIN_JOB.resource: trainer_webhook.TrainJobWebhook(objects).check,
        kinds.JOB_SET.resource: trainer_webhook.check_jobset,
        **{each.resource: trainer_webhook.check_runtime(each) for each in trainjob.RUNTIMES.values()},
    }
