"""Pods that no node is to take: the scheduler does not get to see them until their fault has ended."""

import asyncio

from nni.sandbox import events, kinds, registry, schema, store, times
from nni.sandbox.faults import afflictions


class Withholding(store.Watch):
    """The changes of pods without those of pods that are held back, which are told why in the scheduler's words."""

    def __init__(
        self,
        pods: store.Watch,
        objects: registry.Registry,
        troubles: afflictions.Afflictions,
        recorder: events.Recorder,
    ) -> None:
        super().__init__(lambda _: pods.close())
        self._pods = pods
        self._objects = objects
        self._troubles = troubles
        self._recorder = recorder
        self._held: dict[str, store.Change] = {}

    async def next(self) -> list[store.Change]:
        """Wait for changes and return all that have come; an empty list means that the watch is closed."""
        while True:
            changes, is_over = await self._arrived_or_changed()
            passed = self._released() + [change for change in changes if not self._is_held(change)]
            if passed or is_over:
                return passed

    async def _arrived_or_changed(self) -> tuple[list[store.Change], bool]:
        """Return the changes that have come, and whether there will be no more."""
        async with asyncio.TaskGroup() as group:
            arriving = group.create_task(self._pods.next())
            easing = group.create_task(self._troubles.changed())
            await asyncio.wait([arriving, easing], return_when=asyncio.FIRST_COMPLETED)
            is_done = arriving.done()
            arriving.cancel()
            easing.cancel()
        changes = arriving.result() if is_done else []
        return changes, is_done and not changes

    def _released(self) -> list[store.Change]:
        free = [uid for uid, change in self._held.items() if not self._troubles.scheduling(change.object)]
        return [self._held.pop(uid) for uid in free]

    def _is_held(self, change: store.Change) -> bool:
        found = change.object
        uid = found["metadata"]["uid"]
        self._held.pop(uid, None)
        if change.happening == "DELETED" or found["spec"].get("nodeName"):
            return False
        why = self._troubles.scheduling(found)
        if not why:
            return False
        self._held[uid] = store.Change(change.version, "ADDED", found, None)
        self._tell(found, why)
        return True

    def _tell(self, pod: schema.Object, why: str) -> None:
        total = self._objects.store.count(kinds.NODE.resource)
        message = (
            f"0/{total} nodes are available: {total} {why}. preemption: 0/{total} nodes are available: "
            f"{total} No preemption victims found for incoming pod."
        )
        conditions = pod["status"].get("conditions", [])
        if any(each["type"] == "PodScheduled" and each.get("message") == message for each in conditions):
            return
        refused = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": None, "lastTransitionTime": times.stamp(self._objects.now()),
        }  # fmt: skip
        others = [each for each in conditions if each["type"] != "PodScheduled"]
        self._objects.set_status(kinds.POD, pod, {**pod["status"], "conditions": [*others, refused]})
        self._recorder.record(pod, "Warning", "FailedScheduling", message)
