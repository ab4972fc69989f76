"""The Training Operator 1.9: what it does with each of its job kinds, its quirks included.

A deadline (``activeDeadlineSeconds``) is only looked at when something else touches the job, as there; nor does
``backoffLimit`` end a job whose pods are replaced under ``ExitCode``.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NoReturn

from nni.sandbox import events, kinds, registry, schema, status, times
from nni.sandbox.operators import abnormal, control, dependents, jobstatus, training_pods

_OURS = ("kubeflow.org/training-operator", None)
_NO_CODE = 0xBEEF
"""Stands for an exit code that is not known, and counts as one that another try may help."""
_OVERWRITTEN = "Restart policy in pod template will be overwritten by restart policy in replica spec"
Judge = Callable[[schema.Object, schema.Object, list[schema.Object]], Iterable[jobstatus.Step]]
"""Gets a job, its status with the replicas' numbers, and its pods."""


class TrainingJobs:
    """Reconciles every job of one kind with its pods and services."""

    def __init__(
        self,
        objects: registry.Registry,
        recorder: events.Recorder,
        framework: training_pods.Framework,
        adapt: training_pods.Adapt,
        judge: Judge,
    ) -> None:
        """Take what makes the kind: its facts, what its pods get, and when it is over."""
        self._objects = objects
        self._recorder = recorder
        self._framework = framework
        self._adapt = adapt
        self._judge = judge
        self._kind = framework.kind
        self._dependents = dependents.Dependents(objects, self._kind, (kinds.POD, kinds.SERVICE))

    async def run(self) -> None:
        """Work until the store is closed."""
        sources = [(self._kind, control.own_name), *self._dependents.sources()]
        await control.run(self._objects.store, sources, self._look)

    def _look(self, namespace: str, name: str) -> float | None:
        job = self._objects.find(self._kind, namespace, name)
        policy = (job or {}).get("spec", {}).get("runPolicy", {})
        if job is None or job["metadata"].get("deletionTimestamp") or policy.get("managedBy") not in _OURS:
            return None
        before = job.get("status", {})
        pods = self._dependents.of(job, kinds.POD)
        if jobstatus.is_finished(before):
            self._clean_up(job, policy, pods)
            self._objects.set_status(self._kind, job, _settled(before))
            return self._expire(job, before, policy.get("ttlSecondsAfterFinished"))
        state = self._set(before, jobstatus.Step("Created", f"{self._kind.kind} {name} is created."))
        advance = self._suspend if policy.get("suspend") else self._advance
        state = advance(job, state, pods)
        if state != before:
            self._objects.set_status(self._kind, job, state)
        return None

    def _advance(self, job: schema.Object, state: schema.Object, pods: list[schema.Object]) -> schema.Object:
        state = self._resume(job, state)
        for reason, message in abnormal.findings(pods):
            self._recorder.record(job, "Warning", reason, message)
        why = self._limit(job, state, pods)
        if why:
            state = {"completionTime": times.stamp(self._objects.now()), **state}
            self._clean_up(job, job["spec"]["runPolicy"], pods)
            return self._apply(job, state, [jobstatus.Step("Failed", why, "Normal")])
        for role, count in self._framework.replicas(job).items():
            mine = [each for each in pods if training_pods.role_of(each)[0] == role.lower()]
            state = self._reconcile_pods(job, state, role, mine)
            self._make_services(job, role, count)
        state = {"startTime": times.stamp(self._objects.now()), **state}
        return self._apply(job, state, self._judge(job, state, pods))

    def _resume(self, job: schema.Object, state: schema.Object) -> schema.Object:
        if not jobstatus.value(state, "Suspended"):
            return state
        step = jobstatus.Step("Suspended", f"{self._kind.kind} {job['metadata']['name']} is resumed.")
        state = self._set(state, step, is_true=False, reason=f"{self._kind.kind}Resumed")
        self._recorder.record(job, "Normal", f"{self._kind.kind}Resumed", step.message)
        return {**state, "startTime": times.stamp(self._objects.now())}

    def _suspend(self, job: schema.Object, state: schema.Object, pods: list[schema.Object]) -> schema.Object:
        self._delete(job, pods)
        step = jobstatus.Step("Suspended", f"{self._kind.kind} {job['metadata']['name']} is suspended.", "Normal")
        if "replicaStatuses" in state:
            idle = {role: _without(counted, "active") for role, counted in state["replicaStatuses"].items()}
            state = {**state, "replicaStatuses": idle}
        return state if jobstatus.value(state, "Suspended") else self._apply(job, state, [step])

    def _limit(self, job: schema.Object, state: schema.Object, pods: list[schema.Object]) -> str:
        """Say which limit of its run policy the job has passed, if any."""
        policy = job["spec"].get("runPolicy", {})
        start = f"Job {job['metadata']['name']} has failed because it"
        limit, deadline = policy.get("backoffLimit"), policy.get("activeDeadlineSeconds")
        if limit is not None:
            counts = self._framework.replicas(job)
            known = sum(jobstatus.numbers(state, role)[2] for role in counts)
            is_new = sum(each["status"].get("phase") == "Failed" for each in pods) > known
            is_short = sum(abnormal.is_active(each) for each in pods) != sum(counts.values())
            if (is_new and is_short and limit < 1) or self._has_restarted(job, pods, limit):
                return f"{start} has reached the specified backoff limit"
        if deadline is not None and "startTime" in state:
            age = self._objects.now() - times.parse(state["startTime"])
            if age >= dt.timedelta(seconds=deadline):
                return f"{start} was active longer than specified deadline"
        return ""

    def _has_restarted(self, job: schema.Object, pods: list[schema.Object], limit: int) -> bool:
        """Say whether containers of running pods have been started again too often."""
        patient = {role.lower() for role in self._framework.specs(job) if self._framework.policy(job, role) != "Never"}
        restarts = sum(
            int(container.get("restartCount", 0))
            for pod in pods
            if pod["status"].get("phase") == "Running" and training_pods.role_of(pod)[0] in patient
            for part in ("initContainerStatuses", "containerStatuses")
            for container in pod["status"].get(part, [])
        )
        return bool(restarts and restarts >= limit)

    def _reconcile_pods(
        self, job: schema.Object, state: schema.Object, role: str, pods: list[schema.Object]
    ) -> schema.Object:
        count = self._framework.replicas(job)[role]
        by_index = {training_pods.role_of(each)[1]: each for each in pods}
        for index in range(count):
            if index not in by_index:
                self._make_pod(job, role, index)
        for index, pod in by_index.items():
            if index >= count:
                self._delete(job, [pod])
            state = self._follow(job, state, role, pod)
        counted = _count(pods)
        selector = ",".join(f"{key}={value}" for key, value in self._framework.role_labels(job, role).items())
        replicas = {**state.get("replicaStatuses", {}), role: counted | {"selector": selector}}
        return {**state, "replicaStatuses": replicas}

    def _follow(self, job: schema.Object, state: schema.Object, role: str, pod: schema.Object) -> schema.Object:
        """Replace a failed pod when its role's policy says so."""
        code, policy = self._exit_code(pod), self._framework.policy(job, role)
        if code is not None and not pod["metadata"].get("deletionTimestamp"):
            where = f"{pod['metadata']['namespace']}.{pod['metadata']['name']}"
            self._recorder.record(job, "Normal", "ExitedWithCode", f"Pod: {where} exited with code {code}")
        if pod["status"].get("phase") != "Failed" or policy == "Never":
            return state
        name = job["metadata"]["name"]
        if policy != "ExitCode" or (_NO_CODE if code is None else code) >= 128:
            self._delete(job, [pod], with_services=False)
            because = f"{self._framework.restarting} {name} is restarting because {role} replica(s) failed."
            return self._apply(job, state, [jobstatus.Step("Restarting", because, "Warning")])
        if not self._framework.is_failed_by_code:
            return state
        because = f'job "{name}" is failing because "{role}" replica(s) failed.'
        return self._apply(job, state, [jobstatus.Step("Failed", because, "Warning")])

    def _exit_code(self, pod: schema.Object) -> int | None:
        for each in pod["status"].get("containerStatuses", []):
            if each["name"] == self._framework.container and "terminated" in each["state"]:
                return int(each["state"]["terminated"]["exitCode"])
        return None

    def _make_pod(self, job: schema.Object, role: str, index: int) -> None:
        if "restartPolicy" in self._framework.specs(job)[role]["template"]["spec"]:
            self._recorder.record(job, "Warning", "SettedPodTemplateRestartPolicy", _OVERWRITTEN)
        self._create(job, kinds.POD, self._framework.pod(job, role, index, self._adapt))

    def _make_services(self, job: schema.Object, role: str, count: int) -> None:
        known = {each["metadata"]["name"] for each in self._dependents.of(job, kinds.SERVICE)}
        for index in range(count):
            if training_pods.name_of(job, role, index) not in known:
                self._create(job, kinds.SERVICE, self._framework.service(job, role, index))

    def _create(self, job: schema.Object, kind: kinds.Kind, body: schema.Object) -> None:
        try:
            self._dependents.create(job, kind, body)
        except status.Refusal as refusal:
            self._give_up(job, kind, refusal)
        message = f"Created {kind.singular}: {body['metadata']['name']}"
        self._recorder.record(job, "Normal", f"SuccessfulCreate{kind.kind}", message)

    def _give_up(self, job: schema.Object, kind: kinds.Kind, refusal: status.Refusal) -> NoReturn:
        """End this look: its findings are not written, and it is repeated later."""
        self._recorder.record(job, "Warning", f"FailedCreate{kind.kind}", f"Error creating: {refusal}")
        raise refusal

    def _clean_up(self, job: schema.Object, policy: schema.Object, pods: list[schema.Object]) -> None:
        wanted = policy.get("cleanPodPolicy", "None")
        if wanted == "Running":
            pods = [each for each in pods if each["status"].get("phase") not in ("Succeeded", "Failed")]
        if wanted != "None":
            self._delete(job, pods)

    def _delete(self, job: schema.Object, pods: list[schema.Object], *, with_services: bool = True) -> None:
        """Delete pods, and the services that bear their names."""
        for pod in pods:
            self._delete_one(job, kinds.POD, pod)
            namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            service = self._objects.find(kinds.SERVICE, namespace, name) if with_services else None
            if service is not None and dependents.is_controlled(service, job["metadata"]["uid"]):
                self._delete_one(job, kinds.SERVICE, service)

    def _delete_one(self, job: schema.Object, kind: kinds.Kind, found: schema.Object) -> None:
        if self._dependents.delete(kind, found):
            message = f"Deleted {kind.singular}: {found['metadata']['name']}"
            self._recorder.record(job, "Normal", f"SuccessfulDelete{kind.kind}", message)

    def _expire(self, job: schema.Object, state: schema.Object, seconds: int | None) -> float | None:
        if seconds is None or "completionTime" not in state:
            return None
        age = self._objects.now() - times.parse(state["completionTime"])
        left = seconds - age / dt.timedelta(seconds=1)
        if left > 0:
            return left
        self._dependents.delete(self._kind, job)
        return None

    def _apply(self, job: schema.Object, state: schema.Object, steps: Iterable[jobstatus.Step]) -> schema.Object:
        """Write conditions and tell them; the first end of the job is its completion."""
        for step in steps:
            after = self._set(state, step)
            if step.category and after is not state:
                self._recorder.record(job, step.category, f"{self._kind.kind}{step.condition}", step.message)
            is_end = step.condition in ("Succeeded", "Failed") and step.category == "Normal"
            state = {"completionTime": times.stamp(self._objects.now()), **after} if is_end else after
        return state

    def _set(
        self, state: schema.Object, step: jobstatus.Step, *, is_true: bool = True, reason: str = ""
    ) -> schema.Object:
        return jobstatus.with_condition(
            state, self._kind.kind, step.condition, step.message, self._objects.now, is_true=is_true, reason=reason
        )


def _count(pods: list[schema.Object]) -> schema.Object:
    """Count phases: pending is nothing, and a running pod that is being deleted has failed."""
    counted = {"active": 0, "succeeded": 0, "failed": 0}
    for found in pods:
        phase = found["status"].get("phase")
        if phase == "Running":
            counted["failed" if found["metadata"].get("deletionTimestamp") else "active"] += 1
        elif phase in ("Succeeded", "Failed"):
            counted[phase.lower()] += 1
    return {name: number for name, number in counted.items() if number}


def _settled(state: schema.Object) -> schema.Object:
    """Count what is still active in a job that has succeeded as succeeded, as the operator does."""
    counts = state.get("replicaStatuses", {})
    if not jobstatus.value(state, "Succeeded") or not any(counted.get("active") for counted in counts.values()):
        return state
    replicas = {}
    for role, counted in counts.items():
        succeeded = counted.get("succeeded", 0) + counted.get("active", 0)
        replicas[role] = _without(counted, "active") | ({"succeeded": succeeded} if succeeded else {})
    return {**state, "replicaStatuses": replicas}


def _without(counted: schema.Object, name: str) -> schema.Object:
    return {key: value for key, value in counted.items() if key != name}
