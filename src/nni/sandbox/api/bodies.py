"""What a request carries: its body in any encoding, and how a write or a deletion is to be done."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from nni.sandbox import registry, schema, status
from nni.sandbox.api import protobuf, query

_LARGEST = 3 * 1024 * 1024
_LONGEST_MANAGER = 128


async def read(request: web.BaseRequest, decoder: protobuf.Decoder) -> Any:
    """Read the body; an empty one is an empty object. Raises the refusal for one that cannot be read."""
    raw = await request.read()
    if len(raw) > _LARGEST:
        raise status.Refusal(413, "RequestEntityTooLarge", f"limit is {_LARGEST}")
    if not raw:
        return {}
    if request.content_type == protobuf.MEDIA:
        return decoder.decode(raw)
    try:
        return json.loads(raw)
    except ValueError as error:
        if request.content_type.endswith("yaml"):
            return await asyncio.to_thread(_yaml, raw)
        raise status.bad_request(f"the body is not JSON: {error}") from error


async def read_object(request: web.BaseRequest, decoder: protobuf.Decoder) -> schema.Object:
    """Read a body that has to be an object. Raises the refusal for one that is not."""
    body = await read(request, decoder)
    if not isinstance(body, dict):
        raise status.bad_request("the body is not an object")
    return body


def check(types: schema.Types, kind: str, body: schema.Object) -> None:
    """Raise the 400 refusal for a body that is not of a type: for what is asked and never stored."""
    _, report = types.check(kind, body)
    if report.findings:
        first = report.findings[0]
        raise status.bad_request(f"{kind} cannot be read: {first.path}: {first.message}")


def _yaml(raw: bytes) -> Any:
    import yaml  # noqa: PLC0415 - few requests need it, and every start would pay for it

    try:
        # The loader in C is safe too, and forty times as fast on a definition of a megabyte.
        return yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise status.bad_request(f"the body is not YAML: {error}") from error


def manner(request: web.BaseRequest, part: str = "") -> registry.Manner:
    """Read how a write is to be done, and by whom: the ``fieldManager``, else the program that asks."""
    given = request.query
    program = request.headers.get("User-Agent", "").partition("/")[0]
    return registry.Manner(
        part=part,
        is_dry=given.get("dryRun") == "All",
        is_strict=given.get("fieldValidation") == "Strict",
        warnings=[] if given.get("fieldValidation", "Warn") == "Warn" else None,
        manager=(given.get("fieldManager") or program or "unknown")[:_LONGEST_MANAGER],
        is_forced=query.flag(given, "force"),
    )


def deletion(given: Mapping[str, str], body: schema.Object, types: schema.Types) -> registry.Deletion:
    """Read how an object is to be deleted. Raises the 400 refusal."""
    check(types, "DeleteOptions", body)
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", given.get("gracePeriodSeconds"))
    orphans = body.get("orphanDependents") or query.flag(given, "orphanDependents")
    policy = body.get("propagationPolicy") or given.get("propagationPolicy") or ("Orphan" if orphans else "")
    return registry.Deletion(
        grace=None if grace is None else query.integer({"gracePeriodSeconds": str(grace)}, "gracePeriodSeconds"),
        policy=policy,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        is_dry="All" in (body.get("dryRun") or [given.get("dryRun")]),
    )
