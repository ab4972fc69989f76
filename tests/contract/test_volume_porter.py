"""The contract of the volume over a porter: a pod of the sandbox that mounts a claim, real intake, real runtime."""

import asyncio
import contextlib
import dataclasses
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from kubernetes import client as official
from kubernetes import config

from nni import errors
from nni.core import event, model, ports, spec
from nni.manager import porter as porters
from nni.platforms.kubeflow import client, names, pods
from nni.platforms.kubeflow import porter as platform_porter
from nni.runtime import archive
from nni.server import intake, listen
from nni.server import porter as server_porter
from nni.storage import pod
from nni.storage import porter as porter_volume
from nni.testing import volume as contract
from nni.testing.pods import interpreter, wait_until
from nni.testing.sandbox import Sandbox
from nni.wire import errand, layout

EXPERIMENT = model.ExperimentId("porter1")
RUNTIME = archive.build()
ROLE = platform_porter.role(spec.RoleSpec(name="master", replicas=1, command="", code_directory="/x", image="any"))


@pytest.fixture(scope="module")
def claim(sandbox: Sandbox) -> Iterator[Path]:
    """The directory behind a claim of the name carried."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    with config.new_client_from_config(str(sandbox.kubeconfig)) as api:
        core = official.CoreV1Api(api)
        body = {"metadata": {"name": "carried"}, "spec": wanted}
        made = core.create_namespaced_persistent_volume_claim("default", body)
        yield Path(sandbox.kubeconfig.parent, "claims", made.metadata.uid)
        core.delete_namespaced_persistent_volume_claim("carried", "default")


@dataclasses.dataclass
class Place:
    """A manager that has a porter on call for a directory of a claim."""

    sandbox: Sandbox
    scope: str = ""
    claim_name: str = "carried"
    directory: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    url: str = ""
    tokens: list[str] = dataclasses.field(default_factory=list)
    """Of the porters that came, one after the other."""

    @contextlib.asynccontextmanager
    async def open(self, **times: float) -> AsyncIterator[ports.Volume]:
        connection = client.connect({"KUBECONFIG": str(self.sandbox.kubeconfig)}, "default")

        def present(token: str) -> contextlib.AbstractAsyncContextManager[platform_porter.Presence]:
            self.tokens.append(token)
            return platform_porter.present(connection, self.wanted(), token)

        porter = porters.Porter(
            present,
            lambda desk: server_porter.Door(experiment_id=EXPERIMENT, desk=desk, runtime=RUNTIME),
            f"claim {self.claim_name}",
        )
        app = intake.make_app(
            experiment_id=EXPERIMENT,
            verify=lambda attempt, token: {"a-trials": True}.get(token, False),
            accept=refuse,
            door=porter.door,
        )
        with contextlib.closing(connection), contextlib.closing(listen.bind("127.0.0.1", 0)) as socket:
            async with listen.serve(app, socket) as port, porter.on_call(**times):
                self.url = f"http://127.0.0.1:{port}"
                yield porter.volume

    def wanted(self) -> platform_porter.Wanted:
        volume, mount = pod.claim(spec.PvcSpec(claim_name=self.claim_name, sub_path=self.directory))
        return platform_porter.Wanted(
            experiment=EXPERIMENT,
            role=ROLE,
            volume=pods.Volume(volume=volume, mount=mount, runs_restricted=True),
            runtime=RUNTIME.digest,
            intake_url=self.url,
            scope=self.scope,
        )

    @contextlib.contextmanager
    def core(self) -> Iterator[official.CoreV1Api]:
        with config.new_client_from_config(str(self.sandbox.kubeconfig)) as api:
            yield official.CoreV1Api(api)

    def pods(self) -> list[str]:
        with self.core() as core:
            listed = core.list_namespaced_pod("default", label_selector=names.porter_selector(EXPERIMENT))
        return [one.metadata.name for one in listed.items]


async def refuse(reported: event.ReplicaReported) -> int:
    raise AssertionError(reported)


class TestPorterVolume(contract.VolumeContract):
    @pytest_asyncio.fixture(autouse=True)
    async def _volume(self, sandbox: Sandbox, claim: Path) -> AsyncIterator[None]:
        place = Place(sandbox)
        async with place.open() as volume:
            self.volume, self.root = volume, claim / place.directory
            yield

    async def open(self, directory: Path) -> ports.Volume:
        return self.volume

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        """As a pod that has the claim mounted."""
        with (self.root / path).open("ab", buffering=0) as file:
            file.write(content)


async def test_a_porter_leaves_nothing_behind_on_the_claim_or_the_cluster(sandbox: Sandbox, claim: Path) -> None:
    place = Place(sandbox)
    async with place.open() as volume:
        await volume.make("a")
        assert len(place.pods()) == 1

    assert [path.name for path in (claim / place.directory).rglob("*")] == ["a"]
    assert place.pods() == []
    with place.core() as core:
        secrets = core.list_namespaced_secret("default", label_selector=names.selector(EXPERIMENT))
    assert secrets.items == []


async def test_a_porter_goes_when_nobody_wants_anything_and_another_comes(sandbox: Sandbox, claim: Path) -> None:
    place = Place(sandbox)
    async with place.open(idle=0.2) as volume:
        await volume.put("a", b"content")
        await asyncio.to_thread(wait_until, lambda: place.pods() == [])
        assert await volume.read("a") == b"content"
        assert len(set(place.tokens)) == 2


async def test_a_porter_that_is_deleted_is_replaced(sandbox: Sandbox, claim: Path) -> None:
    place = Place(sandbox)
    async with place.open() as volume:
        await volume.put("a", b"content")
        (name,) = place.pods()
        with place.core() as core:
            core.delete_namespaced_pod(name, "default", grace_period_seconds=0)
        while len(place.tokens) < 2:
            # Whoever asks in that moment is told; whoever asks then is served.
            with contextlib.suppress(errors.VolumeError):
                assert await volume.read("a") == b"content"
        assert await volume.read("a") == b"content"
        assert name not in place.pods()


async def test_the_porter_of_a_manager_that_was_killed_is_cleared_away(sandbox: Sandbox, claim: Path) -> None:
    place = Place(sandbox)
    left = platform_porter.manifest("nni-exp-porter1-porter-left", place.wanted())
    with place.core() as core:
        core.create_namespaced_pod("default", left)
    async with place.open() as volume:
        await volume.list("")
        assert len(place.pods()) == 1
        assert "nni-exp-porter1-porter-left" not in place.pods()


async def test_why_no_porter_comes_is_said(sandbox: Sandbox) -> None:
    place = Place(sandbox, claim_name="nowhere")
    async with place.open(patience=3) as volume:
        with pytest.raises(errors.VolumeError) as caught:
            await volume.list("")
    assert str(caught.value).startswith(
        "What stayed on claim nowhere cannot be reached: no porter came from the cluster within 3 s: "
    )
    assert "The claim nowhere does not exist in namespace default: create it" in str(caught.value)
    assert place.pods() == []


async def test_a_porter_that_does_not_reach_the_intake_is_said(sandbox: Sandbox, claim: Path, free_port: int) -> None:
    place = Place(sandbox)
    async with place.open(patience=5) as volume:
        place.url = f"http://127.0.0.1:{free_port}"
        with pytest.raises(errors.VolumeError, match=rf"runs and does not reach {place.url}: open the port"):
            await volume.list("")


@pytest.mark.parametrize("name", ["python3.8", "python3.9", "python3.13"])
async def test_any_python_does_errands(name: str, tmp_path: Path) -> None:
    python = interpreter(name, os.environ)
    if python is None:
        pytest.skip(f"no {name} here")
    (tmp_path / "runtime.pyz").write_bytes(RUNTIME.content)
    root = tmp_path / "claim"
    root.mkdir()
    desk = porter_volume.Desk()
    door = server_porter.Door(experiment_id=EXPERIMENT, desk=desk, runtime=RUNTIME)
    volume = porter_volume.PorterVolume(desk)
    with contextlib.closing(listen.bind("127.0.0.1", 0)) as socket:
        async with listen.serve(server_porter.make_app(door), socket) as port:
            environment = {
                "NNI_VOLUME": str(root),
                "NNI_EXP_ID": EXPERIMENT,
                "NNI_PORTER_SCOPE": "",
                "NNI_INTAKE_URL": f"http://127.0.0.1:{port}",
                "NNI_TRIAL_TOKEN": desk.open(),
            }
            command = [python, "-I", "-S", str(tmp_path / "runtime.pyz"), "porter"]
            process = await asyncio.create_subprocess_exec(*command, env=environment)
            await volume.put("a/b/c", b"content")
            (root / "a" / "link").symlink_to(tmp_path)
            await volume.rename("a/b/c", "a/d")
            assert (await volume.list("a"), await volume.read("a/d", 3)) == (["b", "d", "link"], b"tent")
            known, link = await volume.stat("a/d"), await volume.stat("a/link")
            assert known is not None
            assert link is not None
            assert (known.size, known.is_special, link.is_special) == (7, False, True)
            await volume.make("a/b/deep/er")
            await volume.delete("a")
            assert await volume.usage("") == 0
            assert (tmp_path / "runtime.pyz").exists(), "what a link leads to is not deleted with it"
            desk.shut()
            assert await process.wait() == 0


async def test_a_porters_token_opens_its_door_and_no_other(sandbox: Sandbox, claim: Path) -> None:
    place = Place(sandbox)
    door = errand.path(EXPERIMENT)
    runtime = f"{door}/files/{layout.runtime(EXPERIMENT, RUNTIME.digest)}"
    trial = f"/api/v1/intake/{EXPERIMENT}/k2f9z/1/master/0"
    async with place.open() as volume, aiohttp.ClientSession() as session:
        await volume.list("")
        (token,) = place.tokens
        answers = [
            ("GET", runtime, token, 200),
            ("GET", runtime, "a-trials", 401),
            ("GET", runtime, "", 401),
            ("POST", door, "a-trials", 401),
            ("POST", door.replace(EXPERIMENT, "other"), token, 404),
            ("GET", f"{door}/files/nni/{EXPERIMENT}/k2f9z/1/parameter.cfg", token, 403),
            ("POST", trial, token, 401),
            ("POST", door, token, 400),
        ]
        for method, path, shown, status in answers:
            headers = {"Authorization": f"Bearer {shown}"}
            async with session.request(method, place.url + path, data=b"x", headers=headers) as answer:
                assert (method, path, shown, answer.status) == (method, path, shown, status)
