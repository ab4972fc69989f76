"""The tables that kubectl prints: columns and rows by kind."""

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from nni.sandbox import kinds, schema, times

Row = Callable[[schema.Object], list[Any]]


def table(
    kind: kinds.Kind, found: Sequence[schema.Object], metadata: schema.Object, include: str, now: datetime.datetime
) -> schema.Object:
    """Make a Table. ``include`` is ``None``, ``Metadata`` or ``Object``: what each row carries of its object."""
    columns, cells = _COLUMNS.get(kind.kind, ((), lambda _: []))
    definitions = [
        _column("Name", "name"),
        *(_column(name, priority=priority) for name, priority in columns),
        _column("Age"),
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": [
            {
                "cells": [one["metadata"]["name"], *cells(one), _age(one["metadata"].get("creationTimestamp"), now)],
                "object": _object(one, include),
            }
            for one in found
        ],
    }


def _column(name: str, form: str = "", priority: int = 0) -> schema.Object:
    return {"name": name, "type": "string", "format": form, "description": name, "priority": priority}


def _object(found: schema.Object, include: str) -> schema.Object | None:
    if include == "None":
        return None
    if include == "Object":
        return found
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": found["metadata"]}


def _age(created: str | None, now: datetime.datetime) -> str:
    if not created:
        return "<unknown>"
    seconds = max(0, int((now - times.parse(created)).total_seconds()))
    for size, unit, until in ((1, "s", 120), (60, "m", 120 * 60), (3600, "h", 48 * 3600)):
        if seconds < until:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def _pod(found: schema.Object) -> list[Any]:
    spec, status = found["spec"], found.get("status", {})
    states = status.get("containerStatuses", [])
    ready = sum(1 for state in states if state.get("ready"))
    restarts = sum(state.get("restartCount", 0) for state in states)
    return [
        f"{ready}/{len(spec['containers'])}", _pod_state(found), str(restarts),
        status.get("podIP", "<none>"), spec.get("nodeName", "<none>"), "<none>", "<none>",
    ]  # fmt: skip


def _pod_state(found: schema.Object) -> str:
    status = found.get("status", {})
    state = str(status.get("reason") or status.get("phase", "Unknown"))
    for one in reversed(status.get("containerStatuses", [])):
        waiting, terminated = one.get("state", {}).get("waiting"), one.get("state", {}).get("terminated")
        if waiting and waiting.get("reason"):
            state = waiting["reason"]
        elif terminated:
            state = terminated.get("reason") or f"ExitCode:{terminated.get('exitCode')}"
    if found["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return state


def _event(found: schema.Object) -> list[Any]:
    about = found["involvedObject"]
    where = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    return [found.get("type"), found.get("reason"), where, found.get("message", "")]


def _service(found: schema.Object) -> list[Any]:
    spec = found.get("spec", {})
    ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec.get("ports", [])) or "<none>"
    return [spec.get("type"), spec.get("clusterIP"), "<none>", ports]


def _node(found: schema.Object) -> list[Any]:
    return ["Ready", "<none>", found.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")]


def _job(found: schema.Object) -> list[Any]:
    conditions = found.get("status", {}).get("conditions", [])
    return [conditions[-1]["type"] if conditions else None]


_COLUMNS: dict[str, tuple[tuple[tuple[str, int], ...], Row]] = {
    "Pod": (
        (("Ready", 0), ("Status", 0), ("Restarts", 0), ("IP", 1), ("Node", 1), ("Nominated Node", 1),
         ("Readiness Gates", 1)),
        _pod,
    ),
    "Event": ((("Type", 0), ("Reason", 0), ("Object", 0), ("Message", 0)), _event),
    "Secret": ((("Type", 0), ("Data", 0)), lambda found: [found.get("type"), len(found.get("data", {}))]),
    "ConfigMap": ((("Data", 0),), lambda found: [len(found.get("data", {})) + len(found.get("binaryData", {}))]),
    "Service": ((("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0)), _service),
    "Namespace": ((("Status", 0),), lambda found: [found.get("status", {}).get("phase")]),
    "Node": ((("Status", 0), ("Roles", 0), ("Version", 0)), _node),
    "PersistentVolumeClaim": ((("Status", 0),), lambda found: [found.get("status", {}).get("phase")]),
    "Lease": ((("Holder", 0),), lambda found: [found.get("spec", {}).get("holderIdentity")]),
    "PyTorchJob": ((("State", 0),), _job),
}  # fmt: skip
