"""The operator for TrainJobs: what Kubeflow Trainer 2.3.0 does with them, its quirks included.

A failure is forgotten at each look and read again from the JobSet: when that is gone, the job runs once more.
"""

import datetime as dt
import json

from nni.sandbox import events, jobs, kinds, registry, schema, status, times
from nni.sandbox.operators import conditions, control, dependents, trainjob_jobset

RUNTIMES = {each.kind: each for each in (kinds.TRAINING_RUNTIME, kinds.CLUSTER_TRAINING_RUNTIME)}
"""By the kind that a TrainJob's reference names."""
_OURS = "trainer.kubeflow.org/trainjob-controller"
_TOO_LATE = ("DeadlineExceeded", "TrainJob exceeded its active deadline")


class TrainJobs:
    """Reconciles every TrainJob with its JobSet."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._dependents = dependents.Dependents(objects, kinds.TRAIN_JOB, (kinds.JOB_SET, kinds.CONFIG_MAP))

    async def run(self) -> None:
        """Work until the store is closed."""
        sources = [(kinds.TRAIN_JOB, control.own_name), *self._dependents.sources()]
        await control.run(self._objects.store, sources, self._look)

    def _look(self, namespace: str, name: str) -> float | None:
        job = self._objects.find(kinds.TRAIN_JOB, namespace, name)
        if job is None or job["metadata"].get("deletionTimestamp") or job["spec"]["managedBy"] != _OURS:
            return None
        state, refused = _forgiven(job.get("status", {})), None
        if not _is_finished(state):
            try:
                self._reconcile(job)
            except status.Refusal as refusal:
                refused = refusal
                message = f"TrainJob resources reconciliation failed: {refusal}"
                self._recorder.record(job, "Warning", "TrainJobResourcesCreationFailed", message)
        state = self._read(job, self._suspend_or_resume(job, state))
        due = _deadline(job, state)
        if due is not None and self._objects.now() > due:
            state, due = self._expire(job, state), None
        self._objects.set_status(kinds.TRAIN_JOB, job, state)
        if refused is not None:
            raise refused
        return None if due is None else max(0.0, (due - self._objects.now()) / dt.timedelta(seconds=1))

    def _reconcile(self, job: schema.Object) -> None:
        """Make the JobSet, or bring it up to date while it or its job is suspended."""
        metadata, is_suspended = job["metadata"], bool(job["spec"].get("suspend"))
        found = self._objects.find(kinds.JOB_SET, metadata["namespace"], metadata["name"])
        if found and found["metadata"].get("deletionTimestamp"):
            return
        if found and not is_suspended and not found["spec"].get("suspend"):
            return
        wanted = trainjob_jobset.build(self._objects.types, job, self._runtime(job))
        if found is None:
            self._dependents.create(job, kinds.JOB_SET, wanted)
            return
        filled = jobs.fill_set(wanted, self._objects.now)["spec"]
        spec = {**found["spec"], "replicatedJobs": filled["replicatedJobs"], "suspend": filled["suspend"]}
        self._objects.replace(kinds.JOB_SET, metadata["namespace"], metadata["name"], {**found, "spec": spec})

    def _runtime(self, job: schema.Object) -> schema.Object:
        """Read the runtime as it was when the job first used it: a config map keeps that state."""
        metadata = job["metadata"]
        name = f"{metadata['name']}-runtime-snapshot"
        snapshot = self._objects.find(kinds.CONFIG_MAP, metadata["namespace"], name)
        if snapshot is not None and dependents.is_controlled(snapshot, metadata["uid"]):
            kept: schema.Object = json.loads(snapshot["data"]["runtime"])
            return kept
        kind = RUNTIMES[job["spec"]["runtimeRef"]["kind"]]
        place = metadata["namespace"] if kind.is_namespaced else ""
        runtime = self._objects.get(kind, place, job["spec"]["runtimeRef"]["name"])
        # JSON is YAML, which is what the config map holds.
        body = {"metadata": {"name": name}, "data": {"runtime": json.dumps(runtime)}}
        self._dependents.create(job, kinds.CONFIG_MAP, body)
        return runtime

    def _suspend_or_resume(self, job: schema.Object, state: schema.Object) -> schema.Object:
        now = self._objects.now
        if job["spec"].get("suspend"):
            return conditions.put(state, "Suspended", "Suspended", "TrainJob is suspended", now)
        if conditions.is_true(state, "Suspended"):
            return conditions.put(state, "Suspended", "Resumed", "TrainJob is resumed", now, is_true=False)
        return state

    def _read(self, job: schema.Object, state: schema.Object) -> schema.Object:
        """Take over what the JobSet says of itself; a failure of the job's own stays."""
        metadata = job["metadata"]
        found = self._objects.find(kinds.JOB_SET, metadata["namespace"], metadata["name"])
        if found is None or not dependents.is_controlled(found, metadata["uid"]):
            return state
        told = found.get("status", {})
        for theirs, ours in (("Completed", "Complete"), ("Failed", "Failed")):
            end = conditions.find(told, theirs)
            if end is not None and end["status"] == "True" and not conditions.is_true(state, ours):
                state = {**state, "conditions": [*state.get("conditions", []), {**end, "type": ours}]}
        if "replicatedJobsStatus" in told:
            state = {**state, "jobsStatus": told["replicatedJobsStatus"]}
        return state

    def _expire(self, job: schema.Object, state: schema.Object) -> schema.Object:
        for found in self._dependents.of(job, kinds.JOB_SET):
            self._dependents.delete(kinds.JOB_SET, found)
        return conditions.put(state, "Failed", *_TOO_LATE, self._objects.now)


def _forgiven(state: schema.Object) -> schema.Object:
    failed = conditions.find(state, "Failed")
    if failed is None or failed["reason"] == _TOO_LATE[0]:
        return state
    return conditions.without(state, "Failed")


def _is_finished(state: schema.Object) -> bool:
    return conditions.is_true(state, "Complete") or conditions.is_true(state, "Failed")


def _deadline(job: schema.Object, state: schema.Object) -> dt.datetime | None:
    """Say when a job that goes on is too late; it counts from its creation, or from its last resumption."""
    seconds = job["spec"].get("activeDeadlineSeconds")
    if not seconds or _is_finished(state) or job["spec"].get("suspend"):
        return None
    suspended = conditions.find(state, "Suspended")
    start = suspended["lastTransitionTime"] if suspended else job["metadata"]["creationTimestamp"]
    return times.parse(start) + dt.timedelta(seconds=seconds)
