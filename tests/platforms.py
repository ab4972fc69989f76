"""The Kubeflow platform on a sandbox as tests use it."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

from nni.core import model, spec
from nni.platforms.kubeflow import client, kinds, platform, pods
from nni.storage import nfs
from nni.testing import platform as contract
from nni.testing.sandbox import Connection, Sandbox
from nni.wire import layout

EXPERIMENT = model.ExperimentId("stories1")


class SystemClock:
    def now(self) -> float:
        return time.time()


class World:
    """The sandbox, with platforms of one experiment on it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.api = Connection(sandbox)
        (self.export,) = sandbox.exports
        self.observed = contract.Observed()
        self.life: asyncio.Queue[str | None] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def platform(
        self, *, queue: str | None = None, intake_url: str = "", key: str = "", **role: Any
    ) -> AsyncIterator[platform.KubeflowPlatform]:
        server, _, path = self.export.partition(":")
        volume, mount = nfs.pod_volume(spec.NfsSpec(server=server, path=path))
        fields: dict[str, Any] = {"name": "master", "replicas": 1, "command": "", "code_directory": "/", "image": "x"}
        # Nobody waits for half a minute here.
        role["pod"] = dataclasses.replace(role.get("pod", spec.PodSpec()), fields={"terminationGracePeriodSeconds": 1})
        made = platform.KubeflowPlatform(
            connection=client.connect({"KUBECONFIG": str(self.sandbox.kubeconfig)}, "default"),
            kind=kinds.KINDS["pytorch-operator"],
            version="v1",
            experiment_id=EXPERIMENT,
            spec=spec.KubeflowSpec(
                operator="pytorch-operator",
                api_version="v1",
                namespace="default",
                roles=(spec.RoleSpec(**fields | role),),
                storage=spec.NfsSpec(server=server, path=path),
                queue=queue,
            ),
            volume=pods.Volume(volume=volume, mount=mount),
            intake_url=intake_url,
            token=lambda slot: f"{key}{slot}",
            clock=SystemClock(),
            life=self.life.put_nowait,
        )
        try:
            await made.open(self.observed.take)
            yield made
        finally:
            await made.close()

    async def heard(self, *, well: bool) -> str:
        """Wait until the API server is said to be well, or not to be, and return why not."""
        while ((said := await self.life.get()) is None) is not well:
            pass
        return said or ""

    def order(self, trial: str, script: str = "exec sleep 1000", slot: int = 0) -> model.JobOrder:
        ordered = contract.order(trial, slot)
        directory = self.sandbox.exports[self.export] / layout.attempt(EXPERIMENT, ordered.attempt.trial, 1)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / layout.script("master")).write_text(script)
        return ordered
