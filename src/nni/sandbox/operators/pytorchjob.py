"""The operator for PyTorchJobs: what the Training Operator 1.9 does with them, its quirks included.

A deadline (``activeDeadlineSeconds``) is only looked at when something else touches the job, as there.
"""

import contextlib
import datetime as dt

from nni.sandbox import events, kinds, registry, schema, status, times
from nni.sandbox.operators import control, jobstatus, pytorchjob_pods

_OURS = ("kubeflow.org/training-operator", None)
_KIND = kinds.PYTORCH_JOB
_PREFIX = "training.kubeflow.org/"


class PyTorchJobs:
    """Reconciles every PyTorchJob with its pods and services."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder

    async def run(self) -> None:
        """Work until the store is closed."""
        mine = control.controller(_KIND.kind)
        sources = [(_KIND, control.own_name), (kinds.POD, mine), (kinds.SERVICE, mine)]
        await control.run(self._objects.store, sources, self._look)

    def _look(self, namespace: str, name: str) -> float | None:
        job = self._objects.find(_KIND, namespace, name)
        policy = (job or {}).get("spec", {}).get("runPolicy", {})
        if job is None or job["metadata"].get("deletionTimestamp") or policy.get("managedBy") not in _OURS:
            return None
        before = job.get("status", {})
        state = self._set(before, job, "Created", "is created.")
        if jobstatus.is_finished(state):
            self._clean_up(job, policy.get("cleanPodPolicy", "None"))
            return self._expire(job, state, policy.get("ttlSecondsAfterFinished"))
        state = self._suspend(job, state) if policy.get("suspend") else self._advance(job, state)
        if state != before:
            self._objects.set_status(_KIND, job, state)
        return None

    def _advance(self, job: schema.Object, state: schema.Object) -> schema.Object:
        if jobstatus.value(state, "Suspended"):
            state = self._set(state, job, "Suspended", "is resumed.", is_true=False, reason=f"{_KIND.kind}Resumed")
            state.pop("startTime", None)
        state = {"startTime": times.stamp(self._objects.now()), **state}
        for role, count in pytorchjob_pods.replicas(job).items():
            self._make_services(job, role, count)
            counted = self._count(job, role, self._make_pods(job, role, count))
            state = {**state, "replicaStatuses": {**state.get("replicaStatuses", {}), role: counted}}
        if self._is_overdue(job, state):
            return self._fail(
                job, state, "has failed because it was active longer than specified deadline", "DeadlineExceeded"
            )
        return self._judge(job, state)

    def _judge(self, job: schema.Object, state: schema.Object) -> schema.Object:
        counts = pytorchjob_pods.replicas(job)
        chief = "Master" if "Master" in counts else "Worker"
        for role, counted in state["replicaStatuses"].items():
            failed = counted.get("failed", 0)
            if failed and self._restarts(job, role):
                state = self._set(state, job, "Restarting", f"is restarting because {failed} {role} replica(s) failed.")
            elif failed:
                return self._fail(job, state, f"is failed because {failed} {role} replica(s) failed.")
            if role != chief:
                continue
            if counted.get("succeeded", 0) >= counts[role] or (
                job["spec"].get("elasticPolicy") and counted.get("succeeded")
            ):
                state = {**state, "completionTime": times.stamp(self._objects.now())}
                state = self._set(state, job, "Succeeded", "is successfully completed.")
                self._tell(job, "Normal", "Succeeded", "is successfully completed.")
                return state
            if counted.get("active"):
                state = self._set(state, job, "Running", "is running.")
        return state

    def _fail(self, job: schema.Object, state: schema.Object, why: str, reason: str = "") -> schema.Object:
        self._tell(job, "Normal" if reason else "Warning", "Failed", why)
        state = {**state, "completionTime": times.stamp(self._objects.now())}
        return self._set(state, job, "Failed", why, reason=reason and f"{_KIND.kind}Failed")

    def _suspend(self, job: schema.Object, state: schema.Object) -> schema.Object:
        for found in self._pods(job):
            self._delete(job, kinds.POD, found)
        for found in self._services(job):
            self._delete(job, kinds.SERVICE, found)
        state = self._set(state, job, "Suspended", "is suspended.")
        roles = pytorchjob_pods.replicas(job)
        return {**{key: value for key, value in state.items() if key != "startTime"},
                "replicaStatuses": {role: self._count(job, role, []) for role in roles}}  # fmt: skip

    def _make_pods(self, job: schema.Object, role: str, count: int) -> list[schema.Object]:
        found = {each["metadata"]["name"]: each for each in self._pods(job, role)}
        for index in range(count):
            name = pytorchjob_pods.name_of(job, role, index)
            if name in found:
                self._maybe_retry(job, role, found[name])
                continue
            made = self._create(job, kinds.POD, pytorchjob_pods.pod(job, role, index), "Pod")
            if made is not None:
                found[name] = made
        return list(found.values())

    def _make_services(self, job: schema.Object, role: str, count: int) -> None:
        found = {each["metadata"]["name"] for each in self._services(job)}
        for index in range(count):
            if pytorchjob_pods.name_of(job, role, index) not in found:
                self._create(job, kinds.SERVICE, pytorchjob_pods.service(job, role, index), "Service")

    def _create(self, job: schema.Object, kind: kinds.Kind, body: schema.Object, word: str) -> schema.Object | None:
        try:
            made = self._objects.create(kind, job["metadata"]["namespace"], body)
        except status.Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                self._recorder.record(job, "Warning", f"FailedCreate{word}", f"Error creating: {refusal}")
            return None
        name = body["metadata"]["name"]
        self._recorder.record(job, "Normal", f"SuccessfulCreate{word}", f"Created {word.lower()}: {name}")
        return made

    def _maybe_retry(self, job: schema.Object, role: str, found: schema.Object) -> None:
        """Replace a failed pod under ``ExitCode`` when its code says that another try may help."""
        if found["status"].get("phase") != "Failed" or found["metadata"].get("deletionTimestamp"):
            return
        codes = [
            each["state"].get("terminated", {}).get("exitCode") for each in found["status"].get("containerStatuses", [])
        ]
        where = f"{found['metadata']['namespace']}.{found['metadata']['name']}"
        for code in codes:
            if code is not None:
                self._recorder.record(job, "Normal", "ExitedWithCode", f"Pod: {where} exited with code {code}")
        if self._restarts(job, role) and not any(code is not None and 1 <= code <= 127 for code in codes):
            self._delete(job, kinds.POD, found)

    def _restarts(self, job: schema.Object, role: str) -> bool:
        return bool(job["spec"]["pytorchReplicaSpecs"][role].get("restartPolicy") == "ExitCode") and any(
            code is None or code >= 128
            for found in self._pods(job, role)
            for each in found["status"].get("containerStatuses", [])
            if (code := each["state"].get("terminated", {}).get("exitCode", 0)) != 0
        )

    def _count(self, job: schema.Object, role: str, pods: list[schema.Object]) -> schema.Object:
        """Count phases: pending is nothing, and a running pod that is being deleted has failed."""
        counted = {"active": 0, "succeeded": 0, "failed": 0}
        for found in pods:
            phase = found["status"].get("phase")
            if phase == "Running":
                counted["failed" if found["metadata"].get("deletionTimestamp") else "active"] += 1
            elif phase in ("Succeeded", "Failed"):
                counted[phase.lower()] += 1
        labels = pytorchjob_pods.labels_of(job, role, 0)
        parts = ("job-name", "operator-name", "replica-type")
        selector = ",".join(f"{_PREFIX}{part}={labels[_PREFIX + part]}" for part in parts)
        return {name: number for name, number in counted.items() if number} | {"selector": selector}

    def _clean_up(self, job: schema.Object, policy: str) -> None:
        if policy == "None":
            return
        for found in self._pods(job):
            is_over = found["status"].get("phase") in ("Succeeded", "Failed")
            if policy == "All" or not is_over:
                self._delete(job, kinds.POD, found)
                service = self._objects.find(kinds.SERVICE, found["metadata"]["namespace"], found["metadata"]["name"])
                if service is not None:
                    self._delete(job, kinds.SERVICE, service)

    def _expire(self, job: schema.Object, state: schema.Object, seconds: int | None) -> float | None:
        if seconds is None or "completionTime" not in state:
            return None
        age = self._objects.now() - times.parse(state["completionTime"])
        left = seconds - age / dt.timedelta(seconds=1)
        if left > 0:
            return left
        with contextlib.suppress(status.Refusal):
            self._objects.delete(_KIND, job["metadata"]["namespace"], job["metadata"]["name"])
        return None

    def _is_overdue(self, job: schema.Object, state: schema.Object) -> bool:
        deadline = job["spec"].get("runPolicy", {}).get("activeDeadlineSeconds")
        if deadline is None or "startTime" not in state:
            return False
        return bool(self._objects.now() - times.parse(state["startTime"]) >= dt.timedelta(seconds=deadline))

    def _delete(self, job: schema.Object, kind: kinds.Kind, found: schema.Object) -> None:
        metadata = found["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        with contextlib.suppress(status.Refusal):
            self._objects.delete(kind, metadata["namespace"], metadata["name"])
            word = kind.kind
            self._recorder.record(
                job, "Normal", f"SuccessfulDelete{word}", f"Deleted {word.lower()}: {metadata['name']}"
            )

    def _pods(self, job: schema.Object, role: str = "") -> list[schema.Object]:
        return [each for each in self._owned(kinds.POD, job) if not role or _role(each) == role.lower()]

    def _services(self, job: schema.Object) -> list[schema.Object]:
        return self._owned(kinds.SERVICE, job)

    def _owned(self, kind: kinds.Kind, job: schema.Object) -> list[schema.Object]:
        namespace, uid = job["metadata"]["namespace"], job["metadata"]["uid"]
        names = (pytorchjob_pods.name_of(job, role, index)
                 for role, count in pytorchjob_pods.replicas(job).items() for index in range(count))  # fmt: skip
        found = (self._objects.find(kind, namespace, name) for name in names)
        return [each for each in found if each and _is_controlled(each, uid)]

    def _set(
        self,
        state: schema.Object,
        job: schema.Object,
        condition: str,
        what: str,
        *,
        is_true: bool = True,
        reason: str = "",
    ) -> schema.Object:
        message = f"{_KIND.kind} {job['metadata']['name']} {what}"
        return jobstatus.with_condition(
            state, _KIND.kind, condition, message, self._objects.now, is_true=is_true, reason=reason
        )

    def _tell(self, job: schema.Object, category: str, what: str, why: str) -> None:
        message = f"{_KIND.kind} {job['metadata']['name']} {why}"
        self._recorder.record(job, category, f"{_KIND.kind}{what}", message)


def _role(found: schema.Object) -> str:
    return str(found["metadata"].get("labels", {}).get("training.kubeflow.org/replica-type", ""))


def _is_controlled(found: schema.Object, uid: str) -> bool:
    return any(
        owner["uid"] == uid and owner.get("controller") for owner in found["metadata"].get("ownerReferences", [])
    )
