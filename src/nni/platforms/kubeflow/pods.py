"""The pods of a trial: one template for each role, the same in every kind of job."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nni.core import model, spec
from nni.platforms.kubeflow import names
from nni.wire import bootstrap, layout

POD_DIRECTORY = "/mnt/nni/pod"
"""Where a container has a directory to itself."""
SHM_DIRECTORY = "/dev/shm"  # noqa: S108 a mount point of the container
LARGEST_SHM_MIB = 16 * 1024
_POD_VOLUME = "nni-pod"
_SHM_VOLUME = "nni-shm"
_USER = 1000

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The pod's side of the storage volume."""

    volume: Mapping[str, Any]
    """An entry of a pod's ``volumes``."""
    mount: Mapping[str, Any]
    """An entry of a container's ``volumeMounts``."""
    runs_restricted: bool = False
    """Whether pods that mount it can keep to the Pod Security Standard ``restricted``, and so are made to."""
    runtime: str | None = None
    """sha256 of the runtime, which pods then fetch from the intake; None where it is on the volume."""
    storage: str | None = None
    """What NNI_STORAGE says: see ``nni.runtime.outlet``."""
    secret: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """What the nodes need to mount it, kept in the experiment's Secret."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """What the pods of an attempt have in common."""

    experiment: model.ExperimentId
    order: model.JobOrder
    volume: Volume
    intake_url: str
    intake_fingerprint: str | None = None
    """sha256 of the one certificate that the intake has; None where there is none to be told."""
    container: str
    """The name of the container that runs the command."""
    index_field: str
    """Where the downward API has a replica's index."""
    token_key: str
    """Where in the experiment's Secret the attempt's token stands."""


def template(pods: Pods, role: spec.RoleSpec) -> Object:
    """Return the pod template of a role."""
    volumes = [
        dict(pods.volume.volume),
        own_volume(),
        _shm(role),
        *map(dict, role.pod.volumes),
    ]
    pull_secrets = list(role.pod.fields.get("imagePullSecrets", ()))
    if role.pod.registry_credentials is not None:
        pull_secrets.append({"name": names.registry_secret(pods.experiment, role.name)})
    built = {
        "metadata": {
            "labels": {**role.pod.labels, **names.labels(pods.experiment, pods.order.attempt), names.ROLE: role.name},
            "annotations": {
                # A proxy beside the command would keep the pod alive after it.
                "sidecar.istio.io/inject": "false",
                # A trial that is moved to another node starts over.
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                **role.pod.annotations,
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            **role.pod.fields,
            **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
            **(RESTRICTED_POD if pods.volume.runs_restricted else {}),
            "containers": [_container(pods, role)],
            "volumes": volumes,
        },
    }
    return merged(built, role.pod.template)


def own_volume() -> Object:
    """Return the volume of a directory that a pod has to itself, at ``POD_DIRECTORY``."""
    return {"name": _POD_VOLUME, "emptyDir": {}}


def own_mount() -> Object:
    """Return the mount of ``own_volume``."""
    return {"name": _POD_VOLUME, "mountPath": POD_DIRECTORY}


def variable(name: str, value: Any) -> Object:
    """Return an entry of a container's ``env``: a text, or what Kubernetes has in ``valueFrom``."""
    return {"name": name, "valueFrom": value} if isinstance(value, Mapping) else {"name": name, "value": value}


def merged(base: Object, patch: Mapping[str, Any]) -> Object:
    """Return an object after a JSON merge patch (RFC 7386): null removes, objects merge, all else replaces."""
    result = dict(base)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[name] = value
    return result


RESTRICTED_POD: Object = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
}
RESTRICTED_CONTAINER: Object = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
}


def _container(pods: Pods, role: spec.RoleSpec) -> Object:
    return {
        "name": pods.container,
        "image": role.image,
        "command": _command(pods, role),
        "env": _environment(pods, role),
        "resources": _resources(role),
        # Without the right to read logs, an error's last words still stand in the pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **(RESTRICTED_CONTAINER if pods.volume.runs_restricted else {}),
        "volumeMounts": [
            dict(pods.volume.mount),
            own_mount(),
            {"name": _SHM_VOLUME, "mountPath": SHM_DIRECTORY},
            *map(dict, role.pod.mounts),
        ],
    }


def _command(pods: Pods, role: spec.RoleSpec) -> list[str]:
    if pods.volume.runtime is not None:
        return bootstrap.command(layout.runtime(pods.experiment, pods.volume.runtime), pods.volume.runtime)
    attempt = pods.order.attempt
    directory = layout.attempt(pods.experiment, attempt.trial, attempt.number)
    return ["sh", f"{pods.volume.mount['mountPath']}/{directory}/{layout.script(role.name)}"]


def _shm(role: spec.RoleSpec) -> Object:
    """Return the volume behind /dev/shm: containers have 64 MiB of it otherwise, and data loaders fail on that."""
    size = role.pod.shm_mib
    if size is None and role.memory_mib is not None:
        size = min(role.memory_mib // 4, LARGEST_SHM_MIB)
    limit = {"sizeLimit": f"{size}Mi"} if size else {}
    return {"name": _SHM_VOLUME, "emptyDir": {"medium": "Memory", **limit}}


def _environment(pods: Pods, role: spec.RoleSpec) -> list[Object]:
    attempt = pods.order.attempt
    given = {
        "NNI_VOLUME": pods.volume.mount["mountPath"],
        "NNI_POD_DIR": POD_DIRECTORY,
        "NNI_INTAKE_URL": pods.intake_url,
        "NNI_PLATFORM": "kubeflow",
        "NNI_EXP_ID": pods.experiment,
        "NNI_TRIAL_JOB_ID": attempt.trial,
        "NNI_TRIAL_SEQ_ID": str(pods.order.sequence),
        "NNI_TRIAL_ATTEMPT": str(attempt.number),
        "NNI_ROLE": role.name,
    }
    if pods.volume.storage is not None:
        given["NNI_STORAGE"] = pods.volume.storage
    if pods.intake_fingerprint is not None:
        given["NNI_INTAKE_CERT_SHA256"] = pods.intake_fingerprint
    if role.gpus == 0:
        # On a node with GPUs a container that asks for none may see them all.
        given["NVIDIA_VISIBLE_DEVICES"] = "void"
    own = [variable(name, value) for name, value in role.pod.environment.items()]
    token = {"name": names.secret(pods.experiment), "key": pods.token_key}
    return [
        *({"name": name, "value": value} for name, value in given.items() if name not in role.pod.environment),
        {"name": "NNI_REPLICA_INDEX", "valueFrom": {"fieldRef": {"fieldPath": pods.index_field}}},
        {"name": "NNI_TRIAL_TOKEN", "valueFrom": {"secretKeyRef": token}},
        *own,
    ]


def _resources(role: spec.RoleSpec) -> Object:
    """Ask for what is granted, unless the user asks for less: a trial's speed should not hang on its neighbours."""
    limits: dict[str, str] = {}
    if role.cpus is not None:
        limits["cpu"] = f"{role.cpus:g}" if role.cpus == int(role.cpus) else f"{round(role.cpus * 1000)}m"
    if role.memory_mib is not None:
        limits["memory"] = f"{role.memory_mib}Mi"
    if role.gpus:
        limits[role.gpu_resource] = str(role.gpus)
    requests = {**limits, **role.pod.requests}
    return {
        **({"requests": requests} if requests else {}),
        **({"limits": limits} if limits else {}),
    }
