"""The controller of JobSets (jobset.x-k8s.io/v1alpha2), as far as TrainJobs need it.

Startup in order, rules of failure policies, coordinators and claims for volumes are accepted and ignored.
"""

import datetime as dt
from collections.abc import Sequence

from nni.sandbox import events, kinds, registry, schema, status, times
from nni.sandbox.operators import conditions, control, dependents, job_plan, jobset_jobs

_OURS = ("jobset.sigs.k8s.io/jobset-controller", None)
_ENDS = ("Completed", "Failed")
_COMPLETED = ("AllJobsCompleted", "jobset completed successfully")
_SUSPENDED = ("SuspendedJobs", "jobset is suspended")
_NO_POLICY = ("FailedJobs", "jobset failed due to one or more job failures")
_NO_MORE = ("ReachedMaxRestarts", "jobset failed due to reaching max number of restarts")


class JobSets:
    """Reconciles every JobSet with its Jobs and its service."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._dependents = dependents.Dependents(objects, kinds.JOB_SET, (kinds.JOB, kinds.SERVICE))

    async def run(self) -> None:
        """Work until the store is closed."""
        sources = [(kinds.JOB_SET, control.own_name), *self._dependents.sources()]
        await control.run(self._objects.store, sources, self._look)

    def _look(self, namespace: str, name: str) -> float | None:
        found = self._objects.find(kinds.JOB_SET, namespace, name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        if found["spec"].get("managedBy") not in _OURS:
            return None
        everything = self._dependents.of(found, kinds.JOB)
        attempt = found.get("status", {}).get("restarts", 0)
        jobs = [each for each in everything if jobset_jobs.attempt_of(each) >= attempt]
        previous = [each for each in everything if jobset_jobs.attempt_of(each) < attempt]
        state = {"restarts": 0, **found.get("status", {})}
        state["replicatedJobsStatus"] = jobset_jobs.statuses(found, jobs)
        if _is_finished(state):
            self._delete([each for each in jobs if not job_plan.is_finished(each.get("status", {}))])
            self._objects.set_status(kinds.JOB_SET, found, state)
            return self._expire(found, state)
        self._delete(previous)
        self._objects.set_status(kinds.JOB_SET, found, self._advance(found, state, jobs, previous))
        return None

    def _advance(
        self, found: schema.Object, state: schema.Object, jobs: Sequence[schema.Object],
        previous: Sequence[schema.Object],
    ) -> schema.Object:  # fmt: skip
        failed = [each for each in jobs if job_plan.condition(each.get("status", {}), "Failed")]
        if failed:
            return self._fail(found, state, failed)
        if _is_successful(found, jobs):
            return self._put(found, {**state, "terminalState": "Completed"}, "Completed", _COMPLETED)
        try:
            self._make_service(found)
            self._make_jobs(found, state, {each["metadata"]["name"] for each in (*jobs, *previous)})
        except status.Refusal:
            self._objects.set_status(kinds.JOB_SET, found, state)
            raise
        return self._suspend_or_resume(found, state)

    def _fail(self, found: schema.Object, state: schema.Object, failed: Sequence[schema.Object]) -> schema.Object:
        """Restart the whole set while its failure policy allows it, else end it."""
        policy = found["spec"].get("failurePolicy")
        used = state.get("restartsCountTowardsMax", 0)
        if policy is not None and used < policy.get("maxRestarts", 0):
            name, number = found["metadata"]["name"], state["restarts"] + 1
            self._recorder.record(found, "Warning", "Restarting", f"restarting jobset {name}, attempt {number}")
            return {**state, "restarts": number, "restartsCountTowardsMax": used + 1}
        reason, message = _NO_POLICY if policy is None else _NO_MORE
        first = min(failed, key=lambda each: str(each["metadata"]["creationTimestamp"]))["metadata"]["name"]
        ended = {**state, "terminalState": "Failed"}
        return self._put(found, ended, "Failed", (reason, f"{message} (first failed job: {first})"), "Warning")

    def _make_service(self, found: schema.Object) -> None:
        name, namespace = jobset_jobs.subdomain(found), found["metadata"]["namespace"]
        if not found["spec"]["network"]["enableDNSHostnames"] or self._objects.find(kinds.SERVICE, namespace, name):
            return
        try:
            self._dependents.create(found, kinds.SERVICE, jobset_jobs.service(found))
        except status.Refusal as refusal:
            self._recorder.record(found, "Warning", "HeadlessServiceCreationFailed", str(refusal))
            raise

    def _make_jobs(self, found: schema.Object, state: schema.Object, known: set[str]) -> None:
        for replicated in found["spec"]["replicatedJobs"]:
            if not _may_start(found, state, replicated):
                continue
            for index in range(replicated["replicas"]):
                if jobset_jobs.name_of(found, replicated, index) not in known:
                    self._make_job(found, jobset_jobs.job(found, replicated, index))

    def _make_job(self, found: schema.Object, body: schema.Object) -> None:
        try:
            self._dependents.create(found, kinds.JOB, body)
        except status.Refusal as refusal:
            message = f'job "{body["metadata"]["name"]}" creation failed with error: {refusal}'
            self._recorder.record(found, "Warning", "JobCreationFailed", message)
            raise

    def _suspend_or_resume(self, found: schema.Object, state: schema.Object) -> schema.Object:
        wanted = bool(found["spec"].get("suspend"))
        for each in self._dependents.of(found, kinds.JOB):
            is_live = not job_plan.is_finished(each.get("status", {})) and not each["metadata"].get("deletionTimestamp")
            if is_live and bool(each["spec"].get("suspend")) != wanted:
                self._switch(found, each, is_suspended=wanted)
        if wanted:
            return self._put(found, state, "Suspended", _SUSPENDED)
        if conditions.is_true(state, "Suspended"):
            state = conditions.put(
                state, "Suspended", "ResumeJobs", "jobset is resumed", self._objects.now, is_true=False
            )
            self._recorder.record(found, "Normal", "ResumeJobs", "jobset is resumed")
        return state

    def _switch(self, found: schema.Object, job: schema.Object, *, is_suspended: bool) -> None:
        """Suspend a Job, or resume it with what has changed in its set's template in the meantime."""
        spec = {**job["spec"], "suspend": is_suspended}
        if not is_suspended:
            state = {name: value for name, value in job.get("status", {}).items() if name != "startTime"}
            self._objects.set_status(kinds.JOB, job, state)
            for each in found["spec"]["replicatedJobs"]:
                if each["name"] == jobset_jobs.role_of(job):
                    spec["template"] = _refreshed(spec["template"], each["template"]["spec"]["template"])
        metadata = {name: value for name, value in job["metadata"].items() if name != "resourceVersion"}
        changed = {**job, "metadata": metadata, "spec": spec}
        self._objects.replace(kinds.JOB, metadata["namespace"], metadata["name"], changed)

    def _delete(self, jobs: Sequence[schema.Object]) -> None:
        for each in jobs:
            self._dependents.delete(kinds.JOB, each, "Foreground")

    def _expire(self, found: schema.Object, state: schema.Object) -> float | None:
        seconds = found["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return None
        end = next(each for each in state["conditions"] if each["type"] in _ENDS and each["status"] == "True")
        left = seconds - (self._objects.now() - times.parse(end["lastTransitionTime"])) / dt.timedelta(seconds=1)
        if left > 0:
            return float(left)
        self._dependents.delete(kinds.JOB_SET, found, "Foreground")
        return None

    def _put(
        self, found: schema.Object, state: schema.Object, name: str, why: tuple[str, str], category: str = "Normal"
    ) -> schema.Object:
        """Set a condition with its reason and message, and tell it when it is new."""
        if not conditions.is_true(state, name):
            self._recorder.record(found, category, *why)
        return conditions.put(state, name, *why, self._objects.now)


def _is_finished(state: schema.Object) -> bool:
    return any(conditions.is_true(state, end) for end in _ENDS)


def _is_successful(found: schema.Object, jobs: Sequence[schema.Object]) -> bool:
    policy = found["spec"]["successPolicy"]
    targets = policy.get("targetReplicatedJobs") or [each["name"] for each in found["spec"]["replicatedJobs"]]
    complete = sum(
        job_plan.condition(each.get("status", {}), "Complete") for each in jobs if jobset_jobs.role_of(each) in targets
    )
    if policy["operator"] == "Any":
        return complete > 0
    return complete >= sum(int(each["replicas"]) for each in found["spec"]["replicatedJobs"] if each["name"] in targets)


def _may_start(found: schema.Object, state: schema.Object, replicated: schema.Object) -> bool:
    """Say whether what a replicated job depends on has come as far as it must."""
    replicas = {each["name"]: each["replicas"] for each in found["spec"]["replicatedJobs"]}
    counts = {each["name"]: each for each in state["replicatedJobsStatus"]}
    for each in replicated.get("dependsOn", []):
        done = counts[each["name"]]["succeeded"] + (counts[each["name"]]["ready"] if each["status"] == "Ready" else 0)
        if done < replicas[each["name"]]:
            return False
    return True


def _refreshed(template: schema.Object, wanted: schema.Object) -> schema.Object:
    """Take over what may change in a template while its Job waits: labels, annotations and where the pods may go."""
    metadata, given = template.get("metadata", {}), wanted.get("metadata", {})
    merged = {part: {**metadata.get(part, {}), **given.get(part, {})} for part in ("labels", "annotations")}
    places = ("nodeSelector", "tolerations", "schedulingGates")
    spec = {**template["spec"], **{name: wanted["spec"][name] for name in places if name in wanted["spec"]}}
    return {"metadata": {**metadata, **merged}, "spec": spec}
