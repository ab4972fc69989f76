"""The parts of a porter: what goes over the wire, what it does in the pod, where errands wait, what people see."""

import asyncio
import contextlib
import ctypes
import dataclasses
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.core import model, ports, spec
from nni.manager import porter as manager_porter
from nni.platforms.kubeflow import api, names, pods
from nni.platforms.kubeflow import porter as platform_porter
from nni.runtime import archive, tree
from nni.runtime import porter as runtime_porter
from nni.server import porter as server_porter
from nni.storage import joined, pod
from nni.storage import porter as storage_porter
from nni.testing import volume as volumes
from nni.wire import errand
from nni.wire import files as wire

ODD = "nni/e/k2f9z/checkpoint/Grüße\udcff\n"


def test_errands_and_answers_come_out_as_they_went_in() -> None:
    errands = [
        errand.Errand(1, "read", ODD, offset=5, limit=10),
        errand.Errand(2, "put", "a", content=b"\n[]\0"),
        errand.Errand(3, "rename", "a", target=ODD),
    ]
    answers = [
        errand.Answer(1, content=b"\xff\n"),
        errand.Answer(2, ["a", ODD]),
        errand.Answer(3, error="No."),
        errand.Answer(4, [False, 5, 1.5], content=b"more"),
    ]
    assert errand.decode_errands(errand.encode_errands(errands)) == errands
    assert errand.decode_answers(errand.encode_answers(answers)) == answers
    assert errand.decode_answers(errand.encode_answers([])) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}\n",
        b"[1]\n",
        b'[{"number": 1}]\n',
        b'[{"size": 3}]\nab',
        b'[{"size": -1}]\n',
        b'[{"size": 0, "number": "1"}]\n',
        b'[{"size": 0, "number": 1, "verb": "run", "path": "a", "target": "", "offset": 0, "limit": 0}]\n',
        b'[{"size": 0, "number": 1, "verb": "list", "path": 7, "target": "", "offset": 0, "limit": 0}]\n',
        b'[{"size": 0, "number": 1, "verb": "read", "path": "a", "target": "", "offset": -1, "limit": 0}]\n',
    ],
)
def test_what_is_no_body_is_refused(body: bytes) -> None:
    with pytest.raises(errors.WireError):
        errand.decode_errands(body)
    with pytest.raises(errors.WireError):
        errand.decode_answers(body)


class Intake:
    """Answers one request after the other, as it was told to."""

    def __init__(self, *said: tuple[int, bytes] | OSError) -> None:
        self.said = list(said)
        self.brought: list[list[errand.Answer]] = []

    def exchange(self, body: bytes) -> tuple[int, bytes]:
        self.brought.append(errand.decode_answers(body))
        answer = self.said.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def orders(*wanted: errand.Errand) -> tuple[int, bytes]:
    return 200, errand.encode_errands(wanted)


@pytest.fixture
def porter(tmp_path: Path) -> runtime_porter.Porter:
    (tmp_path / "nni/mine").mkdir(parents=True)
    (tmp_path / "nni/mine/file").write_bytes(b"content")
    (tmp_path / "nni/other").mkdir()
    return runtime_porter.Porter(tree.Tree(str(tmp_path)), "nni/mine")


def test_a_porter_brings_the_answers_with_its_next_question_and_goes_when_told(porter: runtime_porter.Porter) -> None:
    errands = orders(errand.Errand(1, "list", "nni/mine"), errand.Errand(2, "read", "nni/mine/file", offset=1, limit=3))
    intake = Intake((204, b""), errands, (410, b""))

    assert runtime_porter.serve(porter, intake.exchange, "url") == 0
    assert intake.brought == [[], [], [errand.Answer(1, ["file"]), errand.Answer(2, content=b"ont")]]


@pytest.mark.parametrize(
    "broken", [ConnectionResetError("gone"), (503, b""), (502, b"<html>"), (200, b"<html>")], ids=str
)
def test_what_could_not_be_said_is_said_again(
    porter: runtime_porter.Porter, broken: OSError | tuple[int, bytes]
) -> None:
    intake = Intake(orders(errand.Errand(1, "usage", "nni/mine")), broken, (410, b""))

    assert runtime_porter.serve(porter, intake.exchange, "url") == 0
    assert intake.brought == [[], [errand.Answer(1, 7)], [errand.Answer(1, 7)]]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_manager_that_has_no_use_for_it_is_left(
    porter: runtime_porter.Porter, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runtime_porter.serve(porter, Intake((status, b"")).exchange, "http://x") == 1
    assert f"http://x answers {status}" in capsys.readouterr().err


def test_a_manager_that_is_lost_is_left(porter: runtime_porter.Porter, capsys: pytest.CaptureFixture[str]) -> None:
    refused = ConnectionRefusedError("nobody is there")

    assert runtime_porter.serve(porter, Intake(*[refused] * 9).exchange, "http://x", lost_seconds=0.3) == 1
    assert "http://x does not answer: nobody is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wanted",
    [
        errand.Errand(1, "list", ""),
        errand.Errand(1, "list", "nni"),
        errand.Errand(1, "list", "nni/other"),
        errand.Errand(1, "delete", "nni/mine2"),
        errand.Errand(1, "list", "nni/mine/../other"),
        errand.Errand(1, "rename", "nni/mine/file", target="nni/other/file"),
        errand.Errand(1, "read", "/etc/passwd", limit=10),
    ],
    ids=lambda one: f"{one.verb} {one.path} {one.target}",
)
def test_a_porter_stays_in_its_experiments_directory(porter: runtime_porter.Porter, wanted: errand.Errand) -> None:
    answer = porter.do(wanted)

    assert (answer.result, answer.content) == (None, b"")
    assert "goes nowhere else" in answer.error or "not a path on the volume" in answer.error


def _become_nobody() -> None:
    """Let this thread have files as nobody has them: root may read everything."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).setfsuid(65534)


async def test_what_a_porter_has_no_right_to_is_known_as_such(porter: runtime_porter.Porter, tmp_path: Path) -> None:
    (tmp_path / "nni/mine/file").chmod(0o000)
    desk = storage_porter.Desk(hold=0.05)
    desk.open()
    with ThreadPoolExecutor(initializer=_become_nobody) as threads:
        asking = asyncio.create_task(storage_porter.PorterVolume(desk).read("nni/mine/file"))
        (wanted,) = await desk.exchange([]) or ()
        answer = await asyncio.get_running_loop().run_in_executor(threads, porter.do, wanted)
        await desk.exchange(errand.decode_answers(errand.encode_answers([answer])))
        with pytest.raises(errors.VolumeError, match="permission denied") as failed:
            await asking
    assert isinstance(failed.value.__cause__, PermissionError)


async def test_errands_that_were_not_answered_are_given_out_again() -> None:
    desk = storage_porter.Desk(hold=0.05)
    desk.open()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(desk.perform("usage", "a"))
        first, second = await desk.exchange([]), await desk.exchange([errand.Answer(999, 5)])
        assert first == second == [errand.Errand(1, "usage", "a")]
        assert await desk.exchange([errand.Answer(1, 5)]) == ()
        assert (await asking).result == 5


async def test_nobody_waits_for_an_errand_that_is_not_wanted_any_more() -> None:
    desk = storage_porter.Desk(hold=0.05)
    desk.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await desk.perform("usage", "a")
    assert await desk.exchange([]) == ()


async def test_what_waits_is_given_out_together_within_bounds() -> None:
    desk = storage_porter.Desk()
    desk.open()
    reads = storage_porter.BATCH_BYTES // wire.PIECE

    async def given(verb: str, count: int, **more: Any) -> int:
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(desk.perform(verb, "a", **more)) for _ in range(count)]
            await asyncio.sleep(0)
            wanted = await desk.exchange([])
            for task in asking:
                task.cancel()
        assert wanted is not None
        return len(wanted)

    assert await given("stat", 10) == 10
    assert await given("stat", storage_porter.BATCH + 1) == storage_porter.BATCH
    assert await given("read", reads + 1, limit=wire.PIECE) == reads
    assert await given("put", 3, content=bytes(storage_porter.BATCH_BYTES + 1)) == 1


async def test_a_porter_that_is_not_let_in_any_more_is_sent_away() -> None:
    desk = storage_porter.Desk()
    token = desk.open()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(desk.exchange([]))
        await desk.until_met()
        assert (desk.knows(token), desk.knows("another"), desk.knows("Grüße")) == (True, False, False)
        desk.shut()
        assert await waiting is None
    assert not desk.knows(token)
    assert await desk.exchange([]) is None


class Cluster:
    """Keeps a porter that answers everything with 1, and lets it leave when the test says so; or refuses it."""

    def __init__(self, refusal: api.Refusal | None = None) -> None:
        self.came = 0
        self.leaves, self.may_leave = asyncio.Event(), asyncio.Event()
        self._refusal = refusal
        self._desk: storage_porter.Desk
        self.porter = manager_porter.Porter(self.present, self.door, "claim far")

    def door(self, desk: storage_porter.Desk) -> server_porter.Door:
        self._desk = desk
        return server_porter.Door(experiment_id=model.ExperimentId("e"), desk=desk, runtime=archive.build())

    @contextlib.asynccontextmanager
    async def present(self, token: str) -> AsyncIterator[platform_porter.Presence]:
        self.came += 1
        if self._refusal is not None:
            raise self._refusal
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(self._work())
            yield platform_porter.Presence("porter-1", "http://x")
            self.leaves.set()
            await self.may_leave.wait()
            working.cancel()

    async def _work(self) -> None:
        answers: list[errand.Answer] = []
        while (wanted := await self._desk.exchange(answers)) is not None:
            answers = [errand.Answer(one.number, 1) for one in wanted]


async def test_who_asks_while_a_porter_leaves_waits_for_the_next() -> None:
    cluster = Cluster()
    async with cluster.porter.on_call(idle=0.01), asyncio.TaskGroup() as tasks:
        assert await cluster.porter.volume.usage("a") == 1
        await cluster.leaves.wait()
        asking = tasks.create_task(cluster.porter.volume.usage("a"))
        await asyncio.sleep(0)
        cluster.may_leave.set()
        assert await asking == 1
    assert cluster.came == 2


async def test_a_cluster_that_refuses_is_not_asked_with_every_file() -> None:
    cluster = Cluster(api.Refusal(403, "Forbidden", "pods is forbidden: no."))
    async with cluster.porter.on_call():
        for _ in range(3):
            with pytest.raises(
                errors.VolumeError, match=r"far cannot be reached: no pod .* \(pods is forbidden: no\);"
            ):
                await cluster.porter.volume.usage("a")
    assert cluster.came == 1


async def test_who_still_waits_when_the_manager_ends_is_told() -> None:
    cluster = Cluster()
    async with cluster.porter.on_call():
        asking = asyncio.ensure_future(cluster.porter.volume.usage("a"))
        await asyncio.sleep(0)
    await asyncio.wait([asking])
    assert "cannot be reached any more: the manager ends" in str(asking.exception())


TRIAL = "nni/e/k2f9z"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("nni/e", ["code", "k2f9z"]),
        (TRIAL, ["1", "checkpoint"]),
        (f"{TRIAL}/1", ["master-0", "parameter.cfg"]),
        (f"{TRIAL}/1/master-0", ["output", "stdout"]),
        (f"{TRIAL}/1/worker-0", []),
        (f"{TRIAL}/1/master-0/output", ["model.bin", "output"]),
        (f"{TRIAL}/1/master-0/output/output", ["deep"]),
        (f"{TRIAL}/checkpoint", ["epoch-1"]),
        (f"{TRIAL}/./checkpoint//", ["epoch-1"]),
    ],
)
async def test_what_came_and_what_stayed_is_one_volume(path: str, names: list[str]) -> None:
    here, there = await filled()
    assert await joined.JoinedVolume(here, there).list(path) == names


class Unreachable(volumes.MemoryVolume):
    async def list(self, path: str) -> Sequence[str]:
        raise errors.VolumeError("nobody comes")

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        raise errors.VolumeError("nobody comes")

    async def stat(self, path: str) -> ports.Stat | None:
        raise errors.VolumeError("nobody comes")


async def test_only_who_looks_into_what_stayed_needs_the_claim() -> None:
    here, there = await filled()
    volume, seen = joined.JoinedVolume(here, Unreachable()), joined.JoinedVolume(here, there)

    for path in (f"{TRIAL}/checkpoint", f"{TRIAL}/1/master-0/output"):
        known = await volume.stat(path)
        assert known is not None
        assert known.is_directory
        with pytest.raises(errors.VolumeError, match="nobody comes"):
            await volume.list(path)
    assert await volume.stat(f"{TRIAL}/1/worker-0/output") is None
    assert await volume.read(f"{TRIAL}/1/master-0/stdout") == b"sent"
    assert await volume.stat(f"{TRIAL}/1/master-0/nothing") is None
    assert await seen.read(f"{TRIAL}/1/master-0/output/model.bin", 1, 2) == b"od"
    known = await seen.stat(f"{TRIAL}/1/master-0/output/model.bin")
    assert known is not None
    assert known.size == 5


async def filled() -> tuple[volumes.MemoryVolume, volumes.MemoryVolume]:
    """Return what a manager has of a trial, and what is on the claim."""
    here, there = volumes.MemoryVolume(), volumes.MemoryVolume()
    await here.make(f"{TRIAL}/checkpoint")
    for path in ("nni/e/code/x", f"{TRIAL}/1/parameter.cfg", f"{TRIAL}/1/master-0/stdout"):
        await here.put(path, b"sent")
        await there.put(path, b"written")
    for path in ("1/master-0/output/model.bin", "1/master-0/output/output/deep", "checkpoint/epoch-1"):
        await there.put(f"{TRIAL}/{path}", b"model")
    return here, there


TRAINER = spec.RoleSpec(
    name="master",
    replicas=4,
    command="python3 train.py --key secret",
    code_directory="/code",
    image="registry.example/train:1",
    gpus=8,
    pod=spec.PodSpec(
        environment={"TOKEN": "secret", "NNI_INTAKE_CERT_SHA256": "ab"},
        fields={"tolerations": [{"key": "gpu", "operator": "Exists"}], "imagePullSecrets": [{"name": "registry"}]},
        registry_credentials="/home/me/.docker/config.json",
        template={
            "metadata": {"labels": {"a": "b"}},
            "spec": {"securityContext": {"runAsUser": 2000}, "containers": [{"name": "x"}], "volumes": []},
        },
    ),
)


def wanted(role: spec.RoleSpec) -> platform_porter.Wanted:
    volume, mount = pod.claim(spec.PvcSpec(claim_name="data", sub_path="my/part"))
    return platform_porter.Wanted(
        experiment=model.ExperimentId("k3x9ab12"),
        role=platform_porter.role(role),
        volume=pods.Volume(volume=volume, mount=mount, runs_restricted=True),
        runtime="abc",
        intake_url="https://10.0.0.5:8081",
        intake_fingerprint="ab12",
        scope="nni/k3x9ab12",
    )


def test_a_porters_pod_takes_over_who_and_where_a_trial_is_and_nothing_of_what_it_does() -> None:
    built = platform_porter.manifest("the-name", wanted(TRAINER))

    described = built["spec"]
    (container,) = described["containers"]
    assert container["image"] == "registry.example/train:1"
    assert described["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert described["imagePullSecrets"] == [{"name": "registry"}, {"name": "nni-exp-k3x9ab12-porter-registry"}]
    assert described["securityContext"] == {**pods.RESTRICTED_POD["securityContext"], "runAsUser": 2000}
    assert described["volumes"][0] == {"name": "nni-volume", "persistentVolumeClaim": {"claimName": "data"}}
    assert container["volumeMounts"][0]["subPath"] == "my/part"
    assert "secret" not in str(container["env"]).replace("secretKeyRef", "")
    assert "nvidia.com/gpu" not in str(container["resources"])
    assert {"name": "NNI_INTAKE_CERT_SHA256", "value": "ab"} in container["env"]


def test_a_porters_pod_keeps_to_the_restricted_standard_and_is_found_by_its_labels() -> None:
    plain = dataclasses.replace(TRAINER, pod=spec.PodSpec())
    built = platform_porter.manifest("the-name", wanted(plain))

    assert {**built["spec"], **pods.RESTRICTED_POD} == built["spec"]
    assert {"name": "NNI_INTAKE_CERT_SHA256", "value": "ab12"} in built["spec"]["containers"][0]["env"]
    assert built["spec"]["automountServiceAccountToken"] is False
    (container,) = built["spec"]["containers"]
    assert {**container, **pods.RESTRICTED_CONTAINER} == container
    labels = [f"{name}={value}" for name, value in built["metadata"]["labels"].items()]
    assert set(labels) == set(names.porter_selector(model.ExperimentId("k3x9ab12")).split(","))
