"""The kinds that the sandbox serves.

To serve another one, add a row here, its type to ``schemas/`` and its columns to ``tables``; or apply a
CustomResourceDefinition while it runs.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nni.sandbox import schema, status, structural

Selectable = Mapping[str, Callable[[Any], str]]


def _path(*names: str) -> Callable[[Any], str]:
    def read(found: Any) -> str:
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return "" if found is None else str(found)

    return read


_BY_NAME: dict[str, Callable[[Any], str]] = {
    "metadata.name": _path("metadata", "name"),
    "metadata.namespace": _path("metadata", "namespace"),
}
_POD = _BY_NAME | {
    f"{part}.{name}": _path(part, name)
    for part, name in (
        ("spec", "nodeName"),
        ("spec", "restartPolicy"),
        ("spec", "schedulerName"),
        ("spec", "serviceAccountName"),
        ("status", "phase"),
        ("status", "podIP"),
        ("status", "nominatedNodeName"),
    )
}
_EVENT = (
    _BY_NAME
    | {
        f"involvedObject.{name}": _path("involvedObject", name)
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    }
    | {
        "reason": _path("reason"),
        "type": _path("type"),
        "source": _path("source", "component"),
        "reportingComponent": _path("reportingComponent"),
    }
)


POSTED: Mapping[str, tuple[str, str, str]] = {
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "eviction": ("policy", "v1", "Eviction"),
}
"""Subresources that take an object of another kind, by POST alone: its group, version and kind."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One row: how a kind is called and what is special about it."""

    group: str
    version: str
    kind: str
    plural: str
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    is_namespaced: bool = True
    is_custom: bool = False
    """Defined by a custom resource definition: no strategic merge patch, schema errors are 422."""
    has_status: bool = True
    has_generation: bool = False
    name_rule: str = "subdomain"
    """``subdomain`` or ``short`` (RFC 1123), ``label`` (RFC 1035), or ``path`` (whatever can stand in one)."""
    selectable: Selectable = dataclasses.field(default_factory=lambda: _BY_NAME)
    subresources: tuple[str, ...] = ()
    """Beside ``status``."""
    deletion_policy: str = "Background"
    """What becomes of its dependents when a request to delete it does not say."""
    shape: structural.Structure | None = None
    """The schema, where a definition gave one; other kinds have theirs in ``schemas/``."""
    columns: tuple[schema.Object, ...] = ()
    """The ``additionalPrinterColumns`` of a definition."""

    @property
    def resource(self) -> str:
        """Its name in the store and in messages: ``pods``, ``pytorchjobs.kubeflow.org``."""
        return status.qualified(self.group, self.plural)

    @property
    def api_version(self) -> str:
        """``v1``, ``kubeflow.org/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """``pod``."""
        return self.kind.lower()

    @property
    def title(self) -> str:
        """What messages about a wrong object begin with: ``Pod``, ``PyTorchJob.kubeflow.org``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def not_found(self, name: str) -> status.Refusal:
        """404 for an object of this kind."""
        return status.not_found(self.group, self.plural, name)

    def conflict(self, name: str, why: str) -> status.Refusal:
        """409 for an object of this kind."""
        return status.conflict(self.group, self.plural, name, why)

    def invalid(self, name: str, findings: list[schema.Finding]) -> status.Refusal:
        """422 for an object of this kind."""
        return status.invalid(self.group, self.kind, name, findings)


POD = Kind(
    "", "v1", "Pod", "pods", ("po",), ("all",), has_generation=True, selectable=_POD, subresources=("log", "eviction")
)
EVENT = Kind("", "v1", "Event", "events", ("ev",), has_status=False, selectable=_EVENT)
SECRET = Kind("", "v1", "Secret", "secrets", has_status=False, selectable=_BY_NAME | {"type": _path("type")})
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", ("cm",), has_status=False)
SERVICE = Kind("", "v1", "Service", "services", ("svc",), ("all",), name_rule="label")
NAMESPACE = Kind(
    "", "v1", "Namespace", "namespaces", ("ns",), is_namespaced=False, name_rule="short",
    selectable=_BY_NAME | {"status.phase": _path("status", "phase")},
)  # fmt: skip
NODE = Kind(
    "", "v1", "Node", "nodes", ("no",), is_namespaced=False,
    selectable=_BY_NAME | {"spec.unschedulable": _path("spec", "unschedulable")},
)  # fmt: skip
SERVICE_ACCOUNT = Kind(
    "", "v1", "ServiceAccount", "serviceaccounts", ("sa",), has_status=False, subresources=("token",)
)  # fmt: skip
QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas", ("quota",))
CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", ("pvc",))
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", has_status=False)
JOB = Kind(
    "batch", "v1", "Job", "jobs", (), ("all",), has_generation=True, deletion_policy="Orphan",
    selectable=_BY_NAME | {"status.successful": _path("status", "succeeded")},
)  # fmt: skip
PYTORCH_JOB = Kind("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs", is_custom=True, has_generation=True)
TF_JOB = Kind("kubeflow.org", "v1", "TFJob", "tfjobs", is_custom=True, has_generation=True)
JOB_SET = Kind("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets", is_custom=True, has_generation=True)
_TRAINER = ("trainer.kubeflow.org", "v1alpha1")
TRAIN_JOB = Kind(*_TRAINER, "TrainJob", "trainjobs", is_custom=True, has_generation=True)
TRAINING_RUNTIME = Kind(
    *_TRAINER, "TrainingRuntime", "trainingruntimes", is_custom=True, has_generation=True, has_status=False
)  # fmt: skip
CLUSTER_TRAINING_RUNTIME = Kind(
    *_TRAINER, "ClusterTrainingRuntime", "clustertrainingruntimes", is_namespaced=False, is_custom=True,
    has_generation=True, has_status=False,
)  # fmt: skip
_RBAC = ("rbac.authorization.k8s.io", "v1")
ROLE = Kind(*_RBAC, "Role", "roles", has_status=False, name_rule="path")
ROLE_BINDING = Kind(*_RBAC, "RoleBinding", "rolebindings", has_status=False, name_rule="path")
CLUSTER_ROLE = Kind(*_RBAC, "ClusterRole", "clusterroles", is_namespaced=False, has_status=False, name_rule="path")
CLUSTER_ROLE_BINDING = Kind(
    *_RBAC, "ClusterRoleBinding", "clusterrolebindings", is_namespaced=False, has_status=False, name_rule="path"
)  # fmt: skip
DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", ("crd", "crds"),
    ("api-extensions",), is_namespaced=False, has_generation=True,
)  # fmt: skip

TABLE: tuple[Kind, ...] = (
    CONFIG_MAP, EVENT, NAMESPACE, NODE, CLAIM, POD, QUOTA, SECRET, SERVICE_ACCOUNT, SERVICE, LEASE, JOB,
    PYTORCH_JOB, TF_JOB, JOB_SET, TRAIN_JOB, TRAINING_RUNTIME, CLUSTER_TRAINING_RUNTIME,
    ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEFINITION,
)  # fmt: skip


Arrival = Callable[[Kind], None]


class Kinds:
    """The served kinds, found by what a request names. Definitions add to them and take away from them."""

    def __init__(self, rows: tuple[Kind, ...] = TABLE) -> None:
        self._built_in = {(row.group, row.version, row.plural): row for row in rows}
        self._by_path = dict(self._built_in)
        self._by_kind = {(row.api_version, row.kind): row for row in rows}
        self._known = {row.resource: row for row in rows}
        """Every resource that has ever been served, by one of its kinds."""
        self._arrivals: list[Arrival] = []

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_path.values()))

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """Find the kind that a path names."""
        return self._by_path.get((group, version, plural))

    def named(self, api_version: str, kind: str) -> Kind | None:
        """Find the kind that an object's ``apiVersion`` and ``kind`` name."""
        return self._by_kind.get((api_version, kind))

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the core group (empty) first."""
        found: dict[str, list[str]] = {"": []}
        for row in self:
            versions = found.setdefault(row.group, [])
            if row.version not in versions:
                versions.append(row.version)
        return found

    def of(self, group: str, version: str) -> list[Kind]:
        """List the kinds of one group and version."""
        return [row for row in self if (row.group, row.version) == (group, version)]

    def put(self, row: Kind) -> None:
        """Serve a kind from now on, in place of what its path named before."""
        path = (row.group, row.version, row.plural)
        self._by_path[path] = row
        self._by_kind[row.api_version, row.kind] = row
        if row.resource not in self._known:
            self._known[row.resource] = row
            for tell in list(self._arrivals):
                tell(row)

    def drop(self, row: Kind) -> None:
        """Serve a kind no longer; one that is built in comes back as it was."""
        path = (row.group, row.version, row.plural)
        if path in self._built_in:
            self.put(self._built_in[path])
            return
        self._by_path.pop(path, None)
        self._by_kind.pop((row.api_version, row.kind), None)

    def is_built_in(self, row: Kind) -> bool:
        """Whether a kind is served without a definition too."""
        return (row.group, row.version, row.plural) in self._built_in

    @contextlib.contextmanager
    def arrivals(self, tell: Arrival) -> Iterator[None]:
        """Tell of every resource once: of those that are served at once, of others when they come first."""
        for row in list(self._known.values()):
            tell(row)
        self._arrivals.append(tell)
        try:
            yield
        finally:
            self._arrivals.remove(tell)
