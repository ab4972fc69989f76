"""How fast the manager reacts, seen from outside.

- from a job's end to the next job: between the two events as a client of the API server sees them;
- from a metric's report in the pod to its sight in the manager's event stream, and in REST;
- from the intermediate result for which an assessor stops a trial to the deletion of its job as a client of the API
  server sees it, and, with trials as processes of this machine, to the signal in the trial;
- the manager's CPU time for each trial.

Runs in a sandbox: ``nnictl sandbox --nfs 10.20.30.40:/mnt/nfs/nni -- python -m benchmarks.latency``. With ``TLS=1``
trials report by TLS, as they do to a cluster that is not on this machine.
"""

import contextlib
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
PORT = int(os.environ.get("PORT", "18080"))
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


HOPELESS = """\
import os
import signal
import time
import nni

def stop(number, frame):
    signal.signal(number, signal.SIG_IGN)
    with open(os.environ.get("NNI_BENCHMARK_SEEN", os.devnull), "a") as file:
        file.write(str(time.time()) + "\\n")
    os._exit(0)

nni.get_next_parameter()
signal.signal(signal.SIGTERM, stop)
nni.report_intermediate_result(time.time())
while True:
    signal.pause()
"""

STRICT = """\
from nni.assessor import Assessor, AssessResult

class Strict(Assessor):
    def assess_trial(self, trial_job_id, trial_history):
        return AssessResult.Bad
"""


class Jobs:
    """Notes when jobs come and end."""

    def __init__(self) -> None:
        config.load_kube_config()
        self._watch = watch.Watch()
        self._thread = threading.Thread(target=self._follow)
        self.created: list[float] = []
        self.ended: list[float] = []
        self.deleted: list[float] = []

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
            if change["type"] == "DELETED":
                self.deleted.append(now)
                over.add(uid)
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
    """Run the experiments and print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "trial.py").write_text(TRIAL)
        experiment = _experiment(directory)
        with Jobs() as jobs:
            experiment.start(PORT)
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
    _print("report to the job's deletion, ms", stopped_early("kubeflow"))
    _print("report to the signal, local, ms", stopped_early("local"))
    return 0


def stopped_early(platform: str) -> Sequence[float]:
    """Return how long after its result each trial of an experiment was stopped whose assessor likes none."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "trial.py").write_text(HOPELESS)
        Path(directory, "strict.py").write_text(STRICT)
        os.environ["NNI_BENCHMARK_SEEN"] = seen = str(Path(directory, "seen"))
        experiment = _experiment(directory, platform)
        experiment.config.assessor.class_name = "strict.Strict"
        experiment.config.assessor.code_directory = directory
        with contextlib.ExitStack() as stack:
            jobs = stack.enter_context(Jobs()) if platform == "kubeflow" else None
            experiment.start(PORT)
            for change in experiment._connected.events():
                if change["experiment"]["isOver"]:
                    break
        reported = [float(its[0].data) for its in experiment.get_job_metrics().values()]
        experiment.stop()
        stopped = jobs.deleted if jobs is not None else [float(line) for line in Path(seen).read_text().split()]
    return [after - before for before, after in zip(sorted(reported), sorted(stopped), strict=True)]


def _experiment(directory: str, platform: str = "kubeflow") -> Experiment:
    experiment = Experiment(platform)
    experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    experiment.config.tuner.name = "TPE"
    experiment.config.max_trial_number = TRIALS
    experiment.config.trial_concurrency = 1
    if platform == "local":
        experiment.config.trial_command = "python3 trial.py"
        experiment.config.trial_code_directory = directory
        return experiment
    service = experiment.config.training_service
    service.operator = "pytorch-operator"
    service.api_version = "v1"
    service.intake_tls = os.environ.get("TLS") == "1"
    service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    service.master = KubeflowRoleConfig(
        replicas=1, command="python3 trial.py", code_directory=directory, cpu_number=1, memory_size="1Gi"
    )
    return experiment


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(what: str, seconds: Sequence[float]) -> None:
    milliseconds = sorted(one * 1000 for one in seconds)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    print(f"{what:34} {statistics.median(milliseconds):8.1f} median {p95:8.1f} p95   ({len(milliseconds)} samples)")


if __name__ == "__main__":
    sys.exit(main())
