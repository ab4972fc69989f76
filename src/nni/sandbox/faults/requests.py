"""The faults of the API: what happens to requests on their way in and to answers on their way out."""

import asyncio
import contextlib
import dataclasses
import fnmatch
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web

from nni.sandbox import kinds, registry, schema, selectors, status
from nni.sandbox.api import listing, query, target, watching
from nni.sandbox.faults import board, catalogue, credentials, endpoint

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Stream = Callable[[watching.Send], Coroutine[Any, Any, None]]
"""Sends the events of a watch until its end."""

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_AT_ONCE = (
    catalogue.TooManyRequests,
    catalogue.ServerError,
    catalogue.ConnectionReset,
    catalogue.HalfOpen,
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What faults look at in a request."""

    verb: str
    method: str
    path: str
    resource: str
    namespace: str
    name: str
    labels: dict[str, str] | None
    """Those of the object that it is about; None when it is about none."""

    def is_hit_by(self, fault: catalogue.RequestFault) -> bool:
        """Say whether a fault is meant for it."""
        if fault.labels and (self.labels is None or not selectors.labels(fault.labels)(self.labels)):
            return False
        return (
            (not fault.verbs or self.verb in fault.verbs)
            and (not fault.methods or self.method in fault.methods)
            and (not fault.resources or self.resource in fault.resources)
            and fnmatch.fnmatchcase(self.path, fault.path)
            and fnmatch.fnmatchcase(self.namespace, fault.namespace)
            and fnmatch.fnmatchcase(self.name, fault.name)
        )


class Interference:
    """Stands between the clients and the server."""

    def __init__(
        self,
        faults: board.Board,
        objects: registry.Registry,
        served: kinds.Kinds,
        expiry: credentials.Expiry,
    ) -> None:
        self._faults = faults
        self._objects = objects
        self._kinds = served
        self._expiry = expiry
        faults.on_add(self._compact)

    async def around(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Answer a request of somebody whose token is known, or do to it what a fault says."""
        if request.path.startswith(endpoint.PREFIX):
            return await answer(request)
        self._expiry.check(request.headers.get("Authorization", "").rpartition(" ")[2])
        if not self._faults.of(catalogue.RequestFault):
            return await answer(request)
        asked = await self._read(request)
        for entry, late in self._faults.of(catalogue.ApiLatency):
            if asked.is_hit_by(late) and entry.hit():
                await asyncio.sleep(late.latency)
        struck = self._struck(asked)
        if struck is None:
            return await answer(request)
        if getattr(struck, "is_done", False) and request.method in _VERBS:
            with contextlib.suppress(status.Refusal):
                await answer(request)
        return await self._strike(request, struck)

    def _struck(self, asked: Asked) -> catalogue.RequestFault | None:
        """Give the fault that a request meets in place of its answer."""
        for kind in _AT_ONCE:
            for entry, fault in self._faults.of(kind):
                if asked.is_hit_by(fault) and entry.hit():
                    return fault
        return None

    async def follow(
        self, request: web.BaseRequest, what: target.Target, asked: query.Query, stream: Stream, send: watching.Send
    ) -> None:  # fmt: skip
        """Let a watch stream, until a fault ends it or makes it fall silent."""
        watch = _Watched(self._faults, self._objects, _collection(request, what), what, asked.version)
        await watch.follow(stream, send, lambda: _reset(request))

    async def _strike(self, request: web.BaseRequest, fault: catalogue.RequestFault) -> web.StreamResponse:
        if isinstance(fault, catalogue.TooManyRequests):
            message = "the server has received too many requests and has asked us to try again later"
            raise status.Refusal(429, "TooManyRequests", message, retry_after=fault.retry_after)
        if isinstance(fault, catalogue.ServerError):
            raise _server_error(fault)
        if isinstance(fault, catalogue.ConnectionReset):
            _reset(request)
        # Until the client has enough of it: whoever waits for a lost peer gets no answer later either.
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    async def _read(self, request: web.BaseRequest) -> Asked:
        steps = [step for step in request.path.split("/") if step]
        try:
            what = target.parse(self._kinds, steps)
        except status.Refusal:  # discovery, or nonsense
            return Asked("get", request.method, request.path, "", "", "", None)
        return dataclasses.replace(_collection(request, what), labels=await self._labels(request, what))

    async def _labels(self, request: web.BaseRequest, what: target.Target) -> dict[str, str] | None:
        if what.name:
            found = self._objects.find(what.kind, what.namespace, what.name)
        elif request.method == "POST":
            try:
                found = json.loads(await request.read())
            except ValueError:  # the server has the words for it
                return None
        else:
            return None
        metadata = found.get("metadata") if isinstance(found, dict) else None
        return (metadata.get("labels") or {}) if isinstance(metadata, dict) else None

    def _compact(self, entry: board.Entry) -> None:
        if isinstance(entry.fault, catalogue.ExpiredWatch):
            self._objects.store.compact()


class _Watched:
    """One open watch."""

    def __init__(
        self, faults: board.Board, objects: registry.Registry, asked: Asked, what: target.Target, since: int | None
    ) -> None:
        self._faults = faults
        self._store = objects.store
        self._asked = asked
        self._resource = what.kind.resource
        self._since = since
        self._is_silent = False

    async def follow(self, stream: Stream, send: watching.Send, reset: Callable[[], None]) -> None:
        if self._since and self._takes(catalogue.ExpiredWatch):
            await send(self._gone())
            return
        ending = await self._until_ended(stream, send)
        if self._is_silent or (ending is None and self._takes(catalogue.SilentWatch)):
            await asyncio.Event().wait()
        if isinstance(ending, catalogue.ExpiredWatch):
            await send(self._gone())
        if isinstance(ending, catalogue.DroppedWatch) and ending.is_reset:
            reset()

    async def _until_ended(self, stream: Stream, send: watching.Send) -> catalogue.RequestFault | None:
        """Stream to the end, or to the fault that ends it."""

        async def unless_silent(data: bytes) -> None:
            self._is_silent = self._is_silent or self._takes(catalogue.SilentWatch) is not None
            if not self._is_silent:
                await send(data)

        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(stream(unless_silent))
            striking = group.create_task(self._until_struck())
            await asyncio.wait([streaming, striking], return_when=asyncio.FIRST_COMPLETED)
            ending = striking.result() if striking.done() and not streaming.done() else None
            streaming.cancel()
            striking.cancel()
        return ending

    async def _until_struck(self) -> catalogue.RequestFault:
        began = asyncio.get_running_loop().time()
        while True:
            expired = self._takes(catalogue.ExpiredWatch)
            if expired is not None:
                return expired
            age = asyncio.get_running_loop().time() - began
            waiting = [fault.after - age for _, fault in self._hitting(catalogue.DroppedWatch)]
            if waiting and min(waiting) <= 0:
                dropped = self._takes(catalogue.DroppedWatch)
                if dropped is not None:
                    return dropped
            try:
                async with asyncio.timeout(min(waiting) if waiting and min(waiting) > 0 else None):
                    await self._faults.changed()
            except TimeoutError:
                continue

    def _hitting(self, kind: type[board.F]) -> list[tuple[board.Entry, board.F]]:
        return [
            (entry, fault)
            for entry, fault in self._faults.of(kind)
            if isinstance(fault, catalogue.RequestFault) and self._asked.is_hit_by(fault) and not entry.is_spent
        ]

    def _takes(self, kind: type[board.F]) -> board.F | None:
        return next((fault for entry, fault in self._hitting(kind) if entry.hit()), None)

    def _gone(self) -> bytes:
        return watching.error_line(listing.too_old(self._since or 0, self._store.compacted(self._resource)))


def _collection(request: web.BaseRequest, what: target.Target) -> Asked:
    verb = _VERBS.get(request.method, "get")
    if verb == "get" and query.flag(request.query, "watch"):
        verb = "watch"
    elif not what.name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    resource = what.kind.resource + (f"/{what.part}" if what.part else "")
    return Asked(verb, request.method, request.path, resource, what.namespace, what.name, None)


def _server_error(fault: catalogue.ServerError) -> status.Refusal:
    reasons = {500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
    messages = {
        500: "Internal error occurred: etcdserver: leader changed",
        502: "Bad Gateway",
        503: "the server is currently unable to handle the request",
        504: "Timeout: request did not complete within the allotted timeout",
    }
    message = fault.message or messages[fault.code]
    return status.Refusal(fault.code, reasons.get(fault.code, "InternalError"), message)


def _reset(request: web.BaseRequest) -> None:
    """Cut the connection so that the client's side sees a reset, not an end."""
    transport = request.transport
    if transport is None:
        return
    taken = transport.get_extra_info("socket")
    if taken is not None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def quota(faults: board.Board, objects: registry.Registry) -> registry.Admission:
    """Give the admission rule that refuses what a quota does not leave room for."""

    def admit(kind: kinds.Kind, namespace: str, name: str) -> None:
        for entry, fault in faults.of(catalogue.QuotaExceeded):
            if kind.resource not in fault.resources or not fnmatch.fnmatchcase(namespace, fault.namespace):
                continue
            used = sum(not _is_finished(kind, each) for each in objects.all(kind, namespace))
            if used >= fault.hard and entry.hit():
                raise _exceeded(kind, name, fault, used)

    return admit


def _is_finished(kind: kinds.Kind, found: schema.Object) -> bool:
    return kind.kind == "Pod" and found.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _exceeded(kind: kinds.Kind, name: str, fault: catalogue.QuotaExceeded, used: int) -> status.Refusal:
    what = "pods" if kind.kind == "Pod" else f"count/{kind.resource}"
    amounts = f"requested: {what}=1, used: {what}={used}, limited: {what}={fault.hard}"
    return status.forbidden(f'{kind.resource} "{name}" is forbidden: exceeded quota: {fault.quota}, {amounts}')
