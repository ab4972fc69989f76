"""What is around our jobs, from the objects that a cluster shows."""

from typing import Any

import pytest

from nni.core import surroundings as around
from nni.platforms.kubeflow import surroundings


def conditions(**values: str) -> list[dict[str, str]]:
    return [{"type": name, "status": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("spec", "ready", "expected"),
    [
        ({}, "True", (True, True)),
        ({"unschedulable": True}, "True", (True, False)),
        (None, "Unknown", (False, True)),
    ],
)
def test_a_node_is_ready_or_not_and_takes_pods_or_not(
    spec: dict[str, Any] | None, ready: str, expected: tuple[bool, bool]
) -> None:
    status = {"conditions": conditions(Ready=ready), "allocatable": {"cpu": 64, "nvidia.com/gpu": "8"}}
    node = surroundings.node({"metadata": {"name": "n1"}, "spec": spec, "status": status})
    assert (node.is_ready, node.takes_pods) == expected
    assert (node.name, node.capacity) == ("n1", {"cpu": "64", "nvidia.com/gpu": "8"})


def test_a_quota_that_is_not_in_force_yet_has_its_bounds_all_the_same() -> None:
    made: dict[str, Any] = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": 4, "cpu": "8"}}}
    assert surroundings.quota(made).amounts == (
        around.Amount(resource="cpu", used="0", most="8"),
        around.Amount(resource="pods", used="0", most="4"),
    )
    made["status"] = {"hard": {"pods": "4"}, "used": {"pods": "3"}}
    assert surroundings.quota(made).amounts == (around.Amount(resource="pods", used="3", most="4"),)


def workload(job: str, age: int, priority: int = 0, queue: str = "team-a", **state: str) -> dict[str, Any]:
    owner = {"name": job, "controller": True}
    return {
        "metadata": {"creationTimestamp": f"2026-01-01T00:00:{59 - age:02}Z", "ownerReferences": [owner]},
        "spec": {"queueName": queue, "priority": priority},
        "status": {"conditions": conditions(**state)},
    }


LOCAL: dict[str, Any] = {
    "metadata": {"name": "team-a"},
    "spec": {"clusterQueue": "gpus"},
    "status": {
        "admittedWorkloads": 2,
        "flavorsReservation": [{"name": "a100", "resources": [{"name": "nvidia.com/gpu", "total": "2"}]}],
    },
}
SHARED: dict[str, Any] = {
    "spec": {
        "resourceGroups": [
            {
                "flavors": [
                    {
                        "name": "a100",
                        "resources": [
                            {"name": "nvidia.com/gpu", "nominalQuota": 8},
                            {"name": "cpu", "nominalQuota": "64"},
                        ],
                    }
                ]
            }
        ]
    },
    "status": {"flavorsReservation": [{"name": "a100", "resources": [{"name": "nvidia.com/gpu", "total": 8}]}]},
}


def test_places_in_a_queue_go_by_priority_and_then_by_age() -> None:
    queue = surroundings.queue_of(
        LOCAL,
        {},
        [
            workload("young", age=1),
            workload("old", age=9, QuotaReserved="False"),
            workload("admitted", age=20, QuotaReserved="True"),
            workload("over", age=20, Finished="True"),
            workload("elsewhere", age=20, queue="team-b"),
            workload("urgent", age=0, priority=100),
        ],
    )
    assert queue.places == {"urgent": 1, "old": 2, "young": 3}
    assert (queue.admitted, queue.waiting, queue.cluster_queue) == (2, 3, "gpus")


def test_the_quota_of_a_queue_is_told_where_it_may_be_read() -> None:
    own = surroundings.queue_of(LOCAL, {}, [])
    assert own.amounts == (around.Amount(resource="a100: nvidia.com/gpu", used="2"),)
    shared = surroundings.queue_of(LOCAL, SHARED, [])
    assert shared.amounts == (
        around.Amount(resource="a100: nvidia.com/gpu", used="8", most="8"),
        around.Amount(resource="a100: cpu", used="0", most="64"),
    )
