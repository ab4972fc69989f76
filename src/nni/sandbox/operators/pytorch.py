"""PyTorchJobs: what their pods get, and when they are over."""

from collections.abc import Iterator

from nni.sandbox import kinds, schema
from nni.sandbox.operators import jobstatus, training_pods

FRAMEWORK = training_pods.Framework(
    kind=kinds.PYTORCH_JOB, field="pytorchReplicaSpecs", roles=("Master", "Worker"), chiefs=("Master",),
    container="pytorch", port_name="pytorchjob-port", port=23456, restart_policy="OnFailure",
    restarting="job", is_failed_by_code=True,
)  # fmt: skip
_WAIT = (
    "err=1;for i in $(seq 100); do if nslookup {master}; then err=0 && break; fi;echo waiting for master; sleep 2; "
    "done; exit $err"
)


def adapt(job: schema.Object, role: str, index: int, spec: schema.Object) -> schema.Object:
    """Give every container the variables of the rendezvous; workers of a master wait for it in an init container."""
    variables = environment(job, role, index)
    adapted = {**spec, "containers": [training_pods.with_variables(each, variables) for each in spec["containers"]]}
    if role == "Worker" and FRAMEWORK.has_chief(job):
        master = training_pods.name_of(job, "Master", 0)
        adapted["initContainers"] = [*spec.get("initContainers", []), _guard(master)]
    return adapted


def environment(job: schema.Object, role: str, index: int) -> dict[str, str]:
    """Make the operator's variables for a replica."""
    counts, spec = FRAMEWORK.replicas(job), job["spec"]
    elastic = spec.get("elasticPolicy")
    per_node = str((elastic or {}).get("nProcPerNode") or spec.get("nprocPerNode") or "auto")
    total = sum(counts.values())
    found = {"PYTHONUNBUFFERED": "1"}
    if "Master" in counts:
        rank = index if role == "Master" else index + 1
        port = str(FRAMEWORK.port_of(job, "Master"))
        address = training_pods.name_of(job, "Master", 0)
        size = total * int(per_node) if per_node.isdigit() else total
        found |= {"MASTER_PORT": port, "PET_MASTER_PORT": port, "MASTER_ADDR": address, "PET_MASTER_ADDR": address,
                  "WORLD_SIZE": str(size), "RANK": str(rank), "PET_NODE_RANK": str(rank)}  # fmt: skip
    found["PET_NPROC_PER_NODE"] = per_node
    if elastic is None:
        return found | {"PET_NNODES": str(total)}
    return found | _elastic(job, elastic, counts)


def judge(job: schema.Object, state: schema.Object, _: list[schema.Object]) -> Iterator[jobstatus.Step]:
    """Say what the replicas' numbers mean for the job."""
    for role, wanted in FRAMEWORK.replicas(job).items():
        active, succeeded, failed = jobstatus.numbers(state, role)
        if role == "Master":
            yield from _master_steps(job["metadata"]["name"], active, is_done=succeeded >= wanted)
            if succeeded >= wanted:
                return
        elif not FRAMEWORK.has_chief(job):
            is_done = succeeded >= wanted or bool(succeeded and job["spec"].get("elasticPolicy"))
            yield from _worker_steps(job["metadata"], active, is_done=is_done)
        if failed and wanted > succeeded + active:
            yield _broken(job["metadata"]["name"], role, failed, FRAMEWORK.policy(job, role))


def _master_steps(name: str, active: int, *, is_done: bool) -> Iterator[jobstatus.Step]:
    if active:
        yield jobstatus.Step("Running", f"PyTorchJob {name} is running.")
    if is_done:
        yield jobstatus.Step("Succeeded", f"PyTorchJob {name} is successfully completed.", "Normal")


def _worker_steps(metadata: schema.Object, active: int, *, is_done: bool) -> Iterator[jobstatus.Step]:
    where = f"{metadata['namespace']}/{metadata['name']}"
    if is_done:
        yield jobstatus.Step("Succeeded", f"PyTorchJob {where} successfully completed.", "Normal")
    elif active:
        yield jobstatus.Step("Running", f"PyTorchJob {where} is running.")


def _broken(name: str, role: str, failed: int, policy: str) -> jobstatus.Step:
    because = f"because {failed} {role} replica(s) failed."
    if policy != "Never":
        return jobstatus.Step("Restarting", f"PyTorchJob {name} is restarting {because}", "Warning")
    return jobstatus.Step("Failed", f"PyTorchJob {name} is failed {because}", "Normal")


def _elastic(job: schema.Object, elastic: schema.Object, counts: dict[str, int]) -> dict[str, str]:
    workers = counts.get("Worker", 1)
    found = {"PET_NNODES": f"{elastic.get('minReplicas', workers)}:{elastic.get('maxReplicas', workers)}"}
    if "maxRestarts" in elastic:
        found["PET_MAX_RESTARTS"] = str(elastic["maxRestarts"])
    if elastic.get("standalone"):
        return found | {"PET_STANDALONE": ""}
    host = elastic.get("rdzvHost") or training_pods.name_of(job, "Worker", 0)
    found["PET_RDZV_BACKEND"] = elastic.get("rdzvBackend", "c10d")
    found["PET_RDZV_ENDPOINT"] = f"{host}:{elastic.get('rdzvPort', FRAMEWORK.port)}"
    if "rdzvId" in elastic:
        found["PET_RDZV_ID"] = elastic["rdzvId"]
    if elastic.get("rdzvConf"):
        found["PET_RDZV_CONF"] = ",".join(
            f"{each.get('key', '')}={each.get('value', '')}" for each in elastic["rdzvConf"]
        )
    return found


def _guard(master: str) -> schema.Object:
    return {
        "name": "init-pytorch",
        "image": "alpine:3.10",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _WAIT.format(master=master)],
        "resources": {"limits": {"cpu": "100m", "memory": "20Mi"}, "requests": {"cpu": "50m", "memory": "10Mi"}},
    }
