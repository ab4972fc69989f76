"""What a container is made of: environment, paths, mounts; and what it waits for."""

import asyncio
import datetime as dt
import decimal
import pathlib
from typing import Any

import pytest

from nni.sandbox import kinds, quantities, registry, schema, store
from nni.sandbox.node import (
    containers,
    environment,
    launching,
    mounts,
    references,
    volumes,
)

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
        (field("spec.serviceAccountName"), "default"),
        (field("status.hostIP"), "127.0.0.1"),
        (field("status.podIPs"), "127.0.0.1"),
        (field("metadata.labels"), 'app="x"'),
        ({"secretKeyRef": {"name": "keys", "key": "token"}}, "t0k"),
        ({"configMapKeyRef": {"name": "settings", "key": "colour"}}, "red"),
        ({"secretKeyRef": {"name": "none", "key": "x", "optional": True}}, None),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "512"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "64"),
        ({"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}, "512"),
        ({"resourceFieldRef": {"resource": "requests.ephemeral-storage"}}, "0"),
        ({"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}}, None),
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
        ({"secretKeyRef": {"name": "keys", "key": "x"}}, "couldn't find key x in Secret default/keys"),
        ({"configMapKeyRef": {"name": "none", "key": "x"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "settings", "key": "x"}}, "couldn't find key x in ConfigMap default/settings"),
        ({"fieldRef": {"fieldPath": "spec.containers"}}, "unsupported fieldPath: spec.containers"),
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


def place_in(folder: pathlib.Path, *, is_isolated: bool) -> containers.Place:
    return containers.Place(folder, folder / "shm", folder / "hosts", "one", {"PATH": "/bin"}, is_isolated)


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
    place = place_in(tmp_path, is_isolated=False)
    folders = {"d": volumes.Folder(pathlib.Path("/host/d")), "e": volumes.Folder(pathlib.Path("/host/e"))}
    order = containers.order(container, {"WORD": word}, folders, place, tmp_path / "message")
    assert (order.command[1], order.environment["WORD"]) == (expected, expected)


def test_with_namespaces_nothing_is_rewritten(tmp_path: pathlib.Path) -> None:
    container = {"command": ["run", "/data"], "volumeMounts": [{"name": "d", "mountPath": "/data", "readOnly": True}]}
    place = place_in(tmp_path, is_isolated=True)
    order = containers.order(container, {}, {"d": volumes.Folder(tmp_path)}, place, tmp_path / "message")
    assert order.command == ["run", "/data"]
    assert order.mounts == [
        mounts.Mount(str(tmp_path), "/data", is_read_only=True),
        mounts.Mount(str(tmp_path / "message"), "/dev/termination-log"),
        mounts.Mount(str(tmp_path / "shm"), "/dev/shm", memory=64 << 20),
        mounts.Mount(str(tmp_path / "hosts"), "/etc/hosts"),
    ]
    assert order.environment == {"PATH": "/bin", "HOME": str(tmp_path), "HOSTNAME": "one"}


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"name": "v", "mountPath": "/v", "subPath": "../x"},
         'failed to prepare subPath for volumeMount "v" of container "main"'),
        ({"name": "w", "mountPath": "/w"}, 'the container main mounts the volume "w", which is not there'),
    ],
)  # fmt: skip
def test_what_cannot_be_made_into_a_container(tmp_path: pathlib.Path, mount: schema.Object, message: str) -> None:
    container = {"name": "main", "command": ["run"], "volumeMounts": [mount]}
    (tmp_path / "v").mkdir()
    place = place_in(tmp_path, is_isolated=True)
    with pytest.raises(containers.ConfigError) as wrong:
        containers.order(container, {}, {"v": volumes.Folder(tmp_path / "v")}, place, tmp_path / "message")
    assert str(wrong.value) == message
    assert not (tmp_path / "x").exists()


def test_a_container_without_a_command_cannot_start(tmp_path: pathlib.Path) -> None:
    with pytest.raises(launching.StartError, match="give the container a command"):
        containers.order({"name": "main"}, {}, {}, place_in(tmp_path, is_isolated=True), tmp_path / "message")


async def test_a_waiter_is_woken_by_its_object_alone(objects: registry.Registry) -> None:
    expected = references.References(objects)
    async with asyncio.TaskGroup() as group:
        group.create_task(expected.run())
        with (
            expected.expecting(("secrets", "default", "late")) as ours,
            expected.expecting(("secrets", "default", "other")) as others,
            expected.expecting(None) as nobodys,
        ):
            objects.create(kinds.SECRET, "default", {"metadata": {"name": "late"}})
            await asyncio.wait_for(ours.wait(), 5)
            assert (others.is_set(), nobodys.is_set()) == (False, False)
        expected.close()


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
