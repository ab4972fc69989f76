"""The sample on NNI's kubeflow page, character for character, against the sandbox."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent / "data" / "kubeflow_mode.rst"

MODEL = """\
import os
import socket
import nni

parameters = nni.get_next_parameter()
for epoch in range(3):
    nni.report_intermediate_result(parameters["x"] * epoch)
with open("model.bin", "w") as file:
    file.write(os.environ["RANK"])
nni.report_final_result(parameters["x"])

# As in distributed training, nobody leaves before everybody has come this far.
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if os.environ["RANK"] == "0":
    with socket.create_server(place) as server:
        workers = [server.accept()[0] for _ in range(int(os.environ["WORLD_SIZE"]) - 1)]
    for worker in workers:
        worker.recv(1)
else:
    connection = None
    while connection is None:
        try:
            connection = socket.create_connection(place)
        except ConnectionRefusedError:
            pass
    connection.close()
"""

BEFORE = """\
search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
"""

AFTER = """

import json
from kubernetes import client, config

config.load_kube_config()
jobs = client.CustomObjectsApi().list_namespaced_custom_object("kubeflow.org", "v1", "default", "pytorchjobs")["items"]
trials = experiment._client.get("trial-jobs")
metrics = experiment._client.get("metric-data?replicas=all")
with open("seen.json", "w") as file:
    json.dump({"id": experiment.id, "jobs": jobs, "trials": trials, "metrics": metrics}, file)
"""


def blocks_after(title: str) -> Sequence[str]:
    """Return the code blocks of a section of the page."""
    section = PAGE.read_text().split(f"{title}\n---", 1)[1]
    blocks = []
    for part in section.split(".. code-block:: python\n")[1:]:
        lines = []
        for line in part.splitlines():
            if line and not line.startswith(" "):
                break
            lines.append(line)
        blocks.append(textwrap.dedent("\n".join(lines)).strip("\n"))
    return blocks


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the sample once, in a network of its own so that its ports are free, and return what it left."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here to give the sample's ports to it alone")
    directory = tmp_path_factory.mktemp("page")
    sample, run = blocks_after("Run an experiment")
    (directory / "model.py").write_text(MODEL)
    (directory / "sample.py").write_text(BEFORE + sample + "\n" + run + AFTER)
    volume = directory / "volume"
    volume.mkdir()
    home = directory / "home"
    home.mkdir()
    inside = [
        *(sys.executable, "-m", "nni", "sandbox", "--nfs", f"10.20.30.40:/mnt/nfs/nni={volume}"),
        *("--", sys.executable, "sample.py"),
    ]
    ended = subprocess.run(
        [unshare, "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inside],
        cwd=directory,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {**json.loads((directory / "seen.json").read_text()), "volume": volume, "stderr": ended.stderr}


def test_ten_trials_succeed(seen: dict[str, Any]) -> None:
    assert [trial["status"] for trial in seen["trials"]] == ["SUCCEEDED"] * 10


def test_each_trial_is_one_job_named_after_experiment_and_trial(seen: dict[str, Any]) -> None:
    names = {job["metadata"]["name"] for job in seen["jobs"]}

    assert names == {f"nni-exp-{seen['id']}-trial-{trial['trialJobId']}" for trial in seen["trials"]}


def test_each_job_has_one_master_and_two_workers(seen: dict[str, Any]) -> None:
    for job in seen["jobs"]:
        replicas = {role: spec["replicas"] for role, spec in job["spec"]["pytorchReplicaSpecs"].items()}
        assert replicas == {"Master": 1, "Worker": 2}


def test_at_most_two_trials_run_at_a_time(seen: dict[str, Any]) -> None:
    spans = [(trial["startTime"], trial["endTime"]) for trial in seen["trials"]]

    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    assert most <= 2


def test_the_default_image_and_the_sizes_of_the_page(seen: dict[str, Any]) -> None:
    worker = seen["jobs"][0]["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]

    assert worker["image"] == "msranni/nni:latest"
    assert worker["resources"]["limits"] == {"cpu": "1", "memory": "4096Mi", "nvidia.com/gpu": "1"}


def test_metrics_come_through_the_next_port(seen: dict[str, Any]) -> None:
    container = seen["jobs"][0]["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
    urls = [variable["value"] for variable in container["env"] if variable["name"] == "NNI_INTAKE_URL"]

    assert [url.rpartition(":")[2] for url in urls] == ["8081"]
    assert {trial["metricPath"] for trial in seen["trials"]} == {"intake"}


def test_every_replica_is_kept_and_only_the_masters_metrics_count(seen: dict[str, Any]) -> None:
    roles = {(metric["role"], metric["index"]) for metric in seen["metrics"]}

    assert roles == {("master", 0), ("worker", 0), ("worker", 1)}
    assert {trial["intermediateCount"] for trial in seen["trials"]} == {3}
    for trial in seen["trials"]:
        x = json.loads(trial["hyperParameters"][0])["parameters"]["x"]
        assert trial["finalValue"] == pytest.approx(x)


def test_outputs_are_on_the_volume(seen: dict[str, Any]) -> None:
    trial = seen["trials"][0]["trialJobId"]
    attempt = seen["volume"] / "nni" / seen["id"] / trial / "1"

    assert (attempt / "worker-1" / "output" / "model.bin").read_text() == "2"
    assert (attempt / "master-0" / "metrics.jsonl").read_text().count("\n") == 4
    assert seen["trials"][0]["logPath"] == f"nfs://10.20.30.40/mnt/nfs/nni/nni/{seen['id']}/{trial}"


def test_the_old_version_falls_forward_with_a_warning(seen: dict[str, Any]) -> None:
    assert {job["apiVersion"] for job in seen["jobs"]} == {"kubeflow.org/v1"}
    assert "v1alpha2" in seen["stderr"]
