"""The pod of a porter: it mounts a claim that the manager does not have, and does there what it is told."""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import secrets as randomness
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from nni import errors
from nni.core import model, spec
from nni.platforms.kubeflow import api, client, names, pods, reasons, secrets, watch
from nni.wire import bootstrap, layout

_log = logging.getLogger(__name__)

_TOKEN_FIELD = "token"  # noqa: S105 the name of a field
_FINGERPRINT = "NNI_INTAKE_CERT_SHA256"
_RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
"""Limits too: where a quota is set, pods without any are refused."""
_OF_A_TRIAL = ("containers", "initContainers", "volumes", "restartPolicy", "terminationGracePeriodSeconds")
"""What of a patch of a trial's pods has no sense for a porter."""
_LISTED_SECONDS = client.CONNECT_SECONDS + client.READ_SECONDS


def role(of: spec.RoleSpec) -> spec.RoleSpec:
    """Return a porter as a role: all that it takes over from a role of the trials.

    Its image, which is one that the cluster gets and that has a Python; where its pods may run; and as whom, since
    what a trial wrote may be its user's alone. Nothing of what a trial runs, or gets to know.
    """
    described = of.pod.template.get("spec") or {}
    template = {name: value for name, value in described.items() if name not in _OF_A_TRIAL}
    return spec.RoleSpec(
        name=names.PORTER,
        replicas=1,
        command="",
        code_directory="",
        image=of.image,
        pod=spec.PodSpec(
            environment={name: text for name, text in of.pod.environment.items() if name == _FINGERPRINT},
            fields=of.pod.fields,
            registry_credentials=of.pod.registry_credentials,
            template={"spec": template} if template else {},
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that a porter's pod is made of."""

    experiment: model.ExperimentId
    role: spec.RoleSpec
    """See ``role``."""
    volume: pods.Volume
    """The claim."""
    runtime: str
    """sha256 of the runtime, which it fetches from the intake."""
    intake_url: str
    intake_fingerprint: str | None = None
    """sha256 of the certificate that it finds there; None for whatever its image trusts."""
    scope: str
    """The directory of the claim that it stays in; empty for all of it."""


class Presence:
    """What becomes of a porter's pod."""

    def __init__(self, name: str, intake_url: str) -> None:
        """Take the pod's name, and where it reports."""
        self._name = name
        self._intake_url = intake_url
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when it has ended or gone: how."""
        self.why = "nothing is known of its pod"
        """Why it has not started yet, as far as it is seen."""

    def take(self, changes: Sequence[watch.Change]) -> None:
        """Take in what is seen."""
        for pod, is_gone in changes:
            if pod["metadata"]["name"] == self._name and not self.ended.done():
                phase = str((pod.get("status") or {}).get("phase", "Pending"))
                self._look_at(phase, reasons.of_pod(pod), is_gone=is_gone)

    def _look_at(self, phase: str, reason: model.Reason | None, *, is_gone: bool) -> None:
        its = f"its pod {self._name}"
        if is_gone:
            self.ended.set_result(f"{its} was deleted")
        elif phase in ("Succeeded", "Failed"):
            self.ended.set_result(reason.sentence if reason else f"{its} has ended ({phase})")
        elif phase == "Running":
            self.why = f"{its} runs and does not reach {self._intake_url}: open the port, or set nni_manager_ip"
        else:
            self.why = reason.sentence if reason else f"{its} is {phase}"


@contextlib.asynccontextmanager
async def present(connection: client.Client, wanted: Wanted, token: str) -> AsyncIterator[Presence]:
    """Keep a porter's pod on the cluster while the context is open, and nothing of it afterwards.

    Args:
        connection: The namespace.
        wanted: What the pod is.
        token: The one that the intake lets in.

    Raises:
        Refusal: The cluster does not allow something of it.
        PlatformError: A Secret cannot be made or deleted.
        PlatformUnavailableError: The cluster does not answer.
    """
    name = f"{names.porter(wanted.experiment)}-{randomness.token_hex(3)}"
    presence, loop = Presence(name, wanted.intake_url), asyncio.get_running_loop()
    selector = names.porter_selector(wanted.experiment)

    def deliver(changes: Sequence[watch.Change]) -> None:
        loop.call_soon_threadsafe(presence.take, changes)

    watcher = watch.Watcher(connection, api.PODS, selector, cut=lambda found: found, deliver=deliver)
    registries = secrets.RegistrySecrets(connection, wanted.experiment, [wanted.role])
    async with contextlib.AsyncExitStack() as stack:
        secret = secrets.lent(connection, wanted.experiment, names.porter(wanted.experiment), {_TOKEN_FIELD: token})
        await stack.enter_async_context(secret)
        stack.push_async_callback(registries.delete)
        await registries.ensure()
        await remove(connection, await find(connection, wanted.experiment))
        stack.push_async_callback(_removed, connection, wanted.experiment)
        stack.push_async_callback(asyncio.to_thread, watcher.stop)
        watcher.start()
        await _listed(watcher)
        await _create(connection, manifest(name, wanted))
        yield presence


async def clear(connection: client.Client, experiment: model.ExperimentId) -> None:
    """Delete what the porter of a manager that was killed has left.

    Raises:
        PlatformError: A Secret may not be deleted.
        PlatformUnavailableError: The same call may pass later.
    """
    await _removed(connection, experiment)
    for name in (names.porter(experiment), names.registry_secret(experiment, names.PORTER)):
        await secrets.delete(connection, name)


async def _create(connection: client.Client, pod: api.Object) -> None:
    try:
        await connection.insist(functools.partial(connection.create_pod, pod))
    except api.Refusal as refusal:
        # Nobody else has a pod of this name: the call before broke off when it had passed.
        if refusal.reason != "AlreadyExists":
            raise


async def _listed(watcher: watch.Watcher) -> None:
    try:
        async with asyncio.timeout(_LISTED_SECONDS):
            await asyncio.wrap_future(watcher.listed)
    except TimeoutError as error:
        raise errors.PlatformUnavailableError("The API server does not list pods.") from error


async def _removed(connection: client.Client, experiment: model.ExperimentId) -> None:
    try:
        await remove(connection, await find(connection, experiment))
    except (api.Refusal, errors.PlatformUnavailableError) as error:
        # It goes by itself when nobody answers it any more.
        _log.warning("the porter's pod cannot be deleted: %s", error)


async def find(connection: client.Client, experiment: model.ExperimentId) -> Sequence[str]:
    """Return the names of an experiment's porters: those of managers that were killed, too.

    Raises:
        Refusal: They may not be listed.
        PlatformUnavailableError: The same call may pass later.
    """
    selector = names.porter_selector(experiment)
    found = await connection.insist(lambda: connection.page(api.PODS, selector))
    return [pod["metadata"]["name"] for pod in found.items]


async def remove(connection: client.Client, pods: Iterable[str]) -> None:
    """Delete porters by name, if they are there.

    Raises:
        Refusal: They may not be deleted.
        PlatformUnavailableError: The same call may pass later.
    """
    for name in pods:
        try:
            await connection.insist(functools.partial(connection.delete_pod, name))
        except api.Refusal as refusal:
            if refusal.code != 404:
                raise


def manifest(name: str, wanted: Wanted) -> api.Object:
    """Return the pod."""
    its = wanted.role
    pull_secrets = list(its.pod.fields.get("imagePullSecrets", ()))
    if its.pod.registry_credentials is not None:
        pull_secrets.append({"name": names.registry_secret(wanted.experiment, its.name)})
    is_restricted = wanted.volume.runs_restricted
    built = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {**names.labels(wanted.experiment), names.ROLE: names.PORTER},
            "annotations": {"sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            **its.pod.fields,
            **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
            **(pods.RESTRICTED_POD if is_restricted else {}),
            "restartPolicy": "Never",
            "containers": [_container(wanted)],
            "volumes": [dict(wanted.volume.volume), pods.own_volume()],
        },
    }
    return pods.merged(built, its.pod.template)


def _container(wanted: Wanted) -> api.Object:
    given: dict[str, Any] = {
        "NNI_VOLUME": wanted.volume.mount["mountPath"],
        "NNI_POD_DIR": pods.POD_DIRECTORY,
        "NNI_INTAKE_URL": wanted.intake_url,
        **({} if wanted.intake_fingerprint is None else {_FINGERPRINT: wanted.intake_fingerprint}),
        "NNI_EXP_ID": wanted.experiment,
        "NNI_PORTER_SCOPE": wanted.scope,
        # On a node with GPUs a container that asks for none may see them all.
        "NVIDIA_VISIBLE_DEVICES": "void",
        **wanted.role.pod.environment,
    }
    token = {"name": names.porter(wanted.experiment), "key": _TOKEN_FIELD}
    return {
        "name": names.PORTER,
        "image": wanted.role.image,
        "command": bootstrap.porter_command(layout.runtime(wanted.experiment, wanted.runtime), wanted.runtime),
        "env": [
            *(pods.variable(name, value) for name, value in given.items()),
            {"name": "NNI_TRIAL_TOKEN", "valueFrom": {"secretKeyRef": token}},
        ],
        "resources": _RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **(pods.RESTRICTED_CONTAINER if wanted.volume.runs_restricted else {}),
        "volumeMounts": [dict(wanted.volume.mount), pods.own_mount()],
    }
