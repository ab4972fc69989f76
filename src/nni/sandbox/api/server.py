"""The HTTP server: who asks, for what, and in which dress the answer goes."""

import dataclasses
import json
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from nni import errors
from nni.sandbox import kinds, patches, rbac, registry, schema, status
from nni.sandbox.api import (
    authentication,
    bodies,
    discovery,
    dress,
    evictions,
    listing,
    logs,
    openapi,
    protobuf,
    query,
    reviews,
    target,
    watching,
)
from nni.sandbox.faults import endpoint, requests

_Write = Callable[[registry.Manner], schema.Object]


class Server:
    """Serves one cluster on loopback."""

    def __init__(
        self,
        objects: registry.Registry,
        served: kinds.Kinds,
        tokens: authentication.Tokens,
        log_files: logs.Source,
        *,
        interference: requests.Interference,
        control: endpoint.Endpoint,
    ) -> None:
        self._objects = objects
        self._kinds = served
        self._tokens = tokens
        self._authorizer = rbac.Authorizer(objects)
        self._reviewer = reviews.Reviewer(self._authorizer, tokens, objects)
        self._decoder = protobuf.load(objects.types)
        self._interference = interference
        self._control = control
        self._logs = log_files
        self._hosts: frozenset[str] = frozenset()
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.2
        )

    async def start(self, port: int, tls: ssl.SSLContext) -> int:
        """Listen on 127.0.0.1 (port 0: any free one) and return the port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise errors.SandboxError(
                f"Port {port} on 127.0.0.1 cannot be listened on ({os.strerror(error.errno or 0)}); "
                "choose another with --port."
            ) from error
        taken = int(self._runner.addresses[0][1])
        self._hosts = frozenset(f"{host}:{taken}" for host in ("127.0.0.1", "localhost", "[::1]"))
        return taken

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            user = self._admit(request)
            return await self._interference.around(request, lambda asked: self._answer(asked, user))
        except status.Refusal as refusal:
            headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else None
            return _json(refusal.body(), refusal.code, headers)

    def _admit(self, request: web.BaseRequest) -> rbac.User:
        if request.headers.get("Host", "").lower() not in self._hosts:
            raise status.forbidden("this server answers to 127.0.0.1 and localhost only")
        user = self._tokens.user(request)
        other = authentication.impersonated(request)
        if other is None:
            return user
        if not user.is_master:
            raise rbac.Act("impersonate", resource="users", name=other.name).refusal(user)
        return other

    async def _answer(self, request: web.BaseRequest, user: rbac.User) -> web.StreamResponse:
        steps = [step for step in request.path.split("/") if step]
        if self._reviewer.is_review(steps) and request.method == "POST":
            body = await bodies.read_object(request, self._decoder)
            return _json(self._reviewer.answer(steps, body, user), 201)
        if (found := await self._answer_about_itself(request, steps, user)) is not None:
            return found
        what = target.parse(self._kinds, steps)
        self._authorizer.check(user, _act(request, what))
        match request.method:
            case "GET" | "HEAD":
                return await self._read(request, what)
            case "POST":
                return await self._create(request, what, user)
            case "PUT" | "PATCH":
                return await self._change(request, what, user)
            case "DELETE":
                return await self._delete(request, what)
            case _:
                raise _method_not_allowed()

    async def _answer_about_itself(
        self, request: web.BaseRequest, steps: list[str], user: rbac.User
    ) -> web.Response | None:
        """Answer what is not about objects: health, discovery, the sandbox's own faults."""
        if steps[:1] not in (["api"], ["apis"]):
            self._authorizer.check(user, rbac.Act(request.method.lower(), path=request.path))
        if steps in (["healthz"], ["livez"], ["readyz"]):
            return web.Response(text="ok")
        if request.path.startswith(endpoint.PREFIX):
            return await self._control.answer(request)
        if request.method != "GET":
            return None
        found = discovery.answer(self._kinds, steps) or openapi.answer(self._kinds, self._objects.types, steps)
        return None if found is None else _json(found)

    async def _read(self, request: web.BaseRequest, what: target.Target) -> web.StreamResponse:
        if what.part in kinds.POSTED:
            raise _method_not_allowed()
        if what.part == "log":
            return await logs.answer(request, self._objects.get(what.kind, what.namespace, what.name), self._logs)
        dressed = self._dress(request, what.kind)
        if what.name and not query.flag(request.query, "watch"):
            return _json(dressed.one(self._objects.get(what.kind, what.namespace, what.name)))
        asked = query.parse(what.kind, request.query, what.name)
        if asked.is_watch:
            return await self._watch(request, what, asked, dressed)
        return _json(dressed.many(*await listing.page(self._objects, what, asked)))

    def _dress(self, request: web.BaseRequest, kind: kinds.Kind) -> dress.Dress:
        return dress.choose(request.headers.get("Accept", ""), request.query, kind, self._objects.now)

    async def _watch(
        self, request: web.BaseRequest, what: target.Target, asked: query.Query, dressed: dress.Dress
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            await self._interference.follow(
                request,
                what,
                asked,
                lambda send: watching.stream(self._objects, what, asked, dressed.one, send),
                response.write,
            )
            await response.write_eof()
        except ConnectionError:
            pass  # the client has left
        return response

    async def _create(self, request: web.BaseRequest, what: target.Target, user: rbac.User) -> web.Response:
        body = await bodies.read_object(request, self._decoder)
        if what.part == "token":
            return _json(self._reviewer.token(what.namespace, what.name, body), 201)
        if what.part == "eviction":
            return _json(evictions.evict(self._objects, what.namespace, what.name, body), 201)
        if what.name:
            raise _method_not_allowed()
        _check_identity(what.kind, body)
        if what.kind.is_namespaced and not what.namespace:
            raise status.bad_request("an empty namespace may not be set during creation")

        def write(manner: registry.Manner) -> schema.Object:
            return self._objects.create(what.kind, what.namespace, body, manner)

        return self._store(what, user, bodies.manner(request), write, 201)

    async def _change(self, request: web.BaseRequest, what: target.Target, user: rbac.User) -> web.Response:
        if not what.name or what.part not in ("", "status"):
            raise _method_not_allowed()
        place = (what.kind, what.namespace, what.name)
        manner = bodies.manner(request, what.part)
        if request.content_type == patches.JSON:
            body = await bodies.read(request, self._decoder)
        else:
            body = await bodies.read_object(request, self._decoder)
        if request.content_type == patches.APPLY and request.method == "PATCH":
            return self._apply(request, what, user, body)
        if request.method == "PUT":
            _check_identity(what.kind, body)

        def write(manner: registry.Manner) -> schema.Object:
            if request.method == "PUT":
                return self._objects.replace(*place, body, manner)
            return self._objects.patch(*place, body, request.content_type, manner=manner)

        return self._store(what, user, manner, write)

    def _apply(
        self, request: web.BaseRequest, what: target.Target, user: rbac.User, body: schema.Object
    ) -> web.Response:
        if "fieldManager" not in request.query:
            missing = schema.Finding(
                "fieldManager", "FieldValueRequired", "Required value: is required for apply patch"
            )
            raise status.invalid("meta.k8s.io", "PatchOptions", "", [missing])
        _check_identity(what.kind, body)
        is_new = self._objects.find(what.kind, what.namespace, what.name) is None
        if is_new:
            self._authorizer.check(
                user, rbac.Act("create", what.kind.group, what.kind.plural, what.part, what.namespace, what.name)
            )

        def write(manner: registry.Manner) -> schema.Object:
            return self._objects.apply(what.kind, what.namespace, what.name, body, manner)

        return self._store(what, user, bodies.manner(request, what.part), write, 201 if is_new else 200)

    def _store(
        self, what: target.Target, user: rbac.User, manner: registry.Manner, write: _Write, code: int = 200
    ) -> web.Response:
        """Write, and answer with what is stored. Nobody gives more than they have: a role's writer, or a binding's."""
        if what.kind.group == rbac.GROUP and not user.is_master:
            wanted = write(dataclasses.replace(manner, is_dry=True, warnings=None))
            self._authorizer.check_grant(user, what.namespace, wanted)
        answer = _json(write(manner), code)
        for warning in manner.warnings or []:
            answer.headers.add("Warning", f"299 - {json.dumps(warning)}")
        return answer

    async def _delete(self, request: web.BaseRequest, what: target.Target) -> web.Response:
        how = bodies.deletion(request.query, await bodies.read_object(request, self._decoder), self._objects.types)
        if what.name:
            return _json(self._objects.delete(what.kind, what.namespace, what.name, how))
        asked = query.parse(what.kind, request.query)
        found, metadata = await listing.page(self._objects, what, asked)
        for one in found:
            self._objects.delete(what.kind, one["metadata"].get("namespace", ""), one["metadata"]["name"], how)
        return _json(self._dress(request, what.kind).many(found, metadata))


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def _act(request: web.BaseRequest, what: target.Target) -> rbac.Act:
    """Say what a request wants to do, in the words of roles."""
    if request.method in ("GET", "HEAD"):
        verb = "watch" if query.flag(request.query, "watch") else "get" if what.name else "list"
    elif request.method == "DELETE":
        verb = "delete" if what.name else "deletecollection"
    else:
        verb = _VERBS.get(request.method, request.method.lower())
    return rbac.Act(verb, what.kind.group, what.kind.plural, what.part, what.namespace, what.name)


def _check_identity(kind: kinds.Kind, body: schema.Object) -> None:
    """Refuse a body that is of another kind than its path says."""
    if (body.get("apiVersion", kind.api_version), body.get("kind", kind.kind)) != (kind.api_version, kind.kind):
        raise status.bad_request(
            f"the API version in the data ({body.get('apiVersion')}, Kind={body.get('kind')}) does not match "
            f"the expected API version ({kind.api_version}, Kind={kind.kind})"
        )


def _method_not_allowed() -> status.Refusal:
    message = "the server does not allow this method on the requested resource"
    return status.Refusal(405, "MethodNotAllowed", message)


def _json(body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(text=text, status=code, headers=headers, content_type="application/json")
