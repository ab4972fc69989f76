"""The contract of the volume over a porter: a pod of the sandbox that mounts a claim, real intake, real runtime."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from kubernetes import client as official
from kubernetes import config

from nni.core import model, ports, spec
from nni.manager import porter as porters
from nni.platforms.kubeflow import client, pods
from nni.platforms.kubeflow import porter as platform_porter
from nni.runtime import archive
from nni.server import intake, listen
from nni.server import porter as server_porter
from nni.storage import pod
from nni.testing import volume as contract
from nni.testing.sandbox import Sandbox

EXPERIMENT = model.ExperimentId("porter1")
RUNTIME = archive.build()
ROLE = platform_porter.role(spec.RoleSpec(name="master", replicas=1, command="", code_directory="/x", image="any"))
"""Contract: a volume's tests; the sandbox's claim is a directory."""


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


class Place:
    """A manager that has a porter on call for a directory of the claim."""

    def __init__(self, sandbox: Sandbox, scope: str) -> None:
        self.directory = uuid.uuid4().hex
        self._sandbox = sandbox
        self._scope = scope
        self.url = ""
        self.porter: porters.Porter
        self.tokens: list[str] = []

    @contextlib.asynccontextmanager
    async def open(self, idle: float) -> AsyncIterator["Place"]:
        connection = client.connect({"KUBECONFIG": str(self._sandbox.kubeconfig)}, "default")
        volume, mount = pod.claim(spec.PvcSpec(claim_name="carried", sub_path=self.directory))

        def present(token: str) -> contextlib.AbstractAsyncContextManager[platform_porter.Presence]:
            self.tokens.append(token)
            wanted = platform_porter.Wanted(
                experiment=EXPERIMENT,
                role=ROLE,
                volume=pods.Volume(volume=volume, mount=mount, runs_restricted=True),
                runtime=RUNTIME.digest,
                intake_url=self.url,
                scope=self._scope,
            )
            return platform_porter.present(connection, wanted, token)

        self.porter = porters.Porter(
            present,
            lambda desk: server_porter.Door(experiment_id=EXPERIMENT, desk=desk, runtime=RUNTIME),
            "claim carried",
        )
        try:
            with contextlib.closing(listen.bind("127.0.0.1", 0)) as socket:
                async with listen.serve(self._app(), socket) as port, self.porter.on_call(idle=idle):
                    self.url = f"http://127.0.0.1:{port}"
                    yield self
        finally:
            connection.close()

    def _app(self) -> web.Application:
        async def accept(reported: object) -> int:
            raise AssertionError(reported)

        return intake.make_app(
            experiment_id=EXPERIMENT,
            verify=lambda attempt, token: None,
            accept=accept,
            door=self.porter.door,
        )


class TestPorterVolume(contract.VolumeContract):
    @pytest_asyncio.fixture(autouse=True)
    async def _place(self, sandbox: Sandbox, claim: Path) -> AsyncIterator[None]:
        async with Place(sandbox, scope="").open(idle=60) as place:
            self.volume = place.porter.volume
            yield

    async def open(self, directory: Path) -> ports.Volume:
        return self.volume
