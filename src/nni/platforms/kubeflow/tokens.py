"""The experiment's Secret: the token of each attempt under a key of its own, made ahead in blocks.

Pods get their token by reference, so it stands in no manifest, and a trial costs no call for it.
"""

import asyncio
import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import client, names

BLOCK = 256
"""Tokens that one call makes."""
BLOCKS_KEPT = 24
"""A Secret holds 1 MiB; attempts that are so many behind the newest have long read theirs."""


def key(slot: int) -> str:
    """Return where in the Secret the token of a slot stands."""
    return f"slot-{slot}"


class TokenSecret:
    """Keeps the Secret ahead of the slots that are used."""

    def __init__(
        self,
        connection: client.Client,
        experiment_id: model.ExperimentId,
        token: Callable[[int], str],
        beside: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the finished parts; ``token`` gives the token of a slot, ``beside`` is kept in the same Secret."""
        self._beside = beside
        self._connection = connection
        self._name = names.secret(experiment_id)
        self._labels = dict(names.labels(experiment_id))
        self._token = token
        self._made: set[int] = set()
        self._is_there = False
        self._turn = asyncio.Lock()

    async def ensure(self, slot: int) -> None:
        """Return once the token of a slot stands in the Secret.

        Raises:
            PlatformError: The Secret may not be written.
            PlatformUnavailableError: The same call may pass later.
        """
        block = slot // BLOCK
        if block in self._made:
            return
        async with self._turn:
            if block in self._made:
                return
            try:
                await self._write(block)
            except client.Refusal as refusal:
                raise errors.PlatformError(
                    f"The Secret {self._name} for the trials' tokens cannot be written: {refusal.message}"
                ) from refusal
            self._made.add(block)

    async def _write(self, block: int) -> None:
        data: dict[str, str | None] = {key(slot): _encoded(self._token(slot)) for slot in _slots(block)}
        data |= {name: _encoded(text) for name, text in self._beside.items()}
        if not self._is_there:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": self._name, "labels": self._labels},
                "type": "Opaque",
                "data": data,
            }
            try:
                await self._connection.run(functools.partial(self._connection.create_secret, body))
            except client.Refusal as refusal:
                if refusal.reason != "AlreadyExists":
                    raise
            else:
                self._is_there = True
                return
        data |= dict.fromkeys((key(slot) for slot in _slots(block - BLOCKS_KEPT)), None)
        await self._connection.run(functools.partial(self._connection.patch_secret, self._name, {"data": data}))
        self._is_there = True

    async def delete(self) -> None:
        """Delete the Secret.

        Raises:
            PlatformError: It may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        try:
            await self._connection.run(functools.partial(self._connection.delete_secret, self._name))
        except client.Refusal as refusal:
            if refusal.code != 404:
                raise errors.PlatformError(f"The Secret {self._name} cannot be deleted: {refusal.message}") from refusal
        self._made.clear()
        self._is_there = False


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _slots(block: int) -> Sequence[int]:
    """Return the slots of a block; none of one before the first."""
    return range(block * BLOCK, (block + 1) * BLOCK) if block >= 0 else ()
