"""Distributed training on the sandbox: the processes find each other, and train."""

from collections.abc import Iterator
from typing import Any

import pytest

from nni import errors
from nni.testing import sandbox

PODS = "/api/v1/namespaces/default/pods"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"


@pytest.fixture(scope="module", params=["namespaces", "rewrite"])
def running(request: pytest.FixtureRequest) -> Iterator[sandbox.Sandbox]:
    try:
        made = sandbox.Sandbox(isolation=request.param, environment={"OMP_NUM_THREADS": "1"}).__enter__()
    except errors.SandboxError as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        made.__exit__()


@pytest.fixture
def api(running: sandbox.Sandbox) -> sandbox.Connection:
    return sandbox.Connection(running)


def is_over(found: dict[str, Any]) -> bool:
    return found["status"].get("phase") in ("Succeeded", "Failed")


def log_of(api: sandbox.Connection, name: str) -> str:
    with api.open("GET", f"{PODS}/{name}/log") as answer:
        return answer.read().decode()


TRAINING = """\
import torch, torch.distributed as dist
torch.manual_seed(int(SEED))
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
inputs = torch.randn(64, 2, generator=torch.Generator().manual_seed(rank))
wanted = inputs @ torch.tensor([[3.0], [-2.0]]) + 1.0
losses = []
for _ in range(60):
    optimiser.zero_grad()
    loss = torch.nn.functional.mse_loss(model(inputs), wanted)
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
weights = [round(value, 5) for part in model.parameters() for value in part.flatten().tolist()]
dist.barrier()
print(size, losses[-1] < 0.01 < losses[0], weights)
dist.destroy_process_group()
"""


@pytest.mark.requires("torch")
def test_two_distributed_trials_train_beside_each_other(api: sandbox.Connection) -> None:
    names = ("first", "second")
    for seed, name in enumerate(names):
        main = {"name": "pytorch", "image": "x", "command": ["python3", "-c", TRAINING.replace("SEED", str(seed))]}
        replica = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [main]}}}
        job = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name}, "spec": {
            "runPolicy": {"cleanPodPolicy": "None"}, "pytorchReplicaSpecs": {"Master": replica, "Worker": replica},
        }}  # fmt: skip
        assert api.call("POST", JOBS, job)[0] == 201
    said = {}
    for name in names:
        for role in ("master", "worker"):
            found = api.until(f"{PODS}/{name}-{role}-0", is_over, timeout=60)
            said[name, role] = log_of(api, f"{name}-{role}-0")
            assert found["status"]["phase"] == "Succeeded", said[name, role]
    for name in names:
        last = said[name, "master"].splitlines()[-1]
        assert last.startswith("2 True [")
        assert last == said[name, "worker"].splitlines()[-1]
    assert said["first", "master"] != said["second", "master"]
