"""What an experiment stands on: its platform, its volume, and how trials reach the intake."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nni.core import model, ports
from nni.core import spec as specs
from nni.manager.files import Files
from nni.platforms import local
from nni.runtime import archive
from nni.storage import bundle, mounted

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class Ground(Protocol):
    """A platform and its volume, before an experiment stands on them."""

    @property
    def intake_host(self) -> str:
        """The address that the intake listens on."""
        ...

    @property
    def intake_address(self) -> str:
        """The address under which trials reach it."""
        ...

    async def files(self, experiment_id: model.ExperimentId) -> Files:
        """Pack the code, and return the experiment's files."""
        ...

    def platform(
        self,
        experiment_id: model.ExperimentId,
        *,
        intake_url: str,
        tokens: Callable[[int], str],
        clock: ports.Clock,
    ) -> ports.Platform:
        """Return the platform, not yet open."""
        ...


async def find(spec: specs.ExperimentSpec, *, environment: Mapping[str, str], directory: Path) -> Ground:
    """Return what a configuration asks to stand on.

    Args:
        spec: The experiment.
        environment: Of this process.
        directory: The experiment's own.

    Raises:
        PlatformError: There is no usable kubeconfig.
        VolumeError: The volume cannot be reached.
    """
    match spec.platform:
        case specs.LocalSpec():
            return _Local(spec.platform, environment, directory / "volume")
        case specs.KubeflowSpec():
            return await _kubeflow(spec, spec.platform, environment)


@dataclasses.dataclass(frozen=True, slots=True)
class _Local:
    spec: specs.LocalSpec
    environment: Mapping[str, str]
    root: Path
    intake_host: str = LOOPBACK
    intake_address: str = LOOPBACK

    async def files(self, experiment_id: model.ExperimentId) -> Files:
        self.root.mkdir(parents=True, exist_ok=True)
        volume = mounted.MountedVolume(self.root)
        return await _files(experiment_id, self.spec.roles, volume, lambda path: (self.root / path).as_uri())

    def platform(
        self,
        experiment_id: model.ExperimentId,
        *,
        intake_url: str,
        tokens: Callable[[int], str],
        clock: ports.Clock,
    ) -> ports.Platform:
        return local.LocalPlatform(
            experiment_id=experiment_id,
            spec=self.spec,
            volume=self.root,
            intake_url=intake_url,
            tokens=tokens,
            environment=self.environment,
            clock=clock,
        )


async def _files(
    experiment_id: model.ExperimentId,
    roles: Sequence[specs.RoleSpec],
    volume: ports.Volume,
    url: Callable[[str], str],
) -> Files:
    """Pack each distinct code directory once."""
    directories = sorted({role.code_directory for role in roles})
    packed = {one: await bundle.build(Path(one)) for one in directories}
    for warning in (warning for one in packed.values() for warning in one.warnings):
        _log.warning("%s", warning)
    return Files(
        volume=volume,
        experiment_id=experiment_id,
        roles=roles,
        bundles=packed,
        runtime=await asyncio.to_thread(archive.build),
        url=url,
    )


async def _kubeflow(
    spec: specs.ExperimentSpec, platform_spec: specs.KubeflowSpec, environment: Mapping[str, str]
) -> Ground:
    raise NotImplementedError
