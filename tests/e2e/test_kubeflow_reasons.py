"""Why a trial does not move, or has failed: a story for each reason, on a sandbox that misbehaves."""

import asyncio
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from nni.core import model, spec
from nni.platforms.kubeflow import inquiries, reasons
from nni.testing import faults, pods
from nni.testing.sandbox import Sandbox
from platforms import World

USER, CONFIG = model.ReasonClass.USER, model.ReasonClass.CONFIG
CAPACITY, INFRASTRUCTURE = model.ReasonClass.CAPACITY, model.ReasonClass.INFRASTRUCTURE
ENDLESS = "trap 'exit 143' TERM; sleep 1000 & wait"


@pytest.fixture(scope="module")
def troubled() -> Iterator[Sandbox]:
    """A sandbox of these tests' own: their faults are nobody else's."""
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}, node_count=2) as running:
        yield running


@pytest.fixture
def world(troubled: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    # Whoever waits for a reason in a test does not wait as users would.
    monkeypatch.setattr(inquiries, "SECONDS", 0.3)
    monkeypatch.setattr(reasons, "UNANSWERED_SECONDS", 0.5)
    return World(troubled)


MISSING = spec.PodSpec(environment={"KEY": {"secretKeyRef": {"name": "not-there", "key": "k"}}})
UNCLAIMED = spec.PodSpec(volumes=({"name": "data", "persistentVolumeClaim": {"claimName": "not-there"}},))

WAITING: list[tuple[str, list[faults.Fault], dict[str, Any], model.ReasonClass, str, float | None]] = [
    ("too large for every node", [], {"gpus": 99}, CAPACITY, "No node has room: 0/2 nodes are available", None),
    ("no room now", [faults.Unschedulable()], {}, CAPACITY, "Insufficient nvidia.com/gpu", None),
    ("image", [faults.ImagePullFailure()], {}, CONFIG, "The image x cannot be pulled", 300),
    ("secret", [], {"pod": MISSING}, CONFIG, 'secret "not-there" not found', 300),
    ("claim", [], {"pod": UNCLAIMED}, CONFIG, "The claim not-there does not exist in namespace default: crea", 300),
    ("mount", [faults.MountFailure()], {}, CONFIG, "A volume cannot be mounted", 900),
    ("quota", [faults.QuotaExceeded()], {}, CAPACITY, "exceeded quota: compute-quota", None),
    ("operator", [faults.OperatorDown(operator="training-operator")], {}, INFRASTRUCTURE, "No operator has re", None),
    ("queue", [], {"queue": "team-a"}, CAPACITY, "It is queued", None),
]


@pytest.mark.parametrize(
    ("wanted", "role", "kind", "says", "fails_after"), [row[1:] for row in WAITING], ids=[row[0] for row in WAITING]
)
async def test_a_trial_that_waits_says_why(
    *,
    world: World,
    wanted: Sequence[faults.Fault],
    role: dict[str, Any],
    kind: model.ReasonClass,
    says: str,
    fails_after: float | None,
    request: pytest.FixtureRequest,
) -> None:
    ordered = world.order(f"w{abs(hash(request.node.name)) % 10000}", ENDLESS)
    async with world.platform(**role) as jobs:
        with world.sandbox.faults(*wanted) as made:
            # An operator that is told to stop is told in its own time.
            for fault, is_set in zip(wanted, made, strict=True):
                if isinstance(fault, faults.OperatorDown):
                    await asyncio.to_thread(pods.wait_until, functools.partial(getattr, is_set, "hits"))
            await jobs.create(ordered)
            seen = await world.observed.until(
                ordered.attempt, lambda one: one.reason is not None and says in one.reason.sentence
            )
        assert seen.reason is not None
        assert (seen.reason.kind, seen.reason.fails_after) == (kind, fails_after)
        assert seen.reason.evidence.split()[0] in ("Pod", "PyTorchJob")
        assert seen.reason.since > 0
        assert not seen.phase.is_final
        await jobs.clean_up()


ENDED: list[tuple[str, list[faults.Fault], dict[str, Any], str, model.ReasonClass, str]] = [
    ("memory", [faults.OutOfMemory()], {"memory_mib": 256}, ENDLESS, USER, "more memory than its limit of 256Mi (OOM"),
    ("exit", [], {}, "echo 'last words'; exit 9", USER, "A container ended with exit code 9: last words"),
    ("eviction", [faults.Eviction()], {}, ENDLESS, INFRASTRUCTURE, "The node was low on resource: memory"),
    ("drain", [faults.Eviction(is_drain=True)], {}, ENDLESS, INFRASTRUCTURE, "The cluster took its pod away"),
    ("preemption", [faults.Preemption()], {}, ENDLESS, INFRASTRUCTURE, "The cluster took its pod away"),
    ("node", [faults.NodeLoss(toleration=0.1)], {}, ENDLESS, INFRASTRUCTURE, "The cluster took its pod away"),
]


@pytest.mark.parametrize(
    ("wanted", "role", "script", "kind", "says"), [row[1:] for row in ENDED], ids=[row[0] for row in ENDED]
)
async def test_a_trial_that_has_failed_says_why(
    *,
    world: World,
    wanted: Sequence[faults.Fault],
    role: dict[str, Any],
    script: str,
    kind: model.ReasonClass,
    says: str,
    request: pytest.FixtureRequest,
) -> None:
    ordered = world.order(f"e{abs(hash(request.node.name)) % 10000}", script)
    async with world.platform(**role) as jobs:
        await jobs.create(ordered)
        if wanted:
            await world.observed.until(ordered.attempt, lambda one: one.phase is model.JobPhase.RUNNING)
        with world.sandbox.faults(*wanted):
            seen = await world.observed.until(ordered.attempt, lambda one: one.phase.is_final)
        assert seen.reason is not None
        assert (seen.phase, seen.reason.kind) == (model.JobPhase.FAILED, kind)
        assert says in seen.reason.sentence
        await jobs.clean_up()
