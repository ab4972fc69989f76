"""Where pods are put, in which order, and what is said of those that wait."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nni.sandbox import events, fitting, kinds, nodes, quantities, registry, scheduler, schema, store, waiting

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HELPLESS = "Preemption is not helpful for scheduling"
VICTIMLESS = "No preemption victims found for incoming pod"
Plan = dict[str, str]


@pytest.fixture
def objects() -> registry.Registry:
    made = registry.Registry(store.Store(), schema.load(), lambda: MOMENT, {})
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    nodes.register(made, 2, nodes.Capacity("4", "8Gi", "1"))
    return made


@contextlib.asynccontextmanager
async def scheduling(objects: registry.Registry) -> AsyncIterator[None]:
    planner = scheduler.Scheduler(objects, events.Recorder(objects, "default-scheduler"))
    async with asyncio.TaskGroup() as group:
        group.create_task(planner.run(objects.store.watch(kinds.POD.resource)))
        await settled()
        yield
        await settled()
        objects.store.close()


async def settled() -> None:
    """Let the scheduler do all that it can do: it waits for nothing but changes."""
    for _ in range(5):
        await asyncio.sleep(0)


def asking(name: str, wanted: dict[str, str] | None = None, **spec: Any) -> schema.Object:
    # What is limited is asked for, and a GPU has to have a limit.
    container = {"name": "c", "image": "x", "resources": {"limits": wanted or {}}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def create(objects: registry.Registry, *pods: schema.Object) -> None:
    for body in pods:
        objects.create(kinds.POD, "default", body)


def plan(objects: registry.Registry) -> Plan:
    return {each["metadata"]["name"]: each["spec"].get("nodeName", "") for each in objects.all(kinds.POD)}


def message(objects: registry.Registry, name: str) -> str:
    conditions = objects.get(kinds.POD, "default", name)["status"].get("conditions", [])
    return "".join(each.get("message", "") for each in conditions if each["type"] == "PodScheduled")


def change_node(objects: registry.Registry, name: str, **spec: Any) -> None:
    found = objects.get(kinds.NODE, "", name)
    objects.replace(kinds.NODE, "", name, {**found, "spec": {**found["spec"], **spec}})


def finish(objects: registry.Registry, name: str) -> None:
    found = objects.get(kinds.POD, "default", name)
    objects.set_status(kinds.POD, found, {**found["status"], "phase": "Succeeded"})


async def test_pods_go_in_order_to_the_first_node_with_room(objects: registry.Registry) -> None:
    async with scheduling(objects):
        create(objects, *(asking(name, {"cpu": cpu}) for name, cpu in zip("abcd", "3213", strict=True)))
    assert plan(objects) == {"a": "sandbox-0", "b": "sandbox-1", "c": "sandbox-0", "d": ""}


async def test_what_does_not_fit_says_why_once(objects: registry.Registry) -> None:
    async with scheduling(objects):
        create(objects, asking("a", {"nvidia.com/gpu": "2", "memory": "9Gi"}))
        await settled()
        change_node(objects, "sandbox-0", podCIDR="10.0.0.0/24")
    found = objects.get(kinds.POD, "default", "a")
    assert found["status"]["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastProbeTime": None,
        "lastTransitionTime": "",
        "message": "0/2 nodes are available: 2 Insufficient memory, 2 Insufficient nvidia.com/gpu. preemption: 0/2 "
        f"nodes are available: 2 {HELPLESS}.",
    }  # fmt: skip
    assert [(each["reason"], each["count"]) for each in objects.all(kinds.EVENT)] == [("FailedScheduling", 1)]


async def test_a_full_node_and_a_repelling_one_are_counted_apart(objects: registry.Registry) -> None:
    change_node(objects, "sandbox-1", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    async with scheduling(objects):
        create(objects, asking("a", {"cpu": "4"}), asking("b", {"cpu": "1"}))
    assert message(objects, "b") == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}. "
        f"preemption: 0/2 nodes are available: 1 {VICTIMLESS}, 1 {HELPLESS}."
    )


async def test_a_pod_moves_in_when_another_has_ended_or_gone(objects: registry.Registry) -> None:
    gpu = {"nvidia.com/gpu": "1"}
    async with scheduling(objects):
        create(objects, *(asking(name, gpu) for name in "abcd"))
        await settled()
        before = plan(objects)
        finish(objects, "a")
        await settled()
        between = plan(objects)
        objects.delete(kinds.POD, "default", "b", registry.Deletion(grace=0))
    assert before == {"a": "sandbox-0", "b": "sandbox-1", "c": "", "d": ""}
    assert between == before | {"c": "sandbox-0"}
    assert plan(objects) == {"a": "sandbox-0", "c": "sandbox-0", "d": "sandbox-1"}


async def test_the_higher_priority_goes_first_and_age_decides_between_equals(objects: registry.Registry) -> None:
    every = {"nvidia.com/gpu": "1"}
    change_node(objects, "sandbox-1", unschedulable=True)
    async with scheduling(objects):
        create(objects, asking("a", every))
        await settled()
        create(objects, asking("low", every), asking("low-too", every), asking("high", every, priority=5))
        create(objects, asking("other", every | {"cpu": "1"}, priority=3))
        await settled()
        finish(objects, "a")
        await settled()
        first = [name for name, node in plan(objects).items() if node]
        for name in ("high", "other"):
            finish(objects, name)
            await settled()
    assert first == ["a", "high"]
    assert [name for name, node in plan(objects).items() if not node] == ["low-too"]


async def test_a_node_that_is_closed_takes_nothing_until_it_is_opened(objects: registry.Registry) -> None:
    for name in ("sandbox-0", "sandbox-1"):
        change_node(objects, name, unschedulable=True)
    async with scheduling(objects):
        create(objects, asking("a"), asking("b"))
        await settled()
        why = message(objects, "b")
        change_node(objects, "sandbox-1", unschedulable=False)
    assert why.startswith("0/2 nodes are available: 2 node(s) were unschedulable. preemption: ")
    assert plan(objects) == {"a": "sandbox-1", "b": "sandbox-1"}


async def test_claims_keep_a_pod_waiting_until_they_are_bound(objects: registry.Registry) -> None:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    ending = f"preemption: 0/2 nodes are available: 2 {HELPLESS}."
    async with scheduling(objects):
        create(objects, asking("a", volumes=[volume]))
        await settled()
        missing = message(objects, "a")
        spec = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}
        claim = objects.create(kinds.CLAIM, "default", {"metadata": {"name": "data"}, "spec": spec})
        await settled()
        unbound = message(objects, "a")
        objects.set_status(kinds.CLAIM, claim, {"phase": "Bound"})
    assert missing == f'0/2 nodes are available: persistentvolumeclaim "data" not found. {ending}'
    assert unbound == f"0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. {ending}"
    assert plan(objects) == {"a": "sandbox-0"}


async def test_gates_and_other_schedulers_keep_their_pods(objects: registry.Registry) -> None:
    async with scheduling(objects):
        create(objects, asking("gated", schedulingGates=[{"name": "g"}]), asking("other", schedulerName="volcano"))
    assert plan(objects) == {"gated": "", "other": ""}
    assert message(objects, "gated") == "Scheduling is blocked due to non-empty scheduling gates"
    assert message(objects, "other") == ""


async def test_pods_that_name_their_node_take_its_room(objects: registry.Registry) -> None:
    async with scheduling(objects):
        create(objects, asking("bound", {"cpu": "4"}, nodeName="sandbox-0"))
        await settled()
        create(objects, asking("a", {"cpu": "1"}))
    assert plan(objects)["a"] == "sandbox-1"


async def test_the_wait_of_many_equals_costs_one_look_per_free_place(
    objects: registry.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    real = fitting.misfit

    def counting(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return real(*arguments)

    monkeypatch.setattr(fitting, "misfit", counting)
    count, gpu = 300, {"nvidia.com/gpu": "1"}
    async with scheduling(objects):
        create(objects, *(asking(f"p{index:03}", gpu) for index in range(count)))
        await settled()
        for _ in range(count):
            name = next(
                each["metadata"]["name"]
                for each in objects.all(kinds.POD)
                if each["spec"].get("nodeName") and each["status"].get("phase") == "Pending"
            )
            finish(objects, name)
            await settled()
    assert all(plan(objects).values())
    assert looks <= 5 * count


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
        ({"value": "yes"}, False),
    ],
)
def test_tolerations(toleration: schema.Object, expected: bool) -> None:
    assert fitting.tolerates([toleration], TAINT) is expected


NODE = fitting.Node("n1", labels={"zone": "a", "cores": "16"})


def expression(key: str, operator: str, *values: str) -> schema.Object:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([{"matchExpressions": [expression("zone", "In", "a", "b")]}], True),
        ([{"matchExpressions": [expression("zone", "In", "b")]}], False),
        ([{"matchExpressions": [expression("zone", "In", "b")]}, {"matchExpressions": [expression("zone", "Exists")]}],
         True),
        ([{"matchExpressions": [expression("zone", "Exists"), expression("cores", "Gt", "16")]}], False),
        ([{"matchExpressions": [expression("cores", "Gt", "15"), expression("cores", "Lt", "17")]}], True),
        ([{"matchExpressions": [expression("zone", "NotIn", "a")]}], False),
        ([{"matchExpressions": [expression("missing", "NotIn", "a"), expression("missing", "DoesNotExist")]}], True),
        ([{"matchExpressions": [expression("zone", "Gt", "1")]}], False),
        ([{"matchFields": [expression("metadata.name", "In", "n1")]}], True),
        ([{"matchFields": [expression("metadata.name", "In", "n2")]}], False),
        ([{}], False),
        ([], False),
    ],
)  # fmt: skip
def test_required_node_affinity(terms: list[schema.Object], expected: bool) -> None:
    assert fitting.selects({"nodeSelectorTerms": terms}, NODE) is expected


def with_conditions(**conditions: str) -> schema.Object:
    listed = [{"type": name, "status": value} for name, value in conditions.items()]
    return {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "1", "pods": "1"}, "conditions": listed}}


@pytest.mark.parametrize(
    ("described", "spec", "problems"),
    [
        (with_conditions(Ready="True"), {}, None),
        (with_conditions(Ready="False"), {}, ["node(s) had untolerated taint {node.kubernetes.io/not-ready: }"]),
        (with_conditions(Ready="Unknown"), {}, ["node(s) had untolerated taint {node.kubernetes.io/unreachable: }"]),
        (with_conditions(Ready="False"), {"tolerations": [{"operator": "Exists"}]}, None),
        (with_conditions(), {"nodeSelector": {"zone": "a"}}, ["node(s) didn't match Pod's node affinity/selector"]),
        (with_conditions(), {"containers": [{"resources": {"requests": {"cpu": "2"}}}]}, ["Insufficient cpu"]),
    ],
)
def test_why_a_pod_does_not_fit(described: schema.Object, spec: schema.Object, problems: list[str] | None) -> None:
    node = fitting.Node("n")
    node.describe(described)
    found = fitting.misfit(node, spec, quantities.requests(spec) | {"pods": quantities.ONE})
    assert (found and list(found.problems)) == problems


def test_a_full_node_has_too_many_pods() -> None:
    node = fitting.Node("n")
    node.describe(with_conditions())
    node.add({"pods": quantities.ONE})
    found = fitting.misfit(node, {}, {"pods": quantities.ONE})
    assert found == fitting.Misfit(["Too many pods"], is_lasting=False)
    assert fitting.explain([found], {"preemptionPolicy": "Never"}) == (
        "0/1 nodes are available: 1 Too many pods. preemption: not eligible due to preemptionPolicy=Never."
    )


def container(cpu: str, **more: Any) -> schema.Object:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("initial", "main", "expected"),
    [
        ([], ["1", "2"], "3"),
        (["5"], ["1", "2"], "5"),
        (["2", "2"], ["1", "2"], "3"),
        ([("1", "Always"), "4"], ["1"], "5"),
        (["4", ("1", "Always")], ["1"], "4"),
        ([("1", "Always")], ["2"], "3"),
    ],
)
def test_init_containers_count_where_they_need_more(initial: list[Any], main: list[str], expected: str) -> None:
    first = [
        container(each) if isinstance(each, str) else container(each[0], restartPolicy=each[1]) for each in initial
    ]
    spec = {"initContainers": first, "containers": [container(each) for each in main]}
    assert quantities.requests(spec) == {"cpu": quantities.parse(expected)}


def test_lines_forget_who_leaves() -> None:
    lines = waiting.Lines()
    bodies = [{"metadata": {"uid": uid, "namespace": "d", "name": uid}, "spec": {}} for uid in "ab"]
    one, two = (lines.add(body) for body in bodies)
    assert (lines.first(one.shape), one.shape) == (one, two.shape)
    lines.remove("a")
    assert lines.first(one.shape) == two
    lines.remove("b")
    assert (lines.shapes(), list(lines)) == ([], [])
