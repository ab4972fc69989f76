"""What a trial's job looks like: pure functions from what is wanted to Kubernetes objects."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nni.core import model, spec
from nni.platforms.kubeflow import names
from nni.wire import bootstrap, layout

POD_DIRECTORY = "/mnt/nni/pod"
"""Where a container has a directory to itself."""
_POD_VOLUME = "nni-pod"
REPLICA_INDEX_LABEL = "training.kubeflow.org/replica-index"
GPU = "nvidia.com/gpu"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The pod's side of the storage volume."""

    volume: Mapping[str, Any]
    """An entry of a pod's ``volumes``."""
    mount: Mapping[str, Any]
    """An entry of a container's ``volumeMounts``."""
    runtime: str | None = None
    """sha256 of the runtime, which pods then fetch from the intake; None where it is on the volume."""
    storage: str | None = None
    """What NNI_STORAGE says: see ``nni.runtime.outlet``."""
    secret: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """What the nodes need to mount it, kept in the experiment's Secret."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a manifest is made of."""

    experiment: model.ExperimentId
    order: model.JobOrder
    roles: Sequence[spec.RoleSpec]
    volume: Volume
    intake_url: str
    container: str
    token_key: str
    """Where in the experiment's Secret the attempt's token stands."""


def build(job: Job, *, api_version: str, kind: str, written: dict[str, Any]) -> dict[str, Any]:
    """Return the whole object around a ``spec``."""
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": names.job(job.experiment, job.order.attempt),
            "labels": dict(names.labels(job.experiment, job.order.attempt)),
            "annotations": {names.SPEC_DIGEST: digest},
        },
        "spec": written,
    }


def pytorch_job(job: Job) -> dict[str, Any]:
    """Return the ``spec`` of a PyTorchJob of the Training Operator."""
    replicas = {
        role.name.capitalize(): {
            # The operator would restart a failed pod in place; attempts are the manager's.
            "restartPolicy": "Never",
            "replicas": role.replicas,
            "template": _template(job, role),
        }
        for role in job.roles
    }
    # Left to itself the operator keeps workers, and their GPUs, running after the master has ended.
    return {"runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": 0}, "pytorchReplicaSpecs": replicas}


def _template(job: Job, role: spec.RoleSpec) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {**names.labels(job.experiment, job.order.attempt), names.ROLE: role.name},
            # A proxy beside the command would keep the pod alive after it.
            "annotations": {"sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [_container(job, role)],
            "volumes": [dict(job.volume.volume), {"name": _POD_VOLUME, "emptyDir": {}}],
        },
    }


def _container(job: Job, role: spec.RoleSpec) -> dict[str, Any]:
    return {
        "name": job.container,
        "image": role.image,
        "command": _command(job, role),
        "env": _environment(job, role),
        "resources": _resources(role),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [dict(job.volume.mount), {"name": _POD_VOLUME, "mountPath": POD_DIRECTORY}],
    }


def _command(job: Job, role: spec.RoleSpec) -> list[str]:
    if job.volume.runtime is not None:
        return bootstrap.command(layout.runtime(job.experiment, job.volume.runtime), job.volume.runtime)
    attempt = job.order.attempt
    directory = layout.attempt(job.experiment, attempt.trial, attempt.number)
    return ["sh", f"{job.volume.mount['mountPath']}/{directory}/{layout.script(role.name)}"]


def _environment(job: Job, role: spec.RoleSpec) -> list[dict[str, Any]]:
    attempt = job.order.attempt
    given = {
        "NNI_VOLUME": job.volume.mount["mountPath"],
        "NNI_POD_DIR": POD_DIRECTORY,
        "NNI_INTAKE_URL": job.intake_url,
        "NNI_PLATFORM": "kubeflow",
        "NNI_EXP_ID": job.experiment,
        "NNI_TRIAL_JOB_ID": attempt.trial,
        "NNI_TRIAL_SEQ_ID": str(job.order.sequence),
        "NNI_TRIAL_ATTEMPT": str(attempt.number),
        "NNI_ROLE": role.name,
    }
    if job.volume.storage is not None:
        given["NNI_STORAGE"] = job.volume.storage
    if role.gpus == 0:
        # On a node with GPUs a container that asks for none may see them all.
        given["NVIDIA_VISIBLE_DEVICES"] = "void"
    secret = {"name": names.secret(job.experiment), "key": job.token_key}
    return [
        *({"name": name, "value": value} for name, value in given.items()),
        {
            "name": "NNI_REPLICA_INDEX",
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{REPLICA_INDEX_LABEL}']"}},
        },
        {"name": "NNI_TRIAL_TOKEN", "valueFrom": {"secretKeyRef": secret}},
    ]


def _resources(role: spec.RoleSpec) -> dict[str, Any]:
    """Ask for what is granted: a trial's speed must not hang on its neighbours."""
    amounts: dict[str, str] = {}
    if role.cpus is not None:
        amounts["cpu"] = f"{role.cpus:g}" if role.cpus == int(role.cpus) else f"{round(role.cpus * 1000)}m"
    if role.memory_mib is not None:
        amounts["memory"] = f"{role.memory_mib}Mi"
    if role.gpus:
        amounts[GPU] = str(role.gpus)
    return {"requests": dict(amounts), "limits": amounts} if amounts else {}
