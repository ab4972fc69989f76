"""What a trial's job looks like: pure functions from what is wanted to Kubernetes objects."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from nni.core import spec
from nni.platforms.kubeflow import names, pods

RUNTIME = "nni-kubeflow-torch-v1"
"""The name of our TrainingRuntime. What it holds never changes: another content gets another name."""
TRAINER_CONTAINER = "node"

Object = dict[str, Any]

_REPLICA_KEYS = {"master": "Master", "worker": "Worker", "ps": "PS", "chief": "Chief", "evaluator": "Evaluator"}
# Left to itself the operator keeps workers, and their GPUs, running after the job has ended.
_RUN_POLICY = {"cleanPodPolicy": "Running", "backoffLimit": 0}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a manifest is made of."""

    pods: pods.Pods
    roles: Sequence[spec.RoleSpec]
    queue: str | None = None
    """A LocalQueue of Kueue."""
    queue_priority: str | None = None


def build(job: Job, *, api_version: str, kind: str, written: Object) -> Object:
    """Return the whole object around a ``spec``."""
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
    labels = dict(names.labels(job.pods.experiment, job.pods.order.attempt))
    if job.queue is not None:
        labels["kueue.x-k8s.io/queue-name"] = job.queue
    if job.queue_priority is not None:
        labels["kueue.x-k8s.io/priority-class"] = job.queue_priority
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": names.job(job.pods.experiment, job.pods.order.attempt),
            "labels": labels,
            "annotations": {names.SPEC_DIGEST: digest},
        },
        "spec": written,
    }


def pytorch_job(job: Job) -> Object:
    """Return the ``spec`` of a PyTorchJob of the Training Operator."""
    return {"runPolicy": _run_policy(job), "pytorchReplicaSpecs": _replicas(job)}


def tf_job(job: Job) -> Object:
    """Return the ``spec`` of a TFJob of the Training Operator."""
    return {"runPolicy": _run_policy(job), "tfReplicaSpecs": _replicas(job)}


def _run_policy(job: Job) -> Object:
    return {**_RUN_POLICY, **_suspended(job)}


def _suspended(job: Job) -> Object:
    """Hold a job back that a queue is to admit; nobody would ever release one without a queue."""
    return {} if job.queue is None else {"suspend": True}


def _replicas(job: Job) -> Object:
    return {
        _REPLICA_KEYS[role.name]: {
            # The operator would restart a failed pod in place; attempts are the manager's.
            "restartPolicy": "Never",
            "replicas": role.replicas,
            "template": pods.template(job.pods, role),
        }
        for role in job.roles
    }


def batch_job(job: Job) -> Object:
    """Return the ``spec`` of a Job of Kubernetes itself; each pod has an index, as a replica has."""
    (role,) = job.roles
    template = pods.template(job.pods, role)
    return {
        **_suspended(job),
        "backoffLimit": 0,
        "completionMode": "Indexed",
        "completions": role.replicas,
        "parallelism": role.replicas,
        "template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}},
    }


def train_job(job: Job) -> Object:
    """Return the ``spec`` of a TrainJob of Kubeflow Trainer 2.2 or newer, which stands on our TrainingRuntime.

    What belongs to the trainer's container alone has fields of its own; the rest of the pod comes as a patch of the
    runtime, of which the trainer takes some fields only.
    """
    (role,) = job.roles
    template = pods.template(job.pods, role)
    (container,) = template["spec"]["containers"]
    trainer = {
        "image": container["image"],
        "command": container["command"],
        "env": container["env"],
        "numNodes": role.replicas,
        # Left out, torchrun would start as many processes as CPUs are asked for.
        "numProcPerNode": 1,
    }
    if container["resources"]:
        trainer["resourcesPerNode"] = container["resources"]
    patched = {name: value for name, value in template["spec"].items() if name in _PATCHED}
    beside_trainer = {name: container[name] for name in ("securityContext", "volumeMounts") if name in container}
    patched["containers"] = [{"name": TRAINER_CONTAINER, **beside_trainer}]
    pod_patch = {"metadata": template["metadata"], "spec": patched}
    node = {"name": TRAINER_CONTAINER, "template": {"spec": {"template": pod_patch}}}
    return {
        **_suspended(job),
        "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": RUNTIME},
        "trainer": trainer,
        "runtimePatches": [
            {
                "manager": "nni/manager",
                "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
            }
        ],
    }


_PATCHED = (
    "affinity", "imagePullSecrets", "nodeSelector", "securityContext", "serviceAccountName", "tolerations", "volumes",
)  # fmt: skip
"""What a patch of a runtime may hold of a pod's specification, beside containers."""


def training_runtime() -> Object:
    """Return the TrainingRuntime that our TrainJobs stand on: one role, no restarts, nothing that trials differ in."""
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": TRAINER_CONTAINER,
                # Every job names its own.
                "image": "none",
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    job = {
        "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {
            "name": RUNTIME,
            "labels": {names.MANAGED_BY: names.MANAGER, "trainer.kubeflow.org/framework": "torch"},
        },
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {}},
            "template": {
                "spec": {
                    "failurePolicy": {"maxRestarts": 0},
                    "replicatedJobs": [{"name": TRAINER_CONTAINER, "template": job}],
                }
            },
        },
    }
