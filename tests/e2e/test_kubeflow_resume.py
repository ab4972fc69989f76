"""An experiment whose manager was killed, and that its user resumes: what ran goes on, what was done stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nni import errors
from nni.experiment import Experiment, RunMode
from nni.testing import experiments
from nni.testing.sandbox import Connection, Sandbox

JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
GATED = """\
import pathlib, time
import nni

x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x)
while not pathlib.Path("GATE").exists():
    time.sleep(0.02)
nni.report_final_result(x)
"""


def uids(cluster: Sandbox, experiment: Experiment) -> dict[str, str]:
    """Return the uids of an experiment's jobs, by their names."""
    found = Connection(cluster).call("GET", f"{JOBS}?labelSelector=nni/experiment%3D{experiment.id}")[1]["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


@pytest.mark.parametrize(
    ("storage", "moves"),
    [("nfs", False), ("nfs", True), ("manager", False)],
    ids=["its own port", "another port", "no shared storage"],
)
def test_trials_of_a_killed_manager_go_on(
    *,
    make: Callable[..., Experiment],
    cluster: Sandbox,
    tmp_path: Path,
    free_port: int,
    new_port: Callable[[], int],
    storage: str,
    moves: bool,
) -> None:
    gate, other = tmp_path / "go", new_port()
    own = {} if storage == "nfs" else {"storage": None}
    experiment = make(GATED.replace("GATE", str(gate)), max_trial_number=4, service=own)
    experiment.start(free_port, run_mode=RunMode.Detach)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 2)
    before = uids(cluster, experiment)
    assert experiment._running is not None
    experiment._running.process.kill()
    experiment._running.process.wait(timeout=30)

    resumed = Experiment(id=experiment.id)
    if storage == "manager":
        with pytest.raises(errors.ManagerError, match=f"send their results to port {free_port + 1}, .*: use --port"):
            resumed.resume(other, wait_completion=False)
    resumed.resume(other if moves else None, wait_completion=False)

    assert resumed.port == (other if moves else free_port)
    gate.touch()
    experiments.until(resumed, lambda change: change["experiment"]["status"] == "DONE")
    assert before.items() <= uids(cluster, resumed).items()
    assert [(trial.status, trial.attempt) for trial in resumed.list_trial_jobs()] == [("SUCCEEDED", 1)] * 4
    results = resumed.export_data()
    assert [result.value for result in results] == [result.parameter["x"] for result in results]
    assert {len(its) for its in resumed.get_job_metrics().values()} == {2}
    resumed.stop()
    assert uids(cluster, resumed) == {}


def test_the_code_directory_may_be_gone_while_the_volume_has_what_was_packed(
    make: Callable[..., Experiment], cluster: Sandbox, free_port: int, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    experiment = make("import nni\nnni.report_final_result(nni.get_next_parameter()['x'])\n", max_trial_number=1)
    assert experiment.run(free_port) is True
    experiment.stop()
    code.rename(tmp_path / "moved")

    resumed = Experiment(id=experiment.id)
    with (Path.home() / "nni-experiments" / experiment.id / "storage.json").open() as notes:
        resumed.resume(wait_completion=False)
        # Its place is taken by another file, which was whole by then: a crash leaves one or the other.
        assert os.fstat(notes.fileno()).st_nlink == 0
    resumed.update_max_trial_number(2)
    experiments.until(resumed, lambda change: change["counts"]["SUCCEEDED"] == 2)
    resumed.stop()

    own = cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id
    (bundle,) = (own / "code").iterdir()
    bundle.unlink()
    with pytest.raises(errors.ConfigError, match=f"The code directory {code} is not a directory of this machine; "):
        Experiment(id=experiment.id).resume(wait_completion=False)
