"""What is left of an experiment on its volume when its manager is gone, and how it is removed."""

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import model, ports
from nni.core import spec as specs
from nni.manager import volumes
from nni.platforms.kubeflow import client
from nni.wire import layout

FILE = "storage.json"
_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (specs.ManagerSpec, specs.NfsSpec, specs.AzureSpec, specs.PvcSpec)
}


def remember(directory: Path, platform: specs.PlatformSpec) -> None:
    """Write down where an experiment's files are; no key is in it.

    Args:
        directory: The experiment's own.
        platform: What names the volume.
    """
    if isinstance(platform, specs.KubeflowSpec):
        storage = platform.storage
        text = {"kind": type(storage).__name__, "namespace": platform.namespace, **dataclasses.asdict(storage)}
        (directory / FILE).write_text(json.dumps(text, indent=2), encoding="utf-8")


@dataclasses.dataclass(frozen=True, slots=True)
class Leftovers:
    """The files of one experiment on its volume."""

    volume: ports.Volume | None
    """None when it cannot be reached from here."""
    path: str
    where: str
    """How messages call the place."""

    async def size(self) -> int | None:
        """Return how many bytes they take, None when that is not known. Raises VolumeError."""
        return None if self.volume is None else await self.volume.usage(self.path)

    async def delete(self) -> None:
        """Remove what can be reached. Raises VolumeError."""
        if self.volume is not None:
            await self.volume.delete(self.path)


@contextlib.asynccontextmanager
async def found(
    directory: Path, experiment_id: model.ExperimentId, environment: Mapping[str, str]
) -> AsyncIterator[Leftovers | None]:
    """Hold what an experiment left on a volume outside of its own directory; None when it used none.

    Raises:
        VolumeError: The volume cannot be reached.
    """
    storage, namespace = _remembered(directory)
    if storage is None or isinstance(storage, specs.ManagerSpec):
        yield None
        return
    asked = volumes.Asked(
        environment=environment,
        directory=directory,
        experiment_id=experiment_id,
        connect=lambda: client.connect(environment, namespace),
    )
    backing = await volumes.back(storage, asked)
    try:
        path = layout.experiment(experiment_id)
        yield _leftovers(storage, backing, path)
    finally:
        await backing.close()


def _leftovers(storage: specs.StorageSpec, backing: volumes.Backing, path: str) -> Leftovers:
    if backing.url is not None:
        return Leftovers(backing.volume, path, backing.url(path))
    if isinstance(storage, specs.PvcSpec) and backing.store is not None:
        below = f"{storage.sub_path}/{path}".lstrip("/")
        where = f"{below} on claim {storage.claim_name}, which cannot be reached from here: delete it there"
        return Leftovers(None, path, where)
    return Leftovers(backing.volume, path, f"{path} on the {backing.said}")


def _remembered(directory: Path) -> tuple[specs.StorageSpec | None, str]:
    path = directory / FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        kind, namespace = _KINDS[fields.pop("kind")], fields.pop("namespace")
        return kind(**fields), namespace
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.VolumeError(
            f"{path} does not say where the experiment's files are ({error!r}); remove them by hand."
        ) from error
