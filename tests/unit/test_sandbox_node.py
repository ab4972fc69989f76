"""What a container finds: environment, rewritten paths, translated addresses, a phase."""

import asyncio
import datetime as dt
import decimal
import json
import pathlib
from typing import Any

import pytest

from nni.sandbox import kinds, quantities, registry, schema, store
from nni.sandbox.node import (
    cgroups,
    containers,
    environment,
    launching,
    mounts,
    network,
    podstatus,
    references,
    restarts,
    stopping,
    usage,
    volumes,
)
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


async def test_a_grace_can_be_shortened_and_not_prolonged() -> None:
    stop = stopping.Stop()
    overdue = asyncio.create_task(stop.overdue())
    stop.ask(1000)
    await asyncio.sleep(0)
    stop.ask(2000)
    await asyncio.sleep(0)
    stop.ask(0)
    await asyncio.wait_for(overdue, 5)
    with pytest.raises(stopping.StoppedError):
        await stop.unless(asyncio.sleep(1000))


def job_pod(job: str, uid: str) -> schema.Object:
    labels = {"training.kubeflow.org/job-name": job}
    owner = {"uid": uid, "controller": True}
    return {"metadata": {"namespace": "default", "labels": labels, "ownerReferences": [owner]}}


def test_every_job_gets_a_port_of_its_own() -> None:
    shared = network.SharedNetwork()
    given = {"MASTER_ADDR": "a-master-0", "MASTER_PORT": "23456", "OTHER": "a-master-0"}
    given |= {f"PET_{name}": value for name, value in given.items()}
    first = shared.translate(job_pod("a", "1"), given)
    again = shared.translate(job_pod("a", "1"), given)
    second = shared.translate(job_pod("a", "2"), given)
    assert first["MASTER_ADDR"] == "127.0.0.1"
    assert first["OTHER"] == "a-master-0"
    assert first == again
    assert first["MASTER_PORT"] == first["PET_MASTER_PORT"] != second["MASTER_PORT"]


def config(*addresses: str) -> str:
    cluster = {"worker": list(addresses), "ps": {"1": "t-ps-1.default.svc:2222"}}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}, "environment": "cloud"})


def test_a_tensorflow_cluster_gets_a_port_for_each_replica() -> None:
    shared = network.SharedNetwork()
    given = config("t-worker-0.default.svc:2222", "t-worker-1.default.svc:2222", "elsewhere:2222")
    found = json.loads(shared.translate(job_pod("t", "1"), {"TF_CONFIG": given})["TF_CONFIG"])
    workers, servers = found["cluster"]["worker"], found["cluster"]["ps"]
    hosts, ports = zip(*(each.split(":") for each in [*workers[:2], servers["1"]]), strict=True)
    assert (set(hosts), len(set(ports)), workers[2]) == ({"127.0.0.1"}, 3, "elsewhere:2222")
    assert found["task"] == {"type": "worker", "index": 0}
    assert shared.translate(job_pod("t", "1"), {"TF_CONFIG": "mine"}) == {"TF_CONFIG": "mine"}


def test_a_train_job_meets_under_the_name_of_its_job_set() -> None:
    labels = {"jobset.sigs.k8s.io/jobset-name": "tj", "batch.kubernetes.io/job-name": "tj-node-0"}
    pods = [{"metadata": {"namespace": "default", "labels": labels | {"jobset.sigs.k8s.io/jobset-uid": uid}}}
            for uid in ("1", "1", "2")]  # fmt: skip
    shared = network.SharedNetwork()
    given = {"PET_MASTER_ADDR": "tj-node-0-0.tj", "PET_MASTER_PORT": "29500"}
    one, same, other = (shared.translate(pod, given) for pod in pods)
    assert one["PET_MASTER_ADDR"] == "127.0.0.1"
    assert one == same != other


def test_an_elastic_job_meets_at_its_endpoint() -> None:
    shared = network.SharedNetwork()
    ours = shared.translate(job_pod("e", "1"), {"PET_RDZV_ENDPOINT": "e-worker-0:29400"})
    theirs = shared.translate(job_pod("e", "1"), {"PET_RDZV_ENDPOINT": "etcd:2379"})
    assert ours["PET_RDZV_ENDPOINT"].startswith("127.0.0.1:2")
    assert theirs["PET_RDZV_ENDPOINT"] == "etcd:2379"


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
SIDECAR = podstatus.ContainerState({"name": "side", "restartPolicy": "Always"}, {"running": {}}, has_started=True)
BACKING_OFF = podstatus.ContainerState(
    {"name": "main"}, {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"exitCode": 1}}, 1
)


@pytest.mark.parametrize(
    ("main", "initial", "policy", "expected"),
    [
        ([WAITING], [], "Never", "Pending"),
        ([state(None)], [], "Never", "Running"),
        ([state(None), WAITING], [], "Never", "Pending"),
        ([state(0)], [], "Never", "Succeeded"),
        ([state(0), state(2)], [], "Never", "Failed"),
        ([state(0), state(None)], [], "Never", "Running"),
        ([WAITING], [state(1)], "Never", "Failed"),
        ([state(1)], [], "OnFailure", "Running"),
        ([state(0)], [], "OnFailure", "Succeeded"),
        ([state(0)], [], "Always", "Running"),
        ([state(0)], [SIDECAR], "Never", "Succeeded"),
        ([WAITING], [SIDECAR], "Never", "Pending"),
        ([BACKING_OFF], [], "OnFailure", "Running"),
        ([state(None)], [state(None)], "Never", "Pending"),
    ],
)
def test_the_phase_of_a_pod(
    main: list[podstatus.ContainerState], initial: list[podstatus.ContainerState], policy: str, expected: str
) -> None:
    assert podstatus.phase(main, initial, policy) == expected


def told(*main: podstatus.ContainerState, before: schema.Object | None = None, **more: Any) -> schema.Object:
    pod = {"spec": {"restartPolicy": "Never"}, "status": before or {"conditions": [{"type": "PodScheduled"}]}}
    return podstatus.build(pod, list(main), [], lambda: MOMENT, address="127.0.0.1", started="s", **more)


def written(status: schema.Object) -> dict[str, str]:
    return {each["type"]: each["status"] + each.get("reason", "") for each in status["conditions"][1:]}


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        (WAITING, ("True", "True", "FalseContainersNotReady")),
        (state(None), ("True", "True", "True")),
        (state(0), ("False", "True", "FalsePodCompleted")),
        (state(1), ("False", "True", "FalsePodFailed")),
    ],
)
def test_the_conditions_of_a_pod(main: podstatus.ContainerState, expected: tuple[str, str, str]) -> None:
    started, initialized, ready = expected
    assert written(told(main)) == {
        "PodReadyToStartContainers": started, "Initialized": initialized, "Ready": ready,
        "ContainersReady": ready,
    }  # fmt: skip


def test_an_overdue_pod_is_failed_once_nothing_runs() -> None:
    verdict = {"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}
    assert told(state(None), verdict=verdict)["phase"] == "Running"
    over = told(WAITING, verdict=verdict)
    assert (over["phase"], over["reason"]) == ("Failed", "DeadlineExceeded")
    ended = over["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")


def test_delays_between_restarts_double_and_are_forgiven() -> None:
    backoff = restarts.Backoff()
    assert [backoff.after(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert [backoff.after(600), backoff.after(1), backoff.after(1)] == [0, 10, 20]
    assert [restarts.written(seconds) for seconds in (10, 80, 300)] == ["10s", "1m20s", "5m0s"]


@pytest.mark.parametrize(
    ("limit", "memory", "expected"),
    [
        ("1Ki", [], 1024),
        (None, [], 0),
        ("4Ki", ["1Ki", "1Ki"], 2048),
        ("1Ki", ["1Ki", "1Ki"], 1024),
        (None, ["1Ki", "1Ki"], 2048),
        ("1Mi", ["1Ki", None], 1 << 20),
    ],
)
def test_the_size_of_a_volume_in_memory(limit: str | None, memory: list[str | None], expected: int) -> None:
    containers = [{"resources": {"limits": {"memory": each} if each else {}}} for each in memory or [None]]
    assert volumes.memory_size(limit, {"containers": containers}) == expected


async def test_a_volume_that_grows_beyond_its_limit_is_found(tmp_path: pathlib.Path) -> None:
    spec = {"volumes": [
        {"name": "full", "emptyDir": {"sizeLimit": "64Ki"}},
        {"name": "free", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}},
    ]}  # fmt: skip
    folders = {"full": volumes.Folder(tmp_path), "free": volumes.Folder(tmp_path),
               "memory": volumes.Folder(tmp_path, memory=1024)}  # fmt: skip
    limits = usage.limits(spec, folders, is_isolated=True)
    assert limits == {"full": "64Ki"}
    assert usage.limits(spec, folders, is_isolated=False) == limits | {"memory": "1Ki"}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "half").write_bytes(b"x" * 40_000)
    (tmp_path / "again").hardlink_to(tmp_path / "deep" / "half")
    assert 40_000 <= usage.measure(tmp_path) < 64 * 1024
    (tmp_path / "more").write_bytes(b"x" * 40_000)
    message = await asyncio.wait_for(usage.exceeded(limits, folders, 0.01), 10)
    assert message == 'Usage of EmptyDir volume "full" exceeds the limit "64Ki". '


SECOND = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
FIRST = (
    "35 24 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "36 24 0:31 /docker/1 /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n"
)


@pytest.mark.parametrize(
    ("own", "table", "expected"),
    [
        ("0::/user.slice/me.scope\n", SECOND,
         [(2, "/sys/fs/cgroup/user.slice/me.scope"), (2, "/sys/fs/cgroup/user.slice")]),
        ("0::/\n", SECOND, [(2, "/sys/fs/cgroup")]),
        ("4:memory:/docker/1/a\n1:cpu,cpuacct:/\n", FIRST, [(1, "/sys/fs/cgroup/memory/a")]),
        ("4:memory:/elsewhere\n", FIRST, [(1, "/sys/fs/cgroup/memory")]),
        ("4:memory:/\n0::/\n", "", []),
        ("", SECOND, []),
    ],
)  # fmt: skip
def test_where_control_groups_are_made(own: str, table: str, expected: list[tuple[int, str]]) -> None:
    assert [(version, str(place)) for version, place in cgroups.places(own, table)] == expected


def test_a_group_of_version_2_is_limited_and_asked_by_its_files(tmp_path: pathlib.Path) -> None:
    groups = cgroups.Groups(tmp_path, 2)
    group = groups.make("c1")
    group.limit(1 << 20)
    written = {path.name: path.read_text() for path in (tmp_path / "c1").iterdir()}
    assert written == {"memory.max": "1048576", "memory.oom.group": "1", "memory.swap.max": "0"}
    assert not group.has_run_out()
    events = tmp_path / "c1" / "memory.events"
    events.write_text("low 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n")
    assert not group.has_run_out()
    events.write_text("low 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n")
    assert group.has_run_out()


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
