"""Whole experiments on a cluster where everything fails now and then: each trial is accounted for, nothing is left."""

import signal
from collections.abc import Callable, Iterator

import pytest

from nni.experiment import Experiment
from nni.testing import experiments, faults
from nni.testing.sandbox import Sandbox

Make = Callable[..., Experiment]

SHORT = """\
import threading
import nni

x = nni.get_next_parameter()["x"]
for step in range(3):
    nni.report_intermediate_result(x * step)
    threading.Event().wait(0.1)
nni.report_final_result(x)
"""
ENDLESS = """\
import signal
import nni

nni.get_next_parameter()
nni.report_intermediate_result(1)
signal.pause()
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of this module's own: its faults are nobody else's."""
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}, node_count=3) as running:
        yield running


def test_every_trial_ends_well_whatever_fails_around_it(make: Make, cluster: Sandbox, free_port: int) -> None:
    experiment = make(SHORT, max_trial_number=12, trial_concurrency=4)
    everything = [
        faults.ApiLatency(latency=0.05),
        faults.ServerError(verbs=["create"], resources=["pytorchjobs.kubeflow.org"], count=2, code=503),
        faults.ConnectionReset(verbs=["create"], resources=["pytorchjobs.kubeflow.org"], count=2, is_done=True),
        faults.ConnectionReset(verbs=["delete"], count=2),
        faults.TooManyRequests(count=3),
        faults.DroppedWatch(after=0.5),
        faults.Eviction(count=2),
        faults.Preemption(count=2),
    ]

    with cluster.faults(*everything):
        assert experiment.run(free_port) is True

    trials = experiment.list_trial_jobs()
    assert [trial.status for trial in trials] == ["SUCCEEDED"] * 12
    assert sum(trial.attempt - 1 for trial in trials) >= 2
    results = experiment.export_data()
    assert [result.value for result in results] == [result.parameter["x"] for result in results]
    experiment.stop()
    assert experiments.objects_left(cluster) == []
    assert experiments.processes_of(experiment.id) == []


def test_a_manager_that_is_stopped_amid_an_outage_leaves_nothing(make: Make, cluster: Sandbox, free_port: int) -> None:
    experiment = make(ENDLESS, max_trial_number=4, trial_concurrency=3)
    experiment.start(free_port)
    experiments.until(experiment, lambda change: change["counts"]["RUNNING"] == 3)
    assert experiment._running is not None
    manager = experiment._running.process

    with cluster.faults(
        faults.ServerError(verbs=["delete"], count=3), faults.DroppedWatch(after=0.2), faults.ConnectionReset(count=3)
    ):
        manager.send_signal(signal.SIGTERM)
        assert manager.wait(timeout=60) == 0

    assert experiments.objects_left(cluster) == []
    assert experiments.processes_of(experiment.id) == []
