"""The contract of the platform over memory, this machine's processes, and jobs on the sandbox."""

import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nni.core import model, spec
from nni.platforms import local
from nni.platforms.kubeflow import client, kinds, platform, pods
from nni.storage import nfs
from nni.testing import platform as contract
from nni.testing.sandbox import Connection, Sandbox
from nni.wire import layout

EXPERIMENT = model.ExperimentId("contract1")
# A pod that is told to end before its script listens waits out its grace period.
POD = spec.PodSpec(fields={"terminationGracePeriodSeconds": 1})
ROLE = spec.RoleSpec(name="worker", replicas=1, command="", code_directory="/code", image="any")
SCRIPTS = {"endless": "trap 'exit 143' TERM\nsleep 1000 &\nwait\n"}


class SystemClock:
    def now(self) -> float:
        return time.time()


class TestMemoryPlatform(contract.PlatformContract):
    @contextlib.asynccontextmanager
    async def place(self, directory: Path) -> AsyncIterator[contract.Place]:
        made, observed = contract.MemoryPlatform(), contract.Observed()
        await made.open(observed.take)

        async def behaves(attempt: model.AttemptKey, behaviour: contract.Behaviour) -> None:
            made.behaviours[attempt] = behaviour

        async def count() -> int:
            return len(made.jobs)

        yield contract.Place(platform=made, observed=observed, behaves=behaves, count=count)
        await made.close()


def write_script(volume: Path, role: str, attempt: model.AttemptKey, behaviour: contract.Behaviour) -> None:
    """Write what an attempt runs where the manager would."""
    directory = volume / layout.attempt(EXPERIMENT, attempt.trial, attempt.number)
    directory.mkdir(parents=True)
    (directory / layout.script(role)).write_text(SCRIPTS.get(str(behaviour), f"exit {behaviour}\n"))


class TestLocalPlatform(contract.PlatformContract):
    @contextlib.asynccontextmanager
    async def place(self, directory: Path) -> AsyncIterator[contract.Place]:
        observed = contract.Observed()
        made = local.LocalPlatform(
            experiment_id=EXPERIMENT,
            spec=spec.LocalSpec(roles=(ROLE,)),
            volume=directory,
            intake_url="",
            tokens=str,
            environment={"PATH": "/usr/bin:/bin"},
            clock=SystemClock(),
        )
        await made.open(observed.take)

        async def behaves(attempt: model.AttemptKey, behaviour: contract.Behaviour) -> None:
            write_script(directory, "worker", attempt, behaviour)

        async def count() -> int:
            text = f"NNI_VOLUME={directory}".encode()
            found = 0
            for entry in Path("/proc").glob("[0-9]*"):
                # The children of those that it started are theirs.
                with contextlib.suppress(OSError):
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    found += parent == str(os.getpid()) and text in (entry / "environ").read_bytes()
            return found

        yield contract.Place(platform=made, observed=observed, behaves=behaves, count=count)
        await made.close()


async def test_what_ran_under_a_manager_that_is_gone_is_not_begun_again_under_the_same_attempt(tmp_path: Path) -> None:
    """Else it would report all that it had reported before a second time."""
    ordered = contract.order("again", 0)
    async with TestLocalPlatform().place(tmp_path) as place:
        replica = tmp_path / layout.attempt(EXPERIMENT, ordered.attempt.trial, 1) / "worker-0"
        replica.mkdir(parents=True)
        await place.platform.create(ordered)
        seen = await place.observed.until(ordered.attempt, lambda one: one.phase.is_final)
        assert (seen.phase, await place.count()) == (model.JobPhase.GONE, 0)
        assert seen.reason is not None
        assert seen.reason.kind is model.ReasonClass.INFRASTRUCTURE


@pytest.mark.slow
async def test_a_trial_may_leave_directories_of_any_depth(tmp_path: Path) -> None:
    ordered = contract.order("deep", 0)
    write_script(tmp_path, "worker", ordered.attempt, 0)
    deep = 'cd "$NNI_POD_DIR" && i=0 && while [ $i -lt 1200 ]; do mkdir d && cd d && i=$((i + 1)) || exit 1; done\n'
    directory = tmp_path / layout.attempt(EXPERIMENT, ordered.attempt.trial, 1)
    (directory / layout.script("worker")).write_text(deep)
    async with TestLocalPlatform().place(tmp_path) as place:
        await place.platform.create(ordered)
        seen = await place.observed.until(ordered.attempt, lambda one: one.phase.is_final)
    assert seen.phase is model.JobPhase.SUCCEEDED


def kubeflow_spec(role: spec.RoleSpec, server: str, path: str) -> spec.KubeflowSpec:
    return spec.KubeflowSpec(
        operator="pytorch-operator",
        api_version="v1",
        namespace="default",
        roles=(role,),
        storage=spec.NfsSpec(server=server, path=path),
    )


class TestKubeflowPlatform(contract.PlatformContract):
    @pytest.fixture(autouse=True)
    def running(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    @contextlib.asynccontextmanager
    async def place(self, directory: Path) -> AsyncIterator[contract.Place]:
        (export,) = self.sandbox.exports
        server, _, path = export.partition(":")
        below = f"{path}/{directory.name}"
        volume_directory = self.sandbox.exports[export] / directory.name
        volume_directory.mkdir()
        volume, mount = nfs.pod_volume(spec.NfsSpec(server=server, path=below))
        experiment = EXPERIMENT
        observed = contract.Observed()
        made = platform.KubeflowPlatform(
            connection=client.connect({"KUBECONFIG": str(self.sandbox.kubeconfig)}, "default"),
            kind=kinds.KINDS["pytorch-operator"],
            version="v1",
            experiment_id=experiment,
            spec=kubeflow_spec(dataclasses.replace(ROLE, name="master", pod=POD), server, below),
            volume=pods.Volume(volume=volume, mount=mount),
            intake_url="",
            token=str,
            clock=SystemClock(),
        )
        await made.open(observed.take)
        api = Connection(self.sandbox)

        async def behaves(attempt: model.AttemptKey, behaviour: contract.Behaviour) -> None:
            write_script(volume_directory, "master", attempt, behaviour)

        async def count() -> int:
            jobs = api.call("GET", "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs")[1]["items"]
            mine = [job for job in jobs if job["metadata"]["labels"].get("nni/experiment") == EXPERIMENT]
            ended = ("Succeeded", "Failed")
            return sum(
                not any(one["type"] in ended for one in job.get("status", {}).get("conditions", ())) for job in mine
            )

        try:
            yield contract.Place(platform=made, observed=observed, behaves=behaves, count=count)
        finally:
            await made.close()
