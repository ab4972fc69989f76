"""What stands in the columns of kubectl's tables: readers of single cells."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from nni.sandbox import jsonpath, schema, times

Cell = Callable[[schema.Object, dt.datetime], Any]

_NONE = "<none>"


def duration(seconds: float) -> str:
    """Write a time span as people know it from kubectl: ``5s``, ``3m20s``, ``2d4h``."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _pair(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    return _pair(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def since(moment: str | None, now: dt.datetime) -> str:
    """Write how long ago something was."""
    return duration((now - times.parse(moment)).total_seconds()) if moment else "<unknown>"


def plain(read: Callable[[schema.Object], Any]) -> Cell:
    """Make a cell that does not look at the time."""
    return lambda found, _: read(found)


def at(*path: str, otherwise: str = _NONE) -> Cell:
    """Make a cell with the value of a field."""

    def read(found: Any) -> Any:
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return otherwise if found in (None, "") else found

    return plain(read)


def age_of(*path: str) -> Cell:
    """Make a cell that says how long ago the time in a field was."""
    read = at(*path, otherwise="")
    return lambda found, now: since(read(found, now), now)


def constant(text: str) -> Cell:
    """Make a cell that is always the same."""
    return lambda *_: text


def listed(*path: str, otherwise: str = _NONE) -> Cell:
    """Make a cell with the entries of a list or the pairs of a map."""
    read = at(*path, otherwise="")

    def write(found: schema.Object, now: dt.datetime) -> str:
        value = read(found, now)
        parts = [f"{key}={entry}" for key, entry in value.items()] if isinstance(value, dict) else value
        return ",".join(map(str, parts)) or otherwise

    return write


def by_path(path: str, form: str) -> Cell:
    """Make the cell of a definition's column: a JSONPath and its type."""

    def read(found: schema.Object, now: dt.datetime) -> Any:
        values = jsonpath.find(path, found)
        if not values:
            return "<unknown>" if form == "date" else None
        if form == "date":
            return since(str(values[0]), now)
        return values[0] if len(values) == 1 else str(values)

    return read


def ready(found: schema.Object) -> str:
    """``1/2``: the containers of a pod that are ready."""
    states = found.get("status", {}).get("containerStatuses", [])
    return f"{sum(1 for state in states if state.get('ready'))}/{len(found['spec']['containers'])}"


def restarts(found: schema.Object, now: dt.datetime) -> str:
    """``0``, ``2 (5s ago)``."""
    states = found.get("status", {}).get("containerStatuses", [])
    count = sum(state.get("restartCount", 0) for state in states)
    ends = [state.get("lastState", {}).get("terminated", {}).get("finishedAt") for state in states]
    last = max(filter(None, ends), default=None)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def pod_state(found: schema.Object) -> str:
    """What kubectl calls the status of a pod; the phase is but one part of it."""
    status = found.get("status", {})
    state = _initial(status) or _main(status)
    if found["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return state


def _initial(status: schema.Object) -> str | None:
    states = status.get("initContainerStatuses", [])
    for index, one in enumerate(states):
        ended = one["state"].get("terminated")
        if ended and ended.get("exitCode") == 0:
            continue
        if ended:
            return f"Init:{_end(ended)}"
        waiting = one["state"].get("waiting", {}).get("reason", "")
        return f"Init:{waiting}" if waiting not in ("", "PodInitializing") else f"Init:{index}/{len(states)}"
    return None


def _main(status: schema.Object) -> str:
    state = str(status.get("reason") or status.get("phase", "Unknown"))
    if _has_condition(status, "PodScheduled", "reason", "SchedulingGated"):
        state = "SchedulingGated"
    is_any_running = False
    for one in reversed(status.get("containerStatuses", [])):
        waiting, ended = one["state"].get("waiting"), one["state"].get("terminated")
        if waiting and waiting.get("reason"):
            state = waiting["reason"]
        elif ended:
            state = _end(ended)
        elif one.get("ready") and "running" in one["state"]:
            is_any_running = True
    if state == "Completed" and is_any_running:
        return "Running" if _has_condition(status, "Ready", "status", "True") else "NotReady"
    return state


def _end(ended: schema.Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"


def _has_condition(status: schema.Object, category: str, key: str, value: str) -> bool:
    return any(each.get("type") == category and each.get(key) == value for each in status.get("conditions", []))


def gates(found: schema.Object) -> str:
    """``1/2``: the readiness gates of a pod that are open."""
    wanted = [gate["conditionType"] for gate in found["spec"].get("readinessGates", [])]
    status = found.get("status", {})
    are_open = sum(_has_condition(status, name, "status", "True") for name in wanted)
    return f"{are_open}/{len(wanted)}" if wanted else _NONE


def involved(found: schema.Object) -> str:
    """``pod/name``."""
    about = found["involvedObject"]
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def source(found: schema.Object) -> str:
    """``kubelet, node-1``."""
    told = found.get("source") or {}
    component = told.get("component") or found.get("reportingComponent", "")
    return ", ".join(filter(None, (component, told.get("host"))))


def ports(found: schema.Object) -> str:
    """``80/TCP,443/TCP``."""
    known = found.get("spec", {}).get("ports", [])
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in known) or _NONE


def node_state(found: schema.Object) -> str:
    """``Ready``, ``NotReady,SchedulingDisabled``."""
    is_ready = _has_condition(found.get("status", {}), "Ready", "status", "True")
    disabled = [",SchedulingDisabled"] if found.get("spec", {}).get("unschedulable") else []
    return "".join(["Ready" if is_ready else "NotReady", *disabled])


def node_roles(found: schema.Object) -> str:
    """``control-plane,worker``, from the labels."""
    prefix = "node-role.kubernetes.io/"
    labels = found["metadata"].get("labels", {})
    return ",".join(sorted(name.removeprefix(prefix) for name in labels if name.startswith(prefix))) or _NONE


def address(category: str) -> Cell:
    """Make a cell with a node's address of a type."""

    def read(found: schema.Object) -> str:
        known = found.get("status", {}).get("addresses", [])
        return next((str(each["address"]) for each in known if each["type"] == category), _NONE)

    return plain(read)


def last_condition(found: schema.Object) -> Any:
    """Name the condition that came last."""
    conditions = found.get("status", {}).get("conditions", [])
    return conditions[-1]["type"] if conditions else None


def condition(category: str) -> Cell:
    """Make a cell with the status of a condition: ``True``, ``False``, or nothing when there is none."""

    def read(found: schema.Object) -> str:
        conditions = found.get("status", {}).get("conditions", [])
        return next((str(each["status"]) for each in conditions if each["type"] == category), "")

    return plain(read)


def subjects(category: str) -> Cell:
    """Make a cell with a binding's subjects of a kind."""

    def read(found: schema.Object) -> str:
        known: Sequence[schema.Object] = found.get("subjects", [])
        names = [
            f"{each.get('namespace', '')}/{each['name']}" if category == "ServiceAccount" else each["name"]
            for each in known
            if each["kind"] == category
        ]
        return ", ".join(names)

    return plain(read)


def role(found: schema.Object) -> str:
    """``ClusterRole/view``."""
    return f"{found['roleRef']['kind']}/{found['roleRef']['name']}"


def modes(found: schema.Object) -> str:
    """``RWX``: the access modes of a claim."""
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in found.get("spec", {}).get("accessModes", []))


def completions(found: schema.Object) -> str:
    """``1/2``: the completions of a batch Job."""
    spec, done = found.get("spec", {}), found.get("status", {}).get("succeeded", 0)
    wanted = spec.get("completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = spec.get("parallelism", 0)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def job_state(found: schema.Object) -> str:
    """``Running``, ``Complete``, ``Failed``, ``Suspended``: the state of a batch Job."""
    status = found.get("status", {})
    for category in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if _has_condition(status, category, "status", "True"):
            return category
    return "Terminating" if found["metadata"].get("deletionTimestamp") else "Running"


def job_duration(found: schema.Object, now: dt.datetime) -> str:
    """Say how long a batch Job has run."""
    status = found.get("status", {})
    if not status.get("startTime"):
        return ""
    end = times.parse(status["completionTime"]) if status.get("completionTime") else now
    return duration((end - times.parse(status["startTime"])).total_seconds())


def of_containers(name: str) -> Cell:
    """Make a cell with a field of each container of a template."""

    def read(found: schema.Object) -> str:
        containers = found["spec"]["template"]["spec"]["containers"]
        return ",".join(str(each.get(name, "")) for each in containers)

    return plain(read)
