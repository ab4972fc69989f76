"""What may befall trials on a cluster, told with whole experiments on the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest

from nni.experiment import Experiment
from nni.testing import experiments
from nni.testing.sandbox import Connection, Sandbox

Make = Callable[..., Experiment]
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"

STEADY = """\
import os
import time
import nni
nni.get_next_parameter()
marker = os.path.join(nni.get_checkpoint_dir(), "was here")
was_here = os.path.exists(marker)
open(marker, "w").close()
nni.report_intermediate_result(was_here)
while not os.path.exists(os.path.join(nni.get_checkpoint_dir(), "go")):
    time.sleep(0.01)
nni.report_final_result(int(os.environ["NNI_TRIAL_ATTEMPT"]))
"""


def trial(change: dict[str, Any]) -> dict[str, Any]:
    """Return the only trial that a change is about."""
    return dict(change["trials"][0]) if change["trials"] else {"status": "", "attempt": 0, "intermediateCount": 0}


def patch(cluster: Sandbox, job: str, spec: dict[str, Any]) -> None:
    merge = {"Content-Type": "application/merge-patch+json"}
    code, answer = Connection(cluster).call("PATCH", f"{JOBS}/{job}", {"spec": spec}, **merge)
    assert code == 200, answer


def test_a_queued_trial_waits_and_one_that_is_preempted_goes_on(
    make: Make, cluster: Sandbox, free_port: int, queue: str
) -> None:
    experiment = make(STEADY, max_trial_number=1, service={"queue_name": queue})
    experiment.start(free_port)
    seen = experiments.until(experiment, lambda change: "queued" in trial(change).get("reason", {}).get("sentence", ""))
    assert (trial(seen)["status"], trial(seen)["reason"]["class"]) == ("WAITING", "capacity")
    job = trial(seen)["job"]

    # What Kueue does: it admits, takes back, and admits again.
    patch(cluster, job, {"runPolicy": {"suspend": False}})
    experiments.until(experiment, lambda change: trial(change)["intermediateCount"] == 1)
    patch(cluster, job, {"runPolicy": {"suspend": True}})
    experiments.until(experiment, lambda change: trial(change)["status"] == "WAITING")
    # An admission comes when nothing runs any more: the operator fails a job whose pod it finds killed.
    Connection(cluster).until_gone(f"/api/v1/namespaces/default/pods/{job}-master-0")
    patch(cluster, job, {"runPolicy": {"suspend": False}})
    seen = experiments.until(experiment, lambda change: trial(change)["intermediateCount"] == 2)
    directory = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / trial(seen)["trialJobId"]
    (directory / "checkpoint" / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    (ended,) = experiment.list_trial_jobs()
    assert ended.status == "SUCCEEDED"
    assert [one.data for one in experiment.get_job_metrics()[ended.trialJobId]] == [False, True, 1]


def test_a_trial_whose_job_is_deleted_is_tried_again(make: Make, cluster: Sandbox, free_port: int) -> None:
    experiment = make(STEADY, max_trial_number=1)
    experiment.start(free_port)
    seen = experiments.until(experiment, lambda change: trial(change)["intermediateCount"] == 1)

    Connection(cluster).call("DELETE", f"{JOBS}/{trial(seen)['job']}")
    seen = experiments.until(
        experiment, lambda change: trial(change)["attempt"] == 2 and trial(change)["intermediateCount"] == 1
    )
    directory = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / trial(seen)["trialJobId"]
    (directory / "checkpoint" / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    (ended,) = experiment.list_trial_jobs()
    # The second attempt found what the first had left, and says that it is the second.
    assert (ended.status, ended.attempt) == ("SUCCEEDED", 2)
    assert [one.data for one in experiment.get_job_metrics()[ended.trialJobId]] == [True, 2]
    history = experiment._connected.get(f"trial-jobs/{ended.trialJobId}")["attempts"]
    assert [(one["attempt"], one["cause"]) for one in history] == [(1, "first"), (2, "infrastructure")]
    experiment.stop()
    assert experiments.objects_left(cluster) == []


def test_kept_failed_jobs_outlive_the_experiment(make: Make, cluster: Sandbox, free_port: int) -> None:
    experiment = make("raise SystemExit(3)", max_trial_number=1, service={"keep_failed_jobs": True})
    assert experiment.run(free_port) is True
    job = experiment.list_trial_jobs()[0].job

    experiment.stop()

    assert experiments.objects_left(cluster) == [f"PyTorchJob {job}", f"Pod {job}-master-0"]
    Connection(cluster).call("DELETE", f"{JOBS}/{job}", {"propagationPolicy": "Foreground"})
    Connection(cluster).until_gone(f"{JOBS}/{job}")


def test_the_job_of_an_ended_trial_goes_while_the_experiment_runs(make: Make, cluster: Sandbox, free_port: int) -> None:
    experiment = make(STEADY.replace("while not", "while False and not"), service={"keep_finished_jobs": "1s"})
    experiment.config.max_trial_number = 1
    experiment.start(free_port)
    seen = experiments.until(experiment, lambda change: trial(change)["status"] == "SUCCEEDED")

    Connection(cluster).until_gone(f"{JOBS}/{trial(seen)['job']}")

    assert experiment.get_status() == "DONE"


DISTRIBUTED = """\
import json
import os
import socket
import nni

parameters = nni.get_next_parameter()
role, index = os.environ["NNI_ROLE"], os.environ["NNI_REPLICA_INDEX"]
nni.report_intermediate_result({"default": parameters["x"], "who": role + index})
with open("result.txt", "w") as file:
    file.write(role + index)
nni.report_final_result({"default": parameters["x"], "who": role + index})
"""


@pytest.mark.parametrize(
    ("operator", "roles", "chief", "kind"),
    [
        ("tf-operator", {"worker": 2, "ps": 1}, "worker0", "tfjobs"),
        ("tf-operator", {"chief": 1, "worker": 1, "evaluator": 1}, "chief0", "tfjobs"),
        ("trainer", {"worker": 2}, "worker0", "trainjobs"),
        ("job", {"worker": 1}, "worker0", "jobs"),
        ("pytorch-operator", {"master": 1, "worker": 2}, "master0", "pytorchjobs"),
    ],
)
def test_every_kind_of_job_runs_trials(
    *,
    make: Make,
    cluster: Sandbox,
    free_port: int,
    operator: str,
    roles: dict[str, int],
    chief: str,
    kind: str,
) -> None:
    experiment = make(DISTRIBUTED, operator=operator, roles=roles, max_trial_number=2)

    assert experiment.run(free_port) is True

    assert experiment.get_job_statistics() == [{"trialJobStatus": "SUCCEEDED", "trialJobNumber": 2}]
    assert {result.value["who"] for result in experiment.export_data()} == {chief}
    assert [one.split()[0] for one in experiments.objects_left(cluster)].count("Secret") == 1
    experiment.stop()
    assert experiments.objects_left(cluster) == []


@pytest.mark.parametrize("operator", ["tf-operator", "trainer", "job"])
def test_a_failure_says_why_on_every_kind_of_job(make: Make, cluster: Sandbox, free_port: int, operator: str) -> None:
    code = 'import sys; print("it\'s over", file=sys.stderr); sys.exit(7)'
    experiment = make(code, operator=operator, roles={"worker": 1}, max_trial_number=1)

    assert experiment.run(free_port) is True

    (failed,) = experiment.list_trial_jobs()
    assert (failed.status, failed.exitCode, failed.lastLines) == ("FAILED", 7, ("it's over",))
    experiment.stop()
    assert experiments.objects_left(cluster) == []
