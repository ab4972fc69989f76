"""What a container finds: environment, rewritten paths, translated addresses; and where pods are put."""

import asyncio
import datetime as dt
import decimal
import pathlib
from typing import Any

import pytest

from nni.sandbox import events, kinds, nodes, quantities, registry, scheduler, schema, store
from nni.sandbox.node import containers, environment, mounts, network, podstatus
from nni.sandbox.operators import jobstatus

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> registry.Registry:
    made = registry.Registry(store.Store(), schema.load(), lambda: MOMENT, {})
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    made.create(kinds.SECRET, "default", {"metadata": {"name": "keys"}, "stringData": {"token": "t0k", "user": "me"}})
    made.create(kinds.CONFIG_MAP, "default", {"metadata": {"name": "settings"}, "data": {"colour": "red"}})
    return made


def bound_pod(objects: registry.Registry) -> schema.Object:
    body = {
        "metadata": {"name": "one", "labels": {"app": "x"}, "annotations": {"a/b": "c"}},
        "spec": {"nodeName": "n", "containers": [{"name": "main", "image": "x"}]},
    }
    return objects.create(kinds.POD, "default", body)


def field(path: str) -> dict[str, Any]:
    return {"fieldRef": {"fieldPath": path}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (field("metadata.name"), "one"),
        (field("metadata.namespace"), "default"),
        (field("metadata.labels['app']"), "x"),
        (field("metadata.labels['missing']"), ""),
        (field("metadata.annotations['a/b']"), "c"),
        (field("status.podIP"), "127.0.0.1"),
        (field("spec.nodeName"), "n"),
        ({"secretKeyRef": {"name": "keys", "key": "token"}}, "t0k"),
        ({"configMapKeyRef": {"name": "settings", "key": "colour"}}, "red"),
        ({"secretKeyRef": {"name": "none", "key": "x", "optional": True}}, None),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "512"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "64"),
    ],
)
def test_values_come_from_where_the_manifest_says(
    objects: registry.Registry, source: dict[str, Any], expected: str | None
) -> None:
    builder = environment.Builder(objects, bound_pod(objects), "127.0.0.1", {"cpu": "64"})
    resources = {"limits": {"memory": "512Mi"}, "requests": {"cpu": "500m"}}
    built = builder.build({"name": "main", "resources": resources, "env": [{"name": "IT", "valueFrom": source}]})
    assert built.get("IT") == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "none", "key": "x"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "x"}}, "couldn't find key x in secret default/keys"),
        ({"configMapKeyRef": {"name": "none", "key": "x"}}, 'configmap "none" not found'),
    ],
)
def test_a_missing_reference_is_named(objects: registry.Registry, source: dict[str, Any], message: str) -> None:
    builder = environment.Builder(objects, bound_pod(objects), "127.0.0.1", {})
    with pytest.raises(environment.MissingReferenceError) as missing:
        builder.build({"name": "main", "env": [{"name": "IT", "valueFrom": source}]})
    assert str(missing.value) == message


def test_all_keys_of_a_secret_come_with_their_prefix(objects: registry.Registry) -> None:
    builder = environment.Builder(objects, bound_pod(objects), "127.0.0.1", {})
    sources = [{"prefix": "MY_", "secretRef": {"name": "keys"}}, {"configMapRef": {"name": "no", "optional": True}}]
    assert builder.build({"name": "main", "envFrom": sources}) == {"MY_token": "t0k", "MY_user": "me"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)/x", "1/x"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$A", "$A"),
        ('a\'b "c" | d', 'a\'b "c" | d'),
        ("$(A)$(B)", "12"),
    ],
)
def test_references_between_variables(text: str, expected: str) -> None:
    assert environment.expand(text, {"A": "1", "B": "2"}) == expected


def test_the_last_of_two_variables_wins(objects: registry.Registry) -> None:
    builder = environment.Builder(objects, bound_pod(objects), "127.0.0.1", {})
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}, {"name": "A", "value": "2"}]
    assert builder.build({"name": "main", "env": variables}) == {"A": "2", "B": "1"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/data", "/host/d"),
        ("/data/x.py", "/host/d/x.py"),
        ("--root=/data", "--root=/host/d"),
        ("/data2", "/data2"),
        ("/database", "/database"),
        ("/my/data", "/my/data"),
        ("sh /data/a && cat /data/b", "sh /host/d/a && cat /host/d/b"),
        ("/data/deep/y", "/host/e/y"),
        ("a:/data:b", "a:/host/d:b"),
        ("/data-old", "/data-old"),
    ],
)
def test_without_namespaces_mount_paths_are_rewritten(tmp_path: pathlib.Path, word: str, expected: str) -> None:
    container = {
        "command": ["run", word],
        "volumeMounts": [{"name": "d", "mountPath": "/data"}, {"name": "e", "mountPath": "/data/deep/"}],
    }
    place = containers.Place(tmp_path, {"PATH": "/bin"}, is_isolated=False)
    folders = {"d": pathlib.Path("/host/d"), "e": pathlib.Path("/host/e")}
    order = containers.order(container, {"WORD": word}, folders, place, tmp_path / "message")
    assert (order.command[1], order.environment["WORD"]) == (expected, expected)


def test_with_namespaces_nothing_is_rewritten(tmp_path: pathlib.Path) -> None:
    container = {"command": ["run", "/data"], "volumeMounts": [{"name": "d", "mountPath": "/data", "readOnly": True}]}
    place = containers.Place(tmp_path, {"PATH": "/bin"}, is_isolated=True)
    order = containers.order(container, {}, {"d": tmp_path}, place, tmp_path / "message")
    assert order.command == ["run", "/data"]
    assert order.mounts == [
        mounts.Mount(str(tmp_path), "/data", is_read_only=True),
        mounts.Mount(str(tmp_path / "message"), "/dev/termination-log"),
    ]
    assert order.environment == {"PATH": "/bin", "HOME": str(tmp_path)}


def job_pod(job: str, uid: str) -> schema.Object:
    labels = {"training.kubeflow.org/job-name": job}
    owner = {"uid": uid, "controller": True}
    return {"metadata": {"namespace": "default", "labels": labels, "ownerReferences": [owner]}}


def test_every_job_gets_a_port_of_its_own() -> None:
    shared = network.SharedNetwork()
    given = {"MASTER_ADDR": "a-master-0", "MASTER_PORT": "23456", "PET_MASTER_PORT": "23456", "OTHER": "a-master-0"}
    first = shared.translate(job_pod("a", "1"), given)
    again = shared.translate(job_pod("a", "1"), given)
    second = shared.translate(job_pod("a", "2"), given)
    assert first["MASTER_ADDR"] == "127.0.0.1"
    assert first["OTHER"] == "a-master-0"
    assert first == again
    assert first["MASTER_PORT"] == first["PET_MASTER_PORT"] != second["MASTER_PORT"]


def test_a_pod_without_a_job_keeps_its_addresses() -> None:
    given = {"MASTER_ADDR": "somewhere", "MASTER_PORT": "1"}
    assert network.SharedNetwork().translate({"metadata": {"namespace": "default"}}, given) == given


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500m", "0.5"), ("2", "2"), ("4Gi", str(4 * 2**30)), ("1k", "1000"), (3, "3"), ("1.5", "1.5")],
)
def test_quantities(text: str | int, expected: str) -> None:
    assert quantities.parse(text) == decimal.Decimal(expected)


@pytest.mark.parametrize("text", ["", "4 Gi", "4g", "x", "Gi"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantities.parse(text)


def state(code: int | None, restarts: int = 0) -> podstatus.ContainerState:
    found: schema.Object = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
    return podstatus.ContainerState({"name": "main"}, found, restarts=restarts)


WAITING = podstatus.waiting({"name": "main"}, "ContainerCreating")


@pytest.mark.parametrize(
    ("main", "initial", "policy", "expected"),
    [
        ([WAITING], [], "Never", "Pending"),
        ([state(None)], [], "Never", "Running"),
        ([state(None), WAITING], [], "Never", "Running"),
        ([state(0)], [], "Never", "Succeeded"),
        ([state(0), state(2)], [], "Never", "Failed"),
        ([state(0), state(None)], [], "Never", "Running"),
        ([WAITING], [state(1)], "Never", "Failed"),
        ([state(1)], [], "OnFailure", "Running"),
        ([state(0)], [], "OnFailure", "Succeeded"),
        ([state(0)], [], "Always", "Running"),
    ],
)
def test_the_phase_of_a_pod(
    main: list[podstatus.ContainerState], initial: list[podstatus.ContainerState], policy: str, expected: str
) -> None:
    assert podstatus.phase(main, initial, policy) == expected


def conditions(*steps: tuple[str, bool]) -> list[tuple[str, str]]:
    found: schema.Object = {}
    for name, is_true in steps:
        found = jobstatus.with_condition(found, "PyTorchJob", name, "", lambda: MOMENT, is_true=is_true)
    return [(each["type"], each["status"]) for each in found["conditions"]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["Created", "Running"], [("Created", "True"), ("Running", "True")]),
        (["Created", "Running", "Succeeded"], [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]),
        (["Running", "Restarting"], [("Restarting", "True")]),
        (["Running", "Restarting", "Running"], [("Running", "True")]),
        (["Running", "Failed", "Running", "Succeeded"], [("Running", "False"), ("Failed", "True")]),
        (["Running", "Suspended"], [("Running", "False"), ("Suspended", "True")]),
    ],
)
def test_the_conditions_of_a_job(steps: list[str], expected: list[tuple[str, str]]) -> None:
    assert conditions(*((step, True) for step in steps)) == expected


def asking(name: str, **requests: str) -> schema.Object:
    resources = {
        "limits": {  # a GPU has to have a limit; what is limited is asked for
            key.replace("_", "/", 1).replace("nvidia/", "nvidia.com/"): value for key, value in requests.items()
        }
    }
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x", "resources": resources}]}}


async def placed(objects: registry.Registry, pods: list[schema.Object]) -> dict[str, str]:
    nodes.register(objects, 2, nodes.Capacity("4", "8Gi", "1"))
    planner = scheduler.Scheduler(objects, events.Recorder(objects, "default-scheduler"))
    watch = objects.store.watch(kinds.POD.resource)
    for body in pods:
        objects.create(kinds.POD, "default", body)
    async with asyncio.TaskGroup() as group:
        group.create_task(planner.run(watch))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        objects.store.close()
    return {each["metadata"]["name"]: each["spec"].get("nodeName", "") for each in objects.all(kinds.POD)}


async def test_pods_go_in_order_to_the_first_node_with_room(objects: registry.Registry) -> None:
    pods = [asking("a", cpu="3"), asking("b", cpu="2"), asking("c", cpu="1"), asking("d", cpu="3")]
    assert await placed(objects, pods) == {"a": "sandbox-0", "b": "sandbox-1", "c": "sandbox-0", "d": ""}


async def test_what_does_not_fit_says_why(objects: registry.Registry) -> None:
    assert await placed(objects, [asking("a", nvidia_gpu="2", memory="9Gi")]) == {"a": ""}
    found = objects.get(kinds.POD, "default", "a")
    assert found["status"]["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastProbeTime": None,
        "lastTransitionTime": "",
        "message": "0/2 nodes are available: 2 Insufficient memory, 2 Insufficient nvidia.com/gpu. preemption: 0/2 "
        "nodes are available: 2 No preemption victims found for incoming pod.",
    }  # fmt: skip
    assert [each["reason"] for each in objects.all(kinds.EVENT)] == ["FailedScheduling"]
