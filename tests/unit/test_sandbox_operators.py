"""The sandbox's operators on a cluster without nodes: the tests play the kubelet and set the clock."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nni.sandbox import kinds, patches, registry, schema, status, store, times
from nni.sandbox.operators import dependents, fleet

START = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
NAMESPACE = "team"
STEP = "trainer.kubeflow.org/trainjob-ancestor-step"


class World:
    """A cluster whose pods do what a test says."""

    def __init__(self) -> None:
        self.now = START
        self.is_full = False
        stored = store.Store()
        webhooks = fleet.webhooks(stored) | {kinds.POD.resource: self._quota}
        self.objects = registry.Registry(stored, schema.load(), lambda: self.now, webhooks)
        self.objects.create(kinds.NAMESPACE, "", {"metadata": {"name": NAMESPACE}})

    def _quota(self, new: schema.Object, old: schema.Object | None) -> None:
        if self.is_full and old is None:
            raise status.forbidden(f'pods "{new["metadata"]["name"]}" is forbidden: exceeded quota: small')

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for run in fleet.operators(self.objects, kinds.Kinds()).values():
                group.create_task(run())
            yield
            self.objects.store.close()

    async def settle(self) -> None:
        """Let the operators work until nothing changes any more."""
        quiet = 0
        while quiet < 30:
            before = self.objects.store.version
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.objects.store.version == before else 0

    async def create(self, kind: kinds.Kind, body: schema.Object) -> None:
        self.objects.create(kind, NAMESPACE if kind.is_namespaced else "", body)
        await self.settle()

    async def patch(self, kind: kinds.Kind, name: str, patch: schema.Object) -> None:
        self.objects.patch(kind, NAMESPACE, name, patch, patches.MERGE)
        await self.settle()

    async def delete(self, kind: kinds.Kind, name: str, policy: str = "Background") -> None:
        self.objects.delete(kind, NAMESPACE, name, registry.Deletion(policy=policy))
        await self.settle()

    async def play(self, pod: str, phase: str, code: int = 0, restarts: int = 0) -> None:
        """Bring the first pod of that name (or the start of one) into a phase."""
        found = next(each for each in self.pods() if each["metadata"]["name"].startswith(pod))
        container = {"name": found["spec"]["containers"][0]["name"], "restartCount": restarts, "state": {"running": {}}}
        if phase in ("Succeeded", "Failed"):
            ended = {"exitCode": code, "reason": "Error", "finishedAt": times.stamp(self.now)}
            container["state"] = {"terminated": ended}
        ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
        bound = {**found, "spec": {**found["spec"], "nodeName": "n"}}
        state = {**found["status"], "phase": phase, "containerStatuses": [container], "conditions": [ready]}
        self.objects.store.put("pods", (NAMESPACE, found["metadata"]["name"]), {**bound, "status": state})
        await self.settle()

    def pods(self) -> list[schema.Object]:
        return self.objects.all(kinds.POD, NAMESPACE)

    def names(self, kind: kinds.Kind = kinds.POD) -> list[str]:
        return [each["metadata"]["name"] for each in self.objects.all(kind, NAMESPACE)]

    def state(self, kind: kinds.Kind, name: str) -> schema.Object:
        return dict(self.objects.get(kind, NAMESPACE, name).get("status", {}))

    def conditions(self, kind: kinds.Kind, name: str) -> list[tuple[str, str, str]]:
        found = self.state(kind, name).get("conditions", [])
        return [(each["type"], each["status"], each["reason"]) for each in found]

    def events(self, name: str) -> list[str]:
        return [
            each["reason"] for each in self.objects.all(kinds.EVENT) if each["involvedObject"]["name"] == name
        ]  # fmt: skip


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.working():
        yield made


def training(kind: kinds.Kind, policy: schema.Object | None = None, **roles: Any) -> schema.Object:
    """Make a job; each role is the number of its replicas, or that and its restart policy."""
    field, container = ("tfReplicaSpecs", "tensorflow") if kind is kinds.TF_JOB else ("pytorchReplicaSpecs", "pytorch")
    template = {"spec": {"containers": [{"name": container, "image": "x"}]}}
    specs = {}
    for role, wanted in roles.items():
        count, restart = wanted if isinstance(wanted, tuple) else (wanted, "Never")
        specs[role] = {"replicas": count, "restartPolicy": restart, "template": template}
    return {"metadata": {"name": "j"}, "spec": {"runPolicy": policy or {}, field: specs}}


def job(count: int = 1, restart: str = "Never", **spec: Any) -> schema.Object:
    pod = {"restartPolicy": restart, "containers": [{"name": "main", "image": "x"}]}
    given = {"parallelism": count, "completions": count, "template": {"spec": pod}, **spec}
    return {"metadata": {"name": "j"}, "spec": given}


def runtime(**jobset: Any) -> schema.Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "node", "image": "base"}]}
    template = {"metadata": {"labels": {STEP: "trainer"}}, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    spec = {"replicatedJobs": [{"name": "node", "template": template}], **jobset}
    return {"metadata": {"name": "rt"}, "spec": {"mlPolicy": {"numNodes": 1, "torch": {}}, "template": {"spec": spec}}}


def train(**spec: Any) -> schema.Object:
    return {"metadata": {"name": "t"}, "spec": {"runtimeRef": {"name": "rt", "kind": "TrainingRuntime"}, **spec}}


async def test_a_training_job_goes_from_created_to_succeeded(world: World) -> None:
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, Master=1, Worker=1))
    assert world.names() == world.names(kinds.SERVICE) == ["j-master-0", "j-worker-0"]
    assert world.conditions(kinds.PYTORCH_JOB, "j") == [("Created", "True", "PyTorchJobCreated")]
    await world.play("j-master-0", "Running")
    await world.play("j-worker-0", "Running")
    selector = "training.kubeflow.org/job-name=j,training.kubeflow.org/operator-name=pytorchjob-controller"
    assert world.state(kinds.PYTORCH_JOB, "j")["replicaStatuses"] == {
        "Master": {"active": 1, "selector": f"{selector},training.kubeflow.org/replica-type=master"},
        "Worker": {"active": 1, "selector": f"{selector},training.kubeflow.org/replica-type=worker"},
    }
    await world.play("j-master-0", "Succeeded")
    assert world.conditions(kinds.PYTORCH_JOB, "j") == [
        ("Created", "True", "PyTorchJobCreated"),
        ("Running", "False", "PyTorchJobRunning"),
        ("Succeeded", "True", "PyTorchJobSucceeded"),
    ]
    # The worker runs on, and is counted as one that has succeeded.
    assert world.state(kinds.PYTORCH_JOB, "j")["replicaStatuses"]["Worker"]["succeeded"] == 1
    assert world.names() == ["j-master-0", "j-worker-0"]


@pytest.mark.parametrize(
    ("policy", "pods"),
    [("None", ["j-master-0", "j-worker-0", "j-worker-1"]), ("Running", ["j-master-0", "j-worker-1"]), ("All", [])],
)
async def test_the_clean_policy_says_which_pods_stay(world: World, policy: str, pods: list[str]) -> None:
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, {"cleanPodPolicy": policy}, Master=1, Worker=2))
    await world.play("j-worker-1", "Succeeded")
    await world.play("j-master-0", "Succeeded")
    assert world.names() == world.names(kinds.SERVICE) == pods


@pytest.mark.parametrize(
    ("roles", "ended", "expected"),
    [
        ({"Chief": 1, "Worker": 2}, ["j-worker-0"], []),
        ({"Chief": 1, "Worker": 2}, ["j-chief-0"], ["Succeeded"]),
        ({"Master": 1, "PS": 1}, ["j-master-0"], ["Succeeded"]),
        ({"Worker": 2}, ["j-worker-1"], []),
        ({"Worker": 2}, ["j-worker-0"], ["Succeeded"]),
        ({"PS": 1, "Worker": 2}, ["j-worker-0"], ["Succeeded"]),
        ({"PS": 1}, ["j-ps-0"], []),
    ],
)
async def test_a_tfjob_is_done_when_its_chief_is(
    world: World, roles: dict[str, int], ended: list[str], expected: list[str]
) -> None:
    await world.create(kinds.TF_JOB, training(kinds.TF_JOB, {"cleanPodPolicy": "Running"}, **roles))
    for name in world.names():
        await world.play(name, "Running")
    for name in ended:
        await world.play(name, "Succeeded")
    found = [name for name, _, _ in world.conditions(kinds.TF_JOB, "j") if name not in ("Created", "Running")]
    assert found == expected
    if expected:  # what still runs is told to stop, parameter servers too
        stopped = [each for each in world.pods() if each["metadata"].get("deletionTimestamp")]
        assert [each["metadata"]["name"] for each in world.pods() if each not in stopped] == ended


async def test_all_workers_of_a_tfjob_may_have_to_succeed(world: World) -> None:
    body = training(kinds.TF_JOB, Worker=2)
    body["spec"]["successPolicy"] = "AllWorkers"
    await world.create(kinds.TF_JOB, body)
    await world.play("j-worker-0", "Succeeded")
    assert "completionTime" not in world.state(kinds.TF_JOB, "j")
    await world.play("j-worker-1", "Succeeded")
    last = world.state(kinds.TF_JOB, "j")["conditions"][-1]
    assert (last["type"], last["message"]) == ("Succeeded", f"TFJob {NAMESPACE}/j successfully completed.")


async def test_a_failed_worker_fails_its_tfjob(world: World) -> None:
    await world.create(kinds.TF_JOB, training(kinds.TF_JOB, Chief=1, Worker=1))
    await world.play("j-worker-0", "Failed", 1)
    last = world.state(kinds.TF_JOB, "j")["conditions"][-1]
    assert last["message"] == f"TFJob {NAMESPACE}/j has failed because 1 Worker replica(s) failed."


@pytest.mark.parametrize("kind", [kinds.PYTORCH_JOB, kinds.TF_JOB])
async def test_a_deadline_does_not_fire_by_itself(world: World, kind: kinds.Kind) -> None:
    await world.create(kind, training(kind, {"activeDeadlineSeconds": 4}, Worker=1))
    await world.play("j-worker-0", "Running")
    world.now += dt.timedelta(seconds=80)
    await world.settle()
    assert world.conditions(kind, "j")[-1][0] == "Running"
    await world.patch(kind, "j", {"metadata": {"labels": {"touched": "yes"}}})
    last = world.state(kind, "j")["conditions"][-1]
    assert (last["type"], last["message"]) == (
        "Failed", "Job j has failed because it was active longer than specified deadline",
    )  # fmt: skip


async def test_no_retries_are_told_as_a_limit_that_is_reached(world: World) -> None:
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, {"backoffLimit": 0}, Master=1))
    await world.play("j-master-0", "Running")
    await world.play("j-master-0", "Failed", 1)
    last = world.state(kinds.PYTORCH_JOB, "j")["conditions"][-1]
    assert last["message"] == "Job j has failed because it has reached the specified backoff limit"
    assert "completionTime" in world.state(kinds.PYTORCH_JOB, "j")


@pytest.mark.parametrize(("restarts", "has_failed"), [(1, False), (2, True)])
async def test_restarts_in_place_count_against_the_limit(world: World, restarts: int, has_failed: bool) -> None:
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, {"backoffLimit": 2}, Master=(1, "OnFailure")))
    await world.play("j-master-0", "Running", restarts=restarts)
    assert (world.conditions(kinds.PYTORCH_JOB, "j")[-1][0] == "Failed") == has_failed


@pytest.mark.parametrize("kind", [kinds.PYTORCH_JOB, kinds.TF_JOB])
async def test_an_evicted_pod_is_replaced_where_restarts_are_allowed(world: World, kind: kinds.Kind) -> None:
    await world.create(kind, training(kind, Worker=(1, "OnFailure")))
    await world.play("j-worker-0", "Running")
    before = world.pods()[0]["metadata"]["uid"]
    await world.play("j-worker-0", "Failed", 137)
    assert world.pods()[0]["metadata"]["uid"] != before
    assert world.conditions(kind, "j")[-1][0] == "Restarting"


@pytest.mark.parametrize("kind", [kinds.PYTORCH_JOB, kinds.TF_JOB])
async def test_exit_codes_are_retried_for_ever(world: World, kind: kinds.Kind) -> None:
    await world.create(kind, training(kind, {"backoffLimit": 1}, Worker=(1, "ExitCode")))
    for _ in range(5):
        before = world.pods()[0]["metadata"]["uid"]
        await world.play("j-worker-0", "Running")
        await world.play("j-worker-0", "Failed", 137)
        assert world.pods()[0]["metadata"]["uid"] != before
        assert world.conditions(kind, "j")[-1][0] == "Restarting"
    await world.play("j-worker-0", "Running")
    await world.play("j-worker-0", "Failed", 1)
    assert world.conditions(kind, "j")[-1][0] == "Failed"


@pytest.mark.parametrize("kind", [kinds.PYTORCH_JOB, kinds.TF_JOB])
async def test_a_running_pod_that_is_deleted_has_failed(world: World, kind: kinds.Kind) -> None:
    await world.create(kind, training(kind, Worker=1))
    await world.play("j-worker-0", "Running")
    await world.delete(kinds.POD, "j-worker-0")
    assert world.conditions(kind, "j")[-1][0] == "Failed"


@pytest.mark.parametrize("kind", [kinds.PYTORCH_JOB, kinds.TF_JOB])
async def test_a_suspended_training_job_starts_over(world: World, kind: kinds.Kind) -> None:
    await world.create(kind, training(kind, Worker=1))
    await world.play("j-worker-0", "Running")
    await world.patch(kind, "j", {"spec": {"runPolicy": {"suspend": True}}})
    assert world.conditions(kind, "j")[1:] == [
        ("Running", "False", f"{kind.kind}Running"), ("Suspended", "True", f"{kind.kind}Suspended"),
    ]  # fmt: skip
    assert world.pods()[0]["metadata"]["deletionTimestamp"]
    world.objects.finish(kinds.POD, world.pods()[0])
    world.now += dt.timedelta(minutes=1)
    await world.patch(kind, "j", {"spec": {"runPolicy": {"suspend": False}}})
    assert world.conditions(kind, "j")[-1] == ("Suspended", "False", f"{kind.kind}Resumed")
    assert world.state(kind, "j")["startTime"] == "2026-01-02T03:05:05Z"
    assert world.names() == ["j-worker-0"]


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, Master=1), "FailedCreatePod"),
        (kinds.TF_JOB, training(kinds.TF_JOB, Worker=1), "FailedCreatePod"),
        (kinds.JOB, job(), "FailedCreate"),
    ],
)
async def test_a_quota_is_an_event_and_the_pod_comes_when_there_is_room(
    world: World, kind: kinds.Kind, body: schema.Object, reason: str
) -> None:
    world.is_full = True
    await world.create(kind, body)
    event = next(each for each in world.objects.all(kinds.EVENT) if each["involvedObject"]["name"] == "j")
    assert (event["reason"], event["type"]) == (reason, "Warning")
    assert event["message"].startswith("Error creating: pods ")
    assert event["message"].endswith("is forbidden: exceeded quota: small")
    assert world.state(kind, "j").get("conditions") is None
    world.is_full = False
    watch = world.objects.store.watch(kinds.POD.resource)
    async with asyncio.timeout(10):  # it is tried again by itself, after a moment
        await watch.next()
    watch.close()


def test_what_an_operator_has_made_is_known_to_it_at_once() -> None:
    world = World()
    owner = world.objects.create(kinds.JOB, NAMESPACE, job())
    known = dependents.Dependents(world.objects, kinds.JOB, (kinds.POD,))
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    made = known.create(owner, kinds.POD, pod)
    assert known.of(owner, kinds.POD) == [made]
    world.objects.delete(kinds.JOB, NAMESPACE, "j")
    assert known.strays((NAMESPACE, "j"), kinds.POD) == [made]
    again = world.objects.create(kinds.JOB, NAMESPACE, job())
    assert (known.of(again, kinds.POD), known.strays((NAMESPACE, "j"), kinds.POD)) == ([], [made])


async def test_an_operator_that_was_down_catches_up() -> None:
    world = World()
    run = fleet.operators(world.objects, kinds.Kinds())["training-operator"]
    async with asyncio.TaskGroup() as group:
        down = group.create_task(run())
        await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, Master=1))
        down.cancel()
        await world.settle()
        missed = training(kinds.PYTORCH_JOB, Master=1) | {"metadata": {"name": "missed"}}
        await world.create(kinds.PYTORCH_JOB, missed)
        await world.play("j-master-0", "Succeeded")
        assert (world.names(), world.state(kinds.PYTORCH_JOB, "missed")) == (["j-master-0"], {})
        group.create_task(run())
        await world.settle()
        assert world.names() == ["j-master-0", "missed-master-0"]
        assert world.conditions(kinds.PYTORCH_JOB, "j")[-1][0] == "Succeeded"
        world.objects.store.close()


async def test_a_job_that_another_controller_manages_is_left_alone(world: World) -> None:
    await world.create(
        kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, {"managedBy": "kueue.x-k8s.io/multikueue"}, Master=1)
    )
    assert (world.names(), world.state(kinds.PYTORCH_JOB, "j")) == ([], {})


async def test_a_finished_training_job_goes_when_its_time_is_up(world: World) -> None:
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, {"ttlSecondsAfterFinished": 0}, Master=1))
    await world.play("j-master-0", "Succeeded")
    assert (world.names(kinds.PYTORCH_JOB), world.names(), world.names(kinds.SERVICE)) == ([], [], [])


async def test_a_batch_job_runs_to_completion(world: World) -> None:
    await world.create(kinds.JOB, job(3, parallelism=2))
    assert len(world.names()) == 2
    assert world.state(kinds.JOB, "j") == {
        "startTime": "2026-01-02T03:04:05Z", "active": 2, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
    }  # fmt: skip
    first, second = world.names()
    await world.play(first, "Running")
    assert world.state(kinds.JOB, "j")["ready"] == 1
    await world.play(first, "Succeeded")
    assert (len(world.names()), world.state(kinds.JOB, "j")["succeeded"]) == (3, 1)
    for name in [each for each in world.names() if each != first]:
        await world.play(name, "Succeeded")
    assert second in world.names()
    assert world.conditions(kinds.JOB, "j") == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"), ("Complete", "True", "CompletionsReached"),
    ]  # fmt: skip
    state = world.state(kinds.JOB, "j")
    assert (state["succeeded"], "active" in state, state["completionTime"]) == (3, False, "2026-01-02T03:04:05Z")
    assert all("finalizers" not in each["metadata"] for each in world.pods())
    assert world.events("j")[-1] == "Completed"


async def test_failures_are_replaced_after_a_while_and_counted(world: World) -> None:
    await world.create(kinds.JOB, job(backoffLimit=1))
    await world.play("j-", "Failed", 1)
    assert (len(world.names()), world.state(kinds.JOB, "j")["failed"]) == (1, 1)
    world.now += dt.timedelta(seconds=10)
    await world.patch(kinds.JOB, "j", {"metadata": {"labels": {"touched": "yes"}}})
    assert len(world.names()) == 2
    fresh = next(each["metadata"]["name"] for each in world.pods() if each["status"]["phase"] == "Pending")
    await world.play(fresh, "Failed", 1)
    assert world.conditions(kinds.JOB, "j") == [
        ("FailureTarget", "True", "BackoffLimitExceeded"), ("Failed", "True", "BackoffLimitExceeded"),
    ]  # fmt: skip
    state = world.state(kinds.JOB, "j")
    assert (state["failed"], "completionTime" in state) == (2, False)
    assert state["conditions"][-1]["message"] == "Job has reached the specified backoff limit"


async def test_a_failing_job_waits_for_its_last_pod(world: World) -> None:
    await world.create(kinds.JOB, job(2, backoffLimit=0))
    first, second = world.names()
    await world.play(first, "Running")
    await world.play(second, "Failed", 1)
    assert [name for name, _, _ in world.conditions(kinds.JOB, "j")] == ["FailureTarget"]
    assert world.state(kinds.JOB, "j")["terminating"] == 1
    left = world.objects.get(kinds.POD, NAMESPACE, first)
    world.objects.finish(kinds.POD, left)
    await world.settle()
    assert [name for name, _, _ in world.conditions(kinds.JOB, "j")] == ["FailureTarget", "Failed"]
    assert (world.state(kinds.JOB, "j")["failed"], world.names()) == (2, [second])


async def test_the_indexes_of_an_indexed_job(world: World) -> None:
    await world.create(kinds.JOB, job(3, completionMode="Indexed", parallelism=2))
    assert [name[:-6] for name in world.names()] == ["j-0", "j-1"]
    found = world.pods()[1]
    index = "batch.kubernetes.io/job-completion-index"
    assert (found["metadata"]["labels"][index], found["metadata"]["annotations"][index]) == ("1", "1")
    assert found["spec"]["hostname"] == "j-1"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{index}']"}}
    assert found["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]
    await world.play("j-1-", "Succeeded")
    assert world.state(kinds.JOB, "j")["completedIndexes"] == "1"
    await world.play("j-2-", "Succeeded")
    await world.play("j-0-", "Succeeded")
    assert world.state(kinds.JOB, "j")["completedIndexes"] == "0-2"
    assert world.conditions(kinds.JOB, "j")[-1][0] == "Complete"


async def test_a_work_queue_is_done_when_one_has_succeeded_and_none_is_left(world: World) -> None:
    body = job(2)
    del body["spec"]["completions"]
    await world.create(kinds.JOB, body)
    first, second = world.names()
    await world.play(first, "Succeeded")
    assert (world.names(), world.conditions(kinds.JOB, "j")) == ([first, second], [])
    await world.play(second, "Succeeded")
    assert world.conditions(kinds.JOB, "j")[-1][0] == "Complete"


async def test_a_job_that_is_being_deleted_makes_no_more_pods(world: World) -> None:
    await world.create(kinds.JOB, job())
    await world.play("j-", "Running")
    await world.delete(kinds.JOB, "j", "Foreground")
    world.now += dt.timedelta(minutes=1)
    await world.patch(kinds.JOB, "j", {"metadata": {"labels": {"touched": "yes"}}})
    assert world.events("j").count("SuccessfulCreate") == len(world.names()) == 1
    world.objects.finish(kinds.POD, world.pods()[0])
    await world.settle()
    assert world.names(kinds.JOB) == []


async def test_what_a_suspension_stops_has_not_failed(world: World) -> None:
    await world.create(kinds.JOB, job(backoffLimit=0))
    await world.play("j-", "Running")
    await world.patch(kinds.JOB, "j", {"spec": {"suspend": True}})
    assert world.conditions(kinds.JOB, "j") == [("Suspended", "True", "JobSuspended")]
    world.objects.finish(kinds.POD, world.pods()[0])
    await world.settle()
    assert (world.names(), "failed" in world.state(kinds.JOB, "j")) == ([], False)
    world.now += dt.timedelta(minutes=1)
    await world.patch(kinds.JOB, "j", {"spec": {"suspend": False}})
    assert world.conditions(kinds.JOB, "j") == [("Suspended", "False", "JobResumed")]
    assert (world.state(kinds.JOB, "j")["startTime"], len(world.names())) == ("2026-01-02T03:05:05Z", 1)
    assert [each for each in world.events("j") if "Create" not in each] == ["SuccessfulDelete", "Suspended", "Resumed"]


async def test_a_batch_job_has_a_deadline(world: World) -> None:
    await world.create(kinds.JOB, job(activeDeadlineSeconds=4))
    world.now += dt.timedelta(seconds=4)
    await world.patch(kinds.JOB, "j", {"metadata": {"labels": {"touched": "yes"}}})
    assert world.conditions(kinds.JOB, "j")[-1] == ("Failed", "True", "DeadlineExceeded")
    assert world.names() == []


async def test_a_finished_batch_job_goes_when_its_time_is_up(world: World) -> None:
    await world.create(kinds.JOB, job(ttlSecondsAfterFinished=0))
    await world.play("j-", "Succeeded")
    assert (world.names(kinds.JOB), world.names()) == ([], [])


@pytest.mark.parametrize(("policy", "is_kept"), [("Background", False), ("Foreground", False), ("Orphan", True)])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (kinds.JOB, job()),
        (kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, Master=1)),
        (kinds.TF_JOB, training(kinds.TF_JOB, Worker=1)),
        (kinds.TRAIN_JOB, {"metadata": {"name": "j"}, "spec": {"runtimeRef": {"name": "torch-distributed"}}}),
    ],
)
async def test_a_deleted_job_takes_its_pods_along_unless_they_are_orphaned(
    world: World, kind: kinds.Kind, body: schema.Object, policy: str, is_kept: bool
) -> None:
    await world.settle()
    await world.create(kind, body)
    await world.delete(kind, "j", policy)
    assert (world.names(kind), len(world.names())) == ([], int(is_kept))
    owners = [each["kind"] for pod in world.pods() for each in pod["metadata"].get("ownerReferences", [])]
    assert owners == (["Job"] if kind is kinds.TRAIN_JOB and is_kept else [])
    # What nobody will count any more is let go; the Jobs of an orphaned JobSet still count theirs.
    assert [pod for pod in world.pods() if "finalizers" in pod["metadata"] and not owners] == []


async def test_a_train_job_makes_its_chain_of_objects(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime(failurePolicy={"maxRestarts": 0}))
    await world.create(kinds.TRAIN_JOB, train(trainer={"numNodes": 2}))
    assert world.names(kinds.JOB_SET) == world.names(kinds.SERVICE) == ["t"]
    assert world.names(kinds.JOB) == ["t-node-0"]
    assert [name[:-6] for name in world.names()] == ["t-node-0-0", "t-node-0-1"]
    assert world.names(kinds.CONFIG_MAP) == ["t-runtime-snapshot"]
    assert world.state(kinds.TRAIN_JOB, "t") == {
        "jobsStatus": [{"name": "node", "ready": 0, "succeeded": 0, "failed": 0, "active": 1, "suspended": 0}]
    }
    await world.play("t-node-0-0", "Running")
    await world.play("t-node-0-1", "Running")
    assert world.state(kinds.TRAIN_JOB, "t")["jobsStatus"][0]["ready"] == 1
    await world.play("t-node-0-0", "Succeeded")
    await world.play("t-node-0-1", "Succeeded")
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Complete", "True", "AllJobsCompleted")]
    labels = world.pods()[0]["metadata"]["labels"]
    assert {name: labels[name] for name in labels if name.endswith(("-name", "completion-index"))} == {
        "jobset.sigs.k8s.io/jobset-name": "t",
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-name": "t-node-0",
        "job-name": "t-node-0",
        "batch.kubernetes.io/job-completion-index": "0",
    }
    await world.delete(kinds.TRAIN_JOB, "t", "Foreground")
    left = (kinds.TRAIN_JOB, kinds.JOB_SET, kinds.JOB, kinds.POD, kinds.SERVICE, kinds.CONFIG_MAP)
    assert [world.names(kind) for kind in left] == [[]] * 6


@pytest.mark.parametrize(
    ("policy", "reason", "message"),
    [
        ({}, "FailedJobs", "jobset failed due to one or more job failures (first failed job: t-node-0)"),
        (
            {"failurePolicy": {"maxRestarts": 0}}, "ReachedMaxRestarts",
            "jobset failed due to reaching max number of restarts (first failed job: t-node-0)",
        ),
    ],
)  # fmt: skip
async def test_a_failed_pod_fails_its_train_job(
    world: World, policy: dict[str, Any], reason: str, message: str
) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime(**policy))
    await world.create(kinds.TRAIN_JOB, train())
    await world.play("t-node-0-0", "Failed", 1)
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Failed", "True", reason)]
    assert world.state(kinds.TRAIN_JOB, "t")["conditions"][0]["message"] == message
    assert world.state(kinds.TRAIN_JOB, "t")["jobsStatus"][0]["failed"] == 1


async def test_a_failed_train_job_runs_again_when_its_jobset_has_gone(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train())
    await world.play("t-node-0-0", "Failed", 1)
    await world.delete(kinds.JOB_SET, "t")
    assert world.conditions(kinds.TRAIN_JOB, "t") == []
    assert (len(world.names()), world.pods()[0]["status"]["phase"]) == (1, "Pending")


async def test_a_complete_train_job_stays_complete_when_its_jobset_has_gone(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train())
    await world.play("t-node-0-0", "Succeeded")
    await world.delete(kinds.JOB_SET, "t")
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Complete", "True", "AllJobsCompleted")]
    assert world.names() == []


async def test_a_jobset_restarts_as_often_as_it_may(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime(failurePolicy={"maxRestarts": 1}))
    await world.create(kinds.TRAIN_JOB, train())
    await world.play("t-node-0-0", "Failed", 1)
    assert world.state(kinds.JOB_SET, "t")["restarts"] == 1
    assert world.pods()[0]["status"]["phase"] == "Pending"
    assert world.pods()[0]["metadata"]["labels"]["jobset.sigs.k8s.io/restart-attempt"] == "1"
    await world.play("t-node-0-0", "Failed", 1)
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Failed", "True", "ReachedMaxRestarts")]


async def test_a_suspended_train_job_starts_over(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train(suspend=True))
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Suspended", "True", "Suspended")]
    assert (world.names(), world.state(kinds.TRAIN_JOB, "t")["jobsStatus"][0]["suspended"]) == ([], 1)
    await world.patch(kinds.TRAIN_JOB, "t", {"spec": {"suspend": False}})
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Suspended", "False", "Resumed")]
    await world.play("t-node-0-0", "Running")
    await world.patch(kinds.TRAIN_JOB, "t", {"spec": {"suspend": True}})
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Suspended", "True", "Suspended")]
    world.objects.finish(kinds.POD, world.pods()[0])
    await world.settle()
    assert world.names() == []


@pytest.mark.parametrize(
    ("pod", "is_refused"), [({"nodeSelector": {"a": "b"}}, False), ({"terminationGracePeriodSeconds": 5}, True)]
)
async def test_a_waiting_train_job_may_be_sent_elsewhere_but_not_changed(
    world: World, pod: dict[str, Any], is_refused: bool
) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train(suspend=True))
    node = {"name": "node", "template": {"spec": {"template": {"spec": pod}}}}
    changes = {"template": {"spec": {"replicatedJobs": [node]}}}
    patch = {"runtimePatches": [{"manager": "kueue.x-k8s.io/manager", "trainingRuntimeSpec": changes}]}
    world.now += dt.timedelta(seconds=1)  # events of one moment and one name would be taken for the same
    await world.patch(kinds.TRAIN_JOB, "t", {"spec": patch})
    assert ("TrainJobResourcesCreationFailed" in world.events("t")) == is_refused
    if not is_refused:
        await world.patch(kinds.TRAIN_JOB, "t", {"spec": {"suspend": False}})
        assert world.pods()[0]["spec"]["nodeSelector"] == {"a": "b"}


async def test_a_train_jobs_deadline_counts_from_its_creation(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train(activeDeadlineSeconds=60))
    world.now += dt.timedelta(seconds=61)
    await world.patch(kinds.TRAIN_JOB, "t", {"metadata": {"labels": {"touched": "yes"}}})
    last = world.state(kinds.TRAIN_JOB, "t")["conditions"][-1]
    assert (last["type"], last["reason"], last["message"]) == (
        "Failed", "DeadlineExceeded", "TrainJob exceeded its active deadline",
    )  # fmt: skip
    assert (world.names(kinds.JOB_SET), world.names()) == ([], [])


async def test_a_resumed_train_jobs_deadline_counts_from_its_resumption(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train(activeDeadlineSeconds=60, suspend=True))
    world.now += dt.timedelta(seconds=100)
    await world.patch(kinds.TRAIN_JOB, "t", {"spec": {"suspend": False}})
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Suspended", "False", "Resumed")]
    world.now += dt.timedelta(seconds=61)
    await world.patch(kinds.TRAIN_JOB, "t", {"metadata": {"labels": {"touched": "yes"}}})
    assert world.conditions(kinds.TRAIN_JOB, "t")[-1] == ("Failed", "True", "DeadlineExceeded")


def job_set(*names: str, **spec: Any) -> schema.Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
    template = {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    jobs = [{"name": name, "template": template} for name in names]
    return {"metadata": {"name": "s"}, "spec": {"replicatedJobs": jobs, **spec}}


@pytest.mark.parametrize("wanted", ["Ready", "Complete"])
async def test_a_job_of_a_set_waits_for_what_it_depends_on(world: World, wanted: str) -> None:
    body = job_set("first", "second")
    body["spec"]["replicatedJobs"][1]["dependsOn"] = [{"name": "first", "status": wanted}]
    await world.create(kinds.JOB_SET, body)
    assert world.names(kinds.JOB) == ["s-first-0"]
    await world.play("s-first-0", "Running")
    assert (world.names(kinds.JOB) == ["s-first-0", "s-second-0"]) == (wanted == "Ready")
    await world.play("s-first-0", "Succeeded")
    assert world.names(kinds.JOB) == ["s-first-0", "s-second-0"]


@pytest.mark.parametrize(
    ("policy", "is_complete"),
    [
        ({"operator": "All"}, False),
        ({"operator": "Any"}, True),
        ({"operator": "All", "targetReplicatedJobs": ["first"]}, True),
        ({"operator": "Any", "targetReplicatedJobs": ["second"]}, False),
    ],
)
async def test_the_success_policy_of_a_set(world: World, policy: schema.Object, is_complete: bool) -> None:
    await world.create(kinds.JOB_SET, job_set("first", "second", successPolicy=policy))
    await world.play("s-first-0", "Succeeded")
    assert [name for name, _, _ in world.conditions(kinds.JOB_SET, "s")] == (["Completed"] if is_complete else [])
    # A set that is over takes away what still runs.
    assert world.names(kinds.JOB) == (["s-first-0"] if is_complete else ["s-first-0", "s-second-0"])


async def test_a_finished_set_goes_when_its_time_is_up(world: World) -> None:
    await world.create(kinds.JOB_SET, job_set("first", ttlSecondsAfterFinished=0))
    await world.play("s-first-0", "Succeeded")
    assert (world.names(kinds.JOB_SET), world.names(kinds.JOB), world.names()) == ([], [], [])


async def test_what_a_jobset_refuses_is_an_event_of_the_train_job(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    body = train()
    body["metadata"]["name"] = "t" * 55
    await world.create(kinds.TRAIN_JOB, body)
    event = next(each for each in world.objects.all(kinds.EVENT) if each["involvedObject"]["kind"] == "TrainJob")
    assert (event["reason"], event["message"]) == (
        "TrainJobResourcesCreationFailed",
        'TrainJob resources reconciliation failed: admission webhook "vjobset.kb.io" denied the request: '
        "JobSet name is too long, pod names generated for this JobSet will exceed 63 characters",
    )
    assert world.conditions(kinds.TRAIN_JOB, "t" * 55) == []


async def test_trainers_own_runtime_restarts_a_failing_pod(world: World) -> None:
    body = train()
    body["spec"]["runtimeRef"] = {"name": "torch-distributed"}
    await world.settle()
    await world.create(kinds.TRAIN_JOB, body)
    assert world.pods()[0]["spec"]["restartPolicy"] == "OnFailure"
    await world.play("t-node-0-0", "Running", restarts=5)
    assert world.conditions(kinds.TRAIN_JOB, "t") == []
    await world.play("t-node-0-0", "Running", restarts=6)
    world.objects.finish(kinds.POD, world.pods()[0])
    await world.settle()
    assert world.conditions(kinds.TRAIN_JOB, "t") == [("Failed", "True", "FailedJobs")]
    assert world.conditions(kinds.JOB, "t-node-0")[-1] == ("Failed", "True", "BackoffLimitExceeded")


async def test_a_runtime_stays_while_train_jobs_use_it(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train())
    await world.delete(kinds.TRAINING_RUNTIME, "rt")
    assert world.names(kinds.TRAINING_RUNTIME) == ["rt"]
    await world.delete(kinds.TRAIN_JOB, "t")
    assert world.names(kinds.TRAINING_RUNTIME) == []


async def test_a_namespace_takes_jobs_of_all_kinds_along(world: World) -> None:
    await world.create(kinds.TRAINING_RUNTIME, runtime())
    await world.create(kinds.TRAIN_JOB, train())
    await world.create(kinds.JOB, job())
    await world.create(kinds.PYTORCH_JOB, training(kinds.PYTORCH_JOB, Master=1))
    world.objects.delete(kinds.NAMESPACE, "", NAMESPACE)
    await world.settle()
    assert world.objects.find(kinds.NAMESPACE, "", NAMESPACE) is None
