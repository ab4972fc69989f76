"""What an experiment stands on: its platform, its volume, and how trials reach the intake."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from nni import errors
from nni.core import model, ports
from nni.core import spec as specs
from nni.core import surroundings as around
from nni.manager import doors, porter, volumes
from nni.manager.files import Files
from nni.platforms import local
from nni.platforms.kubeflow import api, client, kinds, names, platform, preflight, surroundings
from nni.platforms.kubeflow import porter as platform_porter
from nni.runtime import archive, settings
from nni.server import exchange
from nni.storage import mounted

_log = logging.getLogger(__name__)

SERVICE_VARIABLE = "NNI_MANAGER_SERVICE"
"""Names the Service in front of a manager that runs in the cluster: its pod's address does not last."""


class Ground(doors.Place, Protocol):
    """A platform and its volume, before an experiment stands on them."""

    @property
    def intake_host(self) -> str:
        """The address that the intake listens on."""
        ...

    @property
    def growth(self) -> ports.Growth | None:
        """What tells when trials' files grow; None where nobody knows."""
        ...

    async def examine(self) -> Sequence[preflight.Finding]:
        """Return what is right and wrong with it, changing nothing."""
        ...

    async def files(self, experiment_id: model.ExperimentId, portal: str) -> Files:
        """Return the experiment's files; of its code nothing is packed yet.

        Args:
            experiment_id: Whose they are.
            portal: Its address, for files that are seen there alone.
        """
        ...

    def exchange(self, experiment_id: model.ExperimentId, files: Files) -> exchange.Exchange | None:
        """Return what gives files to pods and takes theirs, where pods share no volume with the manager."""
        ...

    def porter(self, experiment_id: model.ExperimentId, door: doors.Door) -> porter.Porter | None:
        """Return what brings what pods leave on a volume that the manager does not have; None where it has all."""
        ...

    def removal(self, experiment_id: model.ExperimentId) -> str:
        """Return the command that removes what may be left of an experiment; empty where nothing can be."""
        ...

    def platform(
        self,
        experiment_id: model.ExperimentId,
        *,
        door: doors.Door,
        tokens: Callable[[int], str],
        clock: ports.Clock,
        life: Callable[[str | None], None],
    ) -> ports.Platform:
        """Return the platform, not yet open.

        Where it is far away, ``life`` is told None for each sign of life, and why there is none, as one sentence.
        """
        ...

    async def surroundings(self) -> around.Surroundings:
        """Return what is around the experiment's jobs, as far as it may be seen.

        Raises:
            PlatformUnavailableError: The platform does not answer.
        """
        ...

    async def job(self, name: str) -> Mapping[str, Any] | None:
        """Return a job as the platform has it, None when there is no such object (any more).

        Raises:
            PlatformError: It may not be read.
            PlatformUnavailableError: The platform does not answer.
        """
        ...


@contextlib.asynccontextmanager
async def found(
    spec: specs.ExperimentSpec,
    experiment_id: model.ExperimentId,
    *,
    environment: Mapping[str, str],
    directory: Path,
    say: Callable[[str], None],
) -> AsyncIterator[Ground]:
    """Hold what a configuration asks to stand on while the context is open.

    Args:
        spec: The experiment.
        experiment_id: Its id.
        environment: Of this process.
        directory: The experiment's own.
        say: Told what the user should know of what was found.

    Raises:
        PlatformError: There is no usable kubeconfig.
        VolumeError: The volume cannot be reached.
    """
    match spec.platform:
        case specs.LocalSpec():
            yield _Local(spec.platform, spec.trial_concurrency, environment, directory / "volume")
        case specs.KubeflowSpec():
            platform_spec = spec.platform
            connection = await asyncio.to_thread(
                client.connect, environment, platform_spec.namespace, platform_spec.context
            )
            asked = volumes.Asked(
                environment=environment,
                directory=directory,
                experiment_id=experiment_id,
                connect=lambda: connection,
            )
            backing = await volumes.back(platform_spec.storage, asked)
            _log.info("storage: %s", backing.said)
            try:
                address = spec.manager_address or environment.get(SERVICE_VARIABLE)
                yield await _kubeflow(platform_spec, address, backing, connection, say)
            finally:
                await backing.close()


@dataclasses.dataclass(frozen=True, slots=True)
class _Local:
    spec: specs.LocalSpec
    trial_concurrency: int
    environment: Mapping[str, str]
    root: Path
    intake_host: str = doors.LOOPBACK
    intake_address: str = doors.LOOPBACK
    intake_url: str | None = None
    is_encrypted: bool = False
    growth: ports.Growth | None = None

    async def examine(self) -> Sequence[preflight.Finding]:
        found = [preflight.ok("platform", "Trials run as processes of this machine.")]
        doubt = specs.crowding(self.trial_concurrency, os.cpu_count() or 1)
        return found if doubt is None else [*found, preflight.warning("trial_concurrency", doubt)]

    async def files(self, experiment_id: model.ExperimentId, portal: str) -> Files:
        self.root.mkdir(parents=True, exist_ok=True)
        volume = mounted.MountedVolume(self.root)
        return await _files(experiment_id, self.spec, volume, lambda path: (self.root / path).as_uri())

    def exchange(self, experiment_id: model.ExperimentId, files: Files) -> exchange.Exchange | None:
        return None

    def porter(self, experiment_id: model.ExperimentId, door: doors.Door) -> porter.Porter | None:
        return None

    def removal(self, experiment_id: model.ExperimentId) -> str:
        return ""

    def platform(
        self,
        experiment_id: model.ExperimentId,
        *,
        door: doors.Door,
        tokens: Callable[[int], str],
        clock: ports.Clock,
        life: Callable[[str | None], None],
    ) -> ports.Platform:
        return local.LocalPlatform(
            experiment_id=experiment_id,
            spec=self.spec,
            volume=self.root,
            intake_url=door.url,
            tokens=tokens,
            environment=self.environment,
            clock=clock,
        )

    async def surroundings(self) -> around.Surroundings:
        return around.Surroundings()

    async def job(self, name: str) -> Mapping[str, Any] | None:
        return None


async def _files(
    experiment_id: model.ExperimentId,
    spec: specs.PlatformSpec,
    volume: ports.Volume,
    url: Callable[[str], str],
) -> Files:
    return Files(
        volume=volume,
        experiment_id=experiment_id,
        roles=spec.roles,
        runtime=await asyncio.to_thread(archive.build),
        url=url,
    )


async def _kubeflow(
    spec: specs.KubeflowSpec,
    address: str | None,
    backing: volumes.Backing,
    connection: client.Client,
    say: Callable[[str], None],
) -> Ground:
    """Find the job kind on the cluster, and where pods reach this machine."""
    kind = kinds.KINDS[spec.operator]
    served = await served_version(connection, kind, spec.api_version)
    if spec.api_version and served != spec.api_version:
        notice = f"api_version {spec.api_version} is not served by this cluster: {kind.group}/{served} is used"
        _log.warning("%s", notice)
        say(notice)
    intake_host, intake_address = await doors.reach(connection, address)
    return KubeflowGround(
        spec=spec,
        backing=backing,
        connection=connection,
        kind=kind,
        version=served,
        intake_host=intake_host,
        intake_address=intake_address,
        is_encrypted=doors.is_encrypted(intake_host, tls=spec.intake_tls, url=spec.manager_url),
    )


async def served_version(connection: client.Client, kind: kinds.JobKind, wanted: str) -> str:
    """Return the version in which the cluster takes jobs of a kind.

    Args:
        connection: The cluster.
        kind: The kind of job.
        wanted: The version that is tried first; empty for any.

    Raises:
        PlatformError: The cluster does not serve the kind.
        PlatformUnavailableError: It does not answer.
    """
    try:
        return await connection.insist(lambda: _version(connection, kind, wanted))
    except api.Refusal as refusal:
        raise errors.PlatformError(f"The API server does not say what it serves: {refusal.message}") from refusal


def _version(connection: client.Client, kind: kinds.JobKind, wanted: str) -> str:
    for version in kinds.candidates(kind, wanted, connection.served()):
        if kind.plural in connection.plurals(kind.group, version):
            return version
    raise kinds.missing(kind)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KubeflowGround:
    """A cluster and a volume."""

    spec: specs.KubeflowSpec
    backing: volumes.Backing
    connection: client.Client
    kind: kinds.JobKind
    version: str
    intake_host: str
    intake_address: str
    is_encrypted: bool

    @property
    def intake_url(self) -> str | None:
        """See the protocol."""
        return self.spec.manager_url

    @property
    def growth(self) -> ports.Growth | None:
        """See the protocol."""
        return self.backing.store

    async def examine(self) -> Sequence[preflight.Finding]:
        """See the protocol."""
        job = platform.example(self.kind, self.version, self.spec, self.backing.pod, intake_url=self.intake_url or "")
        return await preflight.examine(
            self.connection, self.kind, self.version, self.spec, job, has_porter=self.has_porter
        )

    async def files(self, experiment_id: model.ExperimentId, portal: str) -> Files:
        """See the protocol."""
        url = self.backing.url or (lambda path: f"{portal}/trial/{path.rpartition('/')[2]}")
        return await _files(experiment_id, self.spec, self.backing.volume, url)

    def exchange(self, experiment_id: model.ExperimentId, files: Files) -> exchange.Exchange | None:
        """See the protocol."""
        if self.backing.store is None:
            return None
        return exchange.Exchange(
            experiment_id=experiment_id,
            volume=self.backing.store,
            needs=files.needs,
            limit=self.backing.limit,
        )

    def porter(self, experiment_id: model.ExperimentId, door: doors.Door) -> porter.Porter | None:
        """See the protocol."""
        claim = self.spec.storage
        if not isinstance(claim, specs.PvcSpec) or not self.has_porter:
            return None
        return porter.make(
            self.connection,
            experiment_id=experiment_id,
            role=platform_porter.role(self.spec.roles[0]),
            claim=claim,
            side=self.backing.pod,
            door=door,
        )

    @property
    def has_porter(self) -> bool:
        """Whether pods share a volume with each other, and not with the manager."""
        return self.backing.pod.storage == settings.CLAIM

    def removal(self, experiment_id: model.ExperimentId) -> str:
        """See the protocol."""
        kinds_left = f"{self.kind.plural}.{self.kind.group},pods,secrets"
        context = [] if self.spec.context is None else ["--context", self.spec.context]
        where = [*context, "--namespace", self.connection.namespace, "--selector", names.selector(experiment_id)]
        return shlex.join(["kubectl", "delete", kinds_left, *where])

    def platform(
        self,
        experiment_id: model.ExperimentId,
        *,
        door: doors.Door,
        tokens: Callable[[int], str],
        clock: ports.Clock,
        life: Callable[[str | None], None],
    ) -> ports.Platform:
        """See the protocol."""
        return platform.KubeflowPlatform(
            connection=self.connection,
            kind=self.kind,
            version=self.version,
            experiment_id=experiment_id,
            spec=self.spec,
            volume=self.backing.pod,
            intake_url=door.url,
            intake_fingerprint=door.fingerprint,
            token=tokens,
            clock=clock,
            life=life,
        )

    async def surroundings(self) -> around.Surroundings:
        """See the protocol."""
        return await self.connection.run(lambda: surroundings.look(self.connection, self.spec.queue))

    async def job(self, name: str) -> Mapping[str, Any] | None:
        """See the protocol."""
        resource = api.Resource(group=self.kind.group, version=self.version, plural=self.kind.plural)
        try:
            return await self.connection.run(lambda: self.connection.get(resource, name))
        except api.Refusal as refusal:
            if refusal.code == 404:
                return None
            raise errors.PlatformError(f"The job {name} cannot be read: {refusal.message}") from refusal
