"""The Training Operator's validating webhook for PyTorchJobs, with its messages."""

import re

from nni.sandbox import schema, status

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_ROOT = "spec.pytorchReplicaSpecs"
_ROLES = ("Master", "Worker")
_MANAGERS = ("kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue")


def check(new: schema.Object, old: schema.Object | None) -> None:
    """Refuse (403) what the operator's webhook refuses."""
    problems = [*_name_problems(new["metadata"]["name"]), *_policy_problems(new["spec"])]
    for role, replica in new["spec"]["pytorchReplicaSpecs"].items():
        problems += _replica_problems(role, replica)
    if problems:
        listed = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
        raise status.forbidden(
            f'admission webhook "validator.pytorchjob.training-operator.kubeflow.org" denied the request: {listed}'
        )


def _name_problems(name: str) -> list[str]:
    if len(name) > 63:
        return [f'metadata.name: Invalid value: "{name}": should match: must be no more than 63 characters']
    if not _NAME.match(name):
        return [f'metadata.name: Invalid value: "{name}": should match: {_NAME_RULE}']
    return []


def _policy_problems(spec: schema.Object) -> list[str]:
    problems = []
    if "nprocPerNode" in spec and "nProcPerNode" in spec.get("elasticPolicy", {}):
        problems.append("spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with spec.nprocPerNode")
    if "elasticPolicy" in spec and "Worker" not in spec["pytorchReplicaSpecs"]:
        problems.append(f"{_ROOT}[Worker]: Required value: must be specified when elasticPolicy is used")
    manager = spec.get("runPolicy", {}).get("managedBy")
    if manager is not None and manager not in _MANAGERS:
        supported = ", ".join(f'"{each}"' for each in _MANAGERS)
        problems.append(f'spec.runPolicy.managedBy: Unsupported value: "{manager}": supported values: {supported}')
    return problems


def _replica_problems(role: str, replica: schema.Object) -> list[str]:
    problems = []
    if role not in _ROLES:
        problems.append(f'{_ROOT}[{role}]: Unsupported value: "{role}": supported values: "Master", "Worker"')
    path = f"{_ROOT}[{role}].template.spec.containers"
    containers = replica.get("template", {}).get("spec", {}).get("containers", [])
    if not containers:
        problems.append(f"{path}: Required value: must be specified")
    problems += [
        f"{path}[{index}].image: Required value: must be required"
        for index, container in enumerate(containers)
        if not container.get("image")
    ]
    if not any(container["name"] == "pytorch" for container in containers):
        problems.append(f"{path}: Required value: must have at least one container with name pytorch")
    if role == "Master" and replica.get("replicas") != 1:
        problems.append(f"{_ROOT}[Master].replicas: Forbidden: must be 1")
    return problems
