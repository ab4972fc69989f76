"""The verbs of the API without HTTP: what is stored, what is refused and in which words."""

import asyncio
import datetime as dt
from typing import Any

import pytest

from nni.sandbox import kinds, patches, registry, schema, status, store
from nni.sandbox.operators import training_webhook

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> registry.Registry:
    webhooks = {kinds.PYTORCH_JOB.resource: training_webhook.check_pytorch}
    made = registry.Registry(store.Store(), schema.load(), lambda: MOMENT, webhooks)
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    return made


def pod(name: str = "one", **spec: Any) -> schema.Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "x"}], **spec}}


def job(name: str = "one", **replica: Any) -> schema.Object:
    template = {"spec": {"containers": [{"name": "pytorch", "image": "x"}]}}
    return {
        "metadata": {"name": name},
        "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": template, **replica}}},
    }


def config(name: str = "one", **data: str) -> schema.Object:
    return {"metadata": {"name": name}, "data": data}


def refusal_of(action: Any) -> tuple[int, str, str]:
    with pytest.raises(status.Refusal) as caught:
        action()
    return caught.value.code, caught.value.reason, str(caught.value)


def test_a_new_object_gets_its_identity(objects: registry.Registry) -> None:
    made = objects.create(kinds.PYTORCH_JOB, "default", job())
    metadata = made["metadata"]
    assert (metadata["creationTimestamp"], metadata["generation"], metadata["namespace"], len(metadata["uid"])) == (
        "2026-01-02T03:04:05Z", 1, "default", 36,
    )  # fmt: skip
    assert made["apiVersion"] == "kubeflow.org/v1"


def test_generation_counts_changes_of_spec_alone(objects: registry.Registry) -> None:
    objects.create(kinds.PYTORCH_JOB, "default", job())
    place = (kinds.PYTORCH_JOB, "default", "one")
    labelled = objects.patch(*place, {"metadata": {"labels": {"a": "b"}}}, patches.MERGE)
    told = objects.patch(
        *place, {"status": {"startTime": "2026-01-02T03:04:05Z"}}, patches.MERGE, manner=registry.Manner(part="status")
    )
    suspended = objects.patch(*place, {"spec": {"runPolicy": {"suspend": True}}}, patches.MERGE)
    assert [each["metadata"]["generation"] for each in (labelled, told, suspended)] == [1, 1, 2]


def test_main_endpoint_and_status_endpoint_do_not_mix(objects: registry.Registry) -> None:
    objects.create(kinds.PYTORCH_JOB, "default", job() | {"status": {"startTime": "2026-01-01T00:00:00Z"}})
    place = (kinds.PYTORCH_JOB, "default", "one")
    patch = {"spec": {"nprocPerNode": "2"}, "status": {"startTime": "2026-01-02T03:04:05Z"}}
    by_main = objects.patch(*place, patch, patches.MERGE)
    assert ("status" in by_main, by_main["spec"]["nprocPerNode"]) == (False, "2")
    patch["spec"] = {"nprocPerNode": "3"}
    by_status = objects.patch(*place, patch, patches.MERGE, manner=registry.Manner(part="status"))
    assert (by_status["status"], by_status["spec"]["nprocPerNode"]) == ({"startTime": "2026-01-02T03:04:05Z"}, "2")


def test_a_write_that_changes_nothing_takes_no_version(objects: registry.Registry) -> None:
    made = objects.create(kinds.CONFIG_MAP, "default", config(a="b"))
    same = objects.patch(kinds.CONFIG_MAP, "default", "one", {"data": {"a": "b"}}, patches.MERGE)
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_stale_version_is_a_conflict(objects: registry.Registry) -> None:
    made = objects.create(kinds.CONFIG_MAP, "default", config(a="b"))
    objects.patch(kinds.CONFIG_MAP, "default", "one", {"data": {"a": "c"}}, patches.MERGE)
    answer = refusal_of(lambda: objects.replace(kinds.CONFIG_MAP, "default", "one", made))
    assert answer == (
        409, "Conflict", 'Operation cannot be fulfilled on configmaps "one": the object has been modified; please '
        "apply your changes to the latest version and try again",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (registry.Deletion(uid="other"), 409),
        (registry.Deletion(version="1"), 409),
        (registry.Deletion(), None),
    ],
)
def test_a_deletion_with_a_precondition(
    objects: registry.Registry, how: registry.Deletion, expected: int | None
) -> None:
    objects.create(kinds.CONFIG_MAP, "default", config())
    if expected is None:
        assert objects.delete(kinds.CONFIG_MAP, "default", "one", how)["status"] == "Success"
    else:
        assert refusal_of(lambda: objects.delete(kinds.CONFIG_MAP, "default", "one", how))[0] == expected


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (kinds.CONFIG_MAP, config("default") | {"metadata": {"name": "Bad_Name"}}, (422, "Invalid")),
        (kinds.CONFIG_MAP, {"metadata": {}}, (422, "Invalid")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "resourceVersion": "4"}}, (400, "BadRequest")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "namespace": "elsewhere"}}, (400, "BadRequest")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "labels": {"a": "not valid"}}}, (422, "Invalid")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "labels": {"not valid": "a"}}}, (422, "Invalid")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "labels": {"a" * 64: "a"}}}, (422, "Invalid")),
        (kinds.CONFIG_MAP, {"metadata": {"name": "x", "annotations": {"a/b/c": "a"}}}, (422, "Invalid")),
        (kinds.POD, {"metadata": {"name": "x"}, "spec": {"containers": []}}, (422, "Invalid")),
        (kinds.POD, {"metadata": {"name": "x"}, "spec": {"containers": "no"}}, (400, "BadRequest")),
        (kinds.POD, pod(restartPolicy="Sometimes"), (422, "Invalid")),
        (kinds.SECRET, {"metadata": {"name": "x"}, "data": {"a": "%%%"}}, (422, "Invalid")),
        (kinds.PYTORCH_JOB, {"metadata": {"name": "x"}, "spec": {}}, (422, "Invalid")),
        (kinds.PYTORCH_JOB, job(replicas="1"), (422, "Invalid")),
        (kinds.PYTORCH_JOB, job() | {"status": {"startTime": "now"}}, (422, "Invalid")),
        (kinds.LEASE, {"metadata": {"name": "x"}, "spec": {"renewTime": "now"}}, (400, "BadRequest")),
    ],
)
def test_what_a_cluster_refuses_is_refused(
    objects: registry.Registry, kind: kinds.Kind, body: schema.Object, expected: tuple[int, str]
) -> None:
    assert refusal_of(lambda: objects.create(kind, "default", body))[:2] == expected


def test_an_unknown_namespace_is_not_found(objects: registry.Registry) -> None:
    answer = refusal_of(lambda: objects.create(kinds.CONFIG_MAP, "nowhere", config()))
    assert answer == (404, "NotFound", 'namespaces "nowhere" not found')


def test_an_existing_name_is_a_conflict(objects: registry.Registry) -> None:
    objects.create(kinds.PYTORCH_JOB, "default", job())
    answer = refusal_of(lambda: objects.create(kinds.PYTORCH_JOB, "default", job()))
    assert answer == (409, "AlreadyExists", 'pytorchjobs.kubeflow.org "one" already exists')


def test_unknown_fields_are_pruned_or_refused(objects: registry.Registry) -> None:
    made = objects.create(kinds.PYTORCH_JOB, "default", job("one", colour="red"))
    assert "colour" not in made["spec"]["pytorchReplicaSpecs"]["Master"]
    strict = registry.Manner(is_strict=True)
    answer = refusal_of(lambda: objects.create(kinds.PYTORCH_JOB, "default", job("two", colour="red"), strict))
    assert answer[:2] == (400, "BadRequest")
    assert 'unknown field "spec.pytorchReplicaSpecs.Master.colour"' in answer[2]


def test_a_dry_run_stores_nothing(objects: registry.Registry) -> None:
    dry = registry.Manner(is_dry=True)
    assert objects.create(kinds.CONFIG_MAP, "default", config(), dry)["metadata"]["uid"]
    assert objects.find(kinds.CONFIG_MAP, "default", "one") is None


def test_names_are_generated(objects: registry.Registry) -> None:
    made = objects.create(kinds.CONFIG_MAP, "default", {"metadata": {"generateName": "trial-"}})
    assert (made["metadata"]["name"][:6], len(made["metadata"]["name"])) == ("trial-", 11)


def test_string_data_of_a_secret_comes_back_encoded(objects: registry.Registry) -> None:
    made = objects.create(kinds.SECRET, "default", {"metadata": {"name": "one"}, "stringData": {"key": "word"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"key": "d29yZA=="}, "Opaque", False)


def test_finalizers_hold_an_object_back(objects: registry.Registry) -> None:
    body = config() | {"metadata": {"name": "one", "finalizers": ["example.org/hold"]}}
    objects.create(kinds.CONFIG_MAP, "default", body)
    held = objects.delete(kinds.CONFIG_MAP, "default", "one")
    assert held["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    objects.patch(kinds.CONFIG_MAP, "default", "one", {"metadata": {"finalizers": None}}, patches.MERGE)
    assert objects.find(kinds.CONFIG_MAP, "default", "one") is None


@pytest.mark.parametrize(
    ("node", "phase", "grace", "expected"),
    [
        ("", "Pending", None, None),
        ("n", "Running", None, 30),
        ("n", "Running", 5, 5),
        ("n", "Running", 0, None),
        ("n", "Succeeded", None, None),
    ],
)
def test_a_running_pod_is_deleted_gracefully(
    objects: registry.Registry, node: str, phase: str, grace: int | None, expected: int | None
) -> None:
    made = objects.create(kinds.POD, "default", pod())
    if node:
        objects.bind(made, node, {"phase": phase})
    objects.delete(kinds.POD, "default", "one", registry.Deletion(grace=grace))
    left = objects.find(kinds.POD, "default", "one")
    assert (left and left["metadata"]["deletionGracePeriodSeconds"]) == expected


def main(**more: Any) -> schema.Object:
    return {"name": "main", "image": "x", **more}


_MOUNT = {"name": "v", "mountPath": "/x"}


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"containers": [main(name="Main")]}, "spec.containers[0].name", 'Invalid value: "Main": a lowercase RFC 1123'),
        ({"containers": [main(), main()]}, "spec.containers[1].name", 'Duplicate value: "main"'),
        ({"initContainers": [main()], "containers": [main()]}, "spec.containers[0].name", 'Duplicate value: "main"'),
        ({"containers": [{"name": "main"}]}, "spec.containers[0].image", "Required value"),
        ({"containers": [main(volumeMounts=[_MOUNT])]}, "spec.containers[0].volumeMounts[0].name", 'Not found: "v"'),
        (
            {"containers": [main(volumeMounts=[_MOUNT, _MOUNT])], "volumes": [{"name": "v"}]},
            "spec.containers[0].volumeMounts[1].mountPath",
            'Invalid value: "/x": must be unique',
        ),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, "spec.volumes[1].name", 'Duplicate value: "v"'),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            "spec.volumes[0].hostPath",
            "Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "data"}}]},
            "spec.volumes[0].nfs.path",
            'Invalid value: "data": must be an absolute path',
        ),
        (
            {"containers": [main(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})]},
            "spec.containers[0].resources.requests",
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"containers": [main(resources={"requests": {"nvidia.com/gpu": "1"}})]},
            "spec.containers[0].resources.limits",
            "Required value: Limit must be set for non overcommitable resources",
        ),
        (
            {"containers": [main(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}])]},
            "spec.containers[0].env[0].valueFrom",
            'Invalid value: "": may not be specified when `value` is not empty',
        ),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "Invalid value: 0: must be between 1 and"),
    ],
)
def test_a_pod_that_a_cluster_would_not_take(
    objects: registry.Registry, spec: schema.Object, path: str, message: str
) -> None:
    with pytest.raises(status.Refusal) as caught:
        objects.create(kinds.POD, "default", pod(**spec))
    causes = {cause["field"]: cause["message"] for cause in caught.value.details["causes"]}
    assert causes[path].startswith(message)


@pytest.mark.parametrize(
    ("image", "expected"),
    [("python", "Always"), ("python:latest", "Always"), ("python:3.12", "IfNotPresent"),
     ("registry:5000/team/x", "Always"), ("x@sha256:0", "IfNotPresent")],
)  # fmt: skip
def test_a_moving_image_is_always_pulled(objects: registry.Registry, image: str, expected: str) -> None:
    made = objects.create(kinds.POD, "default", pod(containers=[main(image=image)]))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == expected


def test_a_limit_is_a_request_too(objects: registry.Registry) -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    made = objects.create(kinds.POD, "default", pod(containers=[main(resources=resources)]))
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert made["status"]["qosClass"] == "Burstable"


def test_a_patch_may_not_name_another_uid(objects: registry.Registry) -> None:
    objects.create(kinds.PYTORCH_JOB, "default", job())
    patch = {"metadata": {"uid": "other"}, "spec": {"runPolicy": {"suspend": True}}}
    answer = refusal_of(lambda: objects.patch(kinds.PYTORCH_JOB, "default", "one", patch, patches.MERGE))
    assert answer[:2] == (422, "Invalid")


def test_custom_resources_take_no_strategic_patch(objects: registry.Registry) -> None:
    objects.create(kinds.PYTORCH_JOB, "default", job())
    answer = refusal_of(lambda: objects.patch(kinds.PYTORCH_JOB, "default", "one", {}, patches.STRATEGIC))
    assert answer[:2] == (415, "UnsupportedMediaType")


def test_a_pods_containers_are_fixed(objects: registry.Registry) -> None:
    objects.create(kinds.POD, "default", pod())
    patch = {"spec": {"containers": [{"name": "main", "command": ["x"]}]}}
    answer = refusal_of(lambda: objects.patch(kinds.POD, "default", "one", patch, patches.STRATEGIC))
    assert answer[0] == 422
    assert "pod updates may not change fields other than" in answer[2]


_DENIED = 'admission webhook "validator.pytorchjob.training-operator.kubeflow.org" denied the request: '
_ROOT = "spec.pytorchReplicaSpecs"
_NAMELESS = {"spec": {"containers": [{"name": "main", "image": "x"}]}}
_IMAGELESS = {"spec": {"containers": [{"name": "pytorch"}]}}


@pytest.mark.parametrize(
    ("replica", "sentence"),
    [
        ({"replicas": 2}, f"{_ROOT}[Master].replicas: Forbidden: must be 1"),
        (
            {"template": _NAMELESS},
            f"{_ROOT}[Master].template.spec.containers: Required value: "
            "must have at least one container with name pytorch",
        ),
        (
            {"template": _IMAGELESS},
            f"{_ROOT}[Master].template.spec.containers[0].image: Required value: must be required",
        ),
    ],
)
def test_the_operators_webhook_refuses(objects: registry.Registry, replica: Any, sentence: str) -> None:
    answer = refusal_of(lambda: objects.create(kinds.PYTORCH_JOB, "default", job("one", **replica)))
    assert answer == (403, "Forbidden", _DENIED + sentence)


def test_the_webhook_wants_the_exact_case_of_roles(objects: registry.Registry) -> None:
    body = job()
    body["spec"]["pytorchReplicaSpecs"]["worker"] = body["spec"]["pytorchReplicaSpecs"]["Master"]
    answer = refusal_of(lambda: objects.create(kinds.PYTORCH_JOB, "default", body))
    assert answer[2] == f'{_DENIED}{_ROOT}[worker]: Unsupported value: "worker": supported values: "Master", "Worker"'


async def test_a_watch_tells_every_change_in_order() -> None:
    objects = store.Store()
    body = {"metadata": {"name": "one", "namespace": "n"}}
    first = objects.put("things", ("n", "one"), body)
    watch = objects.watch("things", int(first["metadata"]["resourceVersion"]) - 1)
    objects.put("things", ("n", "one"), body | {"data": 1})
    objects.remove("things", ("n", "one"))
    changes = await watch.next()
    assert [change.happening for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
    assert changes[-1].object["data"] == 1
    objects.close()
    assert await watch.next() == []


def test_old_versions_are_forgotten_and_say_so() -> None:
    objects = store.Store(history=2)
    for number in range(5):
        objects.put("things", ("", "one"), {"metadata": {"name": "one"}, "number": number})
    with pytest.raises(store.CompactedError):
        objects.watch("things", 2)
    with pytest.raises(store.CompactedError):
        objects.scan("things", version=3)
    assert [found["number"] for _, found in objects.scan("things", version=5)] == [3]


async def test_a_closed_store_ends_waiting_watches() -> None:
    objects = store.Store()
    watch = objects.watch("things")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(watch.next())
        await asyncio.sleep(0)
        objects.close()
    assert waiting.result() == []
