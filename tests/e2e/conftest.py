"""Experiments that are stopped at the end of their test."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig
from nni.testing.sandbox import Connection, Sandbox
from pods import Pods, isolated

KUEUE = "kueue.x-k8s.io/v1beta1"
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


@pytest.fixture
def make(cluster: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Experiment]]:
    """Return what makes experiments that are stopped at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make_one(
            code: str,
            platform: str = "kubeflow",
            command: str = "python3 trial.py",
            *,
            operator: str = "pytorch-operator",
            roles: Mapping[str, int] = MappingProxyType({"master": 1}),
            role: Mapping[str, Any] = MappingProxyType({}),
            service: Mapping[str, Any] = MappingProxyType({}),
            **config: Any,
        ) -> Experiment:
            directory = tmp_path / "code"
            directory.mkdir(exist_ok=True)
            (directory / "trial.py").write_text(code)
            experiment = Experiment(platform)
            experiment.config.search_space = SPACE
            experiment.config.tuner.name = "Random"
            experiment.config.trial_concurrency = 2
            for name, value in config.items():
                setattr(experiment.config, name, value)
            if platform == "local":
                experiment.config.trial_command = command
                experiment.config.trial_code_directory = directory
            else:
                described = experiment.config.training_service
                described.operator = operator
                described.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
                usual = {"command": command, "code_directory": directory, "cpu_number": 1, "memory_size": "1Gi"}
                for name, replicas in roles.items():
                    setattr(described, name, KubeflowRoleConfig(replicas=replicas, **{**usual, **role}))
                for name, value in service.items():
                    setattr(described, name, value)
            stack.callback(experiment.stop)
            return experiment

        yield make_one


@pytest.fixture
def supervise(
    cluster: Sandbox, tmp_path: Path, free_port: int
) -> Iterator[Callable[..., Callable[[], "subprocess.Popen[bytes]"]]]:
    """Return what says how to start a manager on the cluster, once more each time; it has ended after the test."""
    with contextlib.ExitStack() as stack:

        def describe(
            code: str, service: Mapping[str, Any] = MappingProxyType({}), **changes: Any
        ) -> Callable[[], "subprocess.Popen[bytes]"]:
            (tmp_path / "trial.py").write_text(code)
            described = {
                "experimentName": f"kept-{free_port}",
                "searchSpace": SPACE,
                "trialConcurrency": 2,
                "trainingService": {
                    "platform": "kubeflow",
                    "operator": "pytorch-operator",
                    "storage": {"storageType": "nfs", "server": "10.20.30.40", "path": "/mnt/nfs/nni"},
                    "master": {"replicas": 1, "command": "python3 trial.py", "codeDirectory": ".", "dockerImage": "x"},
                    **service,
                },
                **changes,
            }
            (tmp_path / "experiment.yml").write_text(yaml.safe_dump(described))
            command = [sys.executable, "-m", "nni", "create", "--config", str(tmp_path / "experiment.yml")]
            command += ["--foreground", "--supervised", "--port", str(free_port)]

            def start() -> "subprocess.Popen[bytes]":
                process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
                stack.callback(process.kill)
                assert process.stdout is not None
                for line in process.stdout:
                    if b'"ready"' in line:
                        return process
                raise AssertionError(f"the manager ended with {process.wait()}")

            return start

        yield describe


def _definition(kind: str, scope: str) -> dict[str, Any]:
    """Return a definition as Kueue has it, as far as names go."""
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": loose}}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kueue.x-k8s.io"},
        "spec": {
            "group": "kueue.x-k8s.io",
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


@pytest.fixture
def queue(cluster: Sandbox) -> Iterator[str]:
    """A LocalQueue of a ClusterQueue, and nobody who admits anything: that is done by hand here."""
    api, definitions = Connection(cluster), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    kinds = {"LocalQueue": "Namespaced", "Workload": "Namespaced", "ClusterQueue": "Cluster"}
    for kind, scope in kinds.items():
        assert api.call("POST", definitions, _definition(kind, scope))[0] == 201
        api.until(
            f"{definitions}/{kind.lower()}s.kueue.x-k8s.io", lambda found: "conditions" in found.get("status", {})
        )
    body = {
        "apiVersion": KUEUE,
        "kind": "LocalQueue",
        "metadata": {"name": "team-a"},
        "spec": {"clusterQueue": "shared"},
    }
    assert api.call("POST", f"/apis/{KUEUE}/namespaces/default/localqueues", body)[0] == 201
    yield "team-a"
    for kind in kinds:
        api.call("DELETE", f"{definitions}/{kind.lower()}s.kueue.x-k8s.io")


@pytest.fixture(scope="session", params=["namespaces", "unprivileged", "rewrite"])
def pods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Pods in each kind of isolation."""
    with isolated(request.param, tmp_path_factory.mktemp("isolated")) as running:
        yield running
