"""Definitions that the job kinds' own projects ship, applied to the sandbox as they are."""

import contextlib
import gzip
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from nni.testing import sandbox

CRDS = pathlib.Path(__file__).parent / "data" / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
TRAINJOBS = f"{TRAINER}/namespaces/default/trainjobs"


@pytest.fixture(scope="module")
def api() -> Iterator[sandbox.Connection]:
    with sandbox.Sandbox() as running:
        yield sandbox.Connection(running)


@contextlib.contextmanager
def defined(api: sandbox.Connection, plural: str, group: str) -> Iterator[None]:
    """Apply a definition, and delete it at the end."""
    text = gzip.decompress((CRDS / f"{group}_{plural}.yaml.gz").read_bytes())
    path = f"{DEFINITIONS}/{plural}.{group}"
    media = {"Content-Type": "application/apply-patch+yaml"}
    with api.open("PATCH", f"{path}?fieldManager=test", text, **media) as answer:
        assert answer.status == 201
    api.until(path, lambda found: bool(found.get("status", {}).get("conditions")))
    try:
        yield
    finally:
        api.call("DELETE", path)
        api.until_gone(path)


@pytest.fixture
def pytorchjobs(api: sandbox.Connection) -> Iterator[sandbox.Connection]:
    with defined(api, "pytorchjobs", "kubeflow.org"):
        yield api


@pytest.fixture
def trainjobs(api: sandbox.Connection) -> Iterator[sandbox.Connection]:
    with defined(api, "trainjobs", "trainer.kubeflow.org"):
        yield api


def job(name: str, **container: Any) -> dict[str, Any]:
    main = {"name": "pytorch", "image": "x", "command": ["true"], **container}
    master = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [main]}}}
    return {
        "metadata": {"name": name},
        "spec": {"runPolicy": {"suspend": True}, "pytorchReplicaSpecs": {"Master": master}},
    }


def causes(refused: dict[str, Any]) -> dict[str, str]:
    return {each["field"]: each["reason"] for each in refused["details"]["causes"]}


def test_the_operators_own_definition_replaces_the_schema_that_ships(pytorchjobs: sandbox.Connection) -> None:
    port = {"ports": [{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 1, "protocol": "TCP"}]}
    code, refused = pytorchjobs.call("POST", JOBS, job("twice", **port))
    where = "spec.pytorchReplicaSpecs.Master.template.spec.containers[0].ports[1]"
    assert (code, causes(refused)) == (422, {where: "FieldValueDuplicate"})
    code, made = pytorchjobs.call("POST", JOBS, job("one", ports=[{"containerPort": 1}]))
    filled = made["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
    assert (code, filled["ports"]) == (201, [{"containerPort": 1, "protocol": "TCP"}])
    document = pytorchjobs.call("GET", "/openapi/v3/apis/kubeflow.org/v1")[1]
    told = document["components"]["schemas"]["PyTorchJob"]["properties"]["spec"]
    assert told["description"] == "Specification of the desired state of the PyTorchJob."


def test_without_it_the_schema_that_ships_holds_again(api: sandbox.Connection) -> None:
    with defined(api, "pytorchjobs", "kubeflow.org"):
        kept = api.call("POST", JOBS, job("kept"))[0]
    assert (kept, api.call("GET", f"{JOBS}/kept")[0]) == (201, 200)
    document = api.call("GET", "/openapi/v3/apis/kubeflow.org/v1")[1]
    assert "description" not in document["components"]["schemas"]["PyTorchJob"]["properties"]["spec"]


def test_trainjobs_are_held_to_their_own_schema(trainjobs: sandbox.Connection) -> None:
    code, refused = trainjobs.call("POST", TRAINJOBS, {"metadata": {"name": "one"}, "spec": {}})
    assert (code, causes(refused)["spec.runtimeRef"]) == (422, "FieldValueRequired")
    body = {"metadata": {"name": "one"}, "spec": {"runtimeRef": {"name": "torch"}, "activeDeadlineSeconds": 0}}
    code, refused = trainjobs.call("POST", TRAINJOBS, body)
    assert (code, causes(refused)) == (422, {"spec.activeDeadlineSeconds": "FieldValueInvalid"})


def test_what_was_defined_is_no_longer_served_when_the_definition_goes(api: sandbox.Connection) -> None:
    runtimes = f"{TRAINER}/namespaces/default/trainingruntimes"
    was_served = api.call("GET", runtimes)[0] == 200
    with defined(api, "trainingruntimes", "trainer.kubeflow.org"):
        assert api.call("GET", runtimes)[0] == 200
    assert api.call("GET", runtimes)[0] == (200 if was_served else 404)
