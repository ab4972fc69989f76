"""Calls to the API server: the only place that imports the official Kubernetes client.

Objects go in and come out as plain dictionaries. Every call has a connect and a read time-out and is made once: whether
and when it is made again is decided elsewhere. What goes wrong is one of three things: the server refuses it
(``Refusal``), the server cannot be asked now (``PlatformUnavailableError``), or there is no way to ask it at all
(``PlatformError``).
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import urllib3

from nni import errors

_log = logging.getLogger(__name__)

Object = dict[str, Any]
_Result = TypeVar("_Result")

FIELD_MANAGER = "nni-kubeflow"
THREADS = 8
"""Calls under way at once."""
WATCHES = 4
"""Watches that hold a connection each."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
PAGE = 500
WATCH_SECONDS = 290
"""After so long the server ends a watch; proxies cut connections that live longer."""
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that has gone without a word is noticed after a minute."""


class Refusal(Exception):  # noqa: N818 it is the server's answer, and callers handle it as one
    """The API server refused a request.

    Attributes:
        code: The HTTP status.
        reason: As in the Status object: ``NotFound``, ``AlreadyExists``, ``Conflict``, ``Forbidden`` ...
        message: The server's own sentence.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object, as a path of the API names it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str


PODS = Resource(group="", version="v1", plural="pods")


class Page(NamedTuple):
    """A part of a list."""

    items: Sequence[Object]
    version: str
    """The resourceVersion of the whole list."""
    rest: str | None
    """The token that continues the list."""


class _Apis(NamedTuple):
    """The official client's interfaces over one set of credentials."""

    api: Any
    core: Any
    custom: Any
    groups: Any


class Stream:
    """An open watch; read in one thread, closed from any."""

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response

    def batches(self) -> Iterator[list[Object]]:
        """Yield the events as they come, those that came together in one list, until the stream ends.

        Raises:
            PlatformUnavailableError: The connection broke.
        """
        left = b""
        try:
            for chunk in self._response.stream(65536, decode_content=True):
                *lines, left = (left + chunk).split(b"\n")
                events = [json.loads(line) for line in lines if line.strip()]
                if events:
                    yield events
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # A stream that is shut down while it is read may show as any of these.
            raise errors.PlatformUnavailableError(f"the watch broke off: {_words(error)}") from error
        finally:
            self._response.release_conn()
            self._response.close()

    def shut_down(self) -> None:
        """End the stream: whoever reads it sees its end at once."""
        try:
            self._response.shutdown()
        except (ValueError, OSError):
            _log.debug("the watch had ended already")


class Client:
    """One namespace of one cluster."""

    def __init__(self, load: Callable[[], Any], namespace: str) -> None:
        """Load the credentials.

        Args:
            load: Returns an ApiClient with fresh credentials; called again when they are refused.
            namespace: Where everything happens.

        Raises:
            PlatformError: The credentials cannot be loaded.
        """
        self.namespace = namespace
        self._load = load
        self._apis = _apis(load())
        self._loading = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="kubernetes")

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._apis.api.configuration.host)

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Make a call of this client in one of its threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Close the connections; calls that are under way may finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._apis.api.close()

    def served(self) -> Mapping[str, Sequence[str]]:
        """Return the served versions of each API group, the preferred one first."""
        found = self._ask(lambda apis, how: apis.groups.get_api_versions(**how))
        versions = {}
        for group in found["groups"]:
            first = group.get("preferredVersion", {}).get("version")
            listed = [entry["version"] for entry in group["versions"]]
            versions[group["name"]] = sorted(listed, key=lambda version: version != first)
        return versions

    def plurals(self, group: str, version: str) -> frozenset[str]:
        """Return the resources that a version of a group has."""
        found = self._ask(lambda apis, how: apis.custom.get_api_resources(group, version, **how))
        return frozenset(entry["name"] for entry in found["resources"])

    def page(self, resource: Resource, selector: str, rest: str | None = None) -> Page:
        """Return one page of a list, the first one unless ``rest`` continues another."""
        more = {} if rest is None else {"_continue": rest}
        found = self._ask(
            lambda apis, how: self._lister(apis, resource)(label_selector=selector, limit=PAGE, **more, **how)
        )
        metadata = found["metadata"]
        return Page(found["items"], metadata["resourceVersion"], metadata.get("continue") or None)

    def watch(self, resource: Resource, selector: str, version: str, seconds: int) -> Stream:
        """Open a watch from a version on; the server ends it after so many seconds."""
        response = self._open(
            lambda apis, how: self._lister(apis, resource)(
                label_selector=selector,
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=seconds,
                watch=True,
                **how | {"_request_timeout": (CONNECT_SECONDS, seconds + READ_SECONDS)},
            )
        )
        return Stream(response)

    def _lister(self, apis: _Apis, resource: Resource) -> Callable[..., Any]:
        if resource == PODS:
            return functools.partial(apis.core.list_namespaced_pod, self.namespace)
        return functools.partial(apis.custom.list_namespaced_custom_object, *self._place(resource))

    def get(self, resource: Resource, name: str) -> Object:
        """Return an object of a custom kind."""
        place = self._place(resource)
        return self._ask(lambda apis, how: apis.custom.get_namespaced_custom_object(*place, name, **how))

    def create(self, resource: Resource, body: Object) -> Object:
        """Create an object of a custom kind; fields that the server does not know are refused."""
        place = self._place(resource)
        manner = {"field_manager": FIELD_MANAGER, "field_validation": "Strict"}
        return self._ask(lambda apis, how: apis.custom.create_namespaced_custom_object(*place, body, **manner, **how))

    def delete(self, resource: Resource, name: str, uid: str | None) -> None:
        """Delete an object of a custom kind, its pods first; with ``uid`` only if it is that very object."""
        place = self._place(resource)
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        self._ask(lambda apis, how: apis.custom.delete_namespaced_custom_object(*place, name, body=body, **how))

    def secret(self, name: str) -> Object:
        """Return a Secret, its values in base64."""
        return self._ask(lambda apis, how: apis.core.read_namespaced_secret(name, self.namespace, **how))

    def create_secret(self, body: Object) -> None:
        """Create a Secret."""
        self._ask(
            lambda apis, how: apis.core.create_namespaced_secret(
                self.namespace, body, field_manager=FIELD_MANAGER, **how
            )
        )

    def patch_secret(self, name: str, body: Object) -> None:
        """Merge changes into a Secret."""
        self._ask(
            lambda apis, how: apis.core.patch_namespaced_secret(
                name, self.namespace, body, field_manager=FIELD_MANAGER, **how
            )
        )

    def delete_secret(self, name: str) -> None:
        """Delete a Secret."""
        self._ask(lambda apis, how: apis.core.delete_namespaced_secret(name, self.namespace, **how))

    def _place(self, resource: Resource) -> tuple[str, str, str, str]:
        return resource.group, resource.version, self.namespace, resource.plural

    def _ask(self, call: Callable[[_Apis, dict[str, Any]], Any]) -> Object:
        """Make a call and return the object that it answers with."""
        response = self._open(call)
        try:
            answer: Object = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise errors.PlatformUnavailableError(self._unreachable(error)) from error
        except ValueError as error:
            raise errors.PlatformUnavailableError(f"{self.server} does not answer as an API server.") from error
        finally:
            response.release_conn()
        return answer

    def _open(self, call: Callable[[_Apis, dict[str, Any]], Any]) -> Any:
        """Make a call, once more with fresh credentials when the present ones are refused."""
        apis = self._apis
        try:
            return self._made(call, apis)
        except Refusal as refusal:
            if refusal.code != 401:
                raise
        try:
            return self._made(call, self._reloaded(apis))
        except Refusal as refusal:
            if refusal.code != 401:
                raise
            raise errors.PlatformUnavailableError(
                f"The API server at {self.server} does not accept the credentials of the kubeconfig; renew them."
            ) from refusal

    def _made(self, call: Callable[[_Apis, dict[str, Any]], Any], apis: _Apis) -> Any:
        from kubernetes import client  # noqa: PLC0415 seconds of import, loaded already where this runs

        how = {"_preload_content": False, "_request_timeout": (CONNECT_SECONDS, READ_SECONDS)}
        try:
            return call(apis, how)
        except client.ApiException as error:
            raise self._mapped(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise errors.PlatformUnavailableError(self._unreachable(error)) from error

    def _reloaded(self, refused: _Apis) -> _Apis:
        with self._loading:
            if self._apis is refused:
                self._apis = _apis(self._load())
            return self._apis

    def _mapped(self, error: Any) -> Exception:
        code = int(error.status or 0)
        if code == 0:
            return self._untrusted(str(error.reason))
        try:
            answer = json.loads(error.body)
            reason, message = str(answer.get("reason", "")), str(answer.get("message") or error.reason)
        except (ValueError, TypeError, AttributeError):
            reason, message = "", f"{code} {error.reason}"
        if code == 429 or code >= 500:
            return errors.PlatformUnavailableError(f"The API server at {self.server} asks to wait: {message}")
        return Refusal(code, reason, message)

    def _untrusted(self, reason: str) -> Exception:
        """Return the error for a failure of TLS: a certificate stays wrong, a broken handshake may not."""
        words = reason.splitlines()[-1].strip()
        if "certificate" not in words.lower():
            return errors.PlatformUnavailableError(f"The API server at {self.server} does not answer: {words}")
        return errors.PlatformError(
            f"The API server at {self.server} cannot be trusted: {words}; correct certificate-authority in the "
            "kubeconfig."
        )

    def _unreachable(self, error: BaseException) -> str:
        return f"The API server at {self.server} does not answer: {_words(error)}"


def connect(environment: Mapping[str, str], namespace: str) -> Client:
    """Return a client for the cluster that the environment points to.

    Looked for in this order: the files in ``KUBECONFIG``, ``~/.kube/config``, the service account of the pod that this
    runs in.

    Raises:
        PlatformError: There is none, or it cannot be used.
    """
    return Client(lambda: _api_client(environment), namespace)


def _api_client(environment: Mapping[str, str]) -> Any:
    import kubernetes  # noqa: PLC0415 takes seconds, and needs no experiment but those on a cluster
    import yaml  # noqa: PLC0415

    configuration = kubernetes.client.Configuration()
    configuration.retries = False
    configuration.connection_pool_maxsize = THREADS + WATCHES
    file = _kubeconfig(environment)
    try:
        if file is None:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
        else:
            kubernetes.config.load_kube_config(file, client_configuration=configuration, persist_config=False)
    except (kubernetes.config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError) as error:
        raise errors.PlatformError(
            f"The kubeconfig {file or 'of this pod'} cannot be used: {_words(error)}; see `kubectl config view`."
        ) from error
    api = kubernetes.client.ApiClient(configuration)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _KEEP_ALIVE if hasattr(socket, name)
    ]
    pools = api.rest_client.pool_manager.connection_pool_kw
    pools["socket_options"] = [*urllib3.connection.HTTPConnection.default_socket_options, *options]
    return api


def _kubeconfig(environment: Mapping[str, str]) -> str | None:
    """Return the kubeconfig to read, None for the pod's own service account."""
    named = environment.get("KUBECONFIG")
    if named:
        if not any(Path(one).is_file() for one in named.split(os.pathsep) if one):
            raise errors.PlatformError(f"KUBECONFIG names {named}, which does not exist; correct it or unset it.")
        return named
    usual = Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"
    if usual.is_file():
        return str(usual)
    if "KUBERNETES_SERVICE_HOST" in environment:
        return None
    raise errors.PlatformError(
        "There is no kubeconfig: set KUBECONFIG to one, or copy it to ~/.kube/config; without a cluster, run "
        "`nnictl sandbox -- COMMAND`, or trials as processes with Experiment('local')."
    )


def _apis(api: Any) -> _Apis:
    from kubernetes import client  # noqa: PLC0415 loaded already where this runs

    return _Apis(api, client.CoreV1Api(api), client.CustomObjectsApi(api), client.ApisApi(api))


def _words(error: BaseException) -> str:
    """Return what an error says, without the innards that libraries print with it."""
    text = str(error).strip() or type(error).__name__
    return text.rpartition(">: ")[2].splitlines()[0]
