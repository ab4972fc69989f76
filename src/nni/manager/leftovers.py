"""What is left of an experiment on its volume and on the cluster when its manager is gone, and how it is removed."""

import asyncio
import contextlib
import dataclasses
import json
import shlex
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import event, model, ports
from nni.core import spec as specs
from nni.manager import doors, ground, porter, volumes
from nni.platforms.kubeflow import client, kinds, names, pods, remains
from nni.platforms.kubeflow import porter as platform_porter
from nni.records import description, sqlite
from nni.server import listen
from nni.server import porter as server_porter
from nni.wire import layout

FILE = "storage.json"
_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (specs.ManagerSpec, specs.NfsSpec, specs.AzureSpec, specs.PvcSpec)
}
_CLAIM = "/claim"
KEEPING = "--keep-volume deletes what is on this machine alone."
LEAVING = "add --keep-cluster to leave alone what is there."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where an experiment's jobs are, and what else it has there."""

    server: str
    """The API server's URL."""
    operator: str
    version: str
    """Of the job kind."""
    registries: tuple[str, ...]
    """The roles that have the credentials of a private registry."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an experiment's files are, and how they are reached."""

    cluster: Cluster | None
    """None where an earlier release wrote it down, which did not say."""
    storage: specs.StorageSpec
    namespace: str
    context: str | None
    role: specs.RoleSpec
    """What a porter has of a trial's pods."""
    manager_address: str | None
    manager_url: str | None
    intake_tls: bool | None


def remember(directory: Path, spec: specs.ExperimentSpec, stand: ground.Ground) -> None:
    """Write down where an experiment's files and its jobs are; no key is in it.

    Args:
        directory: The experiment's own.
        spec: The experiment.
        stand: What it stands on.

    Raises:
        RecordsError: It cannot be written.
    """
    platform = spec.platform
    if isinstance(platform, specs.KubeflowSpec) and isinstance(stand, ground.KubeflowGround):
        cluster = Cluster(
            server=stand.connection.server,
            operator=platform.operator,
            version=stand.version,
            registries=tuple(role.name for role in platform.roles if role.pod.registry_credentials is not None),
        )
        place = Place(
            cluster=cluster,
            storage=platform.storage,
            namespace=platform.namespace,
            context=platform.context,
            role=platform_porter.role(platform.roles[0]),
            manager_address=spec.manager_address,
            manager_url=platform.manager_url,
            intake_tls=platform.intake_tls,
        )
        fields = {"kind": type(place.storage).__name__, **dataclasses.asdict(place)}
        description.put(directory / FILE, fields, "where the experiment's files and jobs are")


@dataclasses.dataclass(frozen=True, slots=True)
class Leftovers:
    """The files of one experiment on its volume."""

    volume: ports.Volume
    path: str
    where: str
    """How messages call the place."""
    by_hand: str = ""
    """What to do where the volume cannot be reached."""

    async def size(self) -> int:
        """Return how many bytes they take. Raises VolumeError."""
        with self._advised("Nothing is deleted."):
            return await self.volume.usage(self.path)

    async def delete(self) -> None:
        """Remove them. Raises VolumeError."""
        with self._advised("It may be deleted in part, and what is here is kept."):
            await self.volume.delete(self.path)

    @contextlib.contextmanager
    def _advised(self, state: str) -> Iterator[None]:
        try:
            yield
        except errors.VolumeError as error:
            raise errors.VolumeError(f"{error} {state} {self.by_hand}".rstrip()) from error


@contextlib.asynccontextmanager
async def on_cluster(
    directory: Path,
    experiment_id: model.ExperimentId,
    environment: Mapping[str, str],
    *,
    clock: ports.Clock,
    say: Callable[[str], None],
) -> AsyncIterator[remains.Remains | None]:
    """Hold what an experiment has on the cluster; None when it had nothing there.

    A cluster that cannot be looked at does not matter where the manager had removed everything before it ended.

    Args:
        directory: The experiment's own.
        experiment_id: Its id.
        environment: Of this process.
        clock: Stamps what the cluster does not.
        say: Told when the cluster could not be looked at.

    Raises:
        PlatformError: Something of it may be there and cannot be seen; the message says how to go on.
        RecordsError: Nobody knows any more where it is; so does the next function.
    """
    place = _remembered(directory)
    async with contextlib.AsyncExitStack() as stack:
        there = None
        if place is not None:
            try:
                there = await _looked_at(place, experiment_id, environment, clock, stack)
            except (errors.PlatformError, errors.PlatformUnavailableError) as error:
                if not await _was_cleaned_up(directory):
                    by_hand = f"remove them by hand (labels {names.selector(experiment_id)}), and then"
                    first = by_hand if place.cluster is None else "try again when the cluster can be reached, or"
                    raise errors.PlatformError(
                        f"{str(error).rstrip('.')}; jobs of experiment {experiment_id} may still be there, so nothing "
                        f"is deleted: {first} {LEAVING}"
                    ) from error
                say(f"{str(error).rstrip('.')}; the experiment was stopped, so nothing of it should be there.")
        yield there


async def _looked_at(
    place: Place,
    experiment_id: model.ExperimentId,
    environment: Mapping[str, str],
    clock: ports.Clock,
    stack: contextlib.AsyncExitStack,
) -> remains.Remains:
    """Look at what there is; the stack lets go of it."""
    cluster = place.cluster
    if cluster is None:
        raise errors.PlatformError(f"{FILE}, of an earlier release, does not say which cluster the jobs are on")
    connection = await asyncio.to_thread(client.connect, environment, place.namespace, place.context)
    stack.callback(connection.close)
    kind = kinds.KINDS[cluster.operator]
    version = await ground.served_version(connection, kind, cluster.version)
    there = remains.Remains(
        connection,
        kind=kind,
        version=version,
        experiment_id=experiment_id,
        registries=cluster.registries,
        clock=clock,
    )
    stack.push_async_callback(there.close)
    await there.open()
    if connection.server != cluster.server and not there.job_count:
        raise errors.PlatformError(
            f"The experiment ran on {cluster.server}, and the kubeconfig points to {connection.server}, where "
            "nothing of it is."
        )
    return there


async def _was_cleaned_up(directory: Path) -> bool:
    """Return whether the manager had removed all that was on the cluster, as far as its records say."""
    try:
        records = await sqlite.SqliteRecords.open_existing(directory)
        try:
            entries = await records.replay()
        finally:
            await records.close()
    except errors.RecordsError:
        return False
    its = [entry.event for entry in entries if isinstance(entry.event, event.Started | event.CleanedUp)]
    return bool(its) and isinstance(its[-1], event.CleanedUp) and not its[-1].gave_up


@contextlib.asynccontextmanager
async def found(
    directory: Path,
    experiment_id: model.ExperimentId,
    environment: Mapping[str, str],
    *,
    port: int,
    say: Callable[[str], None],
) -> AsyncIterator[Leftovers | None]:
    """Hold what an experiment left on a volume outside of its own directory; None when it used none.

    Args:
        directory: The experiment's own.
        experiment_id: Its id.
        environment: Of this process.
        port: That of the experiment's intake, where a pod may have to reach this process.
        say: Told what takes its time.

    Raises:
        VolumeError: The volume cannot be reached.
        PlatformError: There is no usable kubeconfig.
    """
    place = _remembered(directory)
    if place is None or isinstance(place.storage, specs.ManagerSpec):
        yield None
    elif isinstance(place.storage, specs.PvcSpec) and volumes.claim_here(place.storage, environment) is None:
        say(f"A pod looks for what is on claim {place.storage.claim_name}, which is not mounted here.")
        async with _carried(place, place.storage, experiment_id, environment, (directory, port)) as left:
            yield left
    else:
        asked = volumes.Asked(
            environment=environment,
            directory=directory,
            experiment_id=experiment_id,
            connect=lambda: client.connect(environment, place.namespace, place.context),
        )
        backing = await volumes.back(place.storage, asked)
        try:
            path = layout.experiment(experiment_id)
            where = backing.url(path) if backing.url is not None else f"{path} on the {backing.said}"
            yield Leftovers(backing.volume, path, where)
        finally:
            await backing.close()


@contextlib.asynccontextmanager
async def _carried(
    place: Place,
    claim: specs.PvcSpec,
    experiment_id: model.ExperimentId,
    environment: Mapping[str, str],
    here: tuple[Path, int],
) -> AsyncIterator[Leftovers]:
    """Hold what is on a claim that is not mounted here, by a porter that comes to this process.

    Args:
        place: Where the files are.
        claim: The claim.
        experiment_id: Whose files they are.
        environment: Of this process.
        here: The experiment's own directory, and the port that pods can reach.
    """
    directory, port = here
    connection = await asyncio.to_thread(client.connect, environment, place.namespace, place.context)
    try:
        service = environment.get(ground.SERVICE_VARIABLE)
        host, address = await doors.reach(connection, place.manager_address or service)
        is_fixed = bool(place.manager_url or service)
        with contextlib.closing(_bound(host, port, is_fixed=is_fixed)) as listener:
            is_encrypted = doors.is_encrypted(host, tls=place.intake_tls, url=place.manager_url)
            way = doors.Way(address, place.manager_url, is_encrypted)
            door = await asyncio.to_thread(doors.of, way, directory, listener.getsockname()[1])
            its = porter.make(
                connection,
                experiment_id=experiment_id,
                role=place.role,
                claim=claim,
                side=volumes.pod_side(claim, experiment_id, environment),
                door=door,
            )
            path = layout.experiment(experiment_id)
            below = f"{claim.sub_path}/{path}".lstrip("/")
            where = f"{below} on claim {claim.claim_name} in namespace {place.namespace} of {connection.server}"
            async with listen.serve(server_porter.make_app(its.door), listener, door.tls), its.on_call():
                yield Leftovers(its.volume, path, where, _by_hand(place, claim, below))
    finally:
        connection.close()


def _bound(host: str, port: int, *, is_fixed: bool) -> socket.socket:
    """Take the port that pods can reach, or any one where each is as good."""
    try:
        return listen.bind(host, port)
    except errors.PortInUseError:
        if is_fixed:
            raise
        return listen.bind(host, 0)


def _by_hand(place: Place, claim: specs.PvcSpec, below: str) -> str:
    """Return how somebody removes the files who has the rights for it."""
    name = "nni-delete"
    container = {
        "name": name,
        "image": place.role.image,
        "command": ["rm", "-rf", f"{_CLAIM}/{below}"],
        "volumeMounts": [{"name": "claim", "mountPath": _CLAIM}],
        **pods.RESTRICTED_CONTAINER,
    }
    volume = {"name": "claim", "persistentVolumeClaim": {"claimName": claim.claim_name}}
    pod = {**pods.RESTRICTED_POD, "containers": [container], "volumes": [volume]}
    command = ["kubectl", "run", name, "--namespace", place.namespace, "--restart", "Never"]
    command += ["--image", place.role.image, "--overrides", json.dumps({"spec": pods.merged(pod, _spec_of(place))})]
    return (
        f"Somebody who may make pods can remove {below} with\n{shlex.join(command)}\nand then "
        f"`kubectl delete pod {name} --namespace {place.namespace}`; {KEEPING}"
    )


def _spec_of(place: Place) -> Mapping[str, Any]:
    return {**place.role.pod.fields, **place.role.pod.template.get("spec", {})}


def _remembered(directory: Path) -> Place | None:
    path = directory / FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        storage = _KINDS[fields.pop("kind")](**fields.pop("storage"))
        cluster = fields.pop("cluster", None)
        role = fields.pop("role")
        pod = specs.PodSpec(**role.pop("pod"))
        cluster = None if cluster is None else Cluster(**cluster)
        return Place(cluster=cluster, storage=storage, role=specs.RoleSpec(pod=pod, **role), **fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.RecordsError(
            f"{path} does not say where the experiment's files and jobs are ({error!r}); remove them by hand, and then "
            "what is here with --keep-cluster and --keep-volume."
        ) from error
