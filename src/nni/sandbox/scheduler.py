"""The scheduler: pods in order of creation onto the first node that has room for them."""

import asyncio
import collections
import decimal

from nni.sandbox import events, kinds, quantities, registry, schema, store, times


class Scheduler:
    """Binds pending pods to nodes."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._free: dict[str, quantities.Amounts] = {}
        self._placed: dict[str, tuple[str, quantities.Amounts]] = {}
        """What pods hold, by uid: the node and the amounts."""
        self._pending: dict[str, schema.Object] = {}

    async def run(self, pods: store.Watch) -> None:
        """Schedule what ``pods`` brings until it is closed. The nodes must exist before."""
        for node in self._objects.all(kinds.NODE):
            allocatable = node["status"]["allocatable"]
            self._free[node["metadata"]["name"]] = {name: quantities.parse(text) for name, text in allocatable.items()}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_nodes(self._objects.store.watch(kinds.NODE.resource)))
            while changes := await pods.next():
                freed = [self._see(change) for change in changes]
                new = [change.object for change in changes if change.happening == "ADDED"]
                self._place(list(self._pending.values()) if any(freed) else new)

    async def _follow_nodes(self, watch: store.Watch) -> None:
        """Try again all that is pending when a node changes: it may have lost a taint."""
        async for _ in watch:
            self._place(list(self._pending.values()))

    def _see(self, change: store.Change) -> bool:
        """Keep the books; say whether room has become free."""
        found = change.object
        uid = found["metadata"]["uid"]
        is_over = change.happening == "DELETED" or found["status"].get("phase") in ("Succeeded", "Failed")
        if is_over or found["spec"].get("nodeName"):
            self._pending.pop(uid, None)
        elif uid not in self._placed:
            self._pending[uid] = found
        if is_over and uid in self._placed:
            node, amounts = self._placed.pop(uid)
            for name, amount in amounts.items():
                self._free[node][name] += amount
            return True
        return False

    def _place(self, candidates: list[schema.Object]) -> None:
        for found in candidates:
            if found["metadata"]["uid"] not in self._pending or found["spec"].get("schedulingGates"):
                continue
            current = self._objects.find(kinds.POD, found["metadata"]["namespace"], found["metadata"]["name"])
            if current is not None and current["metadata"]["uid"] == found["metadata"]["uid"]:
                self._place_one(current)

    def _place_one(self, found: schema.Object) -> None:
        asked = quantities.requests(found["spec"]) | {"pods": decimal.Decimal(1)}
        problems: collections.Counter[str] = collections.Counter()
        for node, free in self._free.items():
            missing = self._mismatches(found, node) or [
                f"Insufficient {name}" if name != "pods" else "Too many pods"
                for name, amount in sorted(asked.items())
                if amount > free.get(name, 0)
            ]
            if not missing:
                self._bind(found, node, asked)
                return
            problems.update(missing)
        total = len(self._free)
        reasons = ", ".join(f"{count} {problem}" for problem, count in sorted(problems.items()))
        message = (
            f"0/{total} nodes are available: {reasons}. preemption: 0/{total} nodes are available: "
            f"{total} No preemption victims found for incoming pod."
        )
        if self._set_condition(found, "False", "Unschedulable", message):
            self._recorder.record(found, "Warning", "FailedScheduling", message)

    def _mismatches(self, found: schema.Object, node: str) -> list[str]:
        wanted = found["spec"].get("nodeSelector", {})
        described = self._objects.find(kinds.NODE, "", node)
        labels = described["metadata"].get("labels", {}) if described else {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            return ["node(s) didn't match Pod's node affinity/selector"]
        if described and described.get("spec", {}).get("unschedulable"):
            return ["node(s) were unschedulable"]
        for taint in described["spec"].get("taints", []) if described else []:
            if taint["effect"] in ("NoSchedule", "NoExecute"):
                return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
        return []

    def _bind(self, found: schema.Object, node: str, asked: quantities.Amounts) -> None:
        uid = found["metadata"]["uid"]
        for name, amount in asked.items():
            self._free[node][name] -= amount
        self._placed[uid] = (node, asked)
        self._pending.pop(uid, None)
        self._objects.bind(found, node, _with_condition(found, "True", "", "", times.stamp(self._objects.now())))
        where = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
        self._recorder.record(found, "Normal", "Scheduled", f"Successfully assigned {where} to {node}")

    def _set_condition(self, found: schema.Object, value: str, reason: str, message: str) -> bool:
        state = _with_condition(found, value, reason, message, times.stamp(self._objects.now()))
        is_new: bool = state["conditions"] != found["status"].get("conditions")
        if is_new:
            self._objects.set_status(kinds.POD, found, state)
        return is_new


def _with_condition(found: schema.Object, value: str, reason: str, message: str, moment: str) -> schema.Object:
    conditions = found["status"].get("conditions", [])
    before = next((each for each in conditions if each["type"] == "PodScheduled"), None)
    if before and (before["status"], before.get("message", "")) == (value, message):
        return {**found["status"]}
    condition: schema.Object = {
        "type": "PodScheduled", "status": value, "lastProbeTime": None, "lastTransitionTime": moment,
    }  # fmt: skip
    if reason:
        condition |= {"reason": reason, "message": message}
    others = [each for each in conditions if each["type"] != "PodScheduled"]
    return {**found["status"], "conditions": [*others, condition]}
