"""What is around our jobs on a sandbox's cluster, for somebody who may see it and for somebody who may not."""

from collections.abc import Iterator
from typing import Any

import pytest

from nni.core import surroundings as around
from nni.platforms.kubeflow import client, surroundings
from nni.testing.sandbox import Connection, Sandbox

KUEUE = "/apis/kueue.x-k8s.io/v1beta1"


def made(cluster: Sandbox, path: str, kind: str, name: str, **fields: Any) -> str:
    """Make an object and return its uid."""
    group = path.removeprefix("/apis/").removeprefix("/api/").split("/namespaces")[0]
    version = "/".join(group.split("/")[:2])
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **fields.pop("metadata", {})}, **fields}
    code, answer = Connection(cluster).call("POST", path, body)
    assert code == 201, answer
    return str(answer["metadata"]["uid"])


@pytest.fixture
def quota(cluster: Sandbox) -> Iterator[None]:
    made(cluster, "/api/v1/namespaces/default/resourcequotas", "ResourceQuota", "team", spec={"hard": {"pods": "40"}})
    yield
    Connection(cluster).call("DELETE", "/api/v1/namespaces/default/resourcequotas/team")


async def look(cluster: Sandbox, kubeconfig: str, queue: str | None) -> around.Surroundings:
    connection = client.connect({"KUBECONFIG": kubeconfig}, "default")
    try:
        return await connection.run(lambda: surroundings.look(connection, queue))
    finally:
        connection.close()


async def test_nodes_quotas_and_the_place_in_the_queue(cluster: Sandbox, queue: str, quota: None) -> None:
    flavor = {"name": "any", "resources": [{"name": "cpu", "nominalQuota": "8"}]}
    made(cluster, f"{KUEUE}/clusterqueues", "ClusterQueue", "shared", spec={"resourceGroups": [{"flavors": [flavor]}]})
    for job, priority in (("usual", 0), ("urgent", 1)):
        # Any object does for the job's: the cluster takes away what belongs to none.
        uid = made(cluster, "/api/v1/namespaces/default/configmaps", "ConfigMap", job)
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": job, "uid": uid, "controller": True}
        made(
            cluster,
            f"{KUEUE}/namespaces/default/workloads",
            "Workload",
            f"w-{job}",
            metadata={"ownerReferences": [owner]},
            spec={"queueName": queue, "priority": priority},
        )

    seen = await look(cluster, str(cluster.kubeconfig), queue)

    assert [(node.is_ready, node.takes_pods, node.capacity["cpu"]) for node in seen.nodes] == [(True, True, "64")]
    assert seen.quotas == (around.Quota(name="team", amounts=(around.Amount(resource="pods", used="0", most="40"),)),)
    assert seen.queue is not None
    assert seen.queue.cluster_queue == "shared"
    assert seen.queue.amounts == (around.Amount(resource="any: cpu", used="0", most="8"),)
    assert seen.queue.places == {"urgent": 1, "usual": 2}
    assert seen.unseen == ()
    for job in ("usual", "urgent"):
        Connection(cluster).call("DELETE", f"/api/v1/namespaces/default/configmaps/{job}")


async def test_what_may_not_be_seen_is_said(cluster: Sandbox, queue: str) -> None:
    seen = await look(cluster, str(cluster.restricted_kubeconfig), queue)
    assert (seen.nodes, seen.quotas, seen.queue) == ((), (), None)
    assert seen.unseen == (
        "Nodes cannot be seen: this user may not list nodes.",
        "Quotas cannot be seen: this user may not list resourcequotas.",
        "The queue cannot be seen: this user may not get localqueues.",
    )


async def test_a_cluster_without_a_queue_has_none(cluster: Sandbox) -> None:
    seen = await look(cluster, str(cluster.kubeconfig), "not-there")
    assert (seen.queue, seen.unseen) == (None, ())
