"""What is due for a batch/v1 Job: its next status, and the pods to make, to stop and to count."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

from nni.sandbox import schema, times
from nni.sandbox.operators import job_pods

Event = tuple[str, str, str]
"""Its category, its reason and its message."""
_LIMIT = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


@dataclasses.dataclass
class Plan:
    """What to do."""

    state: schema.Object
    """The status as it will be."""
    release: list[schema.Object] = dataclasses.field(default_factory=list)
    """Pods that need not wait any longer for being counted."""
    stop: list[schema.Object] = dataclasses.field(default_factory=list)
    """Pods to delete."""
    create: list[int | None] = dataclasses.field(default_factory=list)
    """The completion indexes of the pods to make; None where they have none."""
    events: list[Event] = dataclasses.field(default_factory=list)
    again: dt.datetime | None = None
    """When to look again if nothing happens before."""


def is_finished(state: schema.Object) -> bool:
    """Say whether the job is complete or has failed."""
    return condition(state, "Complete") or condition(state, "Failed")


def condition(state: schema.Object, name: str) -> bool:
    """Say whether a condition is there and true."""
    return any(each["type"] == name and each["status"] == "True" for each in state.get("conditions", []))


def make(job: schema.Object, pods: Sequence[schema.Object], now: dt.datetime) -> Plan:
    """Decide about a job that is not finished."""
    active = [each for each in pods if not job_pods.is_over(each) and not each["metadata"].get("deletionTimestamp")]
    plan = Plan(dict(job.get("status", {})))
    if not job["spec"].get("suspend"):
        plan.state.setdefault("startTime", times.stamp(now))
    _count(job, plan, pods)
    verdict = _verdict(job, plan.state, active, now)
    if verdict is not None:
        _end(plan, verdict, active, now)
    elif job["spec"].get("suspend"):
        # What a suspension stops has not failed, so it is not to be counted.
        plan.stop, plan.release = active, [*plan.release, *active]
        if _set(plan.state, "Suspended", "JobSuspended", "Job suspended", now):
            plan.events.append(("Normal", "Suspended", "Job suspended"))
    else:
        _resume(plan, now)
        _fill(job, plan, pods, active, now)
    return _summed(plan, active)


def indexes(text: str) -> set[int]:
    """Read completed indexes: ``0,2-4``."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def written(found: Iterable[int]) -> str:
    """Write completed indexes, runs of three and more by their ends."""
    runs: list[list[int]] = []
    for index in sorted(found):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(_run(first, last) for first, last in runs)


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _count(job: schema.Object, plan: Plan, pods: Sequence[schema.Object]) -> None:
    """Count each pod that has ended, once."""
    state, tracked = plan.state, [each for each in pods if job_pods.is_tracked(each)]
    succeeded = [each for each in tracked if each["status"].get("phase") == "Succeeded"]
    failed = [each for each in tracked if job_pods.has_failed(each)]
    plan.release = [*succeeded, *failed]
    if job["spec"].get("completionMode") == "Indexed":
        wanted = int(job["spec"]["completions"])
        done = indexes(state.get("completedIndexes", ""))
        done |= {job_pods.index_of(each) for each in succeeded if 0 <= job_pods.index_of(each) < wanted}
        state["succeeded"], state["completedIndexes"] = len(done), written(done)
    else:
        state["succeeded"] = state.get("succeeded", 0) + len(succeeded)
    state["failed"] = state.get("failed", 0) + len(failed)
    state["terminating"] = sum(
        bool(each["metadata"].get("deletionTimestamp")) and not job_pods.is_over(each) for each in pods
    )


def _verdict(
    job: schema.Object, state: schema.Object, active: Sequence[schema.Object], now: dt.datetime
) -> tuple[str, str, str] | None:
    """Say how the job ends, if it does: ``Failed`` or ``Complete``, the reason and the message."""
    for target, end in (("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")):
        for each in state.get("conditions", []):
            if each["type"] == target and each["status"] == "True":
                return end, each["reason"], each["message"]
    if state["failed"] > job["spec"]["backoffLimit"] or _has_restarted(job, active):
        return "Failed", *_LIMIT
    due = _deadline(job, state)
    if due is not None and now >= due and not job["spec"].get("suspend"):
        return "Failed", *_DEADLINE
    wanted = job["spec"].get("completions")
    is_complete = state["succeeded"] >= wanted if wanted is not None else state["succeeded"] and not active
    return ("Complete", *_REACHED) if is_complete else None


def _has_restarted(job: schema.Object, active: Sequence[schema.Object]) -> bool:
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    count = job_pods.restarts(active)
    return bool(count and count >= job["spec"]["backoffLimit"])


def _deadline(job: schema.Object, state: schema.Object) -> dt.datetime | None:
    seconds = job["spec"].get("activeDeadlineSeconds")
    if seconds is None or "startTime" not in state:
        return None
    return times.parse(state["startTime"]) + dt.timedelta(seconds=seconds)


def _end(plan: Plan, verdict: tuple[str, str, str], active: Sequence[schema.Object], now: dt.datetime) -> None:
    """Announce the end, stop what is left, and end the job once nothing is left."""
    end, reason, message = verdict
    target = "SuccessCriteriaMet" if end == "Complete" else "FailureTarget"
    _set(plan.state, target, reason, message, now)
    plan.stop = list(active)
    if active or plan.state["terminating"]:
        return
    _set(plan.state, end, reason, message, now)
    if end == "Complete":
        plan.state["completionTime"] = times.stamp(now)
        plan.events.append(("Normal", "Completed", "Job completed"))
    else:
        plan.events.append(("Warning", reason, message))


def _resume(plan: Plan, now: dt.datetime) -> None:
    if condition(plan.state, "Suspended"):
        _set(plan.state, "Suspended", "JobResumed", "Job resumed", now, is_true=False)
        plan.events.append(("Normal", "Resumed", "Job resumed"))
        plan.state["startTime"] = times.stamp(now)


def _fill(
    job: schema.Object, plan: Plan, pods: Sequence[schema.Object], active: Sequence[schema.Object], now: dt.datetime
) -> None:
    """Bring the number of active pods to what is wanted."""
    spec, state = job["spec"], plan.state
    plan.again = _deadline(job, state)
    wanted = int(spec["parallelism"])
    if spec.get("completions") is not None:
        wanted = min(wanted, spec["completions"] - state["succeeded"])
    elif state["succeeded"]:
        wanted = min(wanted, len(active))
    if len(active) > wanted:
        plan.stop = list(active[wanted:])
        plan.release = [*plan.release, *plan.stop]
        return
    due = job_pods.replacement_due(pods)
    if len(active) < wanted and due is not None and due > now:
        plan.again = due if plan.again is None else min(due, plan.again)
        return
    plan.create = _missing(job, state, active)[: wanted - len(active)]


def _missing(job: schema.Object, state: schema.Object, active: Sequence[schema.Object]) -> list[int | None]:
    if job["spec"].get("completionMode") != "Indexed":
        return [None] * int(job["spec"]["parallelism"])
    taken = indexes(state["completedIndexes"]) | {job_pods.index_of(each) for each in active}
    return [index for index in range(int(job["spec"]["completions"])) if index not in taken]


def _summed(plan: Plan, active: Sequence[schema.Object]) -> Plan:
    """Complete the status: zeroes are left out, but for those that the API always shows."""
    stopped = {each["metadata"]["uid"] for each in plan.stop}
    left = [each for each in active if each["metadata"]["uid"] not in stopped]
    plan.state["active"] = len(left)
    plan.state["ready"] = sum(job_pods.is_ready(each) for each in left)
    plan.state["terminating"] += len(stopped)
    plan.state["uncountedTerminatedPods"] = {}
    for name in ("active", "succeeded", "failed", "completedIndexes"):
        if not plan.state.get(name):
            plan.state.pop(name, None)
    return plan


def _set(
    state: schema.Object, name: str, reason: str, message: str, now: dt.datetime, *, is_true: bool = True
) -> bool:  # fmt: skip
    """Set a condition in its place; say whether that changed anything."""
    word, moment = "True" if is_true else "False", times.stamp(now)
    before = state.get("conditions", [])
    new = {
        "type": name, "status": word, "reason": reason, "message": message,
        "lastProbeTime": moment, "lastTransitionTime": moment,
    }  # fmt: skip
    known = next((each for each in before if each["type"] == name), None)
    if known is not None and known["status"] == word:
        return False
    state["conditions"] = [new if each["type"] == name else each for each in before] + ([] if known else [new])
    return True
