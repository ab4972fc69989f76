"""Where a pod waits on its node while a fault keeps it from starting."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from nni.sandbox import events, kinds, registry, schema, times
from nni.sandbox.faults import afflictions

_NOT_YET = ("Ready", "ContainersReady")


class Anteroom:
    """Lets pods pass as soon as nothing is in their way."""

    def __init__(
        self, objects: registry.Registry, troubles: afflictions.Afflictions, recorder: events.Recorder
    ) -> None:  # fmt: skip
        self._objects = objects
        self._troubles = troubles
        self._recorder = recorder
        self._powerless: set[str] = set()
        self._power = asyncio.Event()

    def lose(self, node: str) -> None:
        """Hold whatever comes to a node."""
        self._powerless.add(node)

    def regain(self, node: str) -> None:
        """Hold it no more."""
        self._powerless.discard(node)
        self._power.set()
        self._power = asyncio.Event()

    async def passed(self, pod: schema.Object) -> None:
        """Wait until a pod may start, or is being deleted."""
        deleted = _Deletion(self._objects, pod)
        while pod["spec"]["nodeName"] in self._powerless and not deleted.is_so():
            await deleted.unless(self._power.wait())
        await self._without(
            deleted,
            functools.partial(self._troubles.mounting, pod),
            functools.partial(self._tell_mount, pod),
        )
        for container in pod["spec"]["containers"]:
            image = container.get("image", "")
            await self._without(
                deleted,
                functools.partial(self._troubles.pulling, pod, image),
                functools.partial(self._tell_pull, pod, container),
            )
            await self._without(
                deleted,
                functools.partial(self._troubles.referring, pod, container),
                functools.partial(self._tell_reference, pod, container),
            )
        delay = self._troubles.delay(pod)
        if delay:
            self._wait_as(pod, "ContainerCreating")
            await deleted.unless(asyncio.sleep(delay))

    async def _without(self, deleted: "_Deletion", trouble: Callable[[], str], tell: Callable[[str], None]) -> None:
        """Wait until a trouble is over; tell of it each time that it is met."""
        while (why := trouble()) and not deleted.is_so():
            tell(why)
            await deleted.unless(self._troubles.changed())

    def _tell_mount(self, pod: schema.Object, why: str) -> None:
        self._wait_as(pod, "ContainerCreating")
        self._record(pod, "Warning", "FailedMount", f"MountVolume.SetUp failed for {why}")

    def _tell_pull(self, pod: schema.Object, container: schema.Object, why: str) -> None:
        image, name = container.get("image", ""), container["name"]
        self._record(pod, "Warning", "Failed", f'Failed to pull image "{image}": {why}', name)
        for reason, message in (
            ("ErrImagePull", why),
            ("ImagePullBackOff", f'Back-off pulling image "{image}": {why}'),
        ):
            self._record(pod, "Warning", "Failed", f"Error: {reason}", name)
            self._wait_as(pod, reason, message, name)
        self._record(pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', name)

    def _tell_reference(self, pod: schema.Object, container: schema.Object, why: str) -> None:
        self._record(pod, "Warning", "Failed", f"Error: {why}", container["name"])
        self._wait_as(pod, "CreateContainerConfigError", why, container["name"])

    def _record(self, pod: schema.Object, category: str, reason: str, message: str, container: str = "") -> None:
        path = f"spec.containers{{{container}}}" if container else ""
        self._recorder.record(pod, category, reason, message, path)

    def _wait_as(self, pod: schema.Object, reason: str, message: str = "", container: str = "") -> None:
        """Write the status of a pod of which one container (all, without a name) waits for a reason."""
        current = self._objects.find(kinds.POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        if current is None or current["metadata"]["uid"] != pod["metadata"]["uid"]:
            return
        moment = times.stamp(self._objects.now())
        why = {"reason": reason} | ({"message": message} if message else {})
        statuses = [
            {
                "name": each["name"], "image": each.get("image", ""), "imageID": "", "ready": False, "started": False,
                "restartCount": 0, "lastState": {},
                "state": {"waiting": why if container in ("", each["name"]) else {"reason": "ContainerCreating"}},
            }
            for each in pod["spec"]["containers"]
        ]  # fmt: skip
        others = [each for each in current["status"].get("conditions", []) if each["type"] not in _NOT_YET]
        waiting = [
            {"type": name, "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": moment}
            for name in _NOT_YET
        ]
        state = {**current["status"], "phase": "Pending", "conditions": [*others, *waiting]}
        state |= {"containerStatuses": statuses, "startTime": current["status"].get("startTime", moment)}
        self._objects.set_status(kinds.POD, current, state)


class _Deletion:
    """The deletion of one pod."""

    def __init__(self, objects: registry.Registry, pod: schema.Object) -> None:
        self._objects = objects
        self._metadata = pod["metadata"]

    def is_so(self) -> bool:
        current = self._objects.find(kinds.POD, self._metadata["namespace"], self._metadata["name"])
        if current is None or current["metadata"]["uid"] != self._metadata["uid"]:
            return True
        return "deletionTimestamp" in current["metadata"]

    async def unless(self, waited: Coroutine[Any, Any, object]) -> None:
        """Wait for something, or for the deletion."""
        with contextlib.closing(self._objects.store.watch(kinds.POD.resource)) as watch:

            async def deleted() -> None:
                while not self.is_so() and await watch.next():
                    pass

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(waited), group.create_task(deleted())]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
