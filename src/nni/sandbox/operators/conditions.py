"""Conditions of the newer kind (``metav1.Condition``), as JobSets and TrainJobs have them."""

from nni.sandbox import schema, times


def find(state: schema.Object, name: str) -> schema.Object | None:
    """Return a condition, or None."""
    return next((each for each in state.get("conditions", []) if each["type"] == name), None)


def is_true(state: schema.Object, name: str) -> bool:
    """Say whether a condition is there and true."""
    found = find(state, name)
    return found is not None and found["status"] == "True"


def put(
    state: schema.Object, name: str, reason: str, message: str, now: times.Now, *, is_true: bool = True
) -> schema.Object:  # fmt: skip
    """Return the status with a condition set in its place; its time changes with its value alone."""
    word, known = "True" if is_true else "False", find(state, name)
    moment = known["lastTransitionTime"] if known and known["status"] == word else times.stamp(now())
    new = {"type": name, "status": word, "reason": reason, "message": message, "lastTransitionTime": moment}
    before = state.get("conditions", [])
    placed = [new if each is known else each for each in before]
    return {**state, "conditions": placed if known else [*before, new]}


def without(state: schema.Object, name: str) -> schema.Object:
    """Return the status without a condition."""
    return {**state, "conditions": [each for each in state.get("conditions", []) if each["type"] != name]}
