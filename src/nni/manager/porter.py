"""A porter on call: made when somebody asks for a file that stayed on a claim, gone when nobody has for a while."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from nni import errors
from nni.core import model, spec
from nni.manager import doors
from nni.platforms.kubeflow import api, client, pods
from nni.platforms.kubeflow import porter as platform_porter
from nni.runtime import archive
from nni.server import porter as server_porter
from nni.storage import porter as storage_porter
from nni.wire import layout

_log = logging.getLogger(__name__)

IDLE_SECONDS = 120.0
"""So long a porter that has nothing to do stays: people look at one file after the other."""
START_SECONDS = 120.0
"""So long it may take to come, the pull of its image included."""

REFUSED_SECONDS = 10.0
"""So long the cluster's refusal is taken to stand: a page that is open asks again and again."""

Present = Callable[[str], contextlib.AbstractAsyncContextManager[platform_porter.Presence]]
"""Keeps a porter's pod, that shows a token at the intake, for as long as its context is open."""


class Porter:
    """Calls a porter whenever there is something to do on the claim, one at a time."""

    def __init__(self, present: Present, door: Callable[[storage_porter.Desk], server_porter.Door], where: str) -> None:
        """Take the finished parts.

        Args:
            present: Keeps a porter's pod.
            door: Returns what lets a porter in at the intake.
            where: How messages call the claim.
        """
        self._present = present
        self._where = where
        self._desk = storage_porter.Desk()
        self.door = door(self._desk)
        """To be served by the intake for as long as this is on call."""
        self.volume = storage_porter.PorterVolume(self._desk)
        """The claim."""

    @contextlib.asynccontextmanager
    async def on_call(self, *, idle: float = IDLE_SECONDS, patience: float = START_SECONDS) -> AsyncIterator[None]:
        """Call porters while the context is open; none is left behind it.

        Args:
            idle: Seconds that one stays when there is nothing to do.
            patience: Seconds that one may take to come.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve(idle, patience))
                try:
                    yield
                finally:
                    serving.cancel()
                    self._desk.fail(f"What stayed on {self._where} cannot be reached any more: the manager ends.")
        except BaseExceptionGroup as group:
            # Whoever uses this gets their own error as it was.
            raise (group.exceptions[0] if len(group.exceptions) == 1 else group) from None

    async def _serve(self, idle: float, patience: float) -> None:
        loop = asyncio.get_running_loop()
        refused_until, why = 0.0, ""
        while True:
            await self._desk.until_wanted()
            if loop.time() < refused_until:
                self._fail(why)
                continue
            try:
                await self._call(idle, patience)
            except api.Refusal as refusal:
                refused_until, why = loop.time() + REFUSED_SECONDS, _words(refusal)
                _log.warning("no porter for %s: %s", self._where, why)
                self._fail(why)
            except errors.NniError as error:
                _log.warning("no porter for %s: %s", self._where, error)
                self._fail(str(error).rstrip(".") + ".")
            finally:
                self._desk.shut()

    def _fail(self, why: str) -> None:
        self._desk.fail(f"What stayed on {self._where} cannot be reached: {why}")

    async def _call(self, idle: float, patience: float) -> None:
        """Have a porter come, and stay until it is idle."""
        async with self._present(self._desk.open()) as presence:
            try:
                async with asyncio.timeout(patience):
                    await _while_there(presence, self._desk.until_met())
            except TimeoutError as error:
                raise errors.PlatformUnavailableError(
                    f"no porter came from the cluster within {patience:g} s: {presence.why}"
                ) from error
            _log.info("a porter has come from %s", self._where)
            await _while_there(presence, self._desk.until_idle(idle))
            self._desk.shut()


async def _while_there(presence: platform_porter.Presence, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait for something, as long as the porter is there.

    Raises:
        PlatformUnavailableError: It has gone.
    """
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(waiting)
        await asyncio.wait((task, presence.ended), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return
        task.cancel()
    raise errors.PlatformUnavailableError(f"the porter has gone: {presence.ended.result()}")


def _words(refusal: api.Refusal) -> str:
    message = refusal.message.rstrip(".")
    if refusal.code != 403:
        return f"{message}."
    return (
        f"no pod that mounts it may be made or deleted ({message}); ask an administrator for the rights in "
        "deploy/role-pods.yaml, or mount the claim here and set storage.mount_path."
    )


def make(
    connection: client.Client,
    *,
    experiment_id: model.ExperimentId,
    role: spec.RoleSpec,
    claim: spec.PvcSpec,
    side: pods.Volume,
    door: doors.Door,
) -> Porter:
    """Return a porter of an experiment, not yet on call.

    Args:
        connection: The namespace.
        experiment_id: Whose.
        role: What the pod takes over from the trials' (``nni.platforms.kubeflow.porter.role``).
        claim: What it goes to.
        side: The pods' side of the claim.
        door: Where it reports.
    """
    runtime = archive.build()
    wanted = platform_porter.Wanted(
        experiment=experiment_id,
        role=role,
        volume=side,
        runtime=runtime.digest,
        intake_url=door.url,
        intake_fingerprint=door.fingerprint,
        scope=layout.experiment(experiment_id),
    )
    return Porter(
        lambda token: platform_porter.present(connection, wanted, token),
        lambda desk: server_porter.Door(experiment_id=experiment_id, desk=desk, runtime=runtime),
        f"claim {claim.claim_name}",
    )
