"""``pods/log``: what a container has written, from the beginning or the tail, and as it comes."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from aiohttp import web

from nni.sandbox import schema, status
from nni.sandbox.api import query


class Source(Protocol):
    """Where logs are kept (the kubelet)."""

    def read(self, uid: str, container: str, options: "Options") -> AsyncIterator[bytes]:
        """Yield the log of a container of the pod with that uid. Raises LookupError when there is none."""
        ...


class Options:
    """What part of a log is wanted."""

    def __init__(self, given: Mapping[str, str]) -> None:
        try:
            self.tail = int(given["tailLines"]) if "tailLines" in given else None
            self.limit = int(given["limitBytes"]) if "limitBytes" in given else None
            self.seconds = int(given["sinceSeconds"]) if "sinceSeconds" in given else None
        except ValueError as error:
            raise status.bad_request(f"a parameter of the log request is not a number: {error}") from error
        self.follow = query.flag(given, "follow")
        self.timestamps = query.flag(given, "timestamps")
        self.previous = query.flag(given, "previous")


async def answer(request: web.BaseRequest, pod: schema.Object, source: Source) -> web.StreamResponse:
    """Answer a log request for a pod."""
    name, container = pod["metadata"]["name"], _container(pod, request.query.get("container", ""))
    options = Options(request.query)
    state = _state(pod, container)
    if "waiting" in state or not state:
        why = state.get("waiting", {}).get("reason", "ContainerCreating")
        raise status.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
    try:
        chunks = source.read(pod["metadata"]["uid"], container, options)
    except LookupError as error:
        which = "previous terminated " if options.previous else ""
        raise status.bad_request(f'{which}container "{container}" in pod "{name}" not found') from error
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        pass  # the client has left
    return response


def _container(pod: schema.Object, asked: str) -> str:
    spec = pod["spec"]
    names = [one["name"] for one in spec["containers"]]
    initial = [one["name"] for one in spec.get("initContainers", [])]
    if asked:
        if asked not in names + initial:
            raise status.bad_request(f"container {asked} is not valid for pod {pod['metadata']['name']}")
        return asked
    if len(names) > 1:
        raise status.bad_request(
            f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{' '.join(names)}]"
            + (f" or one of the init containers: [{' '.join(initial)}]" if initial else "")
        )
    return str(names[0])


def _state(pod: schema.Object, container: str) -> schema.Object:
    found = pod.get("status", {})
    for one in found.get("containerStatuses", []) + found.get("initContainerStatuses", []):
        if one["name"] == container:
            state: schema.Object = one.get("state", {})
            # One that waits to be started again still shows what it wrote last.
            return state if "waiting" not in state else one.get("lastState") or state
    return {}
