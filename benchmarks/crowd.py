"""What a thousand trials cost the manager: 200 at a time, each one job whose pod is played.

- jobs per second, and the manager's CPU time for each over its whole life, by hundreds of trials (it must not grow);
- calls to the API server for each trial;
- the manager's memory at the end.

Runs in a sandbox that plays pods: ``nnictl sandbox --simulate --nfs 10.20.30.40:/mnt/nfs/nni -- python -m
benchmarks.crowd``; ``TRIALS`` and ``CONCURRENT`` change the numbers.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig

TRIALS = int(os.environ.get("TRIALS", "1000"))
CONCURRENT = int(os.environ.get("CONCURRENT", "200"))
TUNER = os.environ.get("TUNER", "Random")
STEPS = 10


def main() -> int:
    """Run the experiment and print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        experiment = _experiment(directory)
        experiment.start(int(os.environ.get("PORT", "18180")))
        assert experiment._running is not None
        pid = experiment._running.process.pid
        began, cpu = time.monotonic(), _cpu(pid)
        costs: list[float] = []
        for change in experiment._connected.events():
            counts = change["counts"]
            over = counts["SUCCEEDED"] + counts["FAILED"]
            while over >= (len(costs) + 1) * TRIALS / STEPS:
                now = _cpu(pid)
                costs.append((now - cpu) / (TRIALS / STEPS) * 1000)
                cpu = now
            if change["experiment"]["isOver"]:
                break
        seconds, memory = time.monotonic() - began, _memory(pid)
        statistics = {one["trialJobStatus"]: one["trialJobNumber"] for one in experiment.get_job_statistics()}
        experiment.stop()
    print(f"{TRIALS} trials, {CONCURRENT} at a time: {seconds:.1f} s, {TRIALS / seconds:.1f} jobs/s   {statistics}")
    print("manager CPU for each trial, ms, by tenths: " + " ".join(f"{cost:.1f}" for cost in costs))
    print(f"manager memory at the end, MiB: {memory:.0f}")
    return 0


def _experiment(directory: str) -> Experiment:
    Path(directory, "trial.py").write_text("")
    experiment = Experiment("kubeflow")
    experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    experiment.config.tuner.name = TUNER
    experiment.config.max_trial_number = TRIALS
    experiment.config.trial_concurrency = CONCURRENT
    service = experiment.config.training_service
    service.operator = "pytorch-operator"
    service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    service.master = KubeflowRoleConfig(
        replicas=1, command="python3 trial.py", code_directory=directory, docker_image="x", cpu_number=1
    )
    return experiment


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
