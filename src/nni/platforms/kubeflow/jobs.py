"""The jobs of an experiment and what they stand on, as far as they are deleted."""

import asyncio
import functools
import logging
from collections.abc import Sequence

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import api, client, kinds, names, observer

_log = logging.getLogger(__name__)

GONE_SECONDS = 90.0
"""How long a deleted job is waited for: its pods have 30 s to end, and nodes may be slow."""


class Jobs:
    """Deletes jobs, and waits until their pods have gone with them."""

    def __init__(
        self,
        connection: client.Client,
        kind: kinds.JobKind,
        resource: api.Resource,
        experiment_id: model.ExperimentId,
        observer: observer.Observer,
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The namespace.
            kind: What trials run as.
            resource: The kind in the version that the cluster serves.
            experiment_id: Whose jobs.
            observer: Sees them go.
        """
        self._connection = connection
        self._kind = kind
        self._resource = resource
        self._experiment_id = experiment_id
        self._observer = observer

    async def remove(self, attempt: model.AttemptKey) -> None:
        """Delete the job of an attempt, and return when it has gone; nothing happens when there is none.

        Raises:
            PlatformError: It may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        await self._delete(names.job(self._experiment_id, attempt), self._observer.leaves(attempt))
        await self._observer.until_gone([attempt], GONE_SECONDS)

    async def clear(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """Delete all jobs but those of some attempts, and return when they have gone.

        Raises:
            PlatformError: They may not be listed, or one may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        found = await self._listed(names.selector(self._experiment_id))
        try:
            async with asyncio.TaskGroup() as tasks:
                for metadata in found:
                    attempt = names.attempt_of(metadata.get("labels") or {})
                    if attempt is not None and attempt not in keep:
                        self._observer.leaves(attempt)
                        tasks.create_task(self._delete(metadata["name"], metadata["uid"]))
        except BaseExceptionGroup as group:
            raise sentence(group, self._connection.server) from group
        leaving = [attempt for attempt in self._observer.attempts() if attempt not in keep]
        await self._observer.until_gone(leaving, GONE_SECONDS)

    async def remove_foundation(self) -> None:
        """Delete what jobs of this kind stand on, unless another experiment's stand on it too.

        Raises:
            PlatformError: Jobs may not be listed, or it may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        if self._kind.stands_on is None:
            return
        if await self._listed(f"{names.MANAGED_BY}={names.MANAGER}"):
            return
        name = self._kind.stands_on()["metadata"]["name"]
        try:
            await self._connection.run(functools.partial(self._connection.delete, self.foundation, name, None))
        except api.Refusal as refusal:
            if refusal.code != 404:
                raise errors.PlatformError(f"{name} cannot be deleted: {refusal.message}") from refusal

    @property
    def foundation(self) -> api.Resource:
        """The kind of object that jobs of some kinds stand on."""
        return api.Resource(group=self._resource.group, version=self._resource.version, plural="trainingruntimes")

    async def _delete(self, name: str, uid: str | None) -> None:
        try:
            await self._connection.run(functools.partial(self._connection.delete, self._resource, name, uid))
        except api.Refusal as refusal:
            if refusal.code == 404:
                return
            if refusal.code == 409:
                # Another object has taken the name: that one is not ours to delete.
                _log.warning("%s %s is not deleted: %s", self._kind.kind, name, refusal.message)
                return
            raise errors.PlatformError(f"{self._kind.kind} {name} cannot be deleted: {refusal.message}") from refusal

    async def _listed(self, selector: str) -> list[api.Object]:
        """Return the metadata of the jobs that a selector picks, as the server has them now."""
        try:
            return await self._connection.run(functools.partial(self._list, selector))
        except api.Refusal as refusal:
            raise errors.PlatformError(f"{self._resource.plural} cannot be listed: {refusal.message}") from refusal

    def _list(self, selector: str) -> list[api.Object]:
        found: list[api.Object] = []
        rest: str | None = None
        while True:
            page = self._connection.page(self._resource, selector, rest)
            found += [item["metadata"] for item in page.items]
            rest = page.rest
            if rest is None:
                return found


def sentence(group: BaseExceptionGroup[BaseException], server: str) -> BaseException:
    """Return the first of several errors of an API server, in the words of the platform's port."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, api.Refusal):
        return errors.PlatformError(f"The API server refuses what an experiment needs: {first.message}")
    if isinstance(first, TimeoutError):
        return errors.PlatformError(
            f"The API server at {server} does not answer; check the kubeconfig with `kubectl get pods`."
        )
    return first
