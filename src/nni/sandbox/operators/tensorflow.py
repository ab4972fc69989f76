"""TFJobs: what their pods get, and when they are over."""

import json
from collections.abc import Iterator

from nni.sandbox import kinds, schema
from nni.sandbox.operators import jobstatus, training_pods

FRAMEWORK = training_pods.Framework(
    kind=kinds.TF_JOB, field="tfReplicaSpecs", roles=("Chief", "Evaluator", "Master", "PS", "Worker"),
    chiefs=("Chief", "Master"), container="tensorflow", port_name="tfjob-port", port=2222, restart_policy="Never",
    restarting="TFJob", is_failed_by_code=False,
)  # fmt: skip


def adapt(job: schema.Object, role: str, index: int, spec: schema.Object) -> schema.Object:
    """Give the framework's container its TF_CONFIG; a job of one replica gets none."""
    if sum(FRAMEWORK.replicas(job).values()) == 1:
        return spec
    config = {"TF_CONFIG": configuration(job, role, index)}
    containers = [
        training_pods.with_variables(each, config) if each["name"] == FRAMEWORK.container else each
        for each in spec["containers"]
    ]
    return {**spec, "containers": containers}


def configuration(job: schema.Object, role: str, index: int) -> str:
    """Write the TF_CONFIG of a replica. The evaluator is no part of the cluster."""
    cluster = {
        each.lower(): [_endpoint(job, each, number) for number in range(count)]
        for each, count in sorted(FRAMEWORK.replicas(job).items(), key=lambda entry: entry[0].lower())
        if each != "Evaluator"
    }
    task = {"type": role.lower(), "index": index}
    if job["spec"].get("enableDynamicWorker"):
        return _compact({"sparseCluster": _sparse(cluster, role.lower(), index), "task": task})
    return _compact({"cluster": cluster, "task": task, "environment": "cloud"})


def judge(job: schema.Object, state: schema.Object, pods: list[schema.Object]) -> Iterator[jobstatus.Step]:
    """Say what the replicas' numbers mean for the job."""
    where = f"{job['metadata']['namespace']}/{job['metadata']['name']}"
    restarting = next((each for each in state.get("conditions", []) if each["type"] == "Restarting"), None)
    for role, wanted in FRAMEWORK.replicas(job).items():
        active, succeeded, failed = jobstatus.numbers(state, role)
        is_done = succeeded >= wanted
        if role == "Worker" and not FRAMEWORK.has_chief(job):
            is_done = is_done or _is_enough(job, pods)
            yield from _steps(where, 0 if is_done else active, is_done=is_done)
        elif role in FRAMEWORK.chiefs:
            yield from _steps(where, active, is_done=is_done)
        if failed and restarting is not None:
            yield jobstatus.Step("Restarting", restarting["message"])
        elif failed and not (role == "Worker" and job["spec"].get("enableDynamicWorker")):
            sentence = f"TFJob {where} has failed because {failed} {role} replica(s) failed."
            yield jobstatus.Step("Failed", sentence, "Normal")


def _steps(where: str, active: int, *, is_done: bool) -> Iterator[jobstatus.Step]:
    if active:
        yield jobstatus.Step("Running", f"TFJob {where} is running.")
    if is_done:
        yield jobstatus.Step("Succeeded", f"TFJob {where} successfully completed.", "Normal")


def _is_enough(job: schema.Object, pods: list[schema.Object]) -> bool:
    """Say whether worker 0 has succeeded and that is all that is wanted."""
    if job["spec"].get("successPolicy") == "AllWorkers":
        return False
    return any(
        training_pods.role_of(each) == ("worker", 0) and each["status"].get("phase") == "Succeeded" for each in pods
    )


def _endpoint(job: schema.Object, role: str, index: int) -> str:
    host = training_pods.name_of(job, role, index)
    return f"{host}.{job['metadata']['namespace']}.svc:{FRAMEWORK.port_of(job, role)}"


def _sparse(cluster: dict[str, list[str]], role: str, index: int) -> schema.Object:
    """Show a parameter server itself alone, and a worker itself and the parameter servers."""
    if role == "ps":
        return {"worker": {}, "ps": [cluster["ps"][index]]}
    if role == "worker":
        return {"worker": {str(index): cluster["worker"][index]}, "ps": cluster.get("ps")}
    return {"worker": {}, "ps": []}


def _compact(value: schema.Object) -> str:
    return json.dumps(value, separators=(",", ":"))
