"""The tables that kubectl prints: columns and rows by kind."""

import datetime as dt
from collections.abc import Sequence

from nni.sandbox import cells, kinds, schema

_at, _plain, _constant = cells.at, cells.plain, cells.constant
Column = tuple[str, int, cells.Cell]
"""Its title, its priority (1 is shown with ``-o wide`` alone), and what stands in it."""


def table(
    kind: kinds.Kind, found: Sequence[schema.Object], metadata: schema.Object, include: str, now: dt.datetime
) -> schema.Object:
    """Make a Table. ``include`` is ``None``, ``Metadata`` or ``Object``: what each row carries of its object."""
    columns = _columns(kind)
    definitions = [
        {"name": name, "type": "string", "format": name.lower() if name == "Name" else "", "description": name,
         "priority": priority}
        for name, priority, _ in columns
    ]  # fmt: skip
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": [
            {"cells": [cell(one, now) for _, _, cell in columns], "object": _object(one, include)} for one in found
        ],
    }


def _object(found: schema.Object, include: str) -> schema.Object | None:
    if include == "None":
        return None
    if include == "Object":
        return found
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": found["metadata"]}


_NAME: Column = ("Name", 0, _at("metadata", "name"))
_AGE: Column = ("Age", 0, cells.age_of("metadata", "creationTimestamp"))
_CREATED: Column = ("Created At", 0, _at("metadata", "creationTimestamp"))
_STATE: Column = ("State", 0, _plain(cells.last_condition))
_OF_BINDINGS: tuple[Column, ...] = (
    _NAME, ("Role", 0, _plain(cells.role)), _AGE, ("Users", 1, cells.subjects("User")),
    ("Groups", 1, cells.subjects("Group")), ("ServiceAccounts", 1, cells.subjects("ServiceAccount")),
)  # fmt: skip
_COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME, ("Ready", 0, _plain(cells.ready)), ("Status", 0, _plain(cells.pod_state)),
        ("Restarts", 0, cells.restarts), _AGE, ("IP", 1, _at("status", "podIP")), ("Node", 1, _at("spec", "nodeName")),
        ("Nominated Node", 1, _at("status", "nominatedNodeName")), ("Readiness Gates", 1, _plain(cells.gates)),
    ),
    "Event": (
        ("Last Seen", 0, lambda found, now: cells.since(found.get("lastTimestamp") or found.get("eventTime"), now)),
        ("Type", 0, _at("type")), ("Reason", 0, _at("reason")), ("Object", 0, _plain(cells.involved)),
        ("Subobject", 1, _at("involvedObject", "fieldPath", otherwise="")), ("Source", 1, _plain(cells.source)),
        ("Message", 0, _at("message")),
        ("First Seen", 1, lambda found, now: cells.since(found.get("firstTimestamp") or found.get("eventTime"), now)),
        ("Count", 1, _at("count", otherwise="1")), ("Name", 1, _at("metadata", "name")),
    ),
    "Secret": (_NAME, ("Type", 0, _at("type")), ("Data", 0, _plain(lambda found: len(found.get("data", {})))), _AGE),
    "ConfigMap": (
        _NAME, ("Data", 0, _plain(lambda found: len(found.get("data", {})) + len(found.get("binaryData", {})))), _AGE,
    ),
    "Service": (
        _NAME, ("Type", 0, _at("spec", "type")), ("Cluster-IP", 0, _at("spec", "clusterIP")),
        ("External-IP", 0, _constant("<none>")), ("Port(s)", 0, _plain(cells.ports)), _AGE,
        ("Selector", 1, cells.listed("spec", "selector")),
    ),
    "ServiceAccount": (_NAME, ("Secrets", 0, _plain(lambda found: len(found.get("secrets", [])))), _AGE),
    "Namespace": (_NAME, ("Status", 0, _at("status", "phase")), _AGE),
    "Node": (
        _NAME, ("Status", 0, _plain(cells.node_state)), ("Roles", 0, _plain(cells.node_roles)), _AGE,
        ("Version", 0, _at("status", "nodeInfo", "kubeletVersion")), ("Internal-IP", 1, cells.address("InternalIP")),
        ("External-IP", 1, cells.address("ExternalIP")),
        ("OS-Image", 1, _at("status", "nodeInfo", "osImage", otherwise="<unknown>")),
        ("Kernel-Version", 1, _at("status", "nodeInfo", "kernelVersion", otherwise="<unknown>")),
        ("Container-Runtime", 1, _at("status", "nodeInfo", "containerRuntimeVersion", otherwise="<unknown>")),
    ),
    "PersistentVolumeClaim": (
        _NAME, ("Status", 0, _at("status", "phase")), ("Volume", 0, _at("spec", "volumeName", otherwise="")),
        ("Capacity", 0, _at("status", "capacity", "storage", otherwise="")), ("Access Modes", 0, _plain(cells.modes)),
        ("StorageClass", 0, _at("spec", "storageClassName", otherwise="")),
        ("VolumeAttributesClass", 0, _at("spec", "volumeAttributesClassName", otherwise="<unset>")), _AGE,
        ("VolumeMode", 1, _at("spec", "volumeMode", otherwise="Filesystem")),
    ),
    "Lease": (_NAME, ("Holder", 0, _at("spec", "holderIdentity")), _AGE),
    "Role": (_NAME, _CREATED),
    "ClusterRole": (_NAME, _CREATED),
    "RoleBinding": _OF_BINDINGS,
    "ClusterRoleBinding": _OF_BINDINGS,
    "CustomResourceDefinition": (_NAME, _CREATED),
    "Job": (
        _NAME, ("Status", 0, _plain(cells.job_state)), ("Completions", 0, _plain(cells.completions)),
        ("Duration", 0, cells.job_duration), _AGE, ("Containers", 1, cells.of_containers("name")),
        ("Images", 1, cells.of_containers("image")),
        ("Selector", 1, cells.listed("spec", "selector", "matchLabels")),
    ),
    "JobSet": (
        _NAME, ("TerminalState", 0, _at("status", "terminalState", otherwise="")),
        ("Restarts", 0, _at("status", "restarts", otherwise="")),
        ("Completed", 0, cells.condition("Completed")),
        ("Suspended", 0, _at("spec", "suspend", otherwise="")), _AGE,
    ),
    "PyTorchJob": (_NAME, _STATE, _AGE),
    "TFJob": (_NAME, _STATE, _AGE),
    "TrainJob": (_NAME, _STATE, _AGE),
}  # fmt: skip


def _columns(kind: kinds.Kind) -> tuple[Column, ...]:
    """Give the columns of a kind: those of its definition, if it has one."""
    if kind.shape is None:
        return _COLUMNS.get(kind.kind, (_NAME, _AGE))
    own = tuple(
        (column["name"], int(column.get("priority", 0)), cells.by_path(column["jsonPath"], column["type"]))
        for column in kind.columns
    )
    return (_NAME, *own) if own else (_NAME, _AGE)
