"""The pods and services that the Training Operator makes for a PyTorchJob."""

from typing import Any

from nni.sandbox import kinds, schema

CONTAINER = "pytorch"
PORT_NAME, PORT = "pytorchjob-port", 23456
OPERATOR = "pytorchjob-controller"
_WAIT = (
    "err=1;for i in $(seq 100); do if nslookup {master}; then err=0 && break; fi;echo waiting for master; sleep 2; "
    "done; exit $err"
)


def replicas(job: schema.Object) -> dict[str, int]:
    """Count the replicas of each role, with the operator's default of one."""
    specs = job["spec"]["pytorchReplicaSpecs"]
    return {role: int(specs[role].get("replicas", 1)) for role in ("Master", "Worker") if role in specs}


def name_of(job: schema.Object, role: str, index: int) -> str:
    """Name a replica's pod and service."""
    return f"{job['metadata']['name']}-{role.lower()}-{index}"


def labels_of(job: schema.Object, role: str, index: int) -> dict[str, str]:
    """Give the operator's labels of a replica."""
    found = {
        "training.kubeflow.org/job-name": job["metadata"]["name"],
        "training.kubeflow.org/operator-name": OPERATOR,
        "training.kubeflow.org/replica-type": role.lower(),
        "training.kubeflow.org/replica-index": str(index),
    }
    counts = replicas(job)
    if role == "Master" or ("Master" not in counts and index == 0):
        found["training.kubeflow.org/job-role"] = "master"
    return found


def service(job: schema.Object, role: str, index: int) -> schema.Object:
    """Make the headless service of a replica."""
    labels = labels_of(job, role, index)
    container = _main_container(job["spec"]["pytorchReplicaSpecs"][role]["template"])
    ports = [{"name": port.get("name", PORT_NAME), "port": port["containerPort"], "targetPort": port["containerPort"]}
             for port in _ports(container)]  # fmt: skip
    return {
        "metadata": {"name": name_of(job, role, index), "labels": labels, "ownerReferences": [_owner(job)]},
        "spec": {"clusterIP": "None", "selector": labels, "ports": ports},
    }


def pod(job: schema.Object, role: str, index: int) -> schema.Object:
    """Make the pod of a replica."""
    replica = job["spec"]["pytorchReplicaSpecs"][role]
    template = replica["template"]
    metadata = template.get("metadata", {})
    spec = {**template["spec"], "restartPolicy": _restart_policy(replica)}
    variables = _environment(job, role, index)
    spec["containers"] = [_with_environment(each, variables) for each in spec["containers"]]
    if role == "Worker" and "Master" in replicas(job):
        spec["initContainers"] = [*spec.get("initContainers", []), _guard(name_of(job, "Master", 0))]
    made: dict[str, Any] = {
        "name": name_of(job, role, index),
        "labels": {**metadata.get("labels", {}), **labels_of(job, role, index)},
        "ownerReferences": [_owner(job)],
    }
    if metadata.get("annotations"):
        made["annotations"] = metadata["annotations"]
    return {"metadata": made, "spec": spec}


def _restart_policy(replica: schema.Object) -> str:
    policy = str(replica.get("restartPolicy", "OnFailure"))
    return "Never" if policy == "ExitCode" else policy


def _main_container(template: schema.Object) -> schema.Object:
    containers: list[schema.Object] = template["spec"]["containers"]
    return next(each for each in containers if each["name"] == CONTAINER)


def _ports(container: schema.Object) -> list[schema.Object]:
    declared: list[schema.Object] = container.get("ports", [])
    if any(port.get("name") == PORT_NAME for port in declared):
        return declared
    return [*declared, {"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}]


def _with_environment(container: schema.Object, variables: dict[str, str]) -> schema.Object:
    """Append the operator's variables: of two with one name the last one counts."""
    added = [{"name": name, "value": value} for name, value in variables.items()]
    complete = {**container, "env": [*container.get("env", []), *added]}
    return complete | ({"ports": _ports(container)} if container["name"] == CONTAINER else {})


def _environment(job: schema.Object, role: str, index: int) -> dict[str, str]:
    counts, spec = replicas(job), job["spec"]
    elastic = spec.get("elasticPolicy")
    per_node = str((elastic or {}).get("nProcPerNode") or spec.get("nprocPerNode") or "auto")
    total = sum(counts.values())
    found = {"PYTHONUNBUFFERED": "1"}
    if "Master" in counts:
        rank = index if role == "Master" else index + 1
        port = str(_master_port(job))
        address = name_of(job, "Master", 0)
        size = total * int(per_node) if per_node.isdigit() else total
        found |= {"MASTER_PORT": port, "PET_MASTER_PORT": port, "MASTER_ADDR": address, "PET_MASTER_ADDR": address,
                  "WORLD_SIZE": str(size), "RANK": str(rank), "PET_NODE_RANK": str(rank)}  # fmt: skip
    found["PET_NPROC_PER_NODE"] = per_node
    if elastic is None:
        return found | {"PET_NNODES": str(total)}
    return found | _elastic(job, elastic, counts)


def _master_port(job: schema.Object) -> int:
    container = _main_container(job["spec"]["pytorchReplicaSpecs"]["Master"]["template"])
    return next(int(port["containerPort"]) for port in _ports(container) if port.get("name") == PORT_NAME)


def _elastic(job: schema.Object, elastic: schema.Object, counts: dict[str, int]) -> dict[str, str]:
    workers = counts.get("Worker", 1)
    found = {"PET_NNODES": f"{elastic.get('minReplicas', workers)}:{elastic.get('maxReplicas', workers)}"}
    if "maxRestarts" in elastic:
        found["PET_MAX_RESTARTS"] = str(elastic["maxRestarts"])
    if elastic.get("standalone"):
        return found | {"PET_STANDALONE": ""}
    host = elastic.get("rdzvHost") or name_of(job, "Worker", 0)
    found["PET_RDZV_BACKEND"] = elastic.get("rdzvBackend", "c10d")
    found["PET_RDZV_ENDPOINT"] = f"{host}:{elastic.get('rdzvPort', PORT)}"
    if "rdzvId" in elastic:
        found["PET_RDZV_ID"] = elastic["rdzvId"]
    if elastic.get("rdzvConf"):
        found["PET_RDZV_CONF"] = ",".join(f"{each['key']}={each['value']}" for each in elastic["rdzvConf"])
    return found


def _guard(master: str) -> schema.Object:
    return {
        "name": "init-pytorch",
        "image": "alpine:3.10",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _WAIT.format(master=master)],
        "resources": {"limits": {"cpu": "100m", "memory": "20Mi"}, "requests": {"cpu": "50m", "memory": "10Mi"}},
    }


def _owner(job: schema.Object) -> schema.Object:
    return {
        "apiVersion": kinds.PYTORCH_JOB.api_version,
        "kind": kinds.PYTORCH_JOB.kind,
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
