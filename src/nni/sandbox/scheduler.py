"""The scheduler: pods by priority and age onto the first node that has room for them.

It does not preempt: a pod of higher priority goes first when room appears, and makes none.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Iterable

from nni.sandbox import events, fitting, kinds, quantities, registry, schema, store, times, waiting

_NAME = "default-scheduler"
_OVER = ("Succeeded", "Failed")


class Scheduler:
    """Binds pending pods to nodes."""

    def __init__(self, objects: registry.Registry, recorder: events.Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._nodes: dict[str, fitting.Node] = {}
        self._placed: dict[str, tuple[str, quantities.Amounts]] = {}
        """What pods hold, by uid: the node and the amounts."""
        self._lines = waiting.Lines()
        self._stuck: dict[str, str] = {}
        """The lines whose first does not fit at present, and why."""

    async def run(self, pods: store.Watch) -> None:
        """Schedule what ``pods`` brings until the store is closed."""
        watches = [self._objects.store.watch(kind.resource) for kind in (kinds.NODE, kinds.CLAIM)]
        with contextlib.ExitStack() as stack:
            for watch in watches:
                stack.callback(watch.close)
            for node in self._objects.all(kinds.NODE):
                self._node(node["metadata"]["name"]).describe(node)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_nodes(watches[0]))
                group.create_task(self._follow_claims(watches[1]))
                while changes := await pods.next():
                    self._settle(changes)

    async def _follow_nodes(self, watch: store.Watch) -> None:
        while changes := await watch.next():
            for change in changes:
                name = change.object["metadata"]["name"]
                if change.happening == "DELETED":
                    self._nodes.pop(name, None)
                else:
                    self._node(name).describe(change.object)
            self._again()

    async def _follow_claims(self, watch: store.Watch) -> None:
        while await watch.next():
            self._again()

    def _node(self, name: str) -> fitting.Node:
        return self._nodes.setdefault(name, fitting.Node(name))

    def _settle(self, changes: Iterable[store.Change]) -> None:
        """Take in changes of pods and place what can now be placed."""
        new: list[waiting.Waiter] = []
        is_room_new = False
        for change in changes:
            waiter = self._queue(change)
            new += [waiter] if waiter else []
            is_room_new |= self._release(change)
        if is_room_new:
            self._stuck.clear()
        shapes = self._lines.shapes() if is_room_new else {each.shape for each in new if each.shape not in self._stuck}
        self._place(shapes)
        for waiter in new:
            if waiter.uid in self._lines:
                self._refuse(waiter)

    def _again(self) -> None:
        """Try every line anew and tell everybody who still waits: the nodes or the claims are others now."""
        self._stuck.clear()
        self._place(self._lines.shapes())
        for waiter in self._lines:
            self._refuse(waiter)

    def _queue(self, change: store.Change) -> waiting.Waiter | None:
        """Put a pod that is ours and can be placed into its line, and take others out."""
        found = change.object
        uid, spec = found["metadata"]["uid"], found["spec"]
        is_over = change.happening == "DELETED" or found["status"].get("phase") in _OVER
        if is_over or spec.get("nodeName") or found["metadata"].get("deletionTimestamp"):
            self._lines.remove(uid)
            if spec.get("nodeName") and not is_over:
                self._hold(found)
            return None
        if uid in self._lines or uid in self._placed or spec.get("schedulerName", _NAME) != _NAME:
            return None
        if spec.get("schedulingGates"):
            blocked = "Scheduling is blocked due to non-empty scheduling gates"
            self._set_condition(found, "SchedulingGated", blocked)
            return None
        return self._lines.add(found)

    def _hold(self, found: schema.Object) -> None:
        """Book a pod that stands on a node, even where we have not put it there."""
        uid, node = found["metadata"]["uid"], found["spec"]["nodeName"]
        if uid not in self._placed:
            asked = quantities.requests(found["spec"]) | {"pods": quantities.ONE}
            self._placed[uid] = (node, asked)
            self._node(node).add(asked)

    def _release(self, change: store.Change) -> bool:
        """Give back what a pod held that is over; say whether it held anything."""
        uid = change.object["metadata"]["uid"]
        is_over = change.happening == "DELETED" or change.object["status"].get("phase") in _OVER
        if not is_over or uid not in self._placed:
            return False
        node, asked = self._placed.pop(uid)
        if node in self._nodes:
            self._nodes[node].add(asked, -1)
        return True

    def _place(self, shapes: Iterable[str]) -> None:
        """Place from these lines in order of rank, until the first of each does not fit."""
        firsts = [(first.rank, shape) for shape in shapes if (first := self._lines.first(shape))]
        heapq.heapify(firsts)
        while firsts:
            _, shape = heapq.heappop(firsts)
            waiter = self._lines.first(shape)
            if waiter is not None and self._place_one(waiter):
                following = self._lines.first(shape)
                if following is not None:
                    heapq.heappush(firsts, (following.rank, shape))
            elif waiter is not None:
                self._refuse(waiter)

    def _place_one(self, waiter: waiting.Waiter) -> bool:
        """Bind the first of a line or drop it when it is gone; False when it does not fit."""
        found = self._current(waiter)
        if found is None:
            self._lines.remove(waiter.uid)
            return True
        spec = found["spec"]
        problem = self._claim_problem(waiter.namespace, spec)
        if problem:
            self._stuck[waiter.shape] = fitting.explain_claims(problem, len(self._nodes), spec)
            return False
        misfits = []
        for node in self._nodes.values():
            why = fitting.misfit(node, spec, waiter.asked)
            if why is None:
                self._bind(found, node, waiter)
                return True
            misfits.append(why)
        self._stuck[waiter.shape] = fitting.explain(misfits, spec)
        return False

    def _claim_problem(self, namespace: str, spec: schema.Object) -> str:
        for name in waiting.claims_of(spec):
            claim = self._objects.find(kinds.CLAIM, namespace, name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if (claim.get("status") or {}).get("phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def _current(self, waiter: waiting.Waiter) -> schema.Object | None:
        found = self._objects.find(kinds.POD, waiter.namespace, waiter.name)
        if found is None or found["metadata"]["uid"] != waiter.uid or found["spec"].get("nodeName"):
            return None
        return found

    def _refuse(self, waiter: waiting.Waiter) -> None:
        """Tell a pod why it waits."""
        found = self._current(waiter)
        message = self._stuck.get(waiter.shape)
        if found is not None and message and self._set_condition(found, "Unschedulable", message):
            self._recorder.record(found, "Warning", "FailedScheduling", message)

    def _bind(self, found: schema.Object, node: fitting.Node, waiter: waiting.Waiter) -> None:
        node.add(waiter.asked)
        self._placed[waiter.uid] = (node.name, waiter.asked)
        self._lines.remove(waiter.uid)
        state = _with_condition(found, "True", "", "", times.stamp(self._objects.now()))
        self._objects.bind(found, node.name, state)
        where = f"{waiter.namespace}/{waiter.name}"
        self._recorder.record(found, "Normal", "Scheduled", f"Successfully assigned {where} to {node.name}")

    def _set_condition(self, found: schema.Object, reason: str, message: str) -> bool:
        state = _with_condition(found, "False", reason, message, times.stamp(self._objects.now()))
        is_new: bool = state.get("conditions") != found["status"].get("conditions")
        if is_new:
            self._objects.set_status(kinds.POD, found, state)
        return is_new


def _with_condition(found: schema.Object, value: str, reason: str, message: str, moment: str) -> schema.Object:
    conditions = found["status"].get("conditions", [])
    before = next((each for each in conditions if each["type"] == "PodScheduled"), None)
    is_same = before is not None and before["status"] == value
    if before and is_same and before.get("message", "") == message:
        return {**found["status"]}
    condition: schema.Object = {
        "type": "PodScheduled", "status": value, "lastProbeTime": None,
        "lastTransitionTime": before["lastTransitionTime"] if before and is_same else moment,
    }  # fmt: skip
    if reason:
        condition |= {"reason": reason, "message": message}
    others = [each for each in conditions if each["type"] != "PodScheduled"]
    return {**found["status"], "conditions": [*others, condition]}
