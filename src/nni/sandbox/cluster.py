"""The whole sandbox: every part made, joined, started and stopped here."""

import asyncio
import contextlib
import dataclasses
import pathlib
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any

from nni import errors
from nni.sandbox import (
    certificates,
    events,
    kinds,
    kubeconfig,
    nodes,
    persistence,
    rbac,
    registry,
    roles,
    scheduler,
    schema,
    store,
    times,
)
from nni.sandbox.api import authentication, logs, server
from nni.sandbox.faults import (
    afflictions,
    anteroom,
    board,
    catalogue,
    credentials,
    endpoint,
    requests,
    strikes,
    supervision,
    withholding,
)
from nni.sandbox.node import kubelet, launching, network, pod, volumes
from nni.sandbox.operators import definitions, fleet
from nni.sandbox.simulation import player, script

OPERATORS = (
    "garbage-collector", "job-controller", "jobset-controller", "namespace-controller", "scheduler", "trainer",
    "training-operator",
)  # fmt: skip
"""Those that can be down."""
_FIRST_VERSION = 1000
"""Older versions are compacted, as they are in a cluster that has run for a while."""
_RESTRICTED = ("default", kubeconfig.RESTRICTED)
"""Namespace and name of the service account of the second kubeconfig."""
_CLAIM = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclasses.dataclass(frozen=True)
class Options:
    """What a sandbox is to be like."""

    exports: Mapping[str, pathlib.Path | None] = dataclasses.field(default_factory=dict)
    """NFS exports (``server:path``) and the directories behind them; None makes one for this run."""
    shares: Mapping[str, pathlib.Path | None] = dataclasses.field(default_factory=dict)
    """Azure file shares and the directories behind them; None makes one for this run."""
    claims: Sequence[str] = ()
    """PersistentVolumeClaims in the namespace ``default``, there from the start."""
    secrets: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict, repr=False)
    """Secrets there: texts by field by name."""
    node_count: int = 1
    capacity: nodes.Capacity = dataclasses.field(default_factory=nodes.Capacity)
    port: int = 0
    """The API server's port on 127.0.0.1; 0 takes a free one."""
    isolation: launching.Isolation = "auto"
    kubeconfig: pathlib.Path | None = None
    """Where to write the kubeconfig; None puts it into the sandbox's own directory."""
    state: pathlib.Path | None = None
    """Where objects are kept for the next run; None keeps nothing."""
    simulation: script.Script | None = None
    """By which pods are played, without processes; None runs them."""
    faults: Sequence[catalogue.Fault] = ()
    """In force from the start."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What every container finds in its environment: PATH, LANG and little else."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A running sandbox."""

    url: str
    kubeconfig: pathlib.Path
    """Lets in who may do everything."""
    restricted_kubeconfig: pathlib.Path
    """Lets in the service account ``nni-user``, who may do what roles in the API grant: nothing at first."""
    exports: Mapping[str, pathlib.Path]
    isolation: str
    """``namespaces`` or ``rewrite``: how pods get their mount paths; ``simulation`` when they are only played."""
    memory: str
    """``cgroups v2``, ``cgroups v1`` or ``watching``: what holds containers to their memory limits."""

    @property
    def mounts(self) -> str:
        """The value of ``NNI_MOUNTS``: ``server:path=dir``, comma separated."""
        return ",".join(f"{export}={folder}" for export, folder in self.exports.items())


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Cluster]:
    """Run a sandbox for as long as the context lasts; afterwards no process, port or directory of it is left.

    Raises SandboxError when it cannot start.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nni-sandbox-"))
    config = options.kubeconfig or (options.state or folder) / "kubeconfig"
    restricted = kubeconfig.restricted(config)
    kept, served = store.Store(version=_FIRST_VERSION), kinds.Kinds()
    try:
        with persistence.kept(options.state, kept, times.utc_now) if options.state else contextlib.nullcontext():
            async with launching.Launcher(folder, options.isolation) as launcher:
                place = options.state or folder
                exports = _folders(options.exports, place / "nfs")
                shares = _folders(options.shares, place / "shares")
                storage = volumes.Storage(exports, shares, place / "claims")
                ground = _ground(options, kept, launcher, storage, folder)
                _furnish(ground.objects, served, options)
                async with _working(ground, served, options, (config, restricted)) as url:
                    isolation = "simulation" if options.simulation else launcher.isolation
                    yield Cluster(url, config, restricted, exports, isolation, launcher.memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for path in (config, restricted):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _ground(
    options: Options,
    kept: store.Store,
    launcher: launching.Launcher,
    storage: volumes.Storage,
    folder: pathlib.Path,
) -> pod.Ground:
    objects = registry.Registry(kept, schema.load(), times.utc_now, fleet.webhooks(kept))
    return pod.Ground(
        objects, launcher, network.SharedNetwork(), storage, kubelet.folder_for(folder),
        options.environment, events.Recorder(objects, "kubelet"),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def _working(
    ground: pod.Ground, served: kinds.Kinds, options: Options, configs: tuple[pathlib.Path, pathlib.Path]
) -> AsyncIterator[str]:
    """Serve and let every part work; the value is the API server's address."""
    objects, faults = ground.objects, board.Board()
    troubles = afflictions.Afflictions(faults)
    room = anteroom.Anteroom(objects, troubles, ground.recorder)
    agent: kubelet.Kubelet | player.Player = kubelet.Kubelet(ground, room)
    if options.simulation:
        agent = player.Player(objects, ground.recorder, options.simulation, room)
    await ground.launcher.ready()
    shown = _Shown(served, faults, agent, options.port, configs)
    async with _serving(objects, shown) as url, asyncio.TaskGroup() as group:
        group.create_task(definitions.Definitions(objects, served).run())
        group.create_task(agent.run(objects.store.watch(kinds.POD.resource, 0)))
        group.create_task(_guard(ground.launcher, objects.store))
        group.create_task(strikes.Strikes(faults, objects, agent).run())
        for name, run in _operators(served, objects, troubles).items():
            group.create_task(supervision.supervise(faults, name, run))
        faults.add(options.faults)
        try:
            yield url
        finally:
            objects.store.close()
            faults.clear()


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What the API server shows beside the objects, and where."""

    served: kinds.Kinds
    faults: board.Board
    log_files: logs.Source
    port: int
    configs: tuple[pathlib.Path, pathlib.Path]


@contextlib.asynccontextmanager
async def _serving(objects: registry.Registry, shown: _Shown) -> AsyncIterator[str]:
    """Serve the API, and write the kubeconfigs for it."""
    faults = shown.faults
    pki = certificates.make(objects.now())
    tokens = authentication.Tokens(objects)

    uid = objects.get(kinds.SERVICE_ACCOUNT, *_RESTRICTED)["metadata"]["uid"]
    users = {"admin": authentication.ADMIN, _RESTRICTED[1]: rbac.service_account(*_RESTRICTED, uid)}

    def issue() -> list[str]:
        issued = {name: tokens.issue(user) for name, user in users.items()}
        for path, (name, token) in zip(shown.configs, issued.items(), strict=True):
            _write_config(path, url, pki.authority, name, token)
        return list(issued.values())

    objects.admissions.append(requests.quota(faults, objects))
    control = endpoint.Endpoint(faults, OPERATORS)
    expiry = credentials.Expiry(faults, issue)
    interference = requests.Interference(faults, objects, shown.served, expiry)
    api = server.Server(
        objects, shown.served, tokens, shown.log_files, interference=interference, control=control
    )  # fmt: skip
    taken = await api.start(shown.port, _tls(pki))
    url = f"https://127.0.0.1:{taken}"
    try:
        issue()
        yield url
    finally:
        objects.store.close()
        await api.stop()


def _operators(
    served: kinds.Kinds, objects: registry.Registry, troubles: afflictions.Afflictions
) -> dict[str, supervision.Run]:
    """Give what turns objects into others, by the names of ``OPERATORS``; each call begins anew."""

    def schedule() -> Coroutine[Any, Any, None]:
        recorder = events.Recorder(objects, "default-scheduler")
        pods = objects.store.watch(kinds.POD.resource, 0)
        pods = withholding.Withholding(pods, objects, troubles, recorder)
        return scheduler.Scheduler(objects, recorder).run(pods)

    return {**fleet.operators(objects, served), "scheduler": schedule}


async def _guard(launcher: launching.Launcher, objects: store.Store) -> None:
    """Bring the sandbox down when its launcher has died: no container can be started any more."""
    async with asyncio.TaskGroup() as group:
        end = group.create_task(_until_closed(objects))
        death = group.create_task(launcher.died.wait())
        await asyncio.wait([end, death], return_when=asyncio.FIRST_COMPLETED)
        has_died = death.done() and not end.done()
        end.cancel()
        death.cancel()
    if has_died:
        raise errors.SandboxError(
            "The sandbox's launcher process has died, so no container can be started; start it again."
        )


async def _until_closed(objects: store.Store) -> None:
    watch = objects.watch(kinds.NODE.resource)
    while await watch.next():
        pass


def _furnish(objects: registry.Registry, served: kinds.Kinds, options: Options) -> None:
    for name in _NAMESPACES:
        if objects.find(kinds.NAMESPACE, "", name) is None:
            objects.create(kinds.NAMESPACE, "", {"metadata": {"name": name}})
            objects.create(kinds.SERVICE_ACCOUNT, name, {"metadata": {"name": "default"}})
    if objects.find(kinds.SERVICE_ACCOUNT, *_RESTRICTED) is None:
        objects.create(kinds.SERVICE_ACCOUNT, _RESTRICTED[0], {"metadata": {"name": _RESTRICTED[1]}})
    for name in options.claims:
        if objects.find(kinds.CLAIM, "default", name) is None:
            objects.create(kinds.CLAIM, "default", {"metadata": {"name": name}, "spec": _CLAIM})
    for name, fields in options.secrets.items():
        if objects.find(kinds.SECRET, "default", name) is not None:
            objects.delete(kinds.SECRET, "default", name)
        objects.create(kinds.SECRET, "default", {"metadata": {"name": name}, "stringData": dict(fields)})
    roles.furnish(objects, served)
    nodes.register(objects, options.node_count, options.capacity)


def _folders(wanted: Mapping[str, pathlib.Path | None], made: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {}
    for index, (name, given) in enumerate(wanted.items()):
        found[name] = given or made / str(index)
        if given is None:
            found[name].mkdir(parents=True, exist_ok=True)
    return found


def _tls(pki: certificates.Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The standard library takes a certificate from files alone; this one lives for a moment, mode 0600.
    with tempfile.NamedTemporaryFile(prefix="nni-sandbox-", suffix=".pem") as file:
        file.write(pki.server + pki.server_key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _write_config(path: pathlib.Path, url: str, authority: bytes, user: str, token: str) -> None:
    try:
        kubeconfig.write(path, url, authority, user, token)
    except OSError as error:
        raise errors.SandboxError(
            f"The kubeconfig {path} cannot be written: {error.strerror}; give another --kubeconfig."
        ) from error
