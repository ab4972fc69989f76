"""The addresses of jobs, translated for a network that all pods share."""

import json

from nni.sandbox import schema
from nni.sandbox.node import (
    network,
)


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
