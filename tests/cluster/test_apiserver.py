"""What a Kubernetes API server does, on any cluster: the sandbox, or the one of ``NNI_TEST_KUBECONFIG``.

The user of the kubeconfig must be an administrator. Everything happens in a namespace and with a definition of its own,
which are removed at the end; no node is needed. ``make test-cluster KUBECONFIG=...`` runs it against a real cluster.
"""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import urllib3
from kubernetes import client, config

from nni.testing import sandbox

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
GROUP = "apiserver-test.nni-kubeflow.example.com"
ALL = "dryRun=All"
PATIENCE = 60
"""Seconds for what a cluster does in its own time."""


class Answer(NamedTuple):
    code: int
    body: Object

    @property
    def reason(self) -> tuple[int, str]:
        """The code and the reason of a refusal, which is a whole Status object."""
        assert (self.body["kind"], self.body["status"], self.body["code"]) == ("Status", "Failure", self.code)
        assert self.body["message"]
        return self.code, self.body["reason"]


class Api:
    """Plain HTTPS to a cluster, with the credentials of a kubeconfig or with a token."""

    def __init__(self, path: str, token: str = "") -> None:
        self._client = config.new_client_from_config(path)
        known = self._client.configuration
        self.url = known.host
        self._token = token
        self._pool = urllib3.PoolManager(
            ca_certs=known.ssl_ca_cert,
            cert_file=None if token else known.cert_file,
            key_file=None if token else known.key_file,
            cert_reqs="CERT_REQUIRED" if known.verify_ssl else "CERT_NONE",
        )

    def send(
        self, method: str, path: str, body: Any = None, media: str = "application/json", accept: str = ""
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the open answer."""
        headers = {"Content-Type": media, "Accept": accept or "application/json", "User-Agent": "apiserver-test/1"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        else:
            self._client.update_params_for_auth(headers, [], ["BearerToken"])
        data = None if body is None else json.dumps(body).encode()
        return self._pool.request(
            method, self.url + path, body=data, headers=headers, preload_content=False,
            timeout=urllib3.Timeout(5, PATIENCE),
        )  # fmt: skip

    def call(
        self, method: str, path: str, body: Any = None, media: str = "application/json", accept: str = ""
    ) -> Answer:
        """Send a request and return the code and the object."""
        with contextlib.closing(self.send(method, path, body, media, accept)) as answer:
            return Answer(answer.status, json.loads(answer.read()))

    def ok(self, method: str, path: str, body: Any = None, media: str = "application/json", accept: str = "") -> Object:
        """Send a request that must work."""
        answer = self.call(method, path, body, media, accept)
        assert answer.code < 300, answer
        return answer.body

    def watch(self, path: str) -> Iterator[Object]:
        """Yield the events of a watch until the server ends it: each stands on a line of its own."""
        with contextlib.closing(self.send("GET", path)) as answer:
            assert answer.status == 200, answer.read()
            rest = b""
            for chunk in answer.stream(65536, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(json.loads, lines)
            assert rest == b""

    def until(self, path: str, holds: Callable[[Answer], bool]) -> Answer:
        """Ask again until something holds: for what a cluster does in its own time and tells nobody."""
        end = time.monotonic() + PATIENCE
        while not holds(answer := self.call("GET", path)):
            assert time.monotonic() < end, answer
            time.sleep(0.1)
        return answer


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[str]:
    given = os.environ.get("NNI_TEST_KUBECONFIG")
    if given:
        yield str(pathlib.Path(given).expanduser())
        return
    with sandbox.Sandbox() as running:
        yield str(running.kubeconfig)


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Api:
    return Api(kubeconfig)


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    """A namespace of this run alone."""
    name = api.ok("POST", "/api/v1/namespaces", {"metadata": {"generateName": "nni-apiserver-test-"}})["metadata"][
        "name"
    ]
    try:
        api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda answer: answer.code == 200)
        yield name
    finally:
        api.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def root(namespace: str) -> str:
    """Where the namespace's objects of the core group are."""
    return f"/api/v1/namespaces/{namespace}"


@pytest.fixture(scope="module")
def widgets(api: Api, namespace: str) -> Iterator[str]:
    """A kind of this run alone: where its objects are."""
    plural = f"widgets{namespace.rpartition('-')[2]}"
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    body = definition(plural, properties())
    path = f"{definitions}/{plural}.{GROUP}"
    assert api.call("PATCH", f"{path}?fieldManager=test", body, APPLY).code == 201
    try:
        api.until(path, lambda answer: condition(answer.body, "Established") == "True")
        place = f"/apis/{GROUP}/v1/namespaces/{namespace}/{plural}"
        api.until(place, lambda answer: answer.code == 200)
        yield place
    finally:
        api.call("DELETE", path)


def properties() -> Object:
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
        },
    }
    spec = {
        "size": {"type": "integer", "minimum": 1},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "parts": keyed,
        "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed"}]},
        "mode": {"type": "string", "default": "plain"},
    }
    return {
        "spec": {"type": "object", "required": ["size"], "properties": spec},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    }


def definition(plural: str, shape: Object) -> Object:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": shape}},
        "subresources": {"status": {}},
    }
    kind = plural.removesuffix("s").capitalize()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural.removesuffix("s"), "kind": kind},
            "versions": [version],
        },
    }


def condition(found: Object, category: str) -> str | None:
    conditions = found.get("status", {}).get("conditions") or []
    return next((each["status"] for each in conditions if each["type"] == category), None)


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"one-{next(_numbers)}"


@pytest.fixture
def widget(widgets: str, name: str) -> Object:
    plural = widgets.rpartition("/")[2]
    kind = plural.removesuffix("s").capitalize()
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": {"size": 1}}


def settings(name: str, labels: Object | None = None, **data: str) -> Object:
    metadata: Object = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} | ({"data": data} if data else {})


def pod(name: str, **spec: Any) -> Object:
    main = {"name": "main", "image": "registry.k8s.io/pause:3.9", "command": ["sleep", "1000"]}
    return {"metadata": {"name": name}, "spec": {"containers": [main], "restartPolicy": "Never", **spec}}


def query(path: str, **parameters: Any) -> str:
    return f"{path}?{urllib.parse.urlencode({key: str(value) for key, value in parameters.items()})}"


# --- objects ------------------------------------------------------------------------------------------------------


def test_a_new_object_gets_its_identity(api: Api, root: str, name: str) -> None:
    metadata = api.ok("POST", f"{root}/configmaps", settings(name))["metadata"]
    assert (len(metadata["uid"]), metadata["resourceVersion"].isdigit(), metadata["creationTimestamp"][-1]) == (
        36, True, "Z",
    )  # fmt: skip


def test_generation_counts_changes_of_spec_and_never_of_status(api: Api, widgets: str, widget: Object) -> None:
    path = f"{widgets}/{widget['metadata']['name']}"
    made = api.ok("POST", widgets, widget)
    told = api.ok("PATCH", f"{path}/status", {"status": {"phase": "Ready"}}, MERGE)
    labelled = api.ok("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, MERGE)
    changed = api.ok("PATCH", path, {"spec": {"size": 2}}, MERGE)
    assert [each["metadata"]["generation"] for each in (made, told, labelled, changed)] == [1, 1, 1, 2]


def test_main_endpoint_and_status_endpoint_do_not_mix(api: Api, widgets: str, widget: Object) -> None:
    path = f"{widgets}/{widget['metadata']['name']}"
    made = api.ok("POST", widgets, widget | {"status": {"phase": "Early"}})
    by_main = api.ok("PATCH", path, {"spec": {"size": 2}, "status": {"phase": "Ready"}}, MERGE)
    by_status = api.ok("PATCH", f"{path}/status", {"spec": {"size": 3}, "status": {"phase": "Ready"}}, MERGE)
    assert ("status" in made, "status" in by_main, by_main["spec"]["size"]) == (False, False, 2)
    assert (by_status["status"], by_status["spec"]["size"]) == ({"phase": "Ready"}, 2)


def test_a_stale_version_is_a_conflict(api: Api, root: str, name: str) -> None:
    made = api.ok("POST", f"{root}/configmaps", settings(name, a="1"))
    newer = api.ok("PUT", f"{root}/configmaps/{name}", made | {"data": {"a": "2"}})
    refused = api.call("PUT", f"{root}/configmaps/{name}", made | {"data": {"a": "3"}})
    assert refused.reason == (409, "Conflict")
    assert refused.body["details"] == {"name": name, "kind": "configmaps"}
    assert newer["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    unconditional = made | {"metadata": {"name": name}, "data": {"a": "3"}}
    assert api.ok("PUT", f"{root}/configmaps/{name}", unconditional)["data"] == {"a": "3"}


def test_a_write_that_changes_nothing_takes_no_version(api: Api, root: str, name: str) -> None:
    made = api.ok("POST", f"{root}/configmaps", settings(name, a="1"))
    same = api.ok("PATCH", f"{root}/configmaps/{name}", {"data": {"a": "1"}}, MERGE)
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_an_existing_name_and_an_unknown_object(api: Api, root: str, name: str) -> None:
    api.ok("POST", f"{root}/configmaps", settings(name))
    exists = api.call("POST", f"{root}/configmaps", settings(name))
    assert (exists.reason, exists.body["message"]) == ((409, "AlreadyExists"), f'configmaps "{name}" already exists')
    unknown = api.call("GET", f"{root}/configmaps/nope")
    assert (unknown.reason, unknown.body["message"]) == ((404, "NotFound"), 'configmaps "nope" not found')
    assert unknown.body["details"] == {"name": "nope", "kind": "configmaps"}
    assert api.call("DELETE", f"{root}/configmaps/nope").reason == (404, "NotFound")
    assert api.call("GET", f"{root}/nonsense").reason == (404, "NotFound")
    assert api.call("POST", "/api/v1/namespaces/nowhere/configmaps", settings(name)).reason == (404, "NotFound")


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({}, ("spec.size", "FieldValueRequired")),
        ({"size": "1"}, ("spec.size", "FieldValueTypeInvalid")),
        ({"size": 0}, ("spec.size", "FieldValueInvalid")),
        ({"size": 1, "colour": "green"}, ("spec.colour", "FieldValueNotSupported")),
        ({"size": 1, "parts": [{"name": "a"}, {"name": "a"}]}, ("spec.parts[1]", "FieldValueDuplicate")),
    ],
)
def test_a_body_that_breaks_its_schema_is_invalid(
    api: Api, widgets: str, widget: Object, spec: Object, cause: tuple[str, str]
) -> None:
    refused = api.call("POST", widgets, widget | {"spec": spec})
    assert refused.reason == (422, "Invalid")
    causes = [(each["field"], each["reason"]) for each in refused.body["details"]["causes"]]
    assert cause in causes


def test_defaults_are_filled_and_fixed_fields_stay(api: Api, widgets: str, widget: Object) -> None:
    made = api.ok("POST", widgets, widget | {"spec": {"size": 1, "fixed": "a"}})
    assert made["spec"]["mode"] == "plain"
    path = f"{widgets}/{widget['metadata']['name']}"
    refused = api.call("PATCH", path, {"spec": {"fixed": "b"}}, MERGE)
    assert refused.reason == (422, "Invalid")
    assert "is fixed" in refused.body["message"]


def test_unknown_fields_are_pruned_silently_or_named(api: Api, widgets: str, widget: Object) -> None:
    odd = widget | {"spec": {"size": 1, "weight": 3}}
    refused = api.call("POST", query(widgets, fieldValidation="Strict"), odd)
    assert refused.reason == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.weight"' in refused.body["message"]
    assert "weight" not in api.ok("POST", query(widgets, fieldValidation="Ignore"), odd)["spec"]


def test_unknown_fields_bring_a_warning_when_nobody_says_how_to_take_them(
    api: Api, widgets: str, widget: Object
) -> None:
    with contextlib.closing(api.send("POST", widgets, widget | {"spec": {"size": 1, "weight": 3}})) as answer:
        assert (answer.status, answer.headers["Warning"]) == (201, '299 - "unknown field \\"spec.weight\\""')
        answer.read()


def test_a_definition_of_a_megabyte_needs_the_servers_side(api: Api, root: str, name: str, namespace: str) -> None:
    large = properties()
    large["spec"]["description"] = "x" * 900_000
    plural = f"large{namespace.rpartition('-')[2]}s"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}"
    try:
        assert api.call("PATCH", query(path, fieldManager="test"), definition(plural, large), APPLY).code == 201
    finally:
        api.call("DELETE", path)
    annotated = settings(name)
    annotated["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 262_145}
    refused = api.call("POST", f"{root}/configmaps", annotated)
    assert refused.reason == (422, "Invalid")
    assert "metadata.annotations: Too long" in refused.body["message"]


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        ("POST ", []),
        ("POST ", {"metadata": "x"}),
        ("POST ", {"metadata": {"name": ["x"]}}),
        ("POST ", {"metadata": {"name": "x"}, "data": ["x"]}),
        ("POST ", {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}),
        ("PUT /garbage", {"metadata": 1}),
        ("PUT /garbage", {}),
        ("PATCH /garbage", {"metadata": [1]}),
        ("PATCH /garbage", {"data": {"a": {"b": "c"}}}),
        ("DELETE /garbage", {"gracePeriodSeconds": "soon"}),
        ("DELETE /garbage", {"preconditions": [1]}),
    ],
)
def test_garbage_is_the_clients_fault(api: Api, root: str, request_line: str, body: Any) -> None:
    api.call("POST", f"{root}/configmaps", settings("garbage"))
    method, _, below = request_line.partition(" ")
    media = MERGE if method == "PATCH" else "application/json"
    assert 400 <= api.call(method, f"{root}/configmaps{below}", body, media).code < 500


def test_names_are_generated(api: Api, root: str) -> None:
    body = {"metadata": {"generateName": "made-"}}
    names = [api.ok("POST", f"{root}/configmaps", body)["metadata"]["name"] for _ in range(2)]
    assert [(each[:5], len(each)) for each in names] == [("made-", 10)] * 2
    assert names[0] != names[1]


def test_bad_names_are_refused(api: Api, root: str) -> None:
    refused = api.call("POST", f"{root}/configmaps", settings("Not_A_Name"))
    assert (refused.reason, refused.body["details"]["causes"][0]["field"]) == ((422, "Invalid"), "metadata.name")


def test_a_dry_run_answers_and_does_nothing(api: Api, root: str, name: str) -> None:
    path = f"{root}/configmaps/{name}"
    assert api.call("POST", f"{root}/configmaps?{ALL}", settings(name)).code == 201
    assert api.call("GET", path).code == 404
    made = api.ok("POST", f"{root}/configmaps", settings(name, a="1"))
    assert api.ok("PATCH", f"{path}?{ALL}", {"data": {"a": "2"}}, MERGE)["data"] == {"a": "2"}
    api.ok("DELETE", f"{path}?{ALL}")
    assert api.ok("GET", path) == made


def test_a_finalizer_holds_an_object_that_is_deleted(api: Api, root: str, name: str) -> None:
    path = f"{root}/configmaps/{name}"
    body = settings(name)
    body["metadata"]["finalizers"] = ["example.com/wait"]
    api.ok("POST", f"{root}/configmaps", body)
    marked = api.ok("DELETE", path)
    assert "deletionTimestamp" in marked["metadata"]
    assert "deletionTimestamp" in api.ok("GET", path)["metadata"]
    api.ok("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    assert api.call("GET", path).code == 404


def test_pods_are_deleted_with_grace(api: Api, root: str, name: str) -> None:
    path = f"{root}/pods/{name}"
    api.ok("POST", f"{root}/pods", pod(name, nodeName="nowhere", terminationGracePeriodSeconds=17))
    marked = api.ok("DELETE", path)["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 17
    assert "deletionTimestamp" in marked
    api.call("DELETE", path, {"gracePeriodSeconds": 0})
    api.until(path, lambda answer: answer.code == 404)


def test_a_pod_that_nobody_runs_goes_at_once(api: Api, root: str, name: str) -> None:
    gated = pod(name, schedulingGates=[{"name": "example.com/wait"}])
    api.ok("POST", f"{root}/pods", gated)
    api.ok("DELETE", f"{root}/pods/{name}")
    assert api.call("GET", f"{root}/pods/{name}").code == 404


def test_collections_are_deleted_by_selector(api: Api, root: str, name: str) -> None:
    for suffix, label in (("a", "go"), ("b", "go"), ("c", "stay")):
        api.ok("POST", f"{root}/configmaps", settings(f"{name}-{suffix}", {"test": name, "do": label}))
    api.ok("DELETE", query(f"{root}/configmaps", labelSelector=f"test={name},do=go"))
    left = api.ok("GET", query(f"{root}/configmaps", labelSelector=f"test={name}"))["items"]
    assert [each["metadata"]["name"] for each in left] == [f"{name}-c"]


def owned(name: str, owner: Object) -> Object:
    body = settings(name)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
    body["metadata"]["ownerReferences"] = [reference | {"uid": owner["metadata"]["uid"]}]
    return body


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_what_is_owned_goes_with_its_owner(api: Api, root: str, name: str, policy: str) -> None:
    owner = api.ok("POST", f"{root}/configmaps", settings(name))
    api.ok("POST", f"{root}/configmaps", owned(f"{name}-below", owner))
    api.ok("DELETE", f"{root}/configmaps/{name}", {"propagationPolicy": policy})
    api.until(f"{root}/configmaps/{name}-below", lambda answer: answer.code == 404)
    api.until(f"{root}/configmaps/{name}", lambda answer: answer.code == 404)


def test_custom_resources_own_others(api: Api, root: str, widgets: str, widget: Object, name: str) -> None:
    owner = api.ok("POST", widgets, widget)
    body = settings(f"{name}-below")
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name}
    body["metadata"]["ownerReferences"] = [reference | {"uid": owner["metadata"]["uid"], "controller": True}]
    api.ok("POST", f"{root}/configmaps", body)
    api.ok("DELETE", f"{widgets}/{name}")
    api.until(f"{root}/configmaps/{name}-below", lambda answer: answer.code == 404)


def test_a_namespace_takes_everything_along(api: Api, widgets: str, widget: Object, name: str) -> None:
    namespace = api.ok("POST", "/api/v1/namespaces", {"metadata": {"generateName": "nni-apiserver-test-"}})
    other = namespace["metadata"]["name"]
    below = widgets.replace(widgets.split("/")[5], other)
    api.ok("POST", below, widget)
    api.ok("POST", f"/api/v1/namespaces/{other}/configmaps", settings(name))
    assert api.ok("DELETE", f"/api/v1/namespaces/{other}")["status"]["phase"] == "Terminating"
    refused = api.call("POST", f"/api/v1/namespaces/{other}/configmaps", settings("late"))
    assert refused.code in (403, 404)
    api.until(f"/api/v1/namespaces/{other}", lambda answer: answer.code == 404)
    assert api.ok("GET", below)["items"] == []


def test_an_orphan_stays(api: Api, root: str, name: str) -> None:
    owner = api.ok("POST", f"{root}/configmaps", settings(name))
    api.ok("POST", f"{root}/configmaps", owned(f"{name}-below", owner))
    api.ok("DELETE", f"{root}/configmaps/{name}", {"propagationPolicy": "Orphan"})
    api.until(f"{root}/configmaps/{name}", lambda answer: answer.code == 404)
    assert "ownerReferences" not in api.ok("GET", f"{root}/configmaps/{name}-below")["metadata"]


def test_what_names_an_owner_that_is_not_there_goes(api: Api, root: str, name: str) -> None:
    owner = {"metadata": {"name": "nope", "uid": "00000000-0000-4000-8000-000000000000"}}
    api.ok("POST", f"{root}/configmaps", owned(name, owner))
    api.until(f"{root}/configmaps/{name}", lambda answer: answer.code == 404)


def test_a_deletion_may_insist_on_the_uid(api: Api, root: str, name: str) -> None:
    path = f"{root}/configmaps/{name}"
    uid = api.ok("POST", f"{root}/configmaps", settings(name))["metadata"]["uid"]
    other = {"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}
    assert api.call("DELETE", path, other).reason == (409, "Conflict")
    assert api.ok("DELETE", path, {"preconditions": {"uid": uid}})["status"] == "Success"


def test_a_secrets_strings_come_back_as_data(api: Api, root: str, name: str) -> None:
    made = api.ok("POST", f"{root}/secrets", {"metadata": {"name": name}, "stringData": {"a": "b"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)
    bad = {"metadata": {"name": f"{name}-bad"}, "data": {"a": "%"}}
    assert api.call("POST", f"{root}/secrets", bad).code in (400, 422)


# --- patches ------------------------------------------------------------------------------------------------------


_TEST = {"op": "test", "path": "/data/a", "value": "1"}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ((MERGE, {"data": {"a": None, "c": "3"}}), {"b": "2", "c": "3"}),
        ((STRATEGIC, {"data": {"a": None, "c": "3"}}), {"b": "2", "c": "3"}),
        ((JSON_PATCH, [_TEST, {"op": "add", "path": "/data/c", "value": "3"}]), {"a": "1", "b": "2", "c": "3"}),
        ((JSON_PATCH, [_TEST, {"op": "move", "from": "/data/a", "path": "/data/d"}]), {"b": "2", "d": "1"}),
        ((JSON_PATCH, [{"op": "remove", "path": "/data/a"}]), {"b": "2"}),
    ],
)
def test_an_object_is_patched(api: Api, root: str, name: str, patch: tuple[str, Any], expected: Object) -> None:
    media, content = patch
    api.ok("POST", f"{root}/configmaps", settings(name, a="1", b="2"))
    assert api.ok("PATCH", f"{root}/configmaps/{name}", content, media)["data"] == expected


def test_a_strategic_patch_joins_lists_by_their_key(api: Api, root: str, name: str) -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    api.ok("POST", f"{root}/services", {"metadata": {"name": name}, "spec": {"clusterIP": "None", "ports": ports}})
    patch = {"spec": {"ports": [{"port": 1, "name": "c"}, {"port": 2, "$patch": "delete"}, {"port": 3, "name": "d"}]}}
    found = api.ok("PATCH", f"{root}/services/{name}", patch, STRATEGIC)["spec"]["ports"]
    assert sorted((each["port"], each["name"], each["protocol"]) for each in found) == [
        (1, "c", "TCP"), (3, "d", "TCP"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ((JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "x"}]), 422),
        ((JSON_PATCH, [{"op": "remove", "path": "/data/nope"}]), 422),
        ((JSON_PATCH, {"data": {}}), 400),
        ((MERGE, {"metadata": {"resourceVersion": "1"}}), 409),
        ((MERGE, {"metadata": {"name": "other"}}), 400),
        ((MERGE, {"metadata": {"namespace": "other"}}), 400),
        (("text/plain", {}), 415),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(
    api: Api, root: str, name: str, patch: tuple[str, Any], expected: int
) -> None:
    media, content = patch
    api.ok("POST", f"{root}/configmaps", settings(name, a="1"))
    assert api.call("PATCH", f"{root}/configmaps/{name}", content, media).code == expected


def test_custom_resources_take_no_strategic_patch(api: Api, widgets: str, widget: Object) -> None:
    api.ok("POST", widgets, widget)
    refused = api.call("PATCH", f"{widgets}/{widget['metadata']['name']}", {"spec": {"size": 2}}, STRATEGIC)
    assert refused.reason == (415, "UnsupportedMediaType")


def test_apply_owns_what_it_sets_and_takes_away_what_it_sets_no_longer(api: Api, root: str, name: str) -> None:
    path = f"{root}/configmaps/{name}"
    by_one, by_two = query(path, fieldManager="one"), query(path, fieldManager="two")
    assert api.call("PATCH", by_one, settings(name, a="1", b="2"), APPLY).code == 201
    api.ok("PATCH", by_two, settings(name, b="2", c="3"), APPLY)
    refused = api.call("PATCH", by_two, settings(name, a="9"), APPLY)
    assert refused.reason == (409, "Conflict")
    assert refused.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one" using v1', "field": ".data.a"}
    ]
    assert api.ok("PATCH", by_one, settings(name, a="1"), APPLY)["data"] == {"a": "1", "b": "2", "c": "3"}
    assert api.ok("PATCH", by_two, settings(name, c="3"), APPLY)["data"] == {"a": "1", "c": "3"}
    taken = api.ok("PATCH", f"{by_two}&force=true", settings(name, a="9"), APPLY)
    assert taken["data"] == {"a": "9"}
    assert [(each["manager"], "f:data" in each["fieldsV1"]) for each in taken["metadata"]["managedFields"]] == [
        ("two", True)
    ]  # fmt: skip


def test_apply_joins_keyed_lists_of_custom_resources(api: Api, widgets: str, widget: Object) -> None:
    path = f"{widgets}/{widget['metadata']['name']}"
    first, second = (
        widget | {"spec": {"size": 1, "parts": [{"name": part, "value": part}]}} for part in ("a", "b")
    )  # fmt: skip
    api.ok("PATCH", query(path, fieldManager="one"), first, APPLY)
    made = api.ok("PATCH", query(path, fieldManager="two"), second, APPLY)
    assert made["spec"]["parts"] == [{"name": "a", "value": "a"}, {"name": "b", "value": "b"}]
    left = api.ok("PATCH", query(path, fieldManager="one"), widget, APPLY)
    assert left["spec"]["parts"] == [{"name": "b", "value": "b"}]


def test_apply_owns_neither_defaults_nor_what_is_pruned(api: Api, widgets: str, widget: Object) -> None:
    path = query(f"{widgets}/{widget['metadata']['name']}", fieldManager="one", fieldValidation="Ignore")
    odd = widget | {"spec": {"size": 1, "weight": 3}}
    for _ in range(2):
        made = api.ok("PATCH", path, odd, APPLY)
        owned_fields = {each["manager"]: each["fieldsV1"] for each in made["metadata"]["managedFields"]}
        assert (made["spec"], owned_fields) == ({"size": 1, "mode": "plain"}, {"one": {"f:spec": {"f:size": {}}}})


def test_apply_wants_to_know_who_applies(api: Api, root: str, name: str) -> None:
    assert api.call("PATCH", f"{root}/configmaps/{name}", settings(name), APPLY).code == 422


# --- selectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("colour=red", "a"),
        ("colour==red", "a"),
        ("colour!=red", "bc"),
        ("colour in (red,blue)", "ab"),
        ("colour notin (red)", "bc"),
        ("colour", "ab"),
        ("!colour", "c"),
        ("colour in (red,blue),colour!=blue", "a"),
    ],
)
def test_labels_select(api: Api, root: str, namespace: str, selector: str, expected: str) -> None:
    for suffix, labels in (("a", {"colour": "red"}), ("b", {"colour": "blue"}), ("c", {})):
        api.call("POST", f"{root}/configmaps", settings(f"selected-{suffix}", labels | {"group": "selected"}))
    found = api.ok("GET", query(f"{root}/configmaps", labelSelector=f"group=selected,{selector}"))["items"]
    assert "".join(each["metadata"]["name"][-1] for each in found) == expected


def test_custom_resources_are_selected_by_name_and_namespace_alone(
    api: Api, widgets: str, widget: Object, namespace: str
) -> None:
    api.ok("POST", widgets, widget)
    name = widget["metadata"]["name"]
    selector = f"metadata.name={name},metadata.namespace={namespace}"
    found = api.ok("GET", query(widgets, fieldSelector=selector))["items"]
    assert [each["metadata"]["name"] for each in found] == [name]
    refused = api.call("GET", query(widgets, fieldSelector="spec.size=1"))
    assert refused.reason == (400, "BadRequest")
    assert "field label not supported: spec.size" in refused.body["message"]


def test_pods_are_selected_by_more(api: Api, root: str, name: str) -> None:
    api.ok("POST", f"{root}/pods", pod(name, schedulingGates=[{"name": "example.com/wait"}]))
    for selector, expected in (("status.phase=Pending", 1), ("status.phase!=Pending", 0), ("spec.nodeName=", 1)):
        selected = query(f"{root}/pods", fieldSelector=f"metadata.name={name},{selector}")
        assert len(api.ok("GET", selected)["items"]) == expected, selector
    api.ok("DELETE", f"{root}/pods/{name}")


def test_events_are_selected_by_what_they_are_about(api: Api, root: str, namespace: str, name: str) -> None:
    about = api.ok("POST", f"{root}/configmaps", settings(name))["metadata"]
    involved = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": name, "uid": about["uid"]}
    for reason, category in (("Made", "Normal"), ("Broken", "Warning")):
        event = {"metadata": {"generateName": f"{name}."}, "involvedObject": involved, "reason": reason}
        api.ok("POST", f"{root}/events", event | {"type": category, "message": "x", "source": {"component": "test"}})
    for selector, expected in (
        (f"involvedObject.name={name}", ["Broken", "Made"]),
        (f"involvedObject.uid={about['uid']},type=Warning", ["Broken"]),
        (f"involvedObject.kind=ConfigMap,involvedObject.name={name},reason!=Broken", ["Made"]),
        (f"involvedObject.name={name},involvedObject.kind=Pod", []),
    ):
        found = api.ok("GET", query(f"{root}/events", fieldSelector=selector))["items"]
        assert sorted(each["reason"] for each in found) == expected, selector


def test_a_selector_that_cannot_be_read_is_refused(api: Api, root: str) -> None:
    assert api.call("GET", query(f"{root}/pods", labelSelector="a in b")).reason == (400, "BadRequest")


# --- users --------------------------------------------------------------------------------------------------------


TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}


@pytest.fixture(scope="module")
def robot(api: Api, kubeconfig: str, root: str) -> Api:
    """The API as a service account that nobody has granted anything."""
    api.ok("POST", f"{root}/serviceaccounts", {"metadata": {"name": "robot"}})

    return Api(kubeconfig, api.ok("POST", f"{root}/serviceaccounts/robot/token", TOKEN_REQUEST)["status"]["token"])


def review(namespace: str, verb: str) -> Object:
    attributes = {"namespace": namespace, "verb": verb, "resource": "configmaps"}
    return {"spec": {"resourceAttributes": attributes}}


def test_without_a_role_nothing_is_allowed_and_the_refusal_says_what(
    api: Api, robot: Api, root: str, namespace: str
) -> None:
    user = f"system:serviceaccount:{namespace}:robot"
    expected = {
        ("GET", f"{root}/secrets"): f'secrets is forbidden: User "{user}" cannot list resource "secrets" in API group '
        f'"" in the namespace "{namespace}"',
        ("GET", f"{root}/secrets/x"): f'secrets "x" is forbidden: User "{user}" cannot get resource "secrets" in API '
        f'group "" in the namespace "{namespace}"',
        ("DELETE", f"{root}/pods/x"): f'pods "x" is forbidden: User "{user}" cannot delete resource "pods" in API '
        f'group "" in the namespace "{namespace}"',
        ("GET", f"{root}/pods/x/log"): f'pods "x" is forbidden: User "{user}" cannot get resource "pods/log" in API '
        f'group "" in the namespace "{namespace}"',
        ("GET", "/api/v1/nodes"): f'nodes is forbidden: User "{user}" cannot list resource "nodes" in API group "" at '
        "the cluster scope",
        ("GET", f"{root}/pods?watch=1"): f'pods is forbidden: User "{user}" cannot watch resource "pods" in API group '
        f'"" in the namespace "{namespace}"',
    }  # fmt: skip
    for (method, path), message in expected.items():
        refused = robot.call(method, path)
        assert (refused.reason, refused.body["message"]) == ((403, "Forbidden"), message)
    assert robot.call("GET", "/version").code == 200
    assert robot.call("GET", "/apis").code == 200


def test_a_role_grants_verb_by_verb_and_reviews_say_so(api: Api, robot: Api, root: str, namespace: str) -> None:
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]}
    api.ok("POST", f"{rbac}/roles", {"metadata": {"name": "some"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "some"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
    }
    api.ok("POST", f"{rbac}/rolebindings", binding)
    api.until("/version", lambda _: robot.call("GET", f"{root}/configmaps/nope").code == 404)
    answers = {
        verb: robot.ok("POST", reviews, review(namespace, verb))["status"]["allowed"]
        for verb in ("get", "create", "list", "watch", "patch", "delete")
    }
    assert [verb for verb, allowed in answers.items() if allowed] == ["get", "create"]
    assert api.ok("POST", reviews, review(namespace, "delete"))["status"]["allowed"] is True
    assert robot.call("GET", f"{root}/configmaps").reason == (403, "Forbidden")
    rules = robot.ok(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": namespace}}
    )["status"]["resourceRules"]
    assert any("configmaps" in each["resources"] and sorted(each["verbs"]) == ["create", "get"] for each in rules)


def test_a_user_is_told_who_they_are(robot: Api, namespace: str) -> None:
    answer = robot.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    if answer.code == 404:
        pytest.skip("this cluster is older than authentication.k8s.io/v1")
    found = answer.body["status"]["userInfo"]
    assert found["username"] == f"system:serviceaccount:{namespace}:robot"
    assert f"system:serviceaccounts:{namespace}" in found["groups"]


def test_a_token_goes_with_its_account(api: Api, kubeconfig: str, root: str, name: str) -> None:
    path = f"{root}/serviceaccounts/{name}"
    api.ok("POST", f"{root}/serviceaccounts", {"metadata": {"name": name}})
    guest = Api(kubeconfig, api.ok("POST", f"{path}/token", TOKEN_REQUEST)["status"]["token"])
    assert guest.call("GET", f"{root}/pods").reason == (403, "Forbidden")
    api.ok("DELETE", path)
    api.until("/version", lambda _: guest.call("GET", f"{root}/pods").code == 401)


def test_a_stranger_is_unauthorized(kubeconfig: str, root: str) -> None:
    assert Api(kubeconfig, "no-such-token").call("GET", f"{root}/pods").reason == (401, "Unauthorized")


# --- lists --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(api: Api, namespace: str) -> str:
    """27 objects of a kind that no other test makes: where they are."""
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    for number in range(27):
        api.ok("POST", leases, {"metadata": {"name": f"many-{number:02}", "labels": {"page": "y"}}})
    return leases


def test_pages_show_one_moment(api: Api, many: str) -> None:
    pages: list[Object] = []
    token = ""
    while not pages or token:
        pages.append(api.ok("GET", query(many, limit=10, **({"continue": token} if token else {}))))
        token = pages[-1]["metadata"].get("continue", "")
        # What is made in between is not in the pages that follow.
        api.ok("POST", many, {"metadata": {"generateName": "many-99-"}})
    sizes = [(len(each["items"]), each["metadata"].get("remainingItemCount")) for each in pages]
    assert sizes == [(10, 17), (10, 7), (7, None)]
    assert len({each["metadata"]["resourceVersion"] for each in pages}) == 1
    api.ok("DELETE", query(many, labelSelector="!page"))


def test_an_expired_token_comes_with_another(api: Api, many: str) -> None:
    first = api.ok("GET", query(many, limit=10))
    token = first["metadata"]["continue"]
    read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    old = base64.urlsafe_b64encode(json.dumps(read | {"rv": 1}).encode()).decode().rstrip("=")
    refused = api.call("GET", query(many, limit=10, **{"continue": old}))
    if refused.code == 200:
        pytest.skip("this cluster is so young that its first version is not compacted")
    assert refused.reason == (410, "Expired")
    rest = api.ok("GET", query(many, limit=100, **{"continue": refused.body["metadata"]["continue"]}))
    assert [each["metadata"]["name"] for each in rest["items"]] == [f"many-{number:02}" for number in range(10, 27)]


def test_a_token_that_cannot_be_read_is_refused(api: Api, many: str) -> None:
    assert api.call("GET", query(many, limit=10, **{"continue": "nonsense"})).reason == (400, "BadRequest")


def test_a_list_may_insist_on_a_version(api: Api, many: str) -> None:
    version = api.ok("GET", many)["metadata"]["resourceVersion"]
    api.ok("POST", many, {"metadata": {"name": "later"}})
    exact = api.ok("GET", query(many, limit=500, resourceVersion=version, resourceVersionMatch="Exact"))
    newer = api.ok("GET", query(many, resourceVersion=version, resourceVersionMatch="NotOlderThan"))
    assert (len(exact["items"]), len(newer["items"])) == (27, 28)
    api.ok("DELETE", f"{many}/later")
    compacted = api.call("GET", query(many, limit=500, resourceVersion=1, resourceVersionMatch="Exact"))
    if compacted.code == 200:
        pytest.skip("this cluster is so young that its first version is not compacted")
    assert compacted.reason == (410, "Expired")


@pytest.mark.parametrize(
    "asked", [{"resourceVersionMatch": "Exact"}, {"resourceVersion": "1", "resourceVersionMatch": "Sometimes"},
              {"resourceVersion": "0", "resourceVersionMatch": "Exact"}]
)  # fmt: skip
def test_a_match_needs_a_version(api: Api, many: str, asked: dict[str, str]) -> None:
    assert api.call("GET", query(many, **asked)).code in (400, 422)


def test_a_list_of_the_future_times_out(api: Api, many: str) -> None:
    version = int(api.ok("GET", many)["metadata"]["resourceVersion"]) + 1_000_000
    began = time.monotonic()
    refused = api.call("GET", query(many, resourceVersion=version, resourceVersionMatch="NotOlderThan"))
    assert refused.reason == (504, "Timeout")
    assert "Too large resource version" in refused.body["message"]
    assert 2 < time.monotonic() - began < 20


def test_items_of_built_in_kinds_do_not_say_what_they_are(api: Api, many: str) -> None:
    found = api.ok("GET", query(many, limit=1))
    assert (found["kind"], found["apiVersion"], "kind" in found["items"][0]) == (
        "LeaseList", "coordination.k8s.io/v1", False,
    )  # fmt: skip


def test_metadata_alone_can_be_asked_for(api: Api, many: str) -> None:
    wanted = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    found = api.ok("GET", query(many, limit=1), accept=wanted)
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["items"][0].keys() == {"kind", "apiVersion", "metadata"}


# --- watches ------------------------------------------------------------------------------------------------------


def test_a_watch_tells_everything_in_order(api: Api, root: str, name: str) -> None:
    version = api.ok("GET", f"{root}/configmaps")["metadata"]["resourceVersion"]
    for number in range(3):
        api.ok("POST", f"{root}/configmaps", settings(f"{name}-{number}", {"test": name}, a="1"))
    api.ok("PATCH", f"{root}/configmaps/{name}-1", {"data": {"a": "2"}}, MERGE)
    api.ok("DELETE", f"{root}/configmaps/{name}-1")
    path = query(
        f"{root}/configmaps", watch=1, resourceVersion=version, timeoutSeconds=2, labelSelector=f"test={name}"
    )  # fmt: skip
    events = list(api.watch(path))
    told = [(each["type"], each["object"]["metadata"]["name"][-1], each["object"]["data"]["a"]) for each in events]
    assert told == [
        ("ADDED", "0", "1"), ("ADDED", "1", "1"), ("ADDED", "2", "1"), ("MODIFIED", "1", "2"), ("DELETED", "1", "2"),
    ]  # fmt: skip
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in events]
    assert versions == sorted(set(versions))


def test_a_watch_without_a_version_begins_with_what_there_is(api: Api, root: str, name: str) -> None:
    api.ok("POST", f"{root}/configmaps", settings(name, {"test": name}))
    path = query(f"{root}/configmaps", watch=1, timeoutSeconds=1, labelSelector=f"test={name}")
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in api.watch(path)] == [("ADDED", name)]


def test_what_leaves_the_selector_is_deleted_for_the_watch(api: Api, root: str, name: str) -> None:
    made = api.ok("POST", f"{root}/configmaps", settings(name, {"test": name}, a="1"))
    path = query(
        f"{root}/configmaps", watch=1, resourceVersion=made["metadata"]["resourceVersion"], timeoutSeconds=2,
        labelSelector=f"test={name}",
    )  # fmt: skip
    for label in ("other", name):
        api.ok("PATCH", f"{root}/configmaps/{name}", {"metadata": {"labels": {"test": label}}}, MERGE)
    assert [each["type"] for each in api.watch(path)] == ["DELETED", "ADDED"]


def test_a_watch_of_the_distant_past_ends_with_an_error(api: Api, many: str) -> None:
    events = list(api.watch(query(many, watch=1, resourceVersion=1, timeoutSeconds=5)))
    if not events or events[0]["type"] != "ERROR":
        pytest.skip("this cluster is so young that its first version is not compacted")
    status = events[0]["object"]
    assert (len(events), status["kind"], status["code"], status["reason"]) == (1, "Status", 410, "Expired")


def test_a_watch_of_the_future_is_silent(api: Api, many: str, name: str) -> None:
    version = int(api.ok("GET", many)["metadata"]["resourceVersion"]) + 1_000_000
    answer = api.send("GET", query(many, watch=1, resourceVersion=version, timeoutSeconds=2))
    with contextlib.closing(answer):
        api.ok("POST", many, {"metadata": {"name": name}})
        assert (answer.status, answer.read()) == (200, b"")
    api.ok("DELETE", f"{many}/{name}")


def test_bookmarks_come_when_asked_for_and_the_server_ends_the_watch(api: Api, many: str) -> None:
    version = api.ok("GET", many)["metadata"]["resourceVersion"]
    began = time.monotonic()
    path = query(many, watch=1, resourceVersion=version, timeoutSeconds=4)
    with_bookmarks = list(api.watch(f"{path}&allowWatchBookmarks=true"))
    assert 3 < time.monotonic() - began < 20
    assert {each["type"] for each in with_bookmarks} == {"BOOKMARK"}
    last = with_bookmarks[-1]["object"]
    assert (last["kind"], int(last["metadata"]["resourceVersion"]) >= int(version)) == ("Lease", True)
    assert list(api.watch(query(many, watch=1, resourceVersion=version, timeoutSeconds=2))) == []


def test_the_official_client_lists_and_watches(kubeconfig: str, namespace: str, widgets: str, widget: Object) -> None:
    place = (GROUP, "v1", namespace, widgets.rpartition("/")[2])
    with config.new_client_from_config(kubeconfig) as connection:
        objects = client.CustomObjectsApi(connection)
        objects.create_namespaced_custom_object(*place, widget)
        found = objects.list_namespaced_custom_object(
            *place, field_selector=f"metadata.name={widget['metadata']['name']}"
        )
        assert [each["spec"] for each in found["items"]] == [{"size": 1, "mode": "plain"}]
        with pytest.raises(client.ApiException) as caught:
            objects.create_namespaced_custom_object(*place, widget)
        assert (caught.value.status, json.loads(caught.value.body)["reason"]) == (409, "AlreadyExists")
        names = [each.metadata.name for each in client.CoreV1Api(connection).list_namespaced_secret(namespace).items]
    assert names == sorted(names)


# --- operators ----------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs(api: Api, namespace: str) -> str:
    """Where PyTorchJobs are."""
    return served(api, namespace, "kubeflow.org/v1", "pytorchjobs")


def served(api: Api, namespace: str, version: str, plural: str) -> str:
    answer = api.call("GET", f"/apis/{version}")
    if plural not in [each["name"] for each in answer.body.get("resources", [])]:
        pytest.skip(f"this cluster does not serve {plural} of {version}")
    return f"/apis/{version}/namespaces/{namespace}/{plural}"


def make_job(name: str, **replica: Any) -> Object:
    container = {"name": "pytorch", "image": "registry.k8s.io/pause:3.9"}
    # No node fits, so its pods wait wherever this runs.
    template = {"spec": {"containers": [container], "nodeSelector": {"example.com/nowhere": "true"}}}
    master = {"replicas": 1, "restartPolicy": "Never", "template": template, **replica}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {"runPolicy": {"suspend": True}, "pytorchReplicaSpecs": {"Master": master}},
    }


def test_a_suspended_job_has_no_pods_and_starts_when_it_is_resumed(api: Api, root: str, jobs: str, name: str) -> None:
    path = f"{jobs}/{name}"
    api.ok("POST", jobs, make_job(name))
    api.until(path, lambda answer: condition(answer.body, "Suspended") == "True")
    assert api.call("GET", f"{root}/pods/{name}-master-0").code == 404
    api.ok("PATCH", path, {"spec": {"runPolicy": {"suspend": False}}}, MERGE)
    made = api.until(f"{root}/pods/{name}-master-0", lambda answer: answer.code == 200).body
    api.until(f"{root}/services/{name}-master-0", lambda answer: answer.code == 200)
    variables = {each["name"]: each.get("value") for each in made["spec"]["containers"][0]["env"]}
    assert (variables["PET_NNODES"], variables["PET_NODE_RANK"], variables["PET_NPROC_PER_NODE"]) == ("1", "0", "auto")
    assert made["metadata"]["labels"]["training.kubeflow.org/job-name"] == name
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
    found = api.until(path, lambda answer: condition(answer.body, "Suspended") == "False").body
    assert condition(found, "Created") == "True"
    api.ok("PATCH", path, {"spec": {"runPolicy": {"suspend": True}}}, MERGE)
    api.until(f"{root}/pods/{name}-master-0", lambda answer: answer.code == 404)
    api.ok("DELETE", path)


def test_a_deadline_fires_only_when_something_else_touches_the_job(api: Api, jobs: str, name: str) -> None:
    path = f"{jobs}/{name}"
    job = make_job(name)
    job["spec"]["runPolicy"] = {"activeDeadlineSeconds": 1}
    version = api.ok("POST", jobs, job)["metadata"]["resourceVersion"]
    api.until(path, lambda answer: "startTime" in answer.body.get("status", {}))
    watched = query(jobs, watch=1, timeoutSeconds=4, resourceVersion=version, fieldSelector=f"metadata.name={name}")
    assert [condition(each["object"], "Failed") for each in api.watch(watched)][-1] is None
    api.ok("PATCH", path, {"metadata": {"annotations": {"touched": "yes"}}}, MERGE)
    api.until(path, lambda answer: condition(answer.body, "Failed") == "True")
    api.ok("DELETE", path)


@pytest.mark.parametrize(
    ("replica", "words"),
    [
        ({"replicas": 2}, "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1"),
        ({"replicas": None}, "spec.pytorchReplicaSpecs[Master].replicas"),
        (
            {"template": {"spec": {"containers": [{"name": "main", "image": "x"}]}}},
            "spec.pytorchReplicaSpecs[Master].template.spec.containers: Required value: "
            "must have at least one container with name pytorch",
        ),
    ],
)
def test_the_operators_webhook_refuses(api: Api, jobs: str, name: str, replica: Object, words: str) -> None:
    refused = api.call("POST", jobs, make_job(name, **replica))
    assert refused.code in (403, 422)
    assert words in refused.body["message"]


@pytest.mark.parametrize("spec", [None, {"pytorchReplicaSpecs": None}, {"pytorchReplicaSpecs": {"Master": None}}])
def test_a_job_without_its_parts_is_refused(api: Api, jobs: str, name: str, spec: Object | None) -> None:
    refused = api.call("POST", jobs, {**make_job(name), "spec": spec})
    assert refused.code in (403, 422)
    assert "spec" in refused.body["message"]


def test_the_operators_webhook_knows_the_types_of_replicas(api: Api, jobs: str, name: str) -> None:
    job = make_job(name)
    job["spec"]["pytorchReplicaSpecs"]["Chief"] = job["spec"]["pytorchReplicaSpecs"]["Master"]
    refused = api.call("POST", jobs, job)
    assert refused.code in (403, 422)
    assert 'spec.pytorchReplicaSpecs[Chief]: Unsupported value: "Chief"' in refused.body["message"]


def test_strict_validation_names_what_a_job_does_not_have(api: Api, jobs: str, name: str) -> None:
    refused = api.call("POST", query(jobs, fieldValidation="Strict"), make_job(name, colour="red"))
    assert refused.reason == (400, "BadRequest")
    assert 'unknown field "spec.pytorchReplicaSpecs.Master.colour"' in refused.body["message"]


class Trainer(NamedTuple):
    """Where TrainJobs are, and the name of a runtime for them that no node fits."""

    jobs: str
    runtime: str

    def job(self, name: str, **spec: Any) -> Object:
        reference = {"name": self.runtime, "kind": "TrainingRuntime", "apiGroup": "trainer.kubeflow.org"}
        return {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": name},
            "spec": {"runtimeRef": reference, "trainer": {"numNodes": 1, "numProcPerNode": 1}, **spec},
        }


@pytest.fixture
def trainer(api: Api, namespace: str, name: str) -> Trainer:
    version = "trainer.kubeflow.org/v1alpha1"
    jobs = served(api, namespace, version, "trainjobs")
    container = {"name": "node", "image": "registry.k8s.io/pause:3.9"}
    spec = {"restartPolicy": "Never", "nodeSelector": {"example.com/nowhere": "true"}, "containers": [container]}
    step = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    node = {"name": "node", "template": {"metadata": step, "spec": {"template": {"spec": spec}}}}
    runtime = {
        "apiVersion": version,
        "kind": "TrainingRuntime",
        "metadata": {"name": name, "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {"mlPolicy": {"numNodes": 1, "torch": {}}, "template": {"spec": {"replicatedJobs": [node]}}},
    }
    api.ok("POST", served(api, namespace, version, "trainingruntimes"), runtime)
    return Trainer(jobs, name)


def test_a_suspended_trainjob_says_so(api: Api, trainer: Trainer, name: str) -> None:
    api.ok("POST", trainer.jobs, trainer.job(name, suspend=True))
    api.until(f"{trainer.jobs}/{name}", lambda answer: condition(answer.body, "Suspended") == "True")
    api.ok("DELETE", f"{trainer.jobs}/{name}")


def test_a_trainjob_makes_a_jobset_a_job_and_pods(
    api: Api, namespace: str, root: str, trainer: Trainer, name: str
) -> None:
    sets = served(api, namespace, "jobset.x-k8s.io/v1alpha2", "jobsets")
    api.ok("POST", trainer.jobs, trainer.job(name))
    api.until(f"{sets}/{name}", lambda answer: answer.code == 200)
    api.until(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}-node-0", lambda answer: answer.code == 200)
    pods = query(f"{root}/pods", labelSelector=f"jobset.sigs.k8s.io/jobset-name={name}")
    found = api.until(pods, lambda answer: bool(answer.body["items"])).body["items"][0]
    variables = {each["name"] for each in found["spec"]["containers"][0].get("env", [])}
    assert {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"} <= variables
    api.ok("DELETE", f"{trainer.jobs}/{name}")
