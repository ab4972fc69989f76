"""Runs each attempt as one Kubernetes job."""

import asyncio
import functools
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nni import errors
from nni.core import model, ports, spec
from nni.platforms.kubeflow import api, client, jobs, kinds, manifest, names, observer, pods, porter, secrets
from nni.runtime import settings

_log = logging.getLogger(__name__)

STILL_SECONDS = 35.0
"""How long the pods of an ended job that is kept are waited for: the grace period, and some."""


class KubeflowPlatform:
    """Implements ``Platform`` on a Kubernetes cluster with an operator for the job kind."""

    def __init__(
        self,
        *,
        connection: client.Client,
        kind: kinds.JobKind,
        version: str,
        experiment_id: model.ExperimentId,
        spec: spec.KubeflowSpec,
        volume: pods.Volume,
        intake_url: str,
        intake_fingerprint: str | None = None,
        token: Callable[[int], str],
        clock: ports.Clock,
        life: Callable[[str | None], None] = lambda trouble: None,
    ) -> None:
        """Take the finished parts.

        Args:
            connection: The namespace in which jobs run; closed with this.
            kind: What trials run as.
            version: Of the kind, served by the cluster.
            experiment_id: Whose trials these are.
            spec: What the user asks for.
            volume: The pods' side of the storage volume.
            intake_url: Where trials report to.
            intake_fingerprint: sha256 of the certificate that they find there; None for whatever their image trusts.
            token: Gives the token of a slot.
            clock: Stamps what the cluster does not.
            life: Told on the loop's thread None for a sign of life of the API server, and why there is none, as one
                sentence: it does not answer, or what happens there cannot be watched.
        """
        self._connection = connection
        self._kind = kind
        self._resource = api.Resource(group=kind.group, version=version, plural=kind.plural)
        self._experiment_id = experiment_id
        self._spec = spec
        self._volume = volume
        self._intake_url = intake_url
        self._intake_fingerprint = intake_fingerprint
        self._token = token
        self._tokens = secrets.TokenSecret(connection, experiment_id, token, volume.secret)
        self._registries = secrets.RegistrySecrets(connection, experiment_id, spec.roles)
        self._observer = observer.Observer(
            connection,
            kind=kind,
            resource=self._resource,
            experiment_id=experiment_id,
            clock=clock,
            asks_queue=spec.queue is not None,
            grace=spec.start_grace_seconds,
            life=life,
        )
        self._jobs = jobs.Jobs(connection, kind, self._resource, experiment_id, self._observer)

    async def open(self, emit: ports.Emit) -> None:
        """See the port."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tokens.ensure(0))
                tasks.create_task(self._registries.ensure())
                tasks.create_task(self._ensure_foundation())
                tasks.create_task(self._observer.open(emit))
        except BaseExceptionGroup as group:
            raise jobs.sentence(group, self._connection.server) from group

    async def _ensure_foundation(self) -> None:
        """Make what jobs of this kind stand on, unless it is there."""
        if self._kind.stands_on is None:
            return
        body = self._kind.stands_on()
        try:
            await self._connection.insist(functools.partial(self._connection.create, self._jobs.foundation, body))
        except api.Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise

    async def create(self, order: model.JobOrder) -> str:
        """See the port."""
        await self._tokens.ensure(order.slot)
        written = self.manifest(order)
        try:
            job = await self._connection.run(functools.partial(self._connection.create, self._resource, written))
        except api.Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise _create_error(refusal) from refusal
            job = await self._adopt(written)
        self._observer.created(order.attempt, job)
        name: str = written["metadata"]["name"]
        return name

    def manifest(self, order: model.JobOrder) -> api.Object:
        """Return the job that an order asks for."""
        written = render(
            self._kind,
            self._resource.version,
            self._spec,
            pods.Pods(
                experiment=self._experiment_id,
                order=order,
                volume=self._volume,
                intake_url=self._intake_url,
                intake_fingerprint=self._intake_fingerprint,
                container=self._kind.container,
                index_field=self._kind.index_field,
                token_key=secrets.key(order.slot),
            ),
        )
        digest = hashlib.sha256(self._token(order.slot).encode()).hexdigest()
        written["metadata"]["annotations"][names.TOKEN_DIGEST] = digest
        return written

    async def _adopt(self, written: Mapping[str, Any]) -> api.Object:
        """Return the object that stands under our name, if it is ours.

        Raises:
            PlatformError: It is somebody else's.
            PlatformUnavailableError: It is on its way out.
        """
        name: str = written["metadata"]["name"]
        where = f"{self._kind.kind} {self._connection.namespace}/{name}"
        try:
            there = await self._connection.run(functools.partial(self._connection.get, self._resource, name))
        except api.Refusal as refusal:
            raise errors.PlatformUnavailableError(f"{where} was there and is gone: {refusal.message}") from refusal
        metadata = there["metadata"]
        if metadata.get("deletionTimestamp"):
            raise errors.PlatformUnavailableError(f"{where} is still being deleted.")
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        own = written["metadata"]
        is_ours = all(labels.get(name) == value for name, value in own["labels"].items())
        if not is_ours or annotations.get(names.TOKEN_DIGEST) != own["annotations"][names.TOKEN_DIGEST]:
            raise errors.PlatformError(
                f"{where} exists already and is not this attempt's, so it is left alone: delete it, or start the "
                "experiment under another id."
            )
        if annotations.get(names.SPEC_DIGEST) != own["annotations"][names.SPEC_DIGEST]:
            # The manager's address, the code or the version of this program is another: the work done is worth more.
            _log.info("%s goes on with the specification that it was made with; one made now would differ.", where)
        return there

    async def remove(self, attempt: model.AttemptKey) -> None:
        """See the port."""
        await self._jobs.remove(attempt)

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """See the port."""
        await self._jobs.clear(keep)
        # The replica that failed ended its trial; the others have their grace period to send what they have.
        await self._observer.until_still(keep, STILL_SECONDS)
        await self._tokens.delete()
        await self._registries.delete()
        if self._volume.storage == settings.CLAIM:
            await porter.clear(self._connection, self._experiment_id)
        await self._jobs.remove_foundation()

    async def close(self) -> None:
        """See the port."""
        await self._observer.close()
        self._connection.close()


def render(kind: kinds.JobKind, version: str, spec: spec.KubeflowSpec, wanted: pods.Pods) -> api.Object:
    """Return a trial's job."""
    job = manifest.Job(pods=wanted, roles=spec.roles, queue=spec.queue, queue_priority=spec.queue_priority)
    return manifest.build(job, api_version=f"{kind.group}/{version}", kind=kind.kind, written=kind.write(job))


EXAMPLE = model.ExperimentId("example")


def example(
    kind: kinds.JobKind,
    version: str,
    spec: spec.KubeflowSpec,
    volume: pods.Volume,
    *,
    intake_url: str,
    intake_fingerprint: str | None = None,
) -> api.Object:
    """Return the job that a trial would have, for somebody to look at."""
    attempt = model.AttemptKey(model.TrialId("trial"), 1)
    wanted = pods.Pods(
        experiment=EXAMPLE,
        order=model.JobOrder(attempt=attempt, sequence=0, slot=0),
        volume=volume,
        intake_url=intake_url,
        intake_fingerprint=intake_fingerprint,
        container=kind.container,
        index_field=kind.index_field,
        token_key=secrets.key(0),
    )
    return render(kind, version, spec, wanted)


def _create_error(refusal: api.Refusal) -> errors.NniError:
    """Return whether a refused job may be accepted later: quotas are freed, everything else stays as it is."""
    if refusal.code == 403 and "exceeded quota" in refusal.message:
        return errors.PlatformUnavailableError(refusal.message)
    if 'unknown field "spec.runtimePatches"' in refusal.message:
        return errors.PlatformError(
            "The Kubeflow Trainer on this cluster is older than 2.2, which trials need: upgrade it, or use the "
            "operator 'pytorch-operator' or 'job'."
        )
    return errors.PlatformError(f"The cluster refuses the job: {refusal.message}")
