"""What a container has left that was killed with SIGKILL, all of it at once, while it was talking."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nni.experiment import Experiment
from nni.testing import experiments, faults
from nni.testing.sandbox import Sandbox
from nni.wire import report

TALKS = """\
import itertools, pathlib, sys, time
import nni

nni.get_next_parameter()
pathlib.Path("model.bin").write_bytes(b"m" * 1000)
for number in itertools.count():
    nni.report_intermediate_result(number)
    print(number, time.time(), flush=True)
    print(number, time.time(), file=sys.stderr, flush=True)
    time.sleep(0.01)
"""
EXPORT = "10.20.30.40:/mnt/nfs/nni"
SLACK_SECONDS = 1.5
"""For a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of this module's own: its faults are nobody else's."""
    with Sandbox(nfs={EXPORT: None}) as running:
        yield running


@pytest.mark.parametrize(
    ("storage", "seconds"),
    [
        ("nfs", 0.0),  # what was said stands there
        ("manager", 1.0),  # it is sent every second
    ],
)
def test_a_killed_container_has_left_all_but_its_last_moment(
    make: Callable[..., Experiment], cluster: Sandbox, free_port: int, storage: str, seconds: float
) -> None:
    own = {} if storage == "nfs" else {"storage": None}
    experiment = make(TALKS, max_trial_number=1, trial_concurrency=1, service=own)
    experiment.start(free_port)
    experiments.until(experiment, lambda change: any(its["intermediateCount"] > 300 for its in change["trials"]))
    killed_at = time.time()
    with cluster.faults(faults.OutOfMemory(count=1)):
        experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
    (trial,) = experiment.list_trial_jobs()
    heard = [metric.data for metric in experiment.get_job_metrics()[trial.trialJobId]]
    experiment.stop()

    assert trial.status == "FAILED"
    home = Path.home() / "nni-experiments" / experiment.id / "volume"
    root = cluster.exports[EXPORT] if storage == "nfs" else home
    place = root / "nni" / experiment.id / trial.trialJobId / "1" / "master-0"
    said = {name: _whole_lines((place / name).read_text()) for name in ("stdout", "stderr")}
    metrics = [float(metric.value) for metric in report.parse_journal((place / "metrics.jsonl").read_bytes()).metrics]
    for lines in said.values():
        assert [number for number, _ in lines] == list(range(len(lines)))
        assert lines[-1][1] > killed_at - seconds - SLACK_SECONDS
    assert metrics == list(range(len(metrics)))
    if storage == "nfs":
        # A metric is in the journal before the function that reports it returns, so before the line that follows.
        assert len(metrics) >= len(said["stdout"])
    assert heard[: len(metrics)] == metrics[: len(heard)]
    assert heard[-1] >= max(metrics[-1], said["stdout"][-1][0])
    assert "the command runs: python3 trial.py" in (place / "trial.log").read_text()
    assert not (place / "exit.json").exists()
    with contextlib.suppress(FileNotFoundError):
        assert (place / "output" / "model.bin").stat().st_size == 1000  # whole, or not there yet


def _whole_lines(text: str) -> list[tuple[int, float]]:
    whole, _, _ = text.rpartition("\n")
    return [(int(number), float(moment)) for number, moment in map(str.split, whole.splitlines())]
