"""What is said of a pod, and what decides its course: phases, conditions, delays, limits."""

import asyncio
import datetime as dt
import pathlib
from typing import Any

import pytest

from nni.sandbox import schema
from nni.sandbox.node import (
    cgroups,
    podstatus,
    restarts,
    stopping,
    usage,
    volumes,
)
from nni.sandbox.operators import jobstatus

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


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
