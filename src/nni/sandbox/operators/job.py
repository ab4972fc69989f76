"""The controller of batch/v1 Jobs, as recent Kubernetes versions have it."""

import datetime as dt

from nni.sandbox import events, kinds, registry, schema, status, times
from nni.sandbox.operators import control, dependents, job_plan, job_pods

_OURS = ("kubernetes.io/job-controller", None)


class Jobs:
    """Reconciles every Job with its pods, and deletes finished ones when their time is up."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._dependents = dependents.Dependents(objects, kinds.JOB, (kinds.POD,))

    async def run(self) -> None:
        """Work until the store is closed."""
        sources = [(kinds.JOB, control.own_name), *self._dependents.sources()]
        await control.run(self._objects.store, sources, self._look)

    def _look(self, namespace: str, name: str) -> float | None:
        for stray in self._dependents.strays((namespace, name), kinds.POD):
            self._release(stray)
        job = self._objects.find(kinds.JOB, namespace, name)
        if job is None or job["spec"].get("managedBy") not in _OURS:
            return None
        pods = self._dependents.of(job, kinds.POD)
        state = job.get("status", {})
        if job["metadata"].get("deletionTimestamp") or job_plan.is_finished(state):
            for pod in pods:
                self._release(pod)
            return self._expire(job, state)
        return self._perform(job, job_plan.make(job, pods, self._objects.now()))

    def _perform(self, job: schema.Object, plan: job_plan.Plan) -> float | None:
        for pod in plan.release:
            self._release(pod)
        for pod in plan.stop:
            self._stop(job, pod)
        for category, reason, message in plan.events:
            self._recorder.record(job, category, reason, message)
        made = 0
        try:
            for index in plan.create:
                self._create(job, index)
                made += 1
        finally:
            if made:
                plan.state["active"] = plan.state.get("active", 0) + made
            self._objects.set_status(kinds.JOB, job, plan.state)
        if plan.again is None:
            return None
        return max(0.0, (plan.again - self._objects.now()) / dt.timedelta(seconds=1))

    def _create(self, job: schema.Object, index: int | None) -> None:
        try:
            made = self._dependents.create(job, kinds.POD, job_pods.make(job, index))
        except status.Refusal as refusal:
            self._recorder.record(job, "Warning", "FailedCreate", f"Error creating: {refusal}")
            raise
        self._recorder.record(job, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _stop(self, job: schema.Object, pod: schema.Object) -> None:
        if self._dependents.delete(kinds.POD, pod):
            self._recorder.record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _release(self, pod: schema.Object) -> None:
        """Take the finalizer off a pod: its job has counted it, or never will."""
        metadata = pod["metadata"]
        current = self._objects.find(kinds.POD, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"] or not job_pods.is_tracked(current):
            return
        rest = [each for each in current["metadata"]["finalizers"] if each != job_pods.TRACKING]
        self._objects.set_finalizers(kinds.POD, current, rest)

    def _expire(self, job: schema.Object, state: schema.Object) -> float | None:
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None or job["metadata"].get("deletionTimestamp"):
            return None
        ended = max(
            times.parse(each.get("lastTransitionTime", job["metadata"]["creationTimestamp"]))
            for each in state["conditions"]
            if each["type"] in ("Complete", "Failed") and each["status"] == "True"
        )
        left = seconds - (self._objects.now() - ended) / dt.timedelta(seconds=1)
        if left > 0:
            return float(left)
        self._dependents.delete(kinds.JOB, job, "Foreground")
        return None
