"""Pods that a script plays: to the cluster's clients, to the intake and to a manager they are like any others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig
from nni.testing import faults, pods, sandbox
from nni.wire import report

EXPORT = "10.20.30.40:/mnt/nfs/nni"
CORE = "/api/v1/namespaces/default"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
SCRIPT = [
    {"name": "lasting-*", "duration": 600},
    {"name": "failing-*", "duration": 0.1, "failures": 1, "exitCode": 3},
    {"name": "silent-*", "duration": 0.1, "metrics": 0, "final": None},
    {"duration": [0.2, 0.4], "metrics": 3, "final": [0.5, 0.6]},
]


@pytest.fixture(scope="module")
def running() -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox(nfs={EXPORT: None}, simulate=SCRIPT) as made:
        yield made


@pytest.fixture
def api(running: sandbox.Sandbox) -> sandbox.Connection:
    return sandbox.Connection(running)


def make_job(api: sandbox.Connection, name: str, intake: str = "") -> None:
    plain = {"NNI_EXP_ID": "e", "NNI_TRIAL_JOB_ID": name, "NNI_TRIAL_ATTEMPT": "2", "NNI_ROLE": "master"}
    variables: list[dict[str, Any]] = [{"name": key, "value": value} for key, value in plain.items()]
    if intake:
        token = {"secretKeyRef": {"name": "tokens", "key": "t"}}
        variables += [{"name": "NNI_INTAKE_URL", "value": intake}, {"name": "NNI_TRIAL_TOKEN", "valueFrom": token}]
    container: dict[str, Any] = {"name": "pytorch", "image": "x", "command": ["no-such-program"], "env": variables}
    container["resources"] = {"limits": {"nvidia.com/gpu": "64"}}
    replica = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [container]}}}
    spec = {"runPolicy": {"cleanPodPolicy": "Running"}, "pytorchReplicaSpecs": {"Master": replica}}
    body = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name}, "spec": spec}
    code, answer = api.call("POST", JOBS, body)
    assert code == 201, answer


def has(condition: str) -> Any:
    def look(found: dict[str, Any]) -> bool:
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    return look


def ended(api: sandbox.Connection, name: str) -> dict[str, Any]:
    found = api.until(f"{CORE}/pods/{name}-master-0", lambda found: found["status"]["phase"] == "Failed")
    return dict(found["status"]["containerStatuses"][0]["state"]["terminated"])


def test_dozens_of_trials_report_with_the_token_of_their_secret(api: sandbox.Connection) -> None:
    api.call("POST", f"{CORE}/secrets", {"metadata": {"name": "tokens"}, "stringData": {"t": "word"}})
    names = [f"trial-{index}" for index in range(40)]
    with pods.Intake("word") as intake:
        for name in names:
            make_job(api, name, intake.url)
        for name in names:
            api.until(f"{JOBS}/{name}", has("Succeeded"))
        intake.wait_for(lambda: len(intake.exits) == len(names))
        for name in names:
            path = f"/api/v1/intake/e/{name}/2/master/0"
            found = intake.metrics[path]
            assert [(one.type, one.sequence) for one in found] == [
                (report.PERIODICAL, 0), (report.PERIODICAL, 1), (report.PERIODICAL, 2), (report.FINAL, 0),
            ]  # fmt: skip
            values = [float(one.value) for one in found]
            assert values == sorted(values)
            assert 0.5 <= values[-1] <= 0.6
            assert (intake.exits[path].code, intake.exits[path].metrics, intake.exits[path].stopped) == (0, 4, False)


def test_an_intake_that_comes_back_gets_everything(api: sandbox.Connection) -> None:
    with pods.Intake("word") as intake:
        intake.interfere = lambda request: (503, b"") if len(intake.requests) < 4 else None
        make_job(api, "patient", intake.url)
        path = "/api/v1/intake/e/patient/2/master/0"
        intake.wait_for(lambda: path in intake.exits)
        assert len(intake.metrics[path]) == 4


def test_a_failure_has_its_code_and_no_final_result(api: sandbox.Connection) -> None:
    with pods.Intake("word") as intake:
        make_job(api, "failing-1", intake.url)
        api.until(f"{JOBS}/failing-1", has("Failed"))
        assert ended(api, "failing-1")["exitCode"] == 3
        path = "/api/v1/intake/e/failing-1/2/master/0"
        intake.wait_for(lambda: path in intake.exits)
        assert intake.exits[path].code == 3
        assert report.FINAL not in [one.type for one in intake.metrics.get(path, [])]


def test_without_an_intake_nothing_is_reported(api: sandbox.Connection) -> None:
    make_job(api, "silent-1")
    api.until(f"{JOBS}/silent-1", has("Succeeded"))
    with api.open("GET", f"{CORE}/pods/silent-1-master-0/log") as log:
        assert log.read().startswith(b"simulated: 0.10 s, exit code 0")


def test_a_deleted_job_ends_its_pod(api: sandbox.Connection) -> None:
    with pods.Intake("word") as intake:
        make_job(api, "lasting-1", intake.url)
        api.until(f"{JOBS}/lasting-1", has("Running"))
        api.call("DELETE", f"{JOBS}/lasting-1")
        api.until_gone(f"{CORE}/pods/lasting-1-master-0")
        path = "/api/v1/intake/e/lasting-1/2/master/0"
        intake.wait_for(lambda: path in intake.exits)
        assert (intake.exits[path].code, intake.exits[path].stopped) == (143, True)


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        (faults.OutOfMemory(), "OOMKilled", 137),
        (faults.Eviction(), "Error", 137),
    ],
)
def test_faults_strike_played_pods_too(
    running: sandbox.Sandbox, api: sandbox.Connection, fault: faults.Fault, reason: str, code: int
) -> None:
    name = f"lasting-{type(fault).__name__.lower()}"
    make_job(api, name)
    with running.faults(fault):
        found = ended(api, name)
    assert (found["reason"], found["exitCode"]) == (reason, code)


def test_a_lost_node_is_silent_and_so_are_its_played_pods(running: sandbox.Sandbox, api: sandbox.Connection) -> None:
    with pods.Intake("word") as intake:
        make_job(api, "lasting-lost", intake.url)
        api.until(f"{JOBS}/lasting-lost", has("Running"))
        intake.wait_for(lambda: len(intake.requests) == 1)
        with running.faults(faults.NodeLoss(toleration=0)):
            path = f"{CORE}/pods/lasting-lost-master-0"
            found = api.until(path, lambda found: "deletionTimestamp" in found["metadata"])
            assert found["status"]["phase"] == "Running"
        api.until_gone(path)
        assert intake.exits == {}


def test_an_image_that_cannot_be_pulled_keeps_a_played_pod_from_starting(
    running: sandbox.Sandbox, api: sandbox.Connection
) -> None:
    with running.faults(faults.ImagePullFailure()):
        make_job(api, "unpulled")
        path = f"{CORE}/pods/unpulled-master-0"
        found = api.until(path, lambda found: "waiting" in str(found["status"]) and "ImagePull" in str(found))
        assert found["status"]["phase"] == "Pending"
    api.until(f"{JOBS}/unpulled", has("Succeeded"))


def test_an_experiment_runs_on_played_pods(
    running: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    for name, value in {**running.environment, "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "code").mkdir()
    experiment = Experiment("kubeflow")
    experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    experiment.config.tuner.name = "Random"
    experiment.config.trial_concurrency = 12
    experiment.config.max_trial_number = 36
    service = experiment.config.training_service
    service.operator, service.api_version = "pytorch-operator", "v1"
    service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    service.master = KubeflowRoleConfig(
        replicas=1, command="python3 trial.py", code_directory=tmp_path / "code", cpu_number=1, memory_size="1Gi"
    )
    try:
        assert experiment.run(free_port)
        results = experiment.export_data()
        assert len(results) == 36
        assert all(0.5 <= float(result.value) <= 0.6 for result in results)
    finally:
        experiment.stop()


def test_an_act_that_cannot_be_read_is_told_in_a_sentence() -> None:
    with pytest.raises(errors.SandboxError, match=r"pods\[0\].duration: 'long' is not a number"):
        sandbox.Sandbox(simulate=[{"duration": "long"}]).__enter__()


def test_a_pod_plays_the_same_part_each_time(api: sandbox.Connection) -> None:
    lines = []
    for _ in range(2):
        make_job(api, "twice")
        api.until(f"{JOBS}/twice", has("Succeeded"))
        with api.open("GET", f"{CORE}/pods/twice-master-0/log") as log:
            lines.append(log.read())
        api.call("DELETE", f"{JOBS}/twice")
        api.until_gone(f"{CORE}/pods/twice-master-0")
        api.until_gone(f"{CORE}/services/twice-master-0")
    assert lines[0] == lines[1]
