"""Which roles each operator knows: a row per operator."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What a job of one kind may consist of."""

    roles: tuple[str, ...]
    """Its roles; a job's roles are in this order. At least one of them must be there."""
    single: tuple[str, ...] = ()
    """Those that have one replica."""
    unsupported: tuple[str, ...] = ()
    """Fields of a role that have no place in its jobs."""


OPERATORS: Mapping[str, Operator] = {
    "pytorch-operator": Operator(roles=("master", "worker"), single=("master",)),
    "tf-operator": Operator(roles=("chief", "worker", "ps", "evaluator"), single=("chief",)),
    "trainer": Operator(roles=("worker",), unsupported=("priority_class", "pod_template", "shm_size")),
    "job": Operator(roles=("worker",)),
}

ROLES = ("master", "worker", "ps", "chief", "evaluator")
"""All roles that a configuration can have."""
