"""The Training Operator's validating webhooks, with their messages."""

import re
from collections.abc import Iterator
from typing import Protocol

from nni.sandbox import schema, status
from nni.sandbox.operators import pytorch, tensorflow, training_pods

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_MANAGERS = ("kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue")


class _Problems(Protocol):
    def __call__(self, spec: schema.Object) -> Iterator[str]: ...


def check_pytorch(new: schema.Object, old: schema.Object | None) -> None:
    """Refuse (403) what the operator's webhook refuses of PyTorchJobs."""
    _check(pytorch.FRAMEWORK, _pytorch_problems, new, None)  # it compares an update with itself


def check_tensorflow(new: schema.Object, old: schema.Object | None) -> None:
    """Refuse (403) what the operator's webhook refuses of TFJobs."""
    _check(tensorflow.FRAMEWORK, _tensorflow_problems, new, old)


def denied(webhook: str, problems: list[str]) -> status.Refusal:
    """Make the refusal of a webhook that has found something: 403, its problems listed."""
    listed = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
    return status.forbidden(f'admission webhook "{webhook}" denied the request: {listed}')


def _check(
    framework: training_pods.Framework, special: _Problems, new: schema.Object, old: schema.Object | None
) -> None:
    spec = new.get("spec", {})
    problems = [*_name_problems(new["metadata"]["name"]), *_policy_problems(spec, old)]
    if framework.field in spec:
        problems += special(spec)
    else:
        problems.append(f"spec.{framework.field}: Required value: must be required")
    if problems:
        singular = framework.kind.singular
        raise denied(f"validator.{singular}.training-operator.kubeflow.org", list(dict.fromkeys(problems)))


def _name_problems(name: str) -> Iterator[str]:
    if len(name) > 63:
        yield f'metadata.name: Invalid value: "{name}": should match: must be no more than 63 characters'
    elif not _NAME.match(name):
        yield f'metadata.name: Invalid value: "{name}": should match: {_NAME_RULE}'


def _policy_problems(spec: schema.Object, old: schema.Object | None) -> Iterator[str]:
    manager = spec.get("runPolicy", {}).get("managedBy")
    if old is not None and old["spec"].get("runPolicy", {}).get("managedBy") != manager:
        value = "null" if manager is None else f'"{manager}"'
        yield f"spec.runPolicy.managedBy: Invalid value: {value}: field is immutable"
    if manager is not None and manager not in _MANAGERS:
        supported = ", ".join(f'"{each}"' for each in _MANAGERS)
        yield f'spec.runPolicy.managedBy: Unsupported value: "{manager}": supported values: {supported}'


def _pytorch_problems(spec: schema.Object) -> Iterator[str]:
    framework, elastic = pytorch.FRAMEWORK, spec.get("elasticPolicy")
    root = f"spec.{framework.field}"
    if elastic is not None and "Worker" not in spec[framework.field]:
        yield f"{root}[Worker]: Required value: must be configured if elastic policy is used"
    if "nprocPerNode" in spec and "nProcPerNode" in (elastic or {}):
        yield "spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with spec.nprocPerNode"
    for role, replica in spec[framework.field].items():
        if role not in framework.roles:
            supported = ", ".join(f'"{each}"' for each in framework.roles)
            yield f'{root}[{role}]: Unsupported value: "{role}": supported values: {supported}'
        yield from _container_problems(framework, role, replica)
    for role, replica in spec[framework.field].items():
        if role == "Master" and replica.get("replicas") != 1:
            yield f"{root}[Master].replicas: Forbidden: must be 1"


def _tensorflow_problems(spec: schema.Object) -> Iterator[str]:
    framework = tensorflow.FRAMEWORK
    for role, replica in spec[framework.field].items():
        yield from _container_problems(framework, role, replica)
    if sum(role in framework.chiefs for role in spec[framework.field]) > 1:
        yield f"spec.{framework.field}: Forbidden: must not have more than 1 Chief or Master role"


def _container_problems(framework: training_pods.Framework, role: str, replica: schema.Object) -> Iterator[str]:
    path = f"spec.{framework.field}[{role}].template.spec.containers"
    containers = replica.get("template", {}).get("spec", {}).get("containers", [])
    if not containers:
        yield f"{path}: Required value: must be specified"
    for index, container in enumerate(containers):
        if not container.get("image"):
            yield f"{path}[{index}].image: Required value: must be required"
    if not any(container["name"] == framework.container for container in containers):
        yield f"{path}: Required value: must have at least one container with name {framework.container}"
