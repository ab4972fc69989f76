"""What an experiment has on the cluster when its manager is gone: found, and removed as the manager would have done."""

import asyncio
import logging
from collections.abc import Sequence

from nni.core import event, model, ports
from nni.platforms.kubeflow import api, client, jobs, kinds, names, observer, porter, secrets

_log = logging.getLogger(__name__)


class Remains:
    """An experiment's jobs, its Secrets and the pod of its porter; ``close`` it before the connection."""

    def __init__(
        self,
        connection: client.Client,
        *,
        kind: kinds.JobKind,
        version: str,
        experiment_id: model.ExperimentId,
        registries: Sequence[str],
        clock: ports.Clock,
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The namespace in which the jobs ran.
            kind: What trials ran as.
            version: Of the kind, served by the cluster.
            experiment_id: Whose remains these are.
            registries: The roles that had the credentials of a private registry.
            clock: Stamps what the cluster does not.
        """
        self._connection = connection
        self._experiment_id = experiment_id
        self._registries = registries
        resource = api.Resource(group=kind.group, version=version, plural=kind.plural)
        self._observer = observer.Observer(
            connection,
            kind=kind,
            resource=resource,
            experiment_id=experiment_id,
            clock=clock,
            asks_queue=False,
            grace=None,
            life=lambda trouble: None,
        )
        self._jobs = jobs.Jobs(connection, kind, resource, experiment_id, self._observer)
        self._porters: Sequence[str] = ()
        self._ended: set[model.AttemptKey] = set()

    async def open(self) -> None:
        """Look at what is there.

        Raises:
            PlatformError: It may not be seen.
            PlatformUnavailableError: The cluster does not answer.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._observer.open(self._take))
                tasks.create_task(self._look_for_porters())
        except BaseExceptionGroup as group:
            raise jobs.sentence(group, self._connection.server) from group

    def _take(self, happened: event.Event) -> None:
        if isinstance(happened, event.JobObserved) and happened.observation.phase.is_final:
            self._ended.add(happened.attempt)

    async def _look_for_porters(self) -> None:
        # These alone are removed: whoever reaches a claim meanwhile has one of their own.
        self._porters = await porter.find(self._connection, self._experiment_id)

    @property
    def job_count(self) -> int:
        """How many jobs are there."""
        return len(list(self._observer.attempts()))

    @property
    def running_count(self) -> int:
        """How many of them have not ended."""
        return sum(attempt not in self._ended for attempt in self._observer.attempts())

    async def remove(self) -> None:
        """Remove all of it, and return when it has gone.

        Raises:
            PlatformError: Something may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        await self._jobs.clear()
        await self._remove_porters()
        its, roles = self._experiment_id, (*self._registries, names.PORTER)
        for name in (names.secret(its), names.porter(its), *(names.registry_secret(its, role) for role in roles)):
            await secrets.delete(self._connection, name)
        await self._jobs.remove_foundation()

    async def _remove_porters(self) -> None:
        try:
            await porter.remove(self._connection, self._porters)
        except api.Refusal as refusal:
            # It goes by itself when nobody answers it any more.
            _log.warning("the porter's pod is left alone: %s", refusal.message)

    async def close(self) -> None:
        """Stop looking."""
        await self._observer.close()
