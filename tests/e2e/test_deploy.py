"""The manifests in deploy/: they build, a server takes them, and the experiment in them is one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nni import check
from nni.experiment import ExperimentConfig
from nni.testing.sandbox import Connection, Sandbox

pytestmark = pytest.mark.requires("kubectl")

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def built() -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def test_a_server_takes_every_object(built: list[dict[str, Any]], cluster: Sandbox) -> None:
    # The sandbox runs no Deployments: what it makes of one is its pods.
    (deployment,) = [one for one in built if one["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "manager", **template["metadata"]}}
    others = [one for one in built if one["kind"] != "Deployment"]
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-"]

    done = subprocess.run(
        command, input=yaml.safe_dump_all([*others, pod]), capture_output=True, text=True, env=os.environ, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(built)
    assert Connection(cluster).call("GET", "/api/v1/namespaces/default/serviceaccounts/nni-kubeflow")[0] == 404


def test_pods_keep_to_the_restricted_standard(built: list[dict[str, Any]]) -> None:
    (deployment,) = [one for one in built if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_selectors_find_the_manager(built: list[dict[str, Any]]) -> None:
    by_kind = {one["kind"]: one for one in built}
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]

    for selector in (
        by_kind["Service"]["spec"]["selector"],
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()


def test_the_command_line_is_one_that_nnictl_has(built: list[dict[str, Any]]) -> None:
    (deployment,) = [one for one in built if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    words = [*container["args"], "--help"]

    done = subprocess.run([sys.executable, "-m", "nni", *words], capture_output=True, text=True, check=True)

    for word in container["args"]:
        if word.startswith("--"):
            assert word in done.stdout


def test_the_experiment_is_one(tmp_path: Path) -> None:
    described = yaml.safe_load((DEPLOY / "experiment.yml").read_text())
    described["trainingService"]["worker"]["codeDirectory"] = str(DEPLOY / "code")
    described["trainingService"].setdefault(
        "storage", {"storageType": "nfs", "server": "10.20.30.40", "path": "/mnt/nfs/nni"}
    )

    spec = check.checked(ExperimentConfig.from_dict(json.loads(json.dumps(described))))

    assert spec.name == "my-experiment"
