"""The HTTP server: who asks, for what, and in which dress the answer goes."""

import asyncio
import hmac
import json
import os
import ssl
from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from nni import errors
from nni.sandbox import kinds, patches, registry, schema, status, tables
from nni.sandbox.api import discovery, listing, logs, openapi, query, reviews, target, watching
from nni.sandbox.faults import endpoint, requests

_LARGEST_BODY = 3 * 1024 * 1024


class Server:
    """Serves one cluster on loopback."""

    def __init__(
        self,
        objects: registry.Registry,
        served: kinds.Kinds,
        tokens: Collection[str],
        log_files: logs.Source,
        *,
        interference: requests.Interference,
        control: endpoint.Endpoint,
    ) -> None:
        self._objects = objects
        self._kinds = served
        self._tokens = tokens
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
            self._admit(request)
            return await self._interference.around(request, self._answer)
        except status.Refusal as refusal:
            headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else None
            return _json(refusal.body(), refusal.code, headers)

    def _admit(self, request: web.BaseRequest) -> None:
        if request.headers.get("Host", "").lower() not in self._hosts:
            raise status.forbidden("this server answers to 127.0.0.1 and localhost only")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_known = any(hmac.compare_digest(token.encode(), each.encode()) for each in self._tokens)
        if scheme.lower() != "bearer" or not is_known:
            raise status.Refusal(401, "Unauthorized", "Unauthorized")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        steps = [step for step in request.path.split("/") if step]
        found = await self._answer_about_itself(request, steps)
        if found is not None:
            return found
        what = target.parse(self._kinds, steps)
        match request.method:
            case "GET" | "HEAD":
                return await self._read(request, what)
            case "POST":
                return await self._create(request, what)
            case "PUT" | "PATCH":
                return await self._change(request, what)
            case "DELETE":
                return await self._delete(request, what)
            case _:
                raise _method_not_allowed()

    async def _answer_about_itself(self, request: web.BaseRequest, steps: list[str]) -> web.Response | None:
        """Answer what is not about objects: health, discovery, reviews, the sandbox's own faults."""
        if steps in (["healthz"], ["livez"], ["readyz"]):
            return web.Response(text="ok")
        if request.path.startswith(endpoint.PREFIX):
            return await self._control.answer(request)
        if request.method == "GET":
            found = discovery.answer(self._kinds, steps) or self._describe(steps)
            return None if found is None else _json(found)
        if request.method == "POST" and reviews.answer(steps, {}) is not None:
            return _json(reviews.answer(steps, await _body(request)), 201)
        return None

    def _describe(self, steps: list[str]) -> schema.Object | None:
        match steps:
            case ["openapi", "v3"]:
                return openapi.index(self._kinds)
            case ["openapi", "v3", "api", version]:
                return openapi.document(self._kinds, self._objects.types, "", version)
            case ["openapi", "v3", "apis", group, version]:
                return openapi.document(self._kinds, self._objects.types, group, version)
            case _:
                return None

    async def _read(self, request: web.BaseRequest, what: target.Target) -> web.StreamResponse:
        if what.part == "log":
            return await logs.answer(request, self._objects.get(what.kind, what.namespace, what.name), self._logs)
        dress = self._dress(request, what.kind)
        if what.name and not query.flag(request.query, "watch"):
            found = self._objects.get(what.kind, what.namespace, what.name)
            return _json(dress([found], {"resourceVersion": found["metadata"]["resourceVersion"]}) if dress else found)
        asked = query.parse(what.kind, request.query)
        if asked.is_watch:
            return await self._watch(request, what, asked, dress)
        found_all, metadata = await listing.page(self._objects, what, asked)
        if dress:
            return _json(dress(found_all, metadata))
        return _json(_list(what.kind, found_all, metadata))

    def _dress(self, request: web.BaseRequest, kind: kinds.Kind) -> "_Dress | None":
        accepted = request.headers.get("Accept", "").replace(" ", "").split(",")[0]
        if "as=Table" not in accepted:
            return None
        return _Dress(kind, request.query.get("includeObject", "Metadata"), self._objects)

    async def _watch(
        self, request: web.BaseRequest, what: target.Target, asked: query.Query, dress: "_Dress | None"
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        def dressed(found: schema.Object) -> schema.Object:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            return dress([found], version) if dress else found

        try:
            await self._interference.follow(
                request,
                what,
                asked,
                lambda send: watching.stream(self._objects, what, asked, dressed, send),
                response.write,
            )
            await response.write_eof()
        except ConnectionError:
            pass  # the client has left
        return response

    async def _create(self, request: web.BaseRequest, what: target.Target) -> web.Response:
        if what.name:
            raise _method_not_allowed()
        body = await _body(request)
        for name, expected in (("apiVersion", what.kind.api_version), ("kind", what.kind.kind)):
            if body.get(name, expected) != expected:
                raise status.bad_request(
                    f"the API version in the data ({body.get('apiVersion')}, Kind={body.get('kind')}) does not match "
                    f"the expected API version ({what.kind.api_version}, Kind={what.kind.kind})"
                )
        if what.kind.is_namespaced and not what.namespace:
            raise status.bad_request("an empty namespace may not be set during creation")
        return _json(self._objects.create(what.kind, what.namespace, body, _manner(request.query)), 201)

    async def _change(self, request: web.BaseRequest, what: target.Target) -> web.Response:
        place = (what.kind, what.namespace, what.name)
        body, manner = await _body(request), _manner(request.query, what.part)
        if request.method == "PUT":
            return _json(self._objects.replace(*place, body, manner))
        media = request.content_type
        if media == patches.APPLY and self._objects.find(*place) is None:
            return _json(self._objects.create(what.kind, what.namespace, body, manner), 201)
        return _json(self._objects.patch(*place, body, media, manner=manner))

    async def _delete(self, request: web.BaseRequest, what: target.Target) -> web.Response:
        how = _deletion(request.query, await _body(request))
        if what.name:
            return _json(self._objects.delete(what.kind, what.namespace, what.name, how))
        asked = query.parse(what.kind, request.query)
        found, metadata = await listing.page(self._objects, what, asked)
        for one in found:
            self._objects.delete(what.kind, one["metadata"].get("namespace", ""), one["metadata"]["name"], how)
        return _json(_list(what.kind, found, metadata))


class _Dress:
    """Turns objects into a Table."""

    def __init__(self, kind: kinds.Kind, include: str, objects: registry.Registry) -> None:
        self._kind = kind
        self._include = include
        self._objects = objects

    def __call__(self, found: list[schema.Object], metadata: schema.Object) -> schema.Object:
        return tables.table(self._kind, found, metadata, self._include, self._objects.now())


def _method_not_allowed() -> status.Refusal:
    message = "the server does not allow this method on the requested resource"
    return status.Refusal(405, "MethodNotAllowed", message)


def _list(kind: kinds.Kind, found: list[schema.Object], metadata: schema.Object) -> schema.Object:
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": found}


def _json(body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(text=text, status=code, headers=headers, content_type="application/json")


async def _body(request: web.BaseRequest) -> Any:
    raw = await request.read()
    if len(raw) > _LARGEST_BODY:
        raise status.Refusal(413, "RequestEntityTooLarge", f"limit is {_LARGEST_BODY}")
    if not raw:
        return {}
    if request.content_type.endswith("yaml"):
        return await asyncio.to_thread(_yaml, raw)
    if "protobuf" in request.content_type:
        raise status.Refusal(415, "UnsupportedMediaType", "the sandbox reads JSON and YAML, not protobuf")
    try:
        return json.loads(raw)
    except ValueError as error:
        raise status.bad_request(f"the body is not JSON: {error}") from error


def _yaml(raw: bytes) -> Any:
    import yaml  # noqa: PLC0415 - few requests need it, and every start would pay for it

    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise status.bad_request(f"the body is not YAML: {error}") from error


def _manner(given: Mapping[str, str], part: str = "") -> registry.Manner:
    return registry.Manner(
        part=part, is_dry=given.get("dryRun") == "All", is_strict=given.get("fieldValidation") == "Strict"
    )


def _deletion(given: Mapping[str, str], body: schema.Object) -> registry.Deletion:
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", given.get("gracePeriodSeconds"))
    orphans = body.get("orphanDependents") or query.flag(given, "orphanDependents")
    policy = body.get("propagationPolicy") or given.get("propagationPolicy") or ("Orphan" if orphans else "")
    return registry.Deletion(
        grace=None if grace is None else int(grace),
        policy=policy,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        is_dry="All" in (body.get("dryRun") or [given.get("dryRun")]),
    )
