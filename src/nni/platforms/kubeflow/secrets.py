"""The experiment's Secrets.

One holds the token of each attempt under a key of its own, made ahead in blocks: pods get their token by reference, so
that it stands in no manifest, and a trial costs no call for it. Others hold the credentials of private registries.
"""

import asyncio
import base64
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from nni import errors
from nni.core import model, spec
from nni.platforms.kubeflow import api, client, names

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
            except api.Refusal as refusal:
                raise errors.PlatformError(
                    f"The Secret {self._name} for the trials' tokens cannot be written: {refusal.message}"
                ) from refusal
            self._made.add(block)

    async def _write(self, block: int) -> None:
        data: dict[str, str | None] = {key(slot): _encoded(self._token(slot).encode()) for slot in _slots(block)}
        data |= {name: _encoded(text.encode()) for name, text in self._beside.items()}
        if not self._is_there and await _created(self._connection, self._name, self._labels, "Opaque", data):
            self._is_there = True
            return
        data |= dict.fromkeys((key(slot) for slot in _slots(block - BLOCKS_KEPT)), None)
        await self._connection.insist(functools.partial(self._connection.patch_secret, self._name, {"data": data}))
        self._is_there = True

    async def delete(self) -> None:
        """Delete the Secret.

        Raises:
            PlatformError: It may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        await delete(self._connection, self._name)
        self._made.clear()
        self._is_there = False


class RegistrySecrets:
    """Keeps the credentials of private registries where the kubelet finds them."""

    def __init__(
        self, connection: client.Client, experiment_id: model.ExperimentId, roles: Sequence[spec.RoleSpec]
    ) -> None:
        """Take the finished parts; roles without credentials get no Secret."""
        self._connection = connection
        self._labels = dict(names.labels(experiment_id))
        self._paths = {
            names.registry_secret(experiment_id, role.name): Path(role.pod.registry_credentials)
            for role in roles
            if role.pod.registry_credentials is not None
        }

    async def ensure(self) -> None:
        """Write the Secrets.

        Raises:
            PlatformError: They may not be written, or the credentials cannot be read.
            PlatformUnavailableError: The same call may pass later.
        """
        for name, path in self._paths.items():
            try:
                content = await asyncio.to_thread(path.read_bytes)
            except OSError as error:
                raise errors.PlatformError(f"{path} cannot be read: {error.strerror}.") from error
            data: dict[str, str | None] = {".dockerconfigjson": _encoded(content)}
            kind = "kubernetes.io/dockerconfigjson"
            if not await _created(self._connection, name, self._labels, kind, data):
                await self._connection.insist(functools.partial(self._connection.patch_secret, name, {"data": data}))

    async def delete(self) -> None:
        """Delete the Secrets.

        Raises:
            PlatformError: They may not be deleted.
            PlatformUnavailableError: The same call may pass later.
        """
        for name in self._paths:
            await delete(self._connection, name)


@contextlib.asynccontextmanager
async def lent(
    connection: client.Client, experiment_id: model.ExperimentId, name: str, content: Mapping[str, str]
) -> AsyncIterator[None]:
    """Keep a Secret of an experiment while the context is open; none where it would be empty.

    Raises:
        Refusal: It may not be written.
        PlatformError: It may not be deleted.
        PlatformUnavailableError: The same call may pass later.
    """
    if not content:
        yield
        return
    data: dict[str, str | None] = {field: _encoded(text.encode()) for field, text in content.items()}
    if not await _created(connection, name, names.labels(experiment_id), "Opaque", data):
        # Whoever left it here is gone.
        await connection.insist(functools.partial(connection.patch_secret, name, {"data": data}))
    try:
        yield
    finally:
        await delete(connection, name)


async def _created(
    connection: client.Client, name: str, labels: Mapping[str, str], kind: str, data: Mapping[str, str | None]
) -> bool:
    """Create a Secret; return whether it was not there before."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(labels)},
        "type": kind,
        "data": dict(data),
    }
    try:
        await connection.insist(functools.partial(connection.create_secret, body))
    except api.Refusal as refusal:
        if refusal.reason != "AlreadyExists":
            raise
        return False
    return True


async def delete(connection: client.Client, name: str) -> None:
    """Delete a Secret, if there is one.

    Raises:
        PlatformError: It may not be deleted.
        PlatformUnavailableError: The same call may pass later.
    """
    try:
        await connection.insist(functools.partial(connection.delete_secret, name))
    except api.Refusal as refusal:
        if refusal.code != 404:
            raise errors.PlatformError(f"The Secret {name} cannot be deleted: {refusal.message}") from refusal


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _slots(block: int) -> Sequence[int]:
    """Return the slots of a block; none of one before the first."""
    return range(block * BLOCK, (block + 1) * BLOCK) if block >= 0 else ()
