"""The rights that an experiment needs: what is said without them, and that deploy/role.yaml has them all."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nni.experiment import Experiment
from nni.testing.sandbox import Sandbox

pytestmark = pytest.mark.requires("kubectl")

DEPLOY = Path(__file__).parents[2] / "deploy"
GOOD = """\
import nni
nni.report_final_result(nni.get_next_parameter()["x"])
"""
CONFIG = """
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
tuner: {name: Random}
trialConcurrency: 1
trainingService:
  platform: kubeflow
  operator: %s
  storage: {storageType: nfs, server: 10.20.30.40, path: /mnt/nfs/nni}
  worker: {replicas: 1, command: "true", codeDirectory: ., dockerImage: "x:1"}
"""


def kubectl(sandbox: Sandbox, *words: str) -> None:
    command = ["kubectl", "--kubeconfig", str(sandbox.kubeconfig), *words]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def restricted(cluster: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, as somebody sees it who has no rights."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.restricted_kubeconfig))
    return cluster


@pytest.fixture
def granted(restricted: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, as somebody sees it who has been given deploy/role.yaml."""
    for name in ("role", "role-pods"):
        kubectl(restricted, "apply", "-f", str(DEPLOY / f"{name}.yaml"))
    for role in ("nni-kubeflow", "nni-kubeflow-pods"):
        kubectl(restricted, "create", "rolebinding", role, f"--role={role}", "--serviceaccount=default:nni-user")
    yield restricted
    for role in ("nni-kubeflow", "nni-kubeflow-pods"):
        kubectl(restricted, "delete", "rolebinding,role", role)


def doctor(tmp_path: Path, operator: str, *words: str) -> dict[str, tuple[str, str]]:
    (tmp_path / "experiment.yml").write_text(CONFIG % operator)
    ended = subprocess.run(
        [sys.executable, "-m", "nni", "doctor", "-c", str(tmp_path / "experiment.yml"), "--json", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return {one["what"]: (one["verdict"], one["sentence"]) for one in json.loads(ended.stdout)}


def test_each_missing_right_is_named(restricted: Sandbox, tmp_path: Path) -> None:
    found = doctor(tmp_path, "pytorch-operator", "--no-probe")

    verdict, sentence = found["rights"]
    assert verdict == "failed"
    for right in ("create pytorchjobs.kubeflow.org", "watch pods", "patch secrets"):
        assert right in sentence
    assert "deploy/role.yaml" in sentence
    assert found["user"] == ("ok", "The server knows this kubeconfig as system:serviceaccount:default:nni-user.")


@pytest.mark.parametrize("operator", ["pytorch-operator", "tf-operator", "trainer", "job"])
def test_the_role_has_all_rights(granted: Sandbox, tmp_path: Path, operator: str, free_port: int) -> None:
    found = doctor(tmp_path, operator, "--port", str(free_port))

    assert {what: verdict for what, (verdict, _) in found.items() if verdict == "failed"} == {}
    assert found["rights"][0] == "ok"
    assert found["intake from a pod"][0] == "ok"


@pytest.mark.parametrize("operator", ["pytorch-operator", "trainer"])
def test_an_experiment_runs_with_the_role_alone(
    make: Callable[..., Experiment], granted: Sandbox, free_port: int, operator: str
) -> None:
    experiment = make(GOOD, operator=operator, roles={"worker": 1}, max_trial_number=1)

    assert experiment.run(free_port) is True

    assert experiment.get_job_statistics() == [{"trialJobStatus": "SUCCEEDED", "trialJobNumber": 1}]
    experiment.stop()
