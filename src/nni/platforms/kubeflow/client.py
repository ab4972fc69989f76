"""Calls to the API server: the only place that imports the official Kubernetes client.

Objects go in and come out as plain dictionaries. Every call has a connect and a read time-out and is made once: whether
and when it is made again is decided elsewhere. What goes wrong is one of three things: the server refuses it
(``Refusal``), the server cannot be asked now (``PlatformUnavailableError``), or there is no way to ask it at all
(``PlatformError``).
"""

import asyncio
import concurrent.futures
import functools
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import urllib3

from nni import errors
from nni.platforms.kubeflow import api, kubeconfig

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

FIELD_MANAGER = "nni-kubeflow"
THREADS = 8
"""Calls under way at once."""
WATCHES = 4
"""Watches that hold a connection each."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
BUSY_SECONDS = 15.0
"""How long a server that is busy is asked again when an experiment starts or ends."""
PAGE = 500
WATCH_SECONDS = 290
"""After so long the server ends a watch; proxies cut connections that live longer."""
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that has gone without a word is noticed after a minute."""


class _Apis(NamedTuple):
    """The official client's interfaces over one set of credentials."""

    api: Any
    core: Any
    custom: Any
    groups: Any
    version: Any
    authentication: Any
    authorization: Any


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

    async def insist(self, call: Callable[[], _Result]) -> _Result:
        """Make a call of this client, again and again for a while when the server is busy.

        For calls that may be repeated, and that nobody else repeats.
        """
        pause = 0.2
        while True:
            try:
                return await self.run(call)
            except errors.PlatformBusyError as error:
                if pause > BUSY_SECONDS / 2:
                    raise
                _log.info("asked again: %s", error)
            await asyncio.sleep(pause)
            pause *= 2

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

    def version(self, seconds: float = READ_SECONDS) -> str:
        """Return the version of Kubernetes, as ``v1.32.0``; the server has so many seconds for its answer."""
        patience = {"_request_timeout": (CONNECT_SECONDS, seconds)}
        return str(self._ask(lambda apis, how: apis.version.get_code(**how | patience))["gitVersion"])

    def who(self) -> str:
        """Return the name under which the server knows this client."""
        body: api.Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self._ask(lambda apis, how: apis.authentication.create_self_subject_review(body, **how))
        return str(answer["status"]["userInfo"]["username"])

    def may(self, verb: str, resource: api.Resource, subresource: str = "") -> bool:
        """Return whether this client has a right in the namespace."""
        attributes = {
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": self.namespace,
        }
        body: api.Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._ask(lambda apis, how: apis.authorization.create_self_subject_access_review(body, **how))
        return bool(answer["status"]["allowed"])

    def nodes(self) -> Sequence[api.Object]:
        """Return the cluster's nodes, 500 at the most."""
        items: Sequence[api.Object] = self._ask(lambda apis, how: apis.core.list_node(limit=PAGE, **how))["items"]
        return items

    def has_namespace(self) -> bool:
        """Return whether the namespace is there."""
        try:
            self._ask(lambda apis, how: apis.core.read_namespace(self.namespace, **how))
        except api.Refusal as refusal:
            if refusal.code == 404:
                return False
            raise
        return True

    def create_pod(self, body: api.Object) -> api.Object:
        """Create a pod."""
        return self._ask(
            lambda apis, how: apis.core.create_namespaced_pod(self.namespace, body, field_manager=FIELD_MANAGER, **how)
        )

    def get_pod(self, name: str) -> api.Object:
        """Return a pod."""
        return self._ask(lambda apis, how: apis.core.read_namespaced_pod(name, self.namespace, **how))

    def delete_pod(self, name: str) -> None:
        """Delete a pod at once."""
        self._ask(
            lambda apis, how: apis.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0, **how)
        )

    def plurals(self, group: str, version: str) -> frozenset[str]:
        """Return the resources that a version of a group has."""
        found = self._ask(lambda apis, how: apis.custom.get_api_resources(group, version, **how))
        return frozenset(entry["name"] for entry in found["resources"])

    def page(self, resource: api.Resource, selector: str, rest: str | None = None) -> api.Page:
        """Return one page of a list, the first one unless ``rest`` continues another."""
        more = {} if rest is None else {"_continue": rest}
        found = self._ask(
            lambda apis, how: self._lister(apis, resource)(label_selector=selector, limit=PAGE, **more, **how)
        )
        metadata = found["metadata"]
        return api.Page(found["items"], metadata["resourceVersion"], metadata.get("continue") or None)

    def watch(self, resource: api.Resource, selector: str, version: str, seconds: int) -> api.Stream:
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
        return api.Stream(response)

    def _lister(self, apis: _Apis, resource: api.Resource) -> Callable[..., Any]:
        own = {api.PODS: apis.core.list_namespaced_pod, api.QUOTAS: apis.core.list_namespaced_resource_quota}
        if resource in own:
            return functools.partial(own[resource], self.namespace)
        return functools.partial(apis.custom.list_namespaced_custom_object, *self._place(resource))

    def events(self, uid: str) -> Sequence[api.Object]:
        """Return the events about an object."""
        found = self._ask(
            lambda apis, how: apis.core.list_namespaced_event(
                self.namespace, field_selector=f"involvedObject.uid={uid}", limit=PAGE, **how
            )
        )
        items: Sequence[api.Object] = found["items"]
        return items

    def get(self, resource: api.Resource, name: str) -> api.Object:
        """Return an object of a custom kind, of the namespace or of the whole cluster."""
        if resource.is_namespaced:
            place = self._place(resource)
            return self._ask(lambda apis, how: apis.custom.get_namespaced_custom_object(*place, name, **how))
        kind = resource.group, resource.version, resource.plural
        return self._ask(lambda apis, how: apis.custom.get_cluster_custom_object(*kind, name, **how))

    def create(self, resource: api.Resource, body: api.Object, *, is_dry: bool = False) -> api.Object:
        """Create an object of a custom kind, or only see whether that would pass; unknown fields are refused."""
        place = self._place(resource)
        manner = {"field_manager": FIELD_MANAGER, "field_validation": "Strict"}
        if is_dry:
            manner["dry_run"] = "All"
        return self._ask(lambda apis, how: apis.custom.create_namespaced_custom_object(*place, body, **manner, **how))

    def delete(self, resource: api.Resource, name: str, uid: str | None) -> None:
        """Delete an object of a custom kind, its pods first; with ``uid`` only if it is that very object."""
        place = self._place(resource)
        body: api.Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        self._ask(lambda apis, how: apis.custom.delete_namespaced_custom_object(*place, name, body=body, **how))

    def secret(self, name: str) -> api.Object:
        """Return a Secret, its values in base64."""
        return self._ask(lambda apis, how: apis.core.read_namespaced_secret(name, self.namespace, **how))

    def create_secret(self, body: api.Object) -> None:
        """Create a Secret."""
        self._ask(
            lambda apis, how: apis.core.create_namespaced_secret(
                self.namespace, body, field_manager=FIELD_MANAGER, **how
            )
        )

    def patch_secret(self, name: str, body: api.Object) -> None:
        """Merge changes into a Secret."""
        self._ask(
            lambda apis, how: apis.core.patch_namespaced_secret(
                name, self.namespace, body, field_manager=FIELD_MANAGER, **how
            )
        )

    def delete_secret(self, name: str) -> None:
        """Delete a Secret."""
        self._ask(lambda apis, how: apis.core.delete_namespaced_secret(name, self.namespace, **how))

    def _place(self, resource: api.Resource) -> tuple[str, str, str, str]:
        return resource.group, resource.version, self.namespace, resource.plural

    def _ask(self, call: Callable[[_Apis, dict[str, Any]], Any]) -> api.Object:
        """Make a call and return the object that it answers with."""
        response = self._open(call)
        try:
            answer: api.Object = json.loads(response.data)
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
        except api.Refusal as refusal:
            if refusal.code != 401:
                raise
        try:
            return self._made(call, self._reloaded(apis))
        except api.Refusal as refusal:
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
        except urllib3.exceptions.ProtocolError as error:
            # It was there, and broke off.
            raise errors.PlatformBusyError(self._unreachable(error)) from error
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
            return errors.PlatformBusyError(f"The API server at {self.server} asks to wait: {message}")
        return api.Refusal(code, reason, message)

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
        return f"The API server at {self.server} does not answer: {api.words(error)}"


def connect(environment: Mapping[str, str], namespace: str, context: str | None = None) -> Client:
    """Return a client for the cluster that the environment points to, in the kubeconfig's current context by default.

    Looked for in this order: the files in ``KUBECONFIG``, ``~/.kube/config``, the service account of the pod that this
    runs in.

    Raises:
        PlatformError: There is none, or it cannot be used.
    """
    return Client(lambda: _api_client(environment, context), namespace)


def _api_client(environment: Mapping[str, str], context: str | None) -> Any:
    import kubernetes  # noqa: PLC0415 takes seconds, and needs no experiment but those on a cluster
    import yaml  # noqa: PLC0415

    configuration = kubernetes.client.Configuration()
    configuration.retries = False
    configuration.connection_pool_maxsize = THREADS + WATCHES + 1
    file = kubeconfig.find(environment)
    if file is not None:
        kubeconfig.check_plugin(file, context, environment.get("PATH"))
    try:
        if file is None:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
        else:
            kubernetes.config.load_kube_config(
                file, context=context, client_configuration=configuration, persist_config=False
            )
    except (kubernetes.config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError) as error:
        raise errors.PlatformError(
            f"The kubeconfig {file or 'of this pod'} cannot be used: {api.words(error)}; see `kubectl config view`."
        ) from error
    made = kubernetes.client.ApiClient(configuration)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _KEEP_ALIVE if hasattr(socket, name)
    ]
    pools = made.rest_client.pool_manager.connection_pool_kw
    pools["socket_options"] = [*urllib3.connection.HTTPConnection.default_socket_options, *options]
    return made


def _apis(made: Any) -> _Apis:
    from kubernetes import client  # noqa: PLC0415 loaded already where this runs

    return _Apis(
        made,
        client.CoreV1Api(made),
        client.CustomObjectsApi(made),
        client.ApisApi(made),
        client.VersionApi(made),
        client.AuthenticationV1Api(made),
        client.AuthorizationV1Api(made),
    )
