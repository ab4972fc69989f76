"""A configuration that has been checked: what ``nni.config`` freezes and everything else reads."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from nni.core import objectives

CODE_LIMIT_MIB = 300
OUTPUT_LIMIT_MIB = 200
MOST_AT_ONCE = 100_000
"""Trials that may run at once; Kubernetes itself is made for 150,000 pods."""
EASY_AT_ONCE = 10
"""Trials at once for each processor of the machine that runs them all; of more it is asked whether they are meant."""
MOST_TRIALS = 1_000_000_000
"""Trials that an experiment may have."""


def crowding(at_once: int, processors: int) -> str | None:
    """Return a warning of trials that the machine may not bear which runs them all; None where they are not so many."""
    if at_once <= EASY_AT_ONCE * processors:
        return None
    return (
        f"All trials run on this machine, whose {processors} processors {at_once} trials at once may bring to a "
        "standstill."
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmSpec:
    """A tuner or an assessor: built in (``name``) or the user's own (``class_name``, ``code_directory``)."""

    name: str | None = None
    class_name: str | None = None
    code_directory: str | None = None
    class_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def written(cls, canonical: Mapping[str, Any] | None) -> "AlgorithmSpec":
        """Return what the canonical configuration has in ``tuner``, ``advisor`` or ``assessor``."""
        its = canonical or {}
        return cls(name=its.get("name"), class_name=its.get("className"), class_args=its.get("classArgs") or {})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What a user asks of a role's pods beyond what a trial needs, in Kubernetes' own form."""

    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Value by name: a text, or what Kubernetes has in ``valueFrom``."""
    requests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Resource requests where they differ from the limits."""
    shm_mib: int | None = None
    """Size of /dev/shm; None for a share of the memory."""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the pod's ``spec``: nodeSelector, tolerations, affinity, serviceAccountName, priorityClassName,
    imagePullSecrets."""
    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()
    registry_credentials: str | None = None
    """Path of a Docker configuration with the credentials of a private registry; absolute."""
    template: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """A JSON merge patch that is applied to the whole pod template at last."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """One role of a job."""

    name: str
    """master, worker, ps, chief, evaluator; ``worker`` on the local platform."""
    replicas: int
    command: str
    """Run by ``/bin/sh -c`` exactly as written."""
    code_directory: str
    """Absolute."""
    image: str = ""
    cpus: float | None = None
    memory_mib: int | None = None
    gpus: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    pod: PodSpec = PodSpec()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NfsSpec:
    """An NFS export that manager and pods share."""

    server: str
    path: str
    mount_path: str | None = None
    """Where this machine has it mounted already; None to look for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSpec:
    """No shared storage: pods fetch from the manager and send to it."""

    output_limit_mib: int = OUTPUT_LIMIT_MIB
    """What each trial may leave with the manager."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AzureSpec:
    """An Azure Files share; its account's key is in a Key Vault, or in a Secret of the cluster."""

    account: str
    share: str
    key_vault_name: str | None = None
    key_vault_key: str | None = None
    """Name of the vault's secret."""
    secret_name: str | None = None
    """Name of the cluster's Secret; None when the key is in the vault."""
    endpoint: str | None = None
    """The account's file service; None for the public cloud's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PvcSpec:
    """A PersistentVolumeClaim of the jobs' namespace."""

    claim_name: str
    sub_path: str
    """Relative; empty for all of the claim."""
    mount_path: str | None = None
    """Where the manager has the whole claim; None to look for it, and to do without."""
    output_limit_mib: int = OUTPUT_LIMIT_MIB
    """What each trial may leave with a manager that does not have it."""


StorageSpec = ManagerSpec | NfsSpec | AzureSpec | PvcSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KubeflowSpec:
    """Trials as Kubeflow jobs."""

    operator: str
    api_version: str
    """As the user wrote it, empty for any; the platform falls forward to a served version."""
    namespace: str
    roles: tuple[RoleSpec, ...]
    storage: StorageSpec
    context: str | None = None
    """Of the kubeconfig; None for the current one."""
    manager_url: str | None = None
    """Where trials report to, when something stands in between; None to go by address and port."""
    intake_tls: bool | None = None
    """Whether trials report by TLS; None to have it wherever they do not report on this machine alone."""
    queue: str | None = None
    """A LocalQueue of Kueue."""
    queue_priority: str | None = None
    """A WorkloadPriorityClass of Kueue."""
    start_grace_seconds: int | None = None
    """How long something that does not mend itself may keep a trial from starting; None for the usual times."""
    code_limit_mib: int = CODE_LIMIT_MIB
    """What a code directory may hold."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalSpec:
    """Trials as processes of this machine."""

    roles: tuple[RoleSpec, ...]
    """Exactly one, of one replica."""
    code_limit_mib: int = CODE_LIMIT_MIB
    """What its code directory may hold."""


PlatformSpec = KubeflowSpec | LocalSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSpec:
    """A whole experiment, checked."""

    name: str | None
    search_space: Mapping[str, Any]
    tuner: AlgorithmSpec
    platform: PlatformSpec
    trial_concurrency: int
    working_directory: str
    """Absolute; the experiment's own directory is made in it."""
    assessor: AlgorithmSpec | None = None
    initial_parameters: tuple[Mapping[str, Any], ...] = ()
    """Tried before the tuner is asked."""
    max_trial_number: int | None = None
    max_experiment_seconds: int | None = None
    max_trial_seconds: int | None = None
    manager_address: str | None = None
    """Where pods call back (nni_manager_ip); None to find it out."""
    max_trial_retries: int = 0
    """New attempts of a trial whose own code failed."""
    infrastructure_retries: int = 3
    """New attempts of a trial that the cluster or the machine ended."""
    keep_finished_seconds: int = 600
    """How long the job of an ended trial stays, so that people see it with kubectl."""
    keep_failed_jobs: bool = False
    """Whether the jobs of failed trials stay, even after the experiment's end."""
    log_level: str = "info"
    canonical: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The configuration in NNI's canonical JSON, for REST and the records."""

    @property
    def maximize(self) -> bool:
        """Whether a larger primary objective is better."""
        return objectives.is_maximized(self.tuner, self.assessor)

    @property
    def optimize(self) -> Mapping[str, Literal["minimize", "maximize"]]:
        """``minimize`` or ``maximize`` for each objective, where the tuner has several; else empty."""
        return objectives.several(self.tuner.class_args)

    @property
    def primary(self) -> str:
        """The objective that trials are compared by."""
        return objectives.primary(self.tuner.class_args)

    @property
    def chief(self) -> tuple[str, int]:
        """Role and index of the replica whose metrics count."""
        names = [role.name for role in self.platform.roles]
        for name in ("chief", "master", "worker"):
            if name in names:
                return (name, 0)
        return (names[0], 0)
