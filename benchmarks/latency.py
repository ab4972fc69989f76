"""How fast the manager reacts, seen from outside.

- from a job's end to the next job: between the two events as a client of the API server sees them;
- from a metric's report in the pod to its sight in the manager's event stream, and in REST;
- the manager's CPU time for each trial.

Runs in a sandbox: ``nnictl sandbox --nfs 10.20.30.40:/mnt/nfs/nni -- python -m benchmarks.latency``. With ``TLS=1``
trials report by TLS, as they do to a cluster that is not on this machine.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from kubernetes import client, config, watch

from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig

TRIALS = int(os.environ.get("TRIALS", "20"))
REPORTS = 5

TRIAL = f"""\
import threading
import time
import nni

nni.get_next_parameter()
pause = threading.Event()
for _ in range({REPORTS}):
    nni.report_intermediate_result(time.time())
    pause.wait(0.2)
nni.report_final_result(time.time())
"""


class Jobs:
    """Notes when jobs come and end."""

    def __init__(self) -> None:
        config.load_kube_config()
        self._watch = watch.Watch()
        self._thread = threading.Thread(target=self._follow)
        self.created: list[float] = []
        self.ended: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._watch.stop()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        known: set[str] = set()
        over: set[str] = set()
        api = client.CustomObjectsApi()
        arguments = ("kubeflow.org", "v1", "default", "pytorchjobs")
        for change in self._watch.stream(api.list_namespaced_custom_object, *arguments, timeout_seconds=300):
            job, now = change["object"], time.time()
            uid = job["metadata"]["uid"]
            if uid not in known:
                known.add(uid)
                self.created.append(now)
            conditions = job.get("status", {}).get("conditions", [])
            is_over = any(one["type"] in ("Succeeded", "Failed") and one["status"] == "True" for one in conditions)
            if is_over and uid not in over:
                over.add(uid)
                self.ended.append(now)
            if len(over) == TRIALS:
                return


class Sights:
    """Notes how old a reported time is when the manager's stream shows it, and when REST does."""

    def __init__(self, experiment: Experiment) -> None:
        self._manager = experiment._connected
        self._thread = threading.Thread(target=self._follow)
        self.streamed: list[float] = []
        self.fetched: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        # The stream ends with the experiment.
        self._thread.join()

    def _follow(self) -> None:
        seen: dict[str, float] = {}
        for change in self._manager.events():
            now = time.time()
            for trial in change["trials"]:
                value = trial.get("lastValue")
                if value is not None and seen.get(trial["trialJobId"]) != value:
                    seen[trial["trialJobId"]] = value
                    self.streamed.append(now - value)
                    shown = self._manager.get(f"trial-jobs/{trial['trialJobId']}")
                    if shown.get("lastValue") == value:
                        self.fetched.append(time.time() - value)
            if change["experiment"]["isOver"]:
                return


def main() -> int:
    """Run the experiment and print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "trial.py").write_text(TRIAL)
        experiment = Experiment("kubeflow")
        experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
        experiment.config.tuner.name = "TPE"
        experiment.config.max_trial_number = TRIALS
        experiment.config.trial_concurrency = 1
        service = experiment.config.training_service
        service.operator = "pytorch-operator"
        service.api_version = "v1"
        service.intake_tls = os.environ.get("TLS") == "1"
        service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
        service.master = KubeflowRoleConfig(
            replicas=1, command="python3 trial.py", code_directory=directory, cpu_number=1, memory_size="1Gi"
        )
        with Jobs() as jobs:
            experiment.start(int(os.environ.get("PORT", "18080")))
            assert experiment._running is not None
            pid = experiment._running.process.pid
            before = _cpu(pid)
            with Sights(experiment) as sights:
                pass
            cpu = _cpu(pid) - before
        experiment.stop()
    gaps = [after - end for end, after in zip(jobs.ended, jobs.created[1:], strict=False)]
    _print("job's end to the next job, ms", gaps)
    _print("report to the event stream, ms", sights.streamed)
    _print("report to sight in REST, ms", sights.fetched)
    print(f"{'manager CPU for each trial, ms':34} {cpu / TRIALS * 1000:8.1f}   ({TRIALS} trials)")
    return 0


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(what: str, seconds: Sequence[float]) -> None:
    milliseconds = sorted(one * 1000 for one in seconds)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    print(f"{what:34} {statistics.median(milliseconds):8.1f} median {p95:8.1f} p95   ({len(milliseconds)} samples)")


if __name__ == "__main__":
    sys.exit(main())
