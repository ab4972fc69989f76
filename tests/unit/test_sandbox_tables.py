"""What kubectl's tables show: ages, states of pods, columns of definitions."""

import datetime as dt
from typing import Any

import pytest

from nni.sandbox import cells, jsonpath, kinds, tables

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (5 * HOUR + 7 * MINUTE, "5h7m"),
        (9 * HOUR + 7 * MINUTE, "9h"),
        (47 * HOUR, "47h"),
        (2 * DAY + 4 * HOUR, "2d4h"),
        (8 * DAY + HOUR, "8d"),
        (3 * 365 * DAY + 2 * DAY, "3y2d"),
        (9 * 365 * DAY, "9y"),
    ],
)
def test_a_time_span_reads_as_in_kubectl(seconds: int, expected: str) -> None:
    assert cells.duration(seconds) == expected


def container(ready: bool = False, **state: Any) -> dict[str, Any]:
    return {"name": "c", "state": state, "ready": ready}


RUNNING = container(True, running={})
DONE = container(terminated={"exitCode": 0, "reason": "Completed"})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, "Running"),
        ({"phase": "Succeeded", "containerStatuses": [DONE]}, "Completed"),
        ({"phase": "Running", "containerStatuses": [DONE, RUNNING]}, "NotReady"),
        (
            {
                "phase": "Running",
                "containerStatuses": [DONE, RUNNING],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
            "Running",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 3})]}, "ExitCode:3"),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 1, "signal": 9})]}, "Signal:9"),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"reason": "OOMKilled"})]}, "OOMKilled"),
        (
            {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ImagePullBackOff"})]},
            "ImagePullBackOff",
        ),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            "SchedulingGated",
        ),
        ({"phase": "Pending", "initContainerStatuses": [DONE, container(running={})]}, "Init:1/2"),
        ({"phase": "Pending", "initContainerStatuses": [container(waiting={"reason": "PodInitializing"})]}, "Init:0/1"),
        ({"phase": "Failed", "initContainerStatuses": [container(terminated={"exitCode": 2})]}, "Init:ExitCode:2"),
    ],
)
def test_the_status_of_a_pod_is_more_than_its_phase(status: dict[str, Any], expected: str) -> None:
    assert cells.pod_state({"metadata": {}, "status": status}) == expected


@pytest.mark.parametrize(("phase", "expected"), [("Running", "Terminating"), ("Succeeded", "Succeeded")])
def test_a_pod_on_its_way_out_is_terminating_unless_it_is_over(phase: str, expected: str) -> None:
    found = {"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}, "status": {"phase": phase}}
    assert cells.pod_state(found) == expected


def test_restarts_say_when_the_last_was() -> None:
    ended = {"terminated": {"finishedAt": "2026-01-02T03:04:00Z"}}
    states = [{"restartCount": 2, "lastState": ended}, {"restartCount": 1}]
    assert cells.restarts({"status": {"containerStatuses": states}}, NOW) == "3 (5s ago)"


JOB = {
    "metadata": {"name": "one", "labels": {"a.b/c": "d"}},
    "status": {"conditions": [{"type": "Created", "status": "True"}, {"type": "Running", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".metadata.name", ["one"]),
        (".status.conditions[-1:].type", ["Running"]),
        (".status.conditions[0].type", ["Created"]),
        (".status.conditions[7].type", []),
        (".status.conditions[*].type", ["Created", "Running"]),
        ('.status.conditions[?(@.type=="Running")].status', ["False"]),
        (".status.conditions[?(@.status!='False')].type", ["Created"]),
        (".metadata.labels.a\\.b/c", ["d"]),
        (".metadata.labels['a.b/c']", ["d"]),
        (".spec.nothing", []),
        ("][", []),
    ],
)
def test_the_paths_of_columns(path: str, expected: list[Any]) -> None:
    assert jsonpath.find(path, JOB) == expected


def test_a_table_has_a_row_an_object_and_wide_columns() -> None:
    pod = {
        "metadata": {"name": "one", "creationTimestamp": "2026-01-02T03:00:00Z"},
        "spec": {"containers": [{}], "nodeName": "n"},
        "status": {"phase": "Running", "containerStatuses": [RUNNING]},
    }
    made = tables.table(kinds.POD, [pod], {}, "Metadata", NOW)
    assert [column["name"] for column in made["columnDefinitions"] if not column["priority"]] == [
        "Name", "Ready", "Status", "Restarts", "Age",
    ]  # fmt: skip
    assert made["rows"][0]["cells"] == ["one", "1/1", "Running", "0", "4m5s", "<none>", "n", "<none>", "<none>"]
    assert made["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
