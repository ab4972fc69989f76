"""The status of a pod, as the kubelet tells it."""

import dataclasses
from typing import Any

from nni.sandbox import schema, times


@dataclasses.dataclass
class ContainerState:
    """Where one container is."""

    container: schema.Object
    state: schema.Object
    """``{"waiting": ...}``, ``{"running": ...}`` or ``{"terminated": ...}``."""
    last: schema.Object = dataclasses.field(default_factory=dict)
    """The state before the last restart."""
    restarts: int = 0
    number: str = ""
    """The container id."""

    @property
    def exit_code(self) -> int | None:
        """The code with which it has ended; None while it has not."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    def describe(self, *, is_initial: bool) -> schema.Object:
        """Make its entry in the pod's status."""
        is_running = "running" in self.state
        described: dict[str, Any] = {
            "name": self.container["name"],
            "image": self.container.get("image", ""),
            "imageID": self.container.get("image", ""),
            "state": self.state,
            "lastState": self.last,
            "restartCount": self.restarts,
            "ready": self.exit_code == 0 if is_initial else is_running,
            "started": is_running,
        }
        if self.number:
            described["containerID"] = f"sandbox://{self.number}"
        return described


def waiting(container: schema.Object, reason: str, message: str = "") -> ContainerState:
    """Make the state of a container that does not run yet."""
    return ContainerState(container, {"waiting": {"reason": reason} | ({"message": message} if message else {})})


def phase(main: list[ContainerState], initial: list[ContainerState], policy: str) -> str:
    """Say the phase of a pod from its containers."""
    if any(each.exit_code not in (None, 0) for each in initial) and policy == "Never":
        return "Failed"
    codes = [each.exit_code for each in main]
    if any("running" in each.state for each in main):
        return "Running"
    if None not in codes:
        if policy == "Never" or (policy == "OnFailure" and not any(codes)):
            return "Failed" if any(codes) else "Succeeded"
        return "Running"
    return "Running" if any(each.restarts or each.exit_code is not None for each in main) else "Pending"


def build(
    pod: schema.Object, main: list[ContainerState], initial: list[ContainerState], now: times.Now, *,
    address: str, started: str
) -> schema.Object:  # fmt: skip
    """Make the whole status, keeping what others have written into the pod's conditions."""
    current = pod.get("status", {})
    verdict = phase(main, initial, pod["spec"].get("restartPolicy", "Always"))
    is_ready = all("running" in each.state for each in main)
    is_initialized = all(each.exit_code == 0 for each in initial)
    why_not = "PodCompleted" if verdict in ("Succeeded", "Failed") else "ContainersNotReady"
    ours = {
        "PodReadyToStartContainers": (verdict in ("Pending", "Running"), ""),
        "Initialized": (is_initialized, "ContainersNotInitialized"),
        "Ready": (is_ready, why_not),
        "ContainersReady": (is_ready, why_not),
    }
    conditions = [each for each in current.get("conditions", []) if each["type"] not in ours]
    before = {each["type"]: each for each in current.get("conditions", [])}
    for name, (is_true, reason) in ours.items():
        conditions.append(_condition(before.get(name), name, is_true, reason, now))
    state: schema.Object = {
        **current,
        "phase": verdict,
        "conditions": conditions,
        "hostIP": address,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "containerStatuses": [each.describe(is_initial=False) for each in main],
    }
    if initial:
        state["initContainerStatuses"] = [each.describe(is_initial=True) for each in initial]
    return state


def _condition(before: schema.Object | None, name: str, is_true: bool, reason: str, now: times.Now) -> schema.Object:
    value = "True" if is_true else "False"
    if before and before["status"] == value:
        return before
    condition = {"type": name, "status": value, "lastProbeTime": None, "lastTransitionTime": times.stamp(now())}
    return condition if is_true or not reason else condition | {"reason": reason}
