"""A claim that is not mounted where the manager is: files that stayed on it are seen, downloaded and deleted."""

import contextlib
import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from nni.experiment import Experiment, K8sPvcConfig
from nni.testing import experiments
from nni.testing.pods import wait_until
from nni.testing.sandbox import Sandbox

TRAIN = """\
import os, pathlib
import nni

parameters = nni.get_next_parameter()
print("it's here", flush=True)
pathlib.Path(nni.get_checkpoint_dir(), "epoch-3.pt").write_bytes(b"c" * 3_000_000)
pathlib.Path(os.environ["NNI_OUTPUT_DIR"], "Grüße.txt").write_text("hello")
pathlib.Path(os.environ["NNI_OUTPUT_DIR"], "link").symlink_to("/etc/passwd")
pathlib.Path("model.bin").write_bytes(b"m" * 1000)
nni.report_final_result(parameters["x"])
"""
DEPLOY = Path(__file__).parents[2] / "deploy"
Make = Callable[..., Experiment]


@pytest.fixture
def claim(cluster: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory behind a claim of the name far, which this machine does not know."""
    monkeypatch.delenv("NNI_MOUNTS")
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        made = core.create_namespaced_persistent_volume_claim("default", {"metadata": {"name": "far"}, "spec": wanted})
        yield Path(cluster.kubeconfig.parent, "claims", made.metadata.uid)
        core.delete_namespaced_persistent_volume_claim("far", "default")


@pytest.fixture
def ran(make: Make, claim: Path, free_port: int) -> Experiment:
    """An experiment of one trial that has come to its end."""
    service = {"storage": K8sPvcConfig(claim_name="far", sub_path="my/part")}
    experiment = make(TRAIN, service=service, max_trial_number=1)
    assert experiment.run(free_port) is True
    return experiment


def ask(experiment: Experiment, path: str) -> HTTPResponse:
    """Ask the portal as its page does."""
    port = experiment.port
    token = Path.home().joinpath("nni-experiments", experiment.id, "token").read_text()
    url = f"http://127.0.0.1:{port}/api/v1/nni/{urllib.parse.quote(path, safe='/?=&')}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=100)
    return answer


def refusal(experiment: Experiment, path: str) -> str:
    """Return why the portal does not answer."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(experiment, path)
    with refused.value:
        return str(json.load(refused.value)["error"])


def entries(experiment: Experiment, trial: str, path: str) -> dict[str, int | None]:
    """Return the sizes of what is in a trial's directory, None for a directory."""
    with ask(experiment, f"trial-files/{trial}?path={path}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["files"]
    return {one["name"]: None if one["isDirectory"] else one["size"] for one in found}


def objects(cluster: Sandbox, experiment: Experiment) -> list[str]:
    """Return the names of pods and secrets that an experiment has on the cluster."""
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        label = f"nni/experiment={experiment.id}"
        found = [core.list_namespaced_pod("default", label_selector=label)]
        found.append(core.list_namespaced_secret("default", label_selector=label))
    return [one.metadata.name for listed in found for one in listed.items]


def test_what_stayed_on_a_claim_is_seen_and_downloaded(cluster: Sandbox, claim: Path, ran: Experiment) -> None:
    (trial,) = ran.list_trial_jobs()
    name = trial.trialJobId

    assert entries(ran, name, "") == {"1": None, "checkpoint": None}
    assert set(entries(ran, name, "1/master-0")) >= {"output", "stdout", "exit.json"}
    assert not any("porter" in one for one in objects(cluster, ran)), "nobody has looked at what stayed there"
    assert entries(ran, name, "checkpoint") == {"epoch-3.pt": 3_000_000}
    assert entries(ran, name, "1/master-0/output") == {"Grüße.txt": 5, "link": 11, "model.bin": 1000}
    with ask(ran, f"trial-file/{name}/checkpoint/epoch-3.pt?download") as answer:
        assert answer.read() == b"c" * 3_000_000
    with ask(ran, f"trial-file/{name}/1/master-0/output/Grüße.txt?offset=1&limit=2") as answer:
        assert answer.read() == b"el"
    assert "is a symbolic link" in refusal(ran, f"trial-file/{name}/1/master-0/output/link")
    assert "not a path on the volume" in refusal(ran, f"trial-files/{name}?path=checkpoint/../../other")
    with ask(ran, f"trial-archive/{name}") as answer, tarfile.open(fileobj=io.BytesIO(answer.read())) as archive:
        sizes = {member.name: member.size for member in archive.getmembers()}
    assert sizes[f"{name}/checkpoint/epoch-3.pt"] == 3_000_000
    assert sizes[f"{name}/1/master-0/output/model.bin"] == 1000
    assert f"{name}/1/master-0/output/link" not in sizes
    assert sum("porter" in one for one in objects(cluster, ran)) == 2, "one pod, one secret"

    ran.stop()

    assert objects(cluster, ran) == []


def nnictl(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nni", *words]
    ended = subprocess.run(
        command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    return ended


def test_deleting_an_experiment_removes_what_is_on_the_claim(cluster: Sandbox, claim: Path, ran: Experiment) -> None:
    ran.stop()
    (claim / "my/part/nni/other").mkdir()

    deleted = nnictl("experiment", "delete", ran.id, "--yes")

    assert deleted.returncode == 0, deleted.stderr
    assert "A pod looks for what is on claim far" in deleted.stderr
    # Of the experiment's own, three; the code and what it runs in are a little more.
    where = f"my/part/nni/{ran.id} on claim far in namespace default of {cluster.url}"
    assert re.search(rf"^ *3(\.\d)? MiB  {re.escape(where)}$", deleted.stdout, re.MULTILINE)
    assert [path.name for path in (claim / "my/part/nni").iterdir()] == ["other"]
    assert not Path.home().joinpath("nni-experiments", ran.id).exists()
    assert objects(cluster, ran) == []


def test_a_running_trials_checkpoint_is_seen_as_it_is(make: Make, claim: Path, free_port: int) -> None:
    code = f"""\
import pathlib, time
import nni
nni.get_next_parameter()
pathlib.Path(nni.get_checkpoint_dir(), "last.pt").write_text("half")
while not pathlib.Path({str(claim / "go on")!r}).exists():
    time.sleep(0.02)
nni.report_final_result(1)
"""
    experiment = make(code, service={"storage": K8sPvcConfig(claim_name="far")}, max_trial_number=1)
    experiment.start(free_port)
    checkpoint = claim / "nni" / experiment.id
    wait_until(lambda: list(checkpoint.rglob("last.pt")) != [], seconds=60)
    (trial,) = experiment.list_trial_jobs()

    with ask(experiment, f"trial-file/{trial.trialJobId}/checkpoint/last.pt") as answer:
        assert answer.read() == b"half"

    (claim / "go on").touch()


def test_what_was_stopped_can_still_be_looked_into(
    cluster: Sandbox, claim: Path, tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "trial.py").write_text(TRAIN)
    described = {
        "experimentName": f"kept-{free_port}",
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "tuner": {"name": "Random"},
        "maxTrialNumber": 1,
        "trialConcurrency": 1,
        "trainingService": {
            "platform": "kubeflow",
            "operator": "pytorch-operator",
            "storage": {"claimName": "far"},
            "master": {"replicas": 1, "command": "python3 trial.py", "codeDirectory": ".", "dockerImage": "x"},
        },
    }
    (tmp_path / "experiment.yml").write_text(json.dumps(described))
    command = [sys.executable, "-m", "nni", "create", "--config", str(tmp_path / "experiment.yml")]
    command += ["--foreground", "--supervised", "--port", str(free_port)]

    with started(command):
        experiment = Experiment.connect(free_port)
        experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
        (trial,) = experiment.list_trial_jobs()
        experiment.stop()
        stopped = Experiment.connect(free_port)
        experiments.until(stopped, lambda change: change["experiment"]["status"] == "STOPPED")
    with started(command):
        looked_at = Experiment.connect(free_port)
        assert looked_at.get_status() == "STOPPED"
        assert entries(looked_at, trial.trialJobId, "checkpoint") == {"epoch-3.pt": 3_000_000}
    assert objects(cluster, experiment) == []


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[None]:
    """Keep a manager running that somebody would start again."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert any(b'"ready"' in line for line in process.stdout), "the manager did not start"
            yield
            process.terminate()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def test_what_the_porter_of_a_killed_manager_left_goes_with_the_experiment(
    make: Make, cluster: Sandbox, claim: Path, free_port: int
) -> None:
    experiment = make(TRAIN, service={"storage": K8sPvcConfig(claim_name="far")}, max_trial_number=1)
    assert experiment.run(free_port) is True
    name = f"nni-exp-{experiment.id}-porter"
    labels = {
        "app.kubernetes.io/managed-by": "nni-kubeflow", "nni/experiment": experiment.id, "nni/role": "porter"
    }  # fmt: skip
    pod = {"containers": [{"name": "porter", "image": "x", "command": ["sleep", "1000"]}], "restartPolicy": "Never"}
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        core.create_namespaced_secret("default", {"metadata": {"name": name, "labels": labels}})
        core.create_namespaced_pod("default", {"metadata": {"name": f"{name}-1", "labels": labels}, "spec": pod})

    experiment.stop()

    assert objects(cluster, experiment) == []


@pytest.fixture
def limited(cluster: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody who has all rights that an experiment needs, and may make no pods."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.restricted_kubeconfig))
    as_admin = ["kubectl", "--kubeconfig", str(cluster.kubeconfig)]
    role = ["--role=nni-kubeflow", "--serviceaccount=default:nni-user"]
    for command in (["apply", "-f", str(DEPLOY / "role.yaml")], ["create", "rolebinding", "nni-kubeflow", *role]):
        subprocess.run([*as_admin, *command], check=True, capture_output=True)
    yield
    subprocess.run([*as_admin, "delete", "rolebinding,role", "nni-kubeflow"], check=True, capture_output=True)


@pytest.mark.requires("kubectl")
def test_without_the_right_to_make_pods_it_is_said_what_to_do(
    cluster: Sandbox, limited: None, claim: Path, ran: Experiment
) -> None:
    (trial,) = ran.list_trial_jobs()
    name = trial.trialJobId
    directory = claim / "my/part/nni" / ran.id
    home = Path.home() / "nni-experiments" / ran.id
    with ask(ran, f"trial-file/{name}/stdout") as answer:
        assert answer.read() == b"it's here\n"
    for path in (f"trial-files/{name}?path=checkpoint", f"trial-archive/{name}"):
        sentence = refusal(ran, path)
        assert sentence.startswith("What stayed on claim far cannot be reached: no pod that mounts it may be made")
        assert "deploy/role-pods.yaml" in sentence
    ran.stop()

    failed = nnictl("experiment", "delete", ran.id, "--yes")

    assert failed.returncode == 1
    assert "deploy/role-pods.yaml" in failed.stderr
    assert "Nothing is deleted." in failed.stderr
    assert directory.exists()
    assert home.exists()
    (command,) = [line for line in failed.stderr.splitlines() if line.startswith("kubectl run")]
    subprocess.run([*shlex.split(command), "--kubeconfig", str(cluster.kubeconfig)], check=True, capture_output=True)
    wait_until(lambda: not directory.exists())

    kept = nnictl("experiment", "delete", ran.id, "--yes", "--keep-volume")

    assert kept.returncode == 0, kept.stderr
    assert not home.exists()
    subprocess.run(
        ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "delete", "pod", "nni-delete"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_whoever_is_asked_may_take_their_time_or_decline(cluster: Sandbox, claim: Path, ran: Experiment) -> None:
    ran.stop()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nni", "experiment", "delete", ran.id]
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            lines = [asking.stdout.readline() for _ in range(2)]
            os.write(ours, b"n\n")
            rest = asking.stdout.read()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "on claim far" in lines[0]
    assert rest == f"Delete experiment {ran.id}? [y/N] Nothing is deleted.\n"
    assert (claim / "my/part/nni" / ran.id).exists()
    assert objects(cluster, ran) == []
