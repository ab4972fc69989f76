"""Whether a pod fits a node, and in the real scheduler's words why it does not."""

import collections
import dataclasses
import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nni.sandbox import quantities, schema

_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_CONDITION_TAINTS = {"False": "node.kubernetes.io/not-ready", "Unknown": "node.kubernetes.io/unreachable"}
_REPELLING = ("NoSchedule", "NoExecute")
_UNHELPFUL = "Preemption is not helpful for scheduling"
_VICTIMLESS = "No preemption victims found for incoming pod"


@dataclasses.dataclass
class Node:
    """What the scheduler knows of a node."""

    name: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    taints: Sequence[schema.Object] = ()
    is_unschedulable: bool = False
    allocatable: quantities.Amounts = dataclasses.field(default_factory=dict)
    used: quantities.Amounts = dataclasses.field(default_factory=lambda: collections.defaultdict(decimal.Decimal))

    def describe(self, found: schema.Object) -> None:
        """Take over what the object says; what is used stays."""
        spec, state = found.get("spec", {}), found.get("status") or {}
        self.labels = found["metadata"].get("labels", {})
        self.is_unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = {name: quantities.parse(text) for name, text in state.get("allocatable", {}).items()}
        ready = next((each["status"] for each in state.get("conditions", []) if each["type"] == "Ready"), "True")
        implied = _CONDITION_TAINTS.get(ready)
        self.taints = [*spec.get("taints", []), *([{"key": implied, "effect": "NoSchedule"}] if implied else [])]

    def add(self, asked: quantities.Amounts, sign: int = 1) -> None:
        """Book what a pod holds; a ``sign`` of -1 gives it back."""
        for name, amount in asked.items():
            self.used[name] += sign * amount


@dataclasses.dataclass(frozen=True)
class Misfit:
    """Why a pod does not fit a node."""

    problems: Sequence[str]
    is_lasting: bool
    """Whether the departure of other pods cannot help."""


def misfit(node: Node, spec: schema.Object, asked: quantities.Amounts) -> Misfit | None:
    """Say why a pod does not fit; None when it does. As in the real scheduler the first kind of problem counts."""
    lasting = _unschedulable(node, spec) or _repelled(node, spec) or _unselected(node, spec)
    if lasting:
        return Misfit([lasting], is_lasting=True)
    short = [name for name, amount in asked.items() if amount > node.allocatable.get(name, 0) - node.used[name]]
    if not short:
        return None
    problems = ["Too many pods" if name == "pods" else f"Insufficient {name}" for name in sorted(short)]
    return Misfit(problems, is_lasting=any(asked[name] > node.allocatable.get(name, 0) for name in short))


def explain(misfits: Sequence[Misfit], spec: schema.Object) -> str:
    """Make the message of the condition and of the event from the misfits of all nodes."""
    total = len(misfits)
    if not total:
        return f"no nodes available to schedule pods{_preemption(0, 0, spec)}"
    counted = collections.Counter(problem for each in misfits for problem in each.problems)
    reasons = _listed(f"{count} {problem}" for problem, count in counted.items())
    return f"0/{total} nodes are available: {reasons}.{_preemption(total, _lasting(misfits), spec)}"


def explain_claims(problem: str, total: int, spec: schema.Object) -> str:
    """Make the message for a pod whose claims keep it from every node."""
    return f"0/{total} nodes are available: {problem}.{_preemption(total, total, spec)}"


def tolerates(tolerations: Iterable[schema.Object], taint: schema.Object) -> bool:
    """Say whether one of the tolerations covers a taint."""
    return any(_covers(each, taint) for each in tolerations)


def selects(affinity: schema.Object, node: Node) -> bool:
    """Say whether a required node affinity (a NodeSelector) wants a node: any of its terms, all of each."""
    return any(_term_matches(term, node) for term in affinity.get("nodeSelectorTerms", []))


def _unschedulable(node: Node, spec: schema.Object) -> str:
    if node.is_unschedulable and not tolerates(spec.get("tolerations", []), _UNSCHEDULABLE):
        return "node(s) were unschedulable"
    return ""


def _repelled(node: Node, spec: schema.Object) -> str:
    for taint in node.taints:
        if taint["effect"] in _REPELLING and not tolerates(spec.get("tolerations", []), taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return ""


def _unselected(node: Node, spec: schema.Object) -> str:
    wanted = spec.get("nodeSelector", {})
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    is_wanted = all(node.labels.get(key) == value for key, value in wanted.items())
    if is_wanted and (affinity is None or selects(affinity, node)):
        return ""
    return "node(s) didn't match Pod's node affinity/selector"


def _covers(toleration: schema.Object, taint: schema.Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    operator, key = toleration.get("operator") or "Equal", toleration.get("key", "")
    if not key:
        return operator == "Exists"
    if key != taint["key"]:
        return False
    return operator == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _term_matches(term: schema.Object, node: Node) -> bool:
    expressions, fields = term.get("matchExpressions", []), term.get("matchFields", [])
    if not expressions and not fields:
        return False
    return all(_holds(each, node.labels) for each in expressions) and all(
        _holds(each, {"metadata.name": node.name}) for each in fields
    )


def _holds(requirement: schema.Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values", [])
    test = _OPERATORS.get(requirement["operator"])
    return test is not None and test(value, values)


def _is_beyond(value: str | None, values: Sequence[str], sign: int) -> bool:
    try:
        return value is not None and sign * int(value) > sign * int(values[0])
    except (ValueError, IndexError):
        return False


_OPERATORS: dict[str, Callable[[str | None, Any], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _is_beyond(value, values, 1),
    "Lt": lambda value, values: _is_beyond(value, values, -1),
}


def _preemption(total: int, lasting: int, spec: schema.Object) -> str:
    if spec.get("preemptionPolicy") == "Never":
        return " preemption: not eligible due to preemptionPolicy=Never."
    if not total:
        return ""
    counted = {_UNHELPFUL: lasting, _VICTIMLESS: total - lasting}
    reasons = _listed(f"{count} {reason}" for reason, count in counted.items() if count)
    return f" preemption: 0/{total} nodes are available: {reasons}."


def _lasting(misfits: Iterable[Misfit]) -> int:
    return sum(each.is_lasting for each in misfits)


def _listed(reasons: Iterable[str]) -> str:
    return ", ".join(sorted(reasons))
