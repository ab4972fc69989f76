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

    has_started: bool = False
    """Whether it runs, its postStart hook done."""

    @property
    def exit_code(self) -> int | None:
        """The code with which it has ended; None while it has not."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    @property
    def is_new(self) -> bool:
        """Whether it has never run."""
        return "waiting" in self.state and not self.last

    @property
    def is_sidecar(self) -> bool:
        """Whether it is an init container that stays beside the containers."""
        return bool(self.container.get("restartPolicy") == "Always")

    def describe(self, *, is_initial: bool) -> schema.Object:
        """Make its entry in the pod's status."""
        described: dict[str, Any] = {
            "name": self.container["name"],
            "image": self.container.get("image", ""),
            "imageID": self.container.get("image", ""),
            "state": self.state,
            "lastState": self.last,
            "restartCount": self.restarts,
            "ready": self.exit_code == 0 if is_initial and not self.is_sidecar else self.is_running,
            "started": self.is_running,
        }
        if self.number:
            described["containerID"] = f"sandbox://{self.number}"
        return described

    def lost(self) -> "ContainerState":
        """Give the state to tell of one that never ran in a pod that has ended."""
        if not self.is_new:
            return self
        message = "The container could not be located when the pod was terminated"
        gone = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message, "startedAt": None,
                "finishedAt": None}  # fmt: skip
        return dataclasses.replace(self, state={"terminated": gone})


def waiting(container: schema.Object, reason: str, message: str = "") -> ContainerState:
    """Make the state of a container that does not run yet."""
    return ContainerState(container, {"waiting": {"reason": reason} | ({"message": message} if message else {})})


def phase(main: list[ContainerState], initial: list[ContainerState], policy: str) -> str:
    """Say the phase of a pod from its containers, as the kubelet does."""
    first = [each for each in initial if not each.is_sidecar]
    if policy == "Never" and any(each.exit_code not in (None, 0) for each in first):
        return "Failed"
    if any(each.exit_code != 0 for each in first) or any(each.is_new for each in main):
        return "Pending"
    codes = [each.exit_code for each in main]
    if policy == "Always" or None in codes:
        return "Running"
    if not any(codes):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def build(
    pod: schema.Object, main: list[ContainerState], initial: list[ContainerState], now: times.Now, *,
    address: str, started: str, verdict: schema.Object | None = None,
) -> schema.Object:  # fmt: skip
    """Make the whole status, keeping what others have written into the pod's conditions.

    Args:
        pod: The pod as it stands.
        main: Its containers.
        initial: Its init containers.
        now: The clock.
        address: Its IP and the node's.
        started: When the kubelet took it up.
        verdict: The end that a pod meets whatever its containers say (phase, reason, message), told once none runs.
    """
    verdict = verdict if not any(each.is_running for each in main + initial) else None
    if verdict:
        main, initial = [each.lost() for each in main], [each.lost() for each in initial]
    found = verdict["phase"] if verdict else phase(main, initial, pod["spec"].get("restartPolicy", "Always"))
    current = pod.get("status", {})
    ours = _conditions(found, main, initial)
    before = {each["type"]: each for each in current.get("conditions", [])}
    conditions = [each for each in current.get("conditions", []) if each["type"] not in ours]
    conditions += [_condition(before.get(name), name, told, now) for name, told in ours.items()]
    state: schema.Object = {
        **current,
        **(verdict or {}),
        "phase": found,
        "conditions": conditions,
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "containerStatuses": [each.describe(is_initial=False) for each in main],
    }
    if initial:
        state["initContainerStatuses"] = [each.describe(is_initial=True) for each in initial]
    return state


def _conditions(found: str, main: list[ContainerState], initial: list[ContainerState]) -> dict[str, schema.Object]:
    """Give the kubelet's conditions: empty for a true one, else why it is not."""
    is_over = found in ("Succeeded", "Failed")
    sidecars = [each for each in initial if each.is_sidecar]
    unready = [each.container["name"] for each in main + sidecars if not each.is_running]
    incomplete = [
        each.container["name"]
        for each in initial
        if (each.exit_code != 0 if not each.is_sidecar else not each.has_started)
    ]
    ready: schema.Object = {}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        ready = {"reason": "PodCompleted"} if found == "Succeeded" else {"reason": "PodFailed"} if is_over else (
            {"reason": "ContainersNotReady", "message": message}
        )  # fmt: skip
    initialized: schema.Object = {}
    if incomplete and found != "Succeeded":
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        initialized = {"reason": "ContainersNotInitialized", "message": message}
    return {
        "PodReadyToStartContainers": {"reason": ""} if is_over else {},
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
    }


def _condition(before: schema.Object | None, name: str, why_not: schema.Object, now: times.Now) -> schema.Object:
    value = "False" if why_not else "True"
    is_same = before is not None and before["status"] == value
    moment = before["lastTransitionTime"] if before is not None and is_same else times.stamp(now())
    told = {key: text for key, text in why_not.items() if text}
    return {"type": name, "status": value, "lastProbeTime": None, "lastTransitionTime": moment, **told}
