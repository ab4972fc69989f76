"""Trials that go on with a larger budget: whole experiments with ASHA and Hyperband."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from nni.experiment import Experiment
from nni.testing import experiments
from nni.testing.sandbox import Sandbox

GROWING = """\
import os
import nni
parameters = nni.get_next_parameter()
budget = parameters["TRIAL_BUDGET"]
checkpoint = os.path.join(nni.get_checkpoint_dir(), "epochs")
trained = 0
if os.path.exists(checkpoint):
    with open(checkpoint) as file:
        trained = int(file.read())
for epoch in range(trained, budget):
    nni.report_intermediate_result(parameters["x"])
with open(checkpoint, "w") as file:
    file.write(str(budget))
nni.report_final_result({"default": parameters["x"], "epochs": budget - trained})
"""
GATED = """\
import os
import threading
import nni
gate = os.path.join(nni.get_checkpoint_dir(), "..", "..", "go")
while nni.get_next_parameter()["TRIAL_BUDGET"] == 2 and not os.path.exists(gate):
    threading.Event().wait(0.02)
"""
SIX = {"x": {"_type": "choice", "_value": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_the_best_go_on_from_their_checkpoints_and_the_experiment_ends_by_itself(
    make: Callable[..., Experiment], free_port: int, platform: str
) -> None:
    experiment = make(GROWING, platform, search_space=SIX)
    experiment.config.tuner.name = "ASHA"
    experiment.config.tuner.class_args = {"min_budget": 1, "max_budget": 4, "eta": 2, "optimize_mode": "maximize"}

    assert experiment.run(free_port) is True

    trials = experiment.list_trial_jobs()
    assert [trial.status for trial in trials] == ["SUCCEEDED"] * 6
    best = next(result for result in experiment.export_data() if result.parameter["x"] == 0.6)
    # Four epochs in all, of which the last attempt had to do two.
    assert best.parameter["TRIAL_BUDGET"] == 4
    assert best.value == {"default": 0.6, "epochs": 2}
    history = experiment._connected.get(f"trial-jobs/{best.trialJobId}")
    assert [one["cause"] for one in history["attempts"]] == ["first", "promotion", "promotion"]
    assert [one.get("finalValue") for one in history["attempts"]] == [0.6, 0.6, None]
    worst = next(result for result in experiment.export_data() if result.parameter["x"] == 0.1)
    assert worst.parameter["TRIAL_BUDGET"] == 1
    if platform == "kubeflow":
        assert history["job"].endswith(f"-trial-{best.trialJobId}-3")


def test_a_manager_that_starts_again_goes_on_where_its_rungs_were(
    supervise: Callable[..., Callable[[], subprocess.Popen[bytes]]], cluster: Sandbox, free_port: int
) -> None:
    """A bracket of four, two and one, whose manager ends while the two run; Hyperband maximises unless told not to."""
    start = supervise(
        GATED + GROWING,
        tuner={"name": "Hyperband", "classArgs": {"R": 4, "eta": 2}},
        maxTrialNumber=4,
    )
    first = start()
    experiment = Experiment.connect(free_port)
    experiments.until(
        experiment,
        lambda change: sum(one["attempt"] == 2 and one["status"] == "RUNNING" for one in _all(experiment)) == 2,
    )
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=30)

    start()
    experiment = Experiment.connect(free_port)
    (cluster.exports["10.20.30.40:/mnt/nfs/nni"] / "nni" / experiment.id / "go").touch()
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    ranked = sorted(_all(experiment), key=lambda one: float(one["finalValue"]))
    assert [(one["status"], one["attempt"]) for one in ranked] == [("SUCCEEDED", number) for number in (1, 1, 2, 3)]
    best = experiment.export_data()[ranked[-1]["sequenceId"]]
    assert best.value["epochs"] == 2
    experiment.stop()


def _all(experiment: Experiment) -> list[dict[str, Any]]:
    return list(experiment._connected.get("trial-jobs"))
