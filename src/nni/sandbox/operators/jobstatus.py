"""The conditions of a kubeflow.org/v1 job, in the order and with the gaps of the Training Operator."""

from typing import NamedTuple

from nni.sandbox import schema, times


class Step(NamedTuple):
    """One condition that a job comes to."""

    condition: str
    message: str
    category: str = ""
    """Of the event that tells it: ``Normal`` or ``Warning``; empty for none."""


def numbers(state: schema.Object, role: str) -> tuple[int, int, int]:
    """Read how many replicas of a role are active, have succeeded and have failed."""
    counted = state.get("replicaStatuses", {}).get(role, {})
    return counted.get("active", 0), counted.get("succeeded", 0), counted.get("failed", 0)


def value(state: schema.Object, condition: str) -> bool:
    """Say whether a condition is there and true."""
    return any(each["type"] == condition and each["status"] == "True" for each in state.get("conditions", []))


def is_finished(state: schema.Object) -> bool:
    """Say whether the job has succeeded or failed."""
    return value(state, "Succeeded") or value(state, "Failed")


def with_condition(
    state: schema.Object, kind: str, condition: str, message: str, now: times.Now, *,
    is_true: bool = True, reason: str = ""
) -> schema.Object:  # fmt: skip
    """Return the status with a condition set and what it contradicts turned or dropped; after Failed nothing is set."""
    if value(state, "Failed"):
        return state
    moment = times.stamp(now())
    reason = reason or f"{kind}{condition}"
    before = next((each for each in state.get("conditions", []) if each["type"] == condition), None)
    word = "True" if is_true else "False"
    if before and (before["status"], before.get("reason")) == (word, reason):
        return state
    changed = moment if before is None or before["status"] != word else before.get("lastTransitionTime", moment)
    new = {
        "type": condition, "status": word, "reason": reason, "message": message,
        "lastUpdateTime": moment, "lastTransitionTime": changed,
    }  # fmt: skip
    kept = [
        _turned(each, condition, moment)
        for each in state.get("conditions", [])
        if each["type"] != condition and not _displaces(condition, each["type"])
    ]
    return {**state, "conditions": [*kept, new]}


def _displaces(new: str, old: str) -> bool:
    """Running and Restarting replace each other in the list."""
    return {new, old} == {"Running", "Restarting"}


def _turned(each: schema.Object, new: str, moment: str) -> schema.Object:
    """Set Running to false once the job has ended or is suspended."""
    if each["type"] == "Running" and new in ("Succeeded", "Failed", "Suspended") and each["status"] == "True":
        return {**each, "status": "False", "lastUpdateTime": moment, "lastTransitionTime": moment}
    return each
