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
    refusal: str = ""
    """Why this version does not run it, as the end of a sentence; empty when it does."""


OPERATORS: Mapping[str, Operator] = {
    "pytorch-operator": Operator(roles=("master", "worker"), single=("master",)),
    "tf-operator": Operator(
        roles=("ps", "worker"), refusal="is not in this version yet; 'pytorch-operator' runs any command"
    ),
}

ROLES = ("master", "worker", "ps")
"""All roles that a configuration can have."""
