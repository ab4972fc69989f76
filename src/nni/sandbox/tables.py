"""The tables that kubectl prints: columns and rows by kind."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from nni.sandbox import kinds, schema, times

Cell = Callable[[schema.Object, dt.datetime], Any]
Column = tuple[str, int, Cell]
"""Its title, its priority (1 is shown with ``-o wide`` alone), and what stands in it."""


def table(
    kind: kinds.Kind, found: Sequence[schema.Object], metadata: schema.Object, include: str, now: dt.datetime
) -> schema.Object:
    """Make a Table. ``include`` is ``None``, ``Metadata`` or ``Object``: what each row carries of its object."""
    columns = _COLUMNS.get(kind.kind, (_NAME, _AGE))
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


def _since(moment: str | None, now: dt.datetime) -> str:
    if not moment:
        return "<unknown>"
    seconds = max(0, int((now - times.parse(moment)).total_seconds()))
    for size, unit, until in ((1, "s", 120), (60, "m", 120 * 60), (3600, "h", 48 * 3600)):
        if seconds < until:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def _cell(read: Callable[[schema.Object], Any]) -> Cell:
    return lambda found, _: read(found)


def _at(*path: str, otherwise: str = "<none>") -> Cell:
    def read(found: Any) -> Any:
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return otherwise if found is None else found

    return _cell(read)


def _constant(text: str) -> Cell:
    return lambda *_: text


def _ready(found: schema.Object) -> str:
    states = found.get("status", {}).get("containerStatuses", [])
    return f"{sum(1 for state in states if state.get('ready'))}/{len(found['spec']['containers'])}"


def _restarts(found: schema.Object) -> str:
    return str(sum(state.get("restartCount", 0) for state in found.get("status", {}).get("containerStatuses", [])))


def _pod_state(found: schema.Object) -> str:
    if found["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = found.get("status", {})
    for index, one in enumerate(status.get("initContainerStatuses", [])):
        if one["state"].get("terminated", {}).get("exitCode") != 0:
            total = len(status["initContainerStatuses"])
            failed = one["state"].get("terminated")
            return f"Init:{failed.get('reason', 'Error')}" if failed else f"Init:{index}/{total}"
    state = str(status.get("reason") or status.get("phase", "Unknown"))
    for one in reversed(status.get("containerStatuses", [])):
        waiting, terminated = one["state"].get("waiting"), one["state"].get("terminated")
        if waiting or terminated:
            state = (waiting or terminated).get("reason") or state
    return state


def _involved(found: schema.Object) -> str:
    about = found["involvedObject"]
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _ports(found: schema.Object) -> str:
    ports = found.get("spec", {}).get("ports", [])
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _last_condition(found: schema.Object) -> Any:
    conditions = found.get("status", {}).get("conditions", [])
    return conditions[-1]["type"] if conditions else None


def _condition(found: schema.Object, name: str, otherwise: str = "") -> str:
    conditions = found.get("status", {}).get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == name), otherwise)


def _job_state(found: schema.Object) -> str:
    ends = [name for name in ("Complete", "Failed") if _condition(found, name) == "True"]
    if not ends and found["metadata"].get("deletionTimestamp"):
        return "Terminating"
    rest = [name for name in ("Suspended", "FailureTarget") if _condition(found, name) == "True"]
    return next(iter([*ends, *rest]), "Running")


def _completions(found: schema.Object) -> str:
    spec, done = found["spec"], found.get("status", {}).get("succeeded", 0)
    if "completions" in spec:
        return f"{done}/{spec['completions']}"
    return f"{done}/1 of {spec['parallelism']}" if spec.get("parallelism", 1) > 1 else f"{done}/1"


def _duration(found: schema.Object, now: dt.datetime) -> str:
    state = found.get("status", {})
    if "startTime" not in state:
        return ""
    return _since(state["startTime"], times.parse(state["completionTime"]) if "completionTime" in state else now)


def _of_containers(field: str) -> Cell:
    def read(found: schema.Object) -> str:
        return ",".join(str(each.get(field, "")) for each in found["spec"]["template"]["spec"]["containers"])

    return _cell(read)


def _selector(found: schema.Object) -> str:
    labels = found["spec"].get("selector", {}).get("matchLabels", {})
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items())) or "<none>"


_NAME: Column = ("Name", 0, _at("metadata", "name"))
_AGE: Column = ("Age", 0, lambda found, now: _since(found["metadata"].get("creationTimestamp"), now))
_COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME, ("Ready", 0, _cell(_ready)), ("Status", 0, _cell(_pod_state)), ("Restarts", 0, _cell(_restarts)), _AGE,
        ("IP", 1, _at("status", "podIP")), ("Node", 1, _at("spec", "nodeName")),
        ("Nominated Node", 1, _constant("<none>")), ("Readiness Gates", 1, _constant("<none>")),
    ),
    "Event": (
        ("Last Seen", 0, lambda found, now: _since(found.get("lastTimestamp") or found.get("eventTime"), now)),
        ("Type", 0, _at("type")), ("Reason", 0, _at("reason")), ("Object", 0, _cell(_involved)),
        ("Source", 1, _at("source", "component")), ("Message", 0, _at("message")), ("Count", 1, _at("count")),
        ("Name", 1, _at("metadata", "name")),
    ),
    "Secret": (_NAME, ("Type", 0, _at("type")), ("Data", 0, _cell(lambda found: len(found.get("data", {})))), _AGE),
    "ConfigMap": (
        _NAME, ("Data", 0, _cell(lambda found: len(found.get("data", {})) + len(found.get("binaryData", {})))), _AGE,
    ),
    "Service": (
        _NAME, ("Type", 0, _at("spec", "type")), ("Cluster-IP", 0, _at("spec", "clusterIP")),
        ("External-IP", 0, _constant("<none>")), ("Port(s)", 0, _cell(_ports)), _AGE,
    ),
    "Namespace": (_NAME, ("Status", 0, _at("status", "phase")), _AGE),
    "Node": (
        _NAME, ("Status", 0, _constant("Ready")), ("Roles", 0, _constant("<none>")), _AGE,
        ("Version", 0, _at("status", "nodeInfo", "kubeletVersion")),
    ),
    "PersistentVolumeClaim": (_NAME, ("Status", 0, _at("status", "phase")), _AGE),
    "Lease": (_NAME, ("Holder", 0, _at("spec", "holderIdentity")), _AGE),
    "Job": (
        _NAME, ("Status", 0, _cell(_job_state)), ("Completions", 0, _cell(_completions)), ("Duration", 0, _duration),
        _AGE, ("Containers", 1, _of_containers("name")), ("Images", 1, _of_containers("image")),
        ("Selector", 1, _cell(_selector)),
    ),
    "JobSet": (
        _NAME, ("TerminalState", 0, _at("status", "terminalState", otherwise="")),
        ("Restarts", 0, _at("status", "restarts", otherwise="")),
        ("Completed", 0, _cell(lambda found: _condition(found, "Completed"))),
        ("Suspended", 0, _at("spec", "suspend", otherwise="")), _AGE,
    ),
    **dict.fromkeys(
        ("PyTorchJob", "TFJob", "TrainJob"), (_NAME, ("State", 0, _cell(_last_condition)), _AGE)
    ),
}  # fmt: skip
