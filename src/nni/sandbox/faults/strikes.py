"""The faults that strike what runs: out of memory, eviction, preemption, lost nodes, deleted namespaces."""

import asyncio
import contextlib
import fnmatch
from collections.abc import Callable
from typing import Protocol

from nni.sandbox import events, kinds, registry, schema, status, times
from nni.sandbox.faults import board, catalogue

_UNREACHABLE = "node.kubernetes.io/unreachable"
_TAINTS = [{"key": _UNREACHABLE, "effect": effect} for effect in ("NoSchedule", "NoExecute")]


class Machines(Protocol):
    """The kubelet, as far as faults reach into it."""

    def exceed_memory(self, uid: str, containers: str) -> None:
        """Kill the running containers of a pod whose names match a pattern, for their memory."""
        ...

    def evict(self, uid: str, message: str) -> None:
        """End a pod as failed, for want of a resource on its node."""
        ...

    def lose(self, node: str) -> None:
        """Take the power from a node: its containers end, and nothing is told of its pods any more."""
        ...

    def regain(self, node: str) -> None:
        """Give a node its power back, and tell what has become of its pods."""
        ...


class Strikes:
    """Carries these faults out."""

    def __init__(self, faults: board.Board, objects: registry.Registry, machines: Machines) -> None:
        self._faults = faults
        self._objects = objects
        self._machines = machines
        self._lost: dict[str, board.Entry] = {}
        self._events = {
            name: events.Recorder(objects, name) for name in ("kubelet", "default-scheduler", "node-controller")
        }

    async def run(self) -> None:
        """Work until the store is closed."""
        with contextlib.closing(self._objects.store.watch(kinds.POD.resource)) as watch:
            async with asyncio.TaskGroup() as group:
                reacting = group.create_task(self._react())
                async for change in watch:
                    if change.happening != "DELETED":
                        self._see(change.object)
                reacting.cancel()

    async def _react(self) -> None:
        while True:
            for pod in self._objects.all(kinds.POD):
                self._see(pod)
            self._delete_namespaces()
            self._lose_nodes()
            await self._faults.changed()

    def _see(self, pod: schema.Object) -> None:
        """Strike a running pod with all that is meant for it."""
        if pod["status"].get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
            return
        strikes: list[tuple[type[catalogue.PodFault], Callable[[schema.Object, catalogue.PodFault], None]]] = [
            (catalogue.OutOfMemory, self._exceed_memory),
            (catalogue.Eviction, self._evict),
            (catalogue.Preemption, self._preempt),
        ]
        uid = pod["metadata"]["uid"]
        for kind, strike in strikes:
            for entry, fault in self._faults.of(kind):
                if board.hits_pod(fault, pod) and entry.hit(uid):
                    after = getattr(fault, "after", 0.0)
                    asyncio.get_running_loop().call_later(after, self._strike, entry, strike, pod)

    def _strike(
        self, entry: board.Entry, strike: Callable[[schema.Object, catalogue.PodFault], None], pod: schema.Object
    ) -> None:  # fmt: skip
        current = self._current(kinds.POD, pod)
        if current is None or entry.is_over or not isinstance(entry.fault, catalogue.PodFault):
            return
        if current["status"].get("phase") == "Running" and not current["metadata"].get("deletionTimestamp"):
            strike(current, entry.fault)

    def _exceed_memory(self, pod: schema.Object, fault: catalogue.PodFault) -> None:
        if isinstance(fault, catalogue.OutOfMemory):
            self._machines.exceed_memory(pod["metadata"]["uid"], fault.container)

    def _evict(self, pod: schema.Object, fault: catalogue.PodFault) -> None:
        if not isinstance(fault, catalogue.Eviction):
            return
        if fault.is_drain:
            self._remove(pod, "EvictionByEvictionAPI", "Eviction API: evicting")
            return
        self._disrupt(pod, "TerminationByKubelet", fault.message)
        self._events["kubelet"].record(pod, "Warning", "Evicted", fault.message)
        self._machines.evict(pod["metadata"]["uid"], fault.message)

    def _preempt(self, pod: schema.Object, _: catalogue.PodFault) -> None:
        node = pod["spec"].get("nodeName", "")
        self._events["default-scheduler"].record(
            pod, "Normal", "Preempted", f"Preempted by a pod of a higher priority on node {node}"
        )
        self._remove(
            pod, "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"
        )  # fmt: skip

    def _remove(self, pod: schema.Object, reason: str, message: str) -> None:
        self._disrupt(pod, reason, message)
        with contextlib.suppress(status.Refusal):
            self._objects.delete(kinds.POD, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _disrupt(self, pod: schema.Object, reason: str, message: str) -> None:
        self._set_condition(kinds.POD, pod, _condition("DisruptionTarget", "True", reason, message))

    def _delete_namespaces(self) -> None:
        for entry, fault in self._faults.of(catalogue.NamespaceDeleted):
            if entry.hit(fault.namespace):
                with contextlib.suppress(status.Refusal):
                    self._objects.delete(kinds.NAMESPACE, "", fault.namespace)

    def _lose_nodes(self) -> None:
        for name, entry in list(self._lost.items()):
            if entry.is_over:
                del self._lost[name]
                self._regain(name)
        for entry, fault in self._faults.of(catalogue.NodeLoss):
            for node in self._objects.all(kinds.NODE):
                name = node["metadata"]["name"]
                if name not in self._lost and fnmatch.fnmatchcase(name, fault.node) and entry.hit(name):
                    self._lost[name] = entry
                    self._lose(name, entry, fault.toleration)

    def _lose(self, name: str, entry: board.Entry, toleration: float) -> None:
        self._machines.lose(name)
        self._taint(name, _TAINTS)
        node = self._objects.get(kinds.NODE, "", name)
        unknown = _condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        self._set_condition(kinds.NODE, node, unknown)
        self._events["node-controller"].record(
            node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady"
        )
        for pod in self._on(name):
            self._set_condition(kinds.POD, pod, _condition("Ready", "False"))
            self._events["node-controller"].record(pod, "Warning", "NodeNotReady", "Node is not ready")
        asyncio.get_running_loop().call_later(toleration, self._delete_pods, name, entry)

    def _delete_pods(self, name: str, entry: board.Entry) -> None:
        if entry.is_over:
            return
        for pod in self._on(name):
            if not pod["metadata"].get("deletionTimestamp"):
                self._remove(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")

    def _regain(self, name: str) -> None:
        self._taint(name, [])
        node = self._objects.find(kinds.NODE, "", name)
        if node is not None:
            ready = _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
            self._set_condition(kinds.NODE, node, ready)
        self._machines.regain(name)

    def _on(self, node: str) -> list[schema.Object]:
        return [
            pod
            for pod in self._objects.all(kinds.POD)
            if pod["spec"].get("nodeName") == node and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def _taint(self, name: str, taints: list[dict[str, str]]) -> None:
        node = self._objects.find(kinds.NODE, "", name)
        if node is None:
            return
        others = [each for each in node["spec"].get("taints", []) if each["key"] != _UNREACHABLE]
        changed: schema.Object = {**node["spec"], "taints": others + taints}
        if not changed["taints"]:
            del changed["taints"]
        self._objects.store.put(kinds.NODE.resource, ("", name), {**node, "spec": changed})

    def _set_condition(self, kind: kinds.Kind, found: schema.Object, condition: dict[str, str]) -> None:
        current = self._current(kind, found)
        if current is None:
            return
        new: schema.Object = {**condition, "lastTransitionTime": times.stamp(self._objects.now())}
        others = [each for each in current["status"].get("conditions", []) if each["type"] != condition["type"]]
        self._objects.set_status(kind, current, {**current["status"], "conditions": [*others, new]})

    def _current(self, kind: kinds.Kind, found: schema.Object) -> schema.Object | None:
        metadata = found["metadata"]
        current = self._objects.find(kind, metadata.get("namespace", ""), metadata["name"])
        return current if current is not None and current["metadata"]["uid"] == metadata["uid"] else None


def _condition(name: str, value: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": name, "status": value} | ({"reason": reason, "message": message} if reason else {})
