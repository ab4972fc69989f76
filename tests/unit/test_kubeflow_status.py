"""What a job and its pods show: phases by condition, reasons by what keeps a trial from progressing."""

from typing import Any

import pytest

from nni.core import model
from nni.platforms.kubeflow import phases, status

TIME = "2026-11-24T10:00:00Z"
SECONDS = 1795514400.0
PHASE = model.JobPhase
USER, CONFIG = model.ReasonClass.USER, model.ReasonClass.CONFIG
CAPACITY, INFRASTRUCTURE = model.ReasonClass.CAPACITY, model.ReasonClass.INFRASTRUCTURE


def job(*conditions: str, message: str = "it is so", **fields: Any) -> dict[str, Any]:
    """Return a job with conditions; one that begins with ``!`` is False."""
    listed = [
        {
            "type": one.lstrip("!"),
            "status": "False" if one.startswith("!") else "True",
            "message": message,
            "lastTransitionTime": TIME,
        }
        for one in conditions
    ]
    return {
        "kind": "PyTorchJob",
        "metadata": {"name": "job", "namespace": "team", "uid": "1"},
        "status": {"conditions": listed, **fields},
    }


def pod(role: str = "master", phase: str = "Pending", **state: Any) -> dict[str, Any]:
    """Return a pod whose container is ``waiting``, ``running`` or ``terminated``; other words are of its status."""
    container = {name: state.pop(name) for name in ("waiting", "running", "terminated") if name in state}
    statuses = [{"name": "pytorch", "image": "my/image:1", "state": container}] if container else []
    limits = {"name": "pytorch", "resources": {"limits": {"memory": "512Mi"}}}
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"job-{role}-0", "namespace": "team", "uid": role, "labels": {"nni/role": role},
            "creationTimestamp": TIME,
        },
        "spec": {"containers": [limits]},
        "status": {"phase": phase, "containerStatuses": statuses, **state},
    }  # fmt: skip


def observe(job: dict[str, Any], *pods: dict[str, Any]) -> model.Observation:
    return status.observe(job, pods, phases.of_training_operator, "pytorch")


@pytest.mark.parametrize(
    ("conditions", "phase"),
    [
        ([], PHASE.PENDING),
        (["Created"], PHASE.PENDING),
        (["Created", "Running"], PHASE.RUNNING),
        (["Created", "!Running", "Restarting"], PHASE.RUNNING),
        (["Created", "!Running", "Succeeded"], PHASE.SUCCEEDED),
        (["Created", "!Running", "Failed"], PHASE.FAILED),
        (["Succeeded", "Failed"], PHASE.FAILED),
        (["Created", "Suspended"], PHASE.QUEUED),
        (["Created", "!Running", "Suspended"], PHASE.QUEUED),
        (["Created", "!Suspended", "Running"], PHASE.RUNNING),
    ],
)
def test_a_phase_is_read_from_conditions_that_are_true(conditions: list[str], phase: model.JobPhase) -> None:
    assert observe(job(*conditions)).phase is phase


def test_a_job_without_a_status_is_pending() -> None:
    assert observe({"metadata": {"name": "job"}}).phase is PHASE.PENDING


def test_times_come_from_the_chief_s_container_and_the_job() -> None:
    later = {"startedAt": "2026-11-24T10:00:05Z"}
    pods = (pod("worker", "Running", running=later), pod("master", "Running", running={"startedAt": TIME}))
    ended = job("Succeeded", completionTime="2026-11-24T10:00:30Z")

    assert observe(job("Running"), *pods).started_at == SECONDS
    assert (observe(ended, *pods).started_at, observe(ended, *pods).ended_at) == (SECONDS, SECONDS + 30)
    assert observe(job("Created"), *pods).started_at is None


REASONS: list[tuple[str, dict[str, Any], list[dict[str, Any]], model.ReasonClass, str]] = [
    (
        "the scheduler finds no node",
        job("Created"),
        [
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                        "lastTransitionTime": TIME,
                    }
                ]
            )
        ],
        CAPACITY,
        "No node has room: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    ),
    (
        "a claim that is not there",
        job("Created"),
        [
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": '0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3 '
                        "nodes are available: 3 Preemption is not helpful for scheduling.",
                        "lastTransitionTime": TIME,
                    }
                ]
            )
        ],
        CONFIG,
        "The claim data does not exist in namespace team: create it, or correct claim_name of the storage.",
    ),
    (
        "an image that is not there",
        job("Created"),
        [pod(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "my/image:1"'})],
        CONFIG,
        'The image my/image:1 cannot be pulled: Back-off pulling image "my/image:1"',
    ),
    (
        "a secret that is not there",
        job("Created"),
        [pod(waiting={"reason": "CreateContainerConfigError", "message": 'secret "x" not found'})],
        CONFIG,
        'A container cannot be started (CreateContainerConfigError): secret "x" not found',
    ),
    (
        "a queue",
        job("Suspended"),
        [],
        CAPACITY,
        "It is queued: its job is suspended until a queue admits it.",
    ),
    (
        "too much memory",
        job("Failed"),
        [pod(phase="Failed", terminated={"exitCode": 137, "reason": "OOMKilled", "finishedAt": TIME})],
        USER,
        "It used more memory than its limit of 512Mi (OOMKilled); raise memory_size.",
    ),
    (
        "an exit code",
        job("Failed"),
        [pod(phase="Failed", terminated={"exitCode": 3, "message": "a\n\x1b[31mlast words\x1b[0m\n"})],
        USER,
        "A container ended with exit code 3: last words",
    ),
    (
        "an eviction",
        job("Failed"),
        [pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")],
        INFRASTRUCTURE,
        "Evicted: The node was low on resource: memory.",
    ),
    (
        "a preemption, whatever the exit code",
        job("Failed"),
        [
            pod(
                phase="Failed",
                terminated={"exitCode": 143},
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "PreemptionByScheduler",
                        "message": "preempting to accommodate a higher priority pod",
                        "lastTransitionTime": TIME,
                    }
                ],
            )
        ],
        INFRASTRUCTURE,
        "The cluster took its pod away: preempting to accommodate a higher priority pod",
    ),
    (
        "a job that failed without pods",
        job("Failed", message="job has reached the deadline"),
        [],
        INFRASTRUCTURE,
        "job has reached the deadline",
    ),
]


@pytest.mark.parametrize(
    ("job", "pods", "kind", "sentence"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS]
)
def test_a_reason_says_what_is_wrong(
    job: dict[str, Any], pods: list[dict[str, Any]], kind: model.ReasonClass, sentence: str
) -> None:
    reason = observe(job, *pods).reason

    assert reason is not None
    assert (reason.kind, reason.sentence) == (kind, sentence)
    assert reason.evidence == ("Pod team/job-master-0" if pods else "PyTorchJob team/job")


@pytest.mark.parametrize("conditions", [["Created"], ["Running"], ["Succeeded"]])
def test_a_job_that_goes_its_way_has_no_reason(conditions: list[str]) -> None:
    assert observe(job(*conditions), pod(phase="Running", running={"startedAt": TIME})).reason is None


def test_the_first_replica_that_failed_gives_the_exit_code() -> None:
    pods = (pod("worker", "Failed", terminated={"exitCode": 5}), pod("master", "Running", running={}))

    assert observe(job("Failed"), *pods).exit_code == 5
    assert observe(job("Succeeded"), *pods).exit_code is None


def test_a_job_that_somebody_deleted_is_gone() -> None:
    seen = status.gone(job("Running"), SECONDS)

    assert seen.phase is PHASE.GONE
    assert seen.reason is not None
    assert (seen.reason.kind, seen.reason.evidence) == (INFRASTRUCTURE, "PyTorchJob team/job")


def noticed(reason: str, message: str, at: float = SECONDS, about: str = "Pod team/job-master-0") -> model.Notice:
    return model.Notice(about=about, reason=reason, message=message, is_warning=True, count=2, last_at=at)


def asked(job: dict[str, Any], *notices: model.Notice, waited: float = 10.0, **fields: Any) -> model.Reason | None:
    found = status.Asked(notices=notices, waited=waited, workload=fields.pop("workload", None))
    seen = status.observe(job, fields.pop("pods", ()), phases.of_training_operator, "pytorch", asked=found, **fields)
    return seen.reason


@pytest.mark.parametrize(
    ("notice", "kind", "sentence", "fails_after"),
    [
        (noticed("FailedMount", "no such file"), CONFIG, "A volume cannot be mounted: no such file", 900),
        (noticed("FailedCreatePod", 'pods "x" is forbidden: exceeded quota: q'), CAPACITY, "Its pods cannot be", None),
        (noticed("FailedCreate", 'pods "x" violates PodSecurity "restricted:latest"'), CONFIG, "Its pods cannot be", 0),
        (noticed("FailedCreatePod", "limits.memory must be set"), CONFIG, "Its pods cannot be made: limits", 300),
        (noticed("Pulling", 'Pulling image "x"'), INFRASTRUCTURE, "Its image is on the way: Pulling", None),
    ],
)
def test_events_say_what_conditions_do_not(
    notice: model.Notice, kind: model.ReasonClass, sentence: str, fails_after: float | None
) -> None:
    reason = asked(job("Created"), notice)

    assert reason is not None
    assert (reason.kind, reason.fails_after, reason.evidence) == (kind, fails_after, notice.about)
    assert reason.sentence.startswith(sentence)


def test_the_newest_telling_event_counts() -> None:
    reason = asked(job("Created"), noticed("FailedMount", "later", SECONDS + 9), noticed("FailedMount", "earlier"))

    assert reason is not None
    assert reason.sentence.endswith("later")


def test_a_grace_period_of_the_user_s_replaces_the_usual_one() -> None:
    waiting = pod(waiting={"reason": "ErrImagePull", "message": "no"})
    wrong = pod(waiting={"reason": "InvalidImageName", "message": "no"})

    usual, own = asked(job("Created"), pods=[waiting]), asked(job("Created"), pods=[waiting], grace=7.0)
    hopeless = asked(job("Created"), pods=[wrong], grace=7.0)

    assert usual is not None
    assert own is not None
    assert hopeless is not None
    assert (usual.fails_after, own.fails_after, hopeless.fails_after) == (300, 7, 0)


@pytest.mark.parametrize(("waited", "says"), [(59.0, None), (61.0, "No operator has reacted to its job: it")])
def test_a_job_that_nobody_reacts_to_says_so(waited: float, says: str | None) -> None:
    reason = asked(job(), waited=waited)

    assert (reason is None) == (says is None)
    assert reason is None or says is None or reason.sentence.startswith(says)


def test_a_queue_says_what_it_waits_for() -> None:
    condition = {"type": "QuotaReserved", "status": "False", "message": "insufficient quota for nvidia.com/gpu"}
    workload = {
        "kind": "Workload",
        "metadata": {"name": "w", "namespace": "team"},
        "status": {"conditions": [condition]},
    }

    reason = asked(job("Suspended"), workload=workload)

    assert reason is not None
    assert (reason.sentence, reason.evidence) == (
        "It is queued: insufficient quota for nvidia.com/gpu",
        "Workload team/w",
    )


def test_a_pod_that_was_deleted_is_the_cluster_s_doing() -> None:
    killed = pod(phase="Failed", terminated={"exitCode": 143, "finishedAt": TIME})
    killed["metadata"]["deletionTimestamp"] = TIME

    reason = observe(job("Failed"), killed).reason

    assert reason is not None
    assert (reason.kind, reason.sentence) == (INFRASTRUCTURE, "Its pod was deleted while it ran.")


def test_what_failed_by_itself_outweighs_what_was_cleaned_up_then() -> None:
    cleaned = pod("master", phase="Failed", terminated={"exitCode": 143})
    cleaned["metadata"]["deletionTimestamp"] = TIME
    culprit = pod("worker", phase="Failed", terminated={"exitCode": 1, "message": "ValueError"})

    reason = observe(job("Failed"), cleaned, culprit).reason

    assert reason is not None
    assert (reason.kind, reason.sentence) == (USER, "A container ended with exit code 1: ValueError")


def test_pods_are_told_with_their_replica_and_state() -> None:
    worker = pod("worker", phase="Pending", waiting={"reason": "ImagePullBackOff", "message": "x"})
    worker["metadata"]["labels"]["training.kubeflow.org/replica-index"] = "3"

    (seen,) = observe(job("Created"), worker).pods

    assert (seen.replica, seen.phase, seen.state) == (model.Replica("worker", 3), "Pending", "ImagePullBackOff")


@pytest.mark.parametrize(
    ("read", "status", "pod_phases", "phase"),
    [
        (phases.of_batch_job, {"active": 1}, ["Pending"], PHASE.PENDING),
        (phases.of_batch_job, {"active": 1}, ["Running"], PHASE.RUNNING),
        (phases.of_batch_job, {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]}, [], PHASE.PENDING),
        (phases.of_batch_job, {"conditions": [{"type": "Complete", "status": "True"}]}, [], PHASE.SUCCEEDED),
        (phases.of_batch_job, {"conditions": [{"type": "Failed", "status": "True"}]}, ["Failed"], PHASE.FAILED),
        (phases.of_batch_job, {"conditions": [{"type": "Suspended", "status": "True"}]}, [], PHASE.QUEUED),
        (phases.of_trainer, {}, [], PHASE.PENDING),
        (phases.of_trainer, {"jobsStatus": [{"name": "node", "active": 1}]}, ["Running"], PHASE.RUNNING),
        (phases.of_trainer, {"conditions": [{"type": "Complete", "status": "True"}]}, [], PHASE.SUCCEEDED),
        (phases.of_trainer, {"conditions": [{"type": "Failed", "status": "True"}]}, [], PHASE.FAILED),
    ],
)
def test_other_kinds_are_read_from_their_conditions_and_pods(
    read: phases.Read, status: dict[str, Any], pod_phases: list[str], phase: model.JobPhase
) -> None:
    assert read(status, [pod(phase=one) for one in pod_phases]) is phase
