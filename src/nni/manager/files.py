"""What attempts need on the volume, and what they leave there."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType

from nni import errors
from nni.core import event, model, ports, spec
from nni.core import report as reports
from nni.runtime import archive
from nni.storage import bundle
from nni.wire import intake, layout, parameter, report, script

_log = logging.getLogger(__name__)

EXIT_SECONDS = 5.0
"""How long an ended replica's exit file is waited for: a network file system may show it late."""
EXIT_PAUSE_SECONDS = 0.25


class Files:
    """The files of one experiment on its volume."""

    def __init__(
        self,
        *,
        volume: ports.Volume,
        experiment_id: model.ExperimentId,
        roles: Sequence[spec.RoleSpec],
        bundles: Mapping[str, bundle.Packed] = MappingProxyType({}),
        runtime: archive.Archive,
        url: Callable[[str], str],
    ) -> None:
        """Take the finished parts.

        Args:
            volume: Where they go.
            experiment_id: Whose they are.
            roles: Whose scripts are written.
            bundles: What was packed of each role's code directory, as far as it is known by now.
            runtime: What runs in the pod.
            url: Gives the URL of a path on the volume.
        """
        self.volume = volume
        """What everything goes through; another may be put before it."""
        self._experiment_id = experiment_id
        self._roles = roles
        self.bundles = dict(bundles)
        """By code directory; each is known before anything is uploaded."""
        self._runtime = runtime
        self._url = url
        self._read: dict[tuple[model.AttemptKey, model.Replica], int] = {}

    def location(self, trial: model.TrialId) -> str:
        """Return the URL of a trial's directory."""
        return self._url(layout.trial(self._experiment_id, trial))

    def needs(self, role: str) -> Sequence[str]:
        """Return the paths of what every replica of a role needs; nothing for a role that there is not."""
        directories = [one.code_directory for one in self._roles if one.name == role]
        packed = [self.bundles[one].digest for one in directories if one in self.bundles]
        runtime = [layout.runtime(self._experiment_id, self._runtime.digest)]
        return [layout.bundle(self._experiment_id, digest) for digest in packed] + runtime

    @property
    def code_directories(self) -> Sequence[str]:
        """Each distinct one of the roles', in order."""
        return sorted({role.code_directory for role in self._roles})

    async def holds(self, packed: bundle.Packed) -> bool:
        """Return whether a bundle is on the volume, whole."""
        known = await self.volume.stat(layout.bundle(self._experiment_id, packed.digest))
        return known is not None and known.size == packed.length

    async def upload(self) -> None:
        """Put the runtime and every distinct bundle that is at hand on the volume, unless they are there.

        What bundles hold is let go of: from here on their names will do.
        """
        await self._put_once(layout.runtime(self._experiment_id, self._runtime.digest), self._runtime.content)
        at_hand = {one.digest: one for one in self.bundles.values() if isinstance(one, bundle.Bundle)}
        for packed in at_hand.values():
            await self._put_once(layout.bundle(self._experiment_id, packed.digest), packed.content)
        self.bundles = {
            place: bundle.Packed(digest=packed.digest, length=packed.length) for place, packed in self.bundles.items()
        }

    async def _put_once(self, path: str, content: bytes) -> None:
        known = await self.volume.stat(path)
        if known is None or known.size != len(content):
            await self.volume.put(path, content)

    async def prepare(self, order: model.JobOrder, parameter_id: int, parameters: model.Parameters) -> None:
        """Write what an attempt needs before its job may be created."""
        trial, number = order.attempt.trial, order.attempt.number
        directory = layout.attempt(self._experiment_id, trial, number)
        await self.volume.make(layout.checkpoint(self._experiment_id, trial))
        await self.volume.make(directory)
        await self.volume.put(f"{directory}/{layout.PARAMETERS}", parameter.encode(parameter_id, parameters))
        for role in self._roles:
            text = script.script(
                experiment=self._experiment_id,
                trial=trial,
                attempt=number,
                role=role.name,
                sequence=order.sequence,
                runtime=self._runtime.digest,
                bundle=self.bundles[role.code_directory].digest,
                command=role.command,
            )
            await self.volume.put(f"{directory}/{layout.script(role.name)}", text.encode())

    async def harvest(
        self, attempt: model.AttemptKey, chief: model.Replica, *, wait_for_exit: bool
    ) -> AsyncIterator[event.ReplicaReported]:
        """Yield what the journals of an attempt's replicas hold beyond what was read of them before.

        Args:
            attempt: Whose journals.
            chief: The replica whose exit matters.
            wait_for_exit: Whether the chief has ended: its exit file is waited for a little then.

        Raises:
            VolumeError: They cannot be read.
        """
        if wait_for_exit:
            await self._wait_for_exit(attempt, chief)
        directory = layout.attempt(self._experiment_id, attempt.trial, attempt.number)
        for name in await self.volume.list(directory):
            role, dash, index = name.rpartition("-")
            if dash and index.isdecimal():
                yield await self._report_of(attempt, model.Replica(role, int(index)))

    async def _wait_for_exit(self, attempt: model.AttemptKey, chief: model.Replica) -> None:
        path = f"{self._directory(attempt, chief)}/{layout.EXIT}"
        for _ in range(int(EXIT_SECONDS / EXIT_PAUSE_SECONDS)):
            if await self.volume.stat(path) is not None:
                return
            # A volume tells of no change: looking again is all there is.
            await asyncio.sleep(EXIT_PAUSE_SECONDS)

    async def _report_of(self, attempt: model.AttemptKey, replica: model.Replica) -> event.ReplicaReported:
        directory = self._directory(attempt, replica)
        offset = self._read.get((attempt, replica), 0)
        journal = report.parse_journal(await self.volume.read(f"{directory}/{layout.JOURNAL}", offset))
        self._read[attempt, replica] = offset + journal.consumed
        if journal.broken:
            _log.warning("%d lines in the journal of %s %s are no metrics", journal.broken, attempt, replica)
        try:
            ending = report.parse_exit(await self.volume.read(f"{directory}/{layout.EXIT}"))
        except errors.WireError:
            ending = None
        return reports.reported(attempt, replica, intake.Batch(journal.metrics, ending), by_volume=True)

    def _directory(self, attempt: model.AttemptKey, replica: model.Replica) -> str:
        return layout.replica(self._experiment_id, attempt.trial, attempt.number, replica.role, replica.index)
