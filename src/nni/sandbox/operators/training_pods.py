"""The pods and services that the Training Operator makes for any of its jobs."""

import dataclasses
from collections.abc import Callable
from typing import Any

from nni.sandbox import kinds, schema

_PREFIX = "training.kubeflow.org/"
Adapt = Callable[[schema.Object, str, int, schema.Object], schema.Object]
"""Gets a job, a role, an index and the pod's spec; returns the spec with what the framework adds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framework:
    """What one job kind has of its own."""

    kind: kinds.Kind
    field: str
    """Where its replicas stand in the spec."""
    roles: tuple[str, ...]
    """In the order in which they are looked at."""
    chiefs: tuple[str, ...]
    """The roles that decide; without any of them worker 0 bears the label ``job-role: master``."""
    container: str
    """The container that every pod must have."""
    port_name: str
    port: int
    restart_policy: str
    """Of replicas that name none."""
    restarting: str
    """What the sentence about a restart calls the job."""
    is_failed_by_code: bool
    """Under ``ExitCode`` a code that no further try can help fails the job at once, whatever its other replicas do."""

    @property
    def operator(self) -> str:
        """The value of the label ``operator-name`` and the source of events: ``pytorchjob-controller``."""
        return f"{self.kind.singular}-controller"

    def specs(self, job: schema.Object) -> dict[str, schema.Object]:
        """Give the replica specs by role, in the operator's order and spelling; unknown roles come last."""
        given: dict[str, schema.Object] = job["spec"][self.field]
        proper = {role.lower(): role for role in self.roles}
        named = {proper.get(role.lower(), role): spec for role, spec in given.items()}
        order = [*(role for role in self.roles if role in named), *(role for role in named if role not in self.roles)]
        return {role: named[role] for role in order}

    def replicas(self, job: schema.Object) -> dict[str, int]:
        """Count the replicas of each role, with the operator's default of one."""
        return {role: int(spec.get("replicas", 1)) for role, spec in self.specs(job).items()}

    def policy(self, job: schema.Object, role: str) -> str:
        """Give a role's restart policy."""
        return str(self.specs(job)[role].get("restartPolicy", self.restart_policy))

    def has_chief(self, job: schema.Object) -> bool:
        """Say whether the job has a role that decides."""
        return any(role in self.chiefs for role in self.specs(job))

    def port_of(self, job: schema.Object, role: str) -> int:
        """Give the port under which a role's replicas find each other."""
        ports = self._ports(self._main(self.specs(job)[role]["template"]))
        return next(int(port["containerPort"]) for port in ports if port.get("name") == self.port_name)

    def labels(self, job: schema.Object, role: str, index: int) -> dict[str, str]:
        """Give the operator's labels of a replica."""
        found = self.role_labels(job, role) | {f"{_PREFIX}replica-index": str(index)}
        if role in self.chiefs or (not self.has_chief(job) and role == "Worker" and index == 0):
            found[f"{_PREFIX}job-role"] = "master"
        return found

    def role_labels(self, job: schema.Object, role: str) -> dict[str, str]:
        """Give the labels that all replicas of a role share."""
        return {
            f"{_PREFIX}job-name": job["metadata"]["name"],
            f"{_PREFIX}operator-name": self.operator,
            f"{_PREFIX}replica-type": role.lower(),
        }

    def service(self, job: schema.Object, role: str, index: int) -> schema.Object:
        """Make the headless service of a replica."""
        labels = self.labels(job, role, index)
        ports = [
            {
                "name": port.get("name", self.port_name),
                "port": port["containerPort"],
                "targetPort": port["containerPort"],
            }
            for port in self._ports(self._main(self.specs(job)[role]["template"]))
        ]
        return {
            "metadata": {"name": name_of(job, role, index), "labels": labels},
            "spec": {"clusterIP": "None", "selector": labels, "ports": ports},
        }

    def pod(self, job: schema.Object, role: str, index: int, adapt: Adapt) -> schema.Object:
        """Make the pod of a replica."""
        template = self.specs(job)[role]["template"]
        metadata = template.get("metadata", {})
        policy = self.policy(job, role)
        spec = adapt(job, role, index, template["spec"])
        spec = {**spec, "restartPolicy": "Never" if policy == "ExitCode" else policy}
        spec["containers"] = [
            {**each, "ports": self._ports(each)} if each["name"] == self.container else each
            for each in spec["containers"]
        ]
        made: dict[str, Any] = {
            "name": name_of(job, role, index),
            "labels": {**metadata.get("labels", {}), **self.labels(job, role, index)},
        }
        if metadata.get("annotations"):
            made["annotations"] = metadata["annotations"]
        return {"metadata": made, "spec": spec}

    def _main(self, template: schema.Object) -> schema.Object:
        containers: list[schema.Object] = template["spec"]["containers"]
        return next(each for each in containers if each["name"] == self.container)

    def _ports(self, container: schema.Object) -> list[schema.Object]:
        declared: list[schema.Object] = container.get("ports", [])
        if any(port.get("name") == self.port_name for port in declared):
            return declared
        return [*declared, {"name": self.port_name, "containerPort": self.port, "protocol": "TCP"}]


def name_of(job: schema.Object, role: str, index: int) -> str:
    """Name a replica's pod and service."""
    return f"{job['metadata']['name']}-{role.lower()}-{index}"


def with_variables(container: schema.Object, variables: dict[str, str]) -> schema.Object:
    """Append the operator's variables: of two with one name the last one counts."""
    added = [{"name": name, "value": value} for name, value in variables.items()]
    return {**container, "env": [*container.get("env", []), *added]}


def role_of(pod: schema.Object) -> tuple[str, int]:
    """Read a pod's role (in lower case) and its index from its labels; -1 for none."""
    labels = pod["metadata"].get("labels", {})
    index = labels.get(f"{_PREFIX}replica-index", "")
    return str(labels.get(f"{_PREFIX}replica-type", "")), int(index) if index.isdigit() else -1
