"""The configuration of platforms; NNI calls them training services."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.config import base, storage
from nni.core import nearest

DEFAULT_IMAGE = "msranni/nni:latest"


class TrainingServiceConfig(base.Config):
    """What all platforms have. Fields that are unset are taken from the experiment's fields of the same name."""

    platform: str = base.REQUIRED
    trial_command: str | None = None
    trial_code_directory: base.AnyPath | None = None
    trial_code_limit: str | int | None = None
    """What a code directory may hold: ``300Mi`` when unset. An addition to NNI."""
    trial_gpu_number: int | None = None
    nni_manager_ip: str | None = None
    debug: bool | None = None


class LocalConfig(TrainingServiceConfig):
    """Trials as processes of this machine."""

    platform: str = "local"
    use_active_gpu: bool | None = None
    max_trial_number_per_gpu: int = 1
    gpu_indices: list[int] | int | str | None = None
    reuse_mode: bool = False
    """Without effect; kept for files written for NNI."""


class KubeflowRoleConfig(base.Config):
    """One role of a job."""

    replicas: int = 1
    """How many pods have this role."""
    command: str | None = None
    """What each of them runs, by ``sh -c``; the experiment's ``trial_command`` when unset."""
    gpu_number: int | None = 0
    """GPUs of each."""
    cpu_number: int | float | None = None
    """CPUs of each; the cluster's default when unset."""
    memory_size: str | int | None = None
    """Memory of each: ``4Gi``, ``4gb``, ``4g``, ``512Mi``, or an int in MiB; the cluster's default when unset."""
    docker_image: str = DEFAULT_IMAGE
    """Container image; it needs a shell and Python 3.8 or newer."""
    code_directory: base.AnyPath | None = None
    """Shipped to the pods, where the command starts in it; ``trial_code_directory`` when unset."""
    environment: dict[str, Any] | None = None
    """Variables by name: a text, or what Kubernetes has in ``valueFrom``, such as
    ``{"secretKeyRef": {"name": "hub", "key": "token"}}``."""
    requests: dict[str, Any] | None = None
    """Resource requests where they differ from the limits, such as ``{"cpu": 0.5, "memory": "2Gi"}``."""
    shm_size: str | int | None = None
    """Size of /dev/shm, as ``memory_size``; a quarter of the memory, 16 GiB at the most, when unset."""
    node_selector: dict[str, Any] | None = None
    tolerations: list[Any] | None = None
    affinity: dict[str, Any] | None = None
    service_account: str | None = None
    image_pull_secrets: list[str] | None = None
    """Names of Secrets that are there already."""
    private_registry_auth_path: base.AnyPath | None = None
    """A Docker configuration (``~/.docker/config.json``) with the registry's credentials; a Secret is made of it."""
    priority_class: str | None = None
    volumes: list[Any] | None = None
    """Further volumes, as in a pod's ``spec.volumes``."""
    volume_mounts: list[Any] | None = None
    """Where they are mounted, as in a container's ``volumeMounts``."""
    labels: dict[str, Any] | None = None
    """Of the pods."""
    annotations: dict[str, Any] | None = None
    """Of the pods."""
    pod_template: dict[str, Any] | None = None
    """The last resort: a JSON merge patch that is applied to the pod template."""


KubeflowRowConfig = KubeflowRoleConfig
"""The name that NNI's page about Kubeflow has."""


def make_role(values: Mapping[str, Any], directory: Path | None) -> KubeflowRoleConfig:
    """Return a role."""
    return KubeflowRoleConfig.from_dict(values, directory)


class KubeflowConfig(TrainingServiceConfig):
    """Trials as Kubeflow jobs."""

    platform: str = "kubeflow"
    operator: str | None = None
    """``pytorch-operator``."""
    api_version: str | None = None
    """Of the job kind, such as ``v1``. One that the cluster does not serve falls forward to one that it does."""
    # Any, so that a type checker lets users fill a storage or role that they have just assigned, as NNI's page does.
    storage: Any = dataclasses.field(default=None, metadata=base.holds(storage.K8sStorageConfig, storage.make))
    """``K8sNfsConfig`` and the like: where code and outputs are; with the manager when unset."""
    worker: Any = dataclasses.field(default=None, metadata=base.holds(KubeflowRoleConfig, make_role))
    """``KubeflowRoleConfig``, as ``ps`` and ``master`` are."""
    ps: Any = dataclasses.field(default=None, metadata=base.holds(KubeflowRoleConfig, make_role))
    master: Any = dataclasses.field(default=None, metadata=base.holds(KubeflowRoleConfig, make_role))
    chief: Any = dataclasses.field(default=None, metadata=base.holds(KubeflowRoleConfig, make_role))
    evaluator: Any = dataclasses.field(default=None, metadata=base.holds(KubeflowRoleConfig, make_role))
    reuse_mode: bool | None = True
    """Without effect: every trial is a job of its own. Kept for files written for NNI."""
    namespace: str = "default"
    kube_context: str | None = None
    """Of the kubeconfig; the current one when unset."""
    gpu_resource: str | None = None
    """What nodes call their GPUs: ``nvidia.com/gpu`` when unset, ``amd.com/gpu``, ``nvidia.com/mig-1g.10gb`` ..."""
    queue_name: str | None = None
    """A LocalQueue of Kueue that admits the jobs."""
    queue_priority_class: str | None = None
    """A WorkloadPriorityClass of Kueue."""
    nni_manager_url: str | None = None
    """Where pods reach the intake, such as ``https://nni.example.org``, when a proxy or an ingress is in between."""
    intake_tls: bool | None = None
    """Whether trials report by TLS, to a certificate that they are told beforehand. When unset, they do unless the
    cluster is on this machine or ``nni_manager_url`` names a proxy, which has a certificate of its own."""
    start_grace: str | int | None = None
    """How long a missing image, secret or volume may keep a trial from starting; 5 minutes (15 for volumes) when
    unset."""
    infrastructure_retries: int | None = None
    """New attempts of a trial that the cluster ended (eviction, preemption, a lost node); 3 when unset."""
    keep_finished_jobs: str | int | None = None
    """How long the job of an ended trial stays for people to see; 10 minutes when unset."""
    keep_failed_jobs: bool | None = None
    """Keep the jobs of failed trials, even after the experiment's end."""


PLATFORMS: Mapping[str, type[TrainingServiceConfig]] = {"kubeflow": KubeflowConfig, "local": LocalConfig}


def make(values: Mapping[str, Any], directory: Path | None) -> TrainingServiceConfig:
    """Return a platform's configuration; one of the base class when the platform is unset or unknown."""
    named = TrainingServiceConfig.from_dict(values, directory)
    cls = PLATFORMS.get(str(named.platform))
    return named if cls is None else cls.from_dict(values, directory)


def new(platform: object) -> Any:
    """Return an empty configuration of a platform by its name, or a list of them for several names.

    Raises:
        ConfigError: There is no such platform.
    """
    if isinstance(platform, list):
        return [new(one) for one in platform]
    if not isinstance(platform, str) or platform not in PLATFORMS:
        raise errors.ConfigError([errors.Problem("training_service.platform", no_platform(str(platform)))])
    return PLATFORMS[platform]()


def no_platform(platform: str) -> str:
    """Return the sentence for a platform that does not exist."""
    return f"{platform!r} is not a platform of this version; {nearest.advice(platform, sorted(PLATFORMS))}"


def elsewhere() -> Mapping[str, str]:
    """Return the fields that only platforms have, with their path in an experiment."""
    return {
        field.name: f"training_service.{field.name}" for cls in PLATFORMS.values() for field in dataclasses.fields(cls)
    }
