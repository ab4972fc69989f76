"""Lists: pages that all show the same moment, and tokens that expire."""

import asyncio
import base64
import binascii
import json

from nni.sandbox import registry, schema, status, store
from nni.sandbox.api import query, target

_PATIENCE = 3.0
"""Seconds that a list waits for a version that does not exist yet."""
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


async def page(
    objects: registry.Registry, what: target.Target, asked: query.Query
) -> tuple[list[schema.Object], schema.Object]:
    """Return the objects of one page and the list's metadata."""
    version, start = _moment(objects.store, asked)
    if version > objects.store.version:
        await asyncio.sleep(_PATIENCE)
        raise _future(version, objects.store.version)
    try:
        entries = objects.store.scan(what.kind.resource, what.namespace, version)
    except store.CompactedError as error:
        if start:
            raise status.expired(_TOO_OLD, _token(objects.store.version, start)) from error
        raise status.expired("The resourceVersion for the provided list is too old.") from error
    found = [(key, one) for key, one in entries if (not start or list(key) > start) and asked.matches(one)]
    metadata: schema.Object = {"resourceVersion": str(version)}
    if asked.limit and len(found) > asked.limit:
        metadata["continue"] = _token(version, list(found[asked.limit - 1][0]))
        if not asked.is_selective:
            metadata["remainingItemCount"] = len(found) - asked.limit
        found = found[: asked.limit]
    return [one for _, one in found], metadata


def too_old(version: int, current: int) -> status.Refusal:
    """410 for a watch from a version that is no longer kept."""
    return status.expired(f"too old resource version: {version} ({current})")


def _future(version: int, current: int) -> status.Refusal:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return status.Refusal(504, "Timeout", message, {"causes": causes}, retry_after=1)


def _moment(objects: store.Store, asked: query.Query) -> tuple[int, list[str]]:
    if asked.token:
        try:
            read = json.loads(base64.urlsafe_b64decode(asked.token + "=" * (-len(asked.token) % 4)))
            return int(read["rv"]), list(read["start"])
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise status.bad_request("continue key is not valid") from error
    if asked.match == "Exact" and asked.version is not None:
        return asked.version, []
    if asked.version is not None and asked.version > objects.version:
        return asked.version, []
    return objects.version, []


def _token(version: int, start: list[str]) -> str:
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
