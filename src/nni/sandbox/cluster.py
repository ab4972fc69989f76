"""The whole sandbox: every part made, joined, started and stopped here."""

import asyncio
import contextlib
import dataclasses
import pathlib
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping

from nni import errors
from nni.sandbox import (
    certificates,
    events,
    kinds,
    kubeconfig,
    nodes,
    rbac,
    registry,
    roles,
    scheduler,
    schema,
    store,
    times,
)
from nni.sandbox.api import authentication, server
from nni.sandbox.node import kubelet, launching, network, pod, volumes
from nni.sandbox.operators import definitions, garbage, namespaces, pytorchjob, pytorchjob_webhook

_FIRST_VERSION = 1000
"""Older versions are compacted, as they are in a cluster that has run for a while."""
_RESTRICTED = ("default", "nni-user")
"""Namespace and name of the service account of the second kubeconfig."""
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclasses.dataclass(frozen=True)
class Options:
    """What a sandbox is to be like."""

    exports: Mapping[str, pathlib.Path | None] = dataclasses.field(default_factory=dict)
    """NFS exports (``server:path``) and the directories behind them; None makes one for this run."""
    node_count: int = 1
    capacity: nodes.Capacity = dataclasses.field(default_factory=nodes.Capacity)
    port: int = 0
    """The API server's port on 127.0.0.1; 0 takes a free one."""
    isolation: launching.Isolation = "auto"
    kubeconfig: pathlib.Path | None = None
    """Where to write the kubeconfig; None puts it into the sandbox's own directory."""
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
    isolation: launching.Isolation
    """``namespaces`` or ``rewrite``: how pods get their mount paths."""

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
    config = options.kubeconfig or folder / "kubeconfig"
    restricted = config.with_name(f"{config.name}.{_RESTRICTED[1]}")
    if restricted.exists():
        shutil.rmtree(folder)
        raise errors.SandboxError(
            f"{restricted} exists already, where the kubeconfig of the sandbox's second user would go; remove it or "
            "give another --kubeconfig."
        )
    try:
        async with launching.Launcher(folder, options.isolation) as launcher:
            exports = _exports(options.exports, folder)
            objects = registry.Registry(
                store.Store(version=_FIRST_VERSION),
                schema.load(),
                times.utc_now,
                {kinds.PYTORCH_JOB.resource: pytorchjob_webhook.check},
            )
            served = kinds.Kinds()
            _furnish(objects, served, options)
            ground = pod.Ground(
                objects, launcher, network.SharedNetwork(), volumes.Exports(exports), kubelet.folder_for(folder),
                options.environment, events.Recorder(objects, "kubelet"),
            )  # fmt: skip
            async with _working(served, ground, options.port, (config, restricted)) as url:
                yield Cluster(url, config, restricted, exports, launcher.isolation)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for path in (config, restricted):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _working(
    served: kinds.Kinds, ground: pod.Ground, port: int, configs: tuple[pathlib.Path, pathlib.Path]
) -> AsyncIterator[str]:
    """Serve and let every part work; the value is the API server's address."""
    objects, launcher, agent = ground.objects, ground.launcher, kubelet.Kubelet(ground)
    tokens = authentication.Tokens(objects)
    pki = certificates.make(objects.now())
    api = server.Server(objects, served, tokens, agent)
    await launcher.ready()
    taken = await api.start(port, _tls(pki))
    url = f"https://127.0.0.1:{taken}"
    try:
        account = objects.get(kinds.SERVICE_ACCOUNT, *_RESTRICTED)
        users = (authentication.ADMIN, rbac.service_account(*_RESTRICTED, account["metadata"]["uid"]))
        for path, name, user in zip(configs, ("admin", _RESTRICTED[1]), users, strict=True):
            _write_config(path, url, pki.authority, name, tokens.issue(user))
        async with asyncio.TaskGroup() as group:
            watch = objects.store.watch(kinds.POD.resource)
            group.create_task(agent.run(watch))
            group.create_task(_guard(launcher, objects.store))
            planner = scheduler.Scheduler(objects, events.Recorder(objects, "default-scheduler"))
            group.create_task(planner.run(objects.store.watch(kinds.POD.resource)))
            group.create_task(garbage.GarbageCollector(objects, served).run())
            group.create_task(definitions.Definitions(objects, served).run())
            group.create_task(namespaces.Namespaces(objects, served).run())
            jobs = pytorchjob.PyTorchJobs(objects, events.Recorder(objects, "pytorchjob-controller"))
            group.create_task(jobs.run())
            yield url
            objects.store.close()
            await api.stop()
    finally:
        objects.store.close()
        await api.stop()


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
        objects.create(kinds.NAMESPACE, "", {"metadata": {"name": name}})
        objects.create(kinds.SERVICE_ACCOUNT, name, {"metadata": {"name": "default"}})
    objects.create(kinds.SERVICE_ACCOUNT, _RESTRICTED[0], {"metadata": {"name": _RESTRICTED[1]}})
    roles.furnish(objects, served)
    nodes.register(objects, options.node_count, options.capacity)


def _exports(wanted: Mapping[str, pathlib.Path | None], folder: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {}
    for index, (export, given) in enumerate(wanted.items()):
        found[export] = given or folder / "nfs" / str(index)
        if given is None:
            found[export].mkdir(parents=True)
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
