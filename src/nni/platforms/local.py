"""Trials as processes of this machine.

The same script and runtime run as in a pod; only the launching differs. A command's ``python3`` is the interpreter that
runs the manager, so that an experiment finds the packages of the environment it was started from.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nni import errors
from nni.core import event, model, ports, spec
from nni.runtime import tree
from nni.wire import layout

GRACE_SECONDS = 30.0
"""Between SIGTERM and SIGKILL, as in a pod."""


class LocalPlatform:
    """Runs each attempt as one process group."""

    def __init__(
        self,
        *,
        experiment_id: model.ExperimentId,
        spec: spec.LocalSpec,
        volume: Path,
        intake_url: str,
        tokens: Callable[[int], str],
        environment: Mapping[str, str],
        clock: ports.Clock,
    ) -> None:
        """Take the finished parts.

        Args:
            experiment_id: Whose trials these are.
            spec: The one role.
            volume: The directory that stands for the volume; absolute.
            intake_url: Where trials report to.
            tokens: Gives the token of a slot.
            environment: What trials inherit: the environment in which the experiment was started.
            clock: Stamps starts and ends.
        """
        self._experiment_id = experiment_id
        self._role = spec.roles[0]
        self._volume = volume
        self._intake_url = intake_url
        self._tokens = tokens
        self._environment = environment
        self._clock = clock
        self._emit: ports.Emit = lambda happened: None
        self._processes: dict[model.AttemptKey, asyncio.subprocess.Process] = {}
        self._watchers: dict[model.AttemptKey, asyncio.Task[None]] = {}
        self._pods = Path()

    async def open(self, emit: ports.Emit) -> None:
        """See the port."""
        self._emit = emit
        self._pods = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="nni-"))

    async def create(self, order: model.JobOrder) -> str:
        """See the port; the name is the process's id."""
        if (running := self._processes.get(order.attempt)) is not None:
            return str(running.pid)
        attempt = order.attempt
        directory = self._volume / layout.attempt(self._experiment_id, attempt.trial, attempt.number)
        if await asyncio.to_thread((directory / f"{self._role.name}-0").exists):
            # It ran under a manager that is gone, and went with it: what it said then is not said again.
            lost = model.Reason(
                kind=model.ReasonClass.INFRASTRUCTURE,
                sentence="Its manager ended while it ran.",
                since=self._clock.now(),
            )
            gone = model.Observation(phase=model.JobPhase.GONE, reason=lost)
            self._emit(event.JobObserved(attempt=attempt, observation=gone))
            return "gone"
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                str(directory / layout.script(self._role.name)),
                env=self._environment_of(order),
                # Held by the process object: its end is the end of this manager.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            message = f"No process can be started for trial {attempt.trial}: {error.strerror}."
            raise errors.PlatformUnavailableError(message) from error
        self._processes[attempt] = process
        # Joined in close(): the watcher outlives this call, not the platform.
        loop = asyncio.get_running_loop()
        self._watchers[attempt] = loop.create_task(self._watch(attempt, process))
        return str(process.pid)

    def _pod(self, attempt: model.AttemptKey) -> Path:
        """Return the directory that an attempt has to itself while it runs."""
        return self._pods / f"{attempt.trial}-{attempt.number}"

    def _environment_of(self, order: model.JobOrder) -> dict[str, str]:
        attempt = order.attempt
        pod = self._pod(attempt)
        pod.mkdir(exist_ok=True)
        path = self._environment.get("PATH", os.defpath)
        return {
            **self._environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
            "NNI_VOLUME": str(self._volume),
            "NNI_POD_DIR": str(pod),
            "NNI_REPLICA_INDEX": "0",
            "NNI_INTAKE_URL": self._intake_url,
            "NNI_TRIAL_TOKEN": self._tokens(order.slot),
            "NNI_PLATFORM": "local",
            "NNI_LIFELINE": "1",
            "NNI_EXP_ID": self._experiment_id,
            "NNI_TRIAL_JOB_ID": attempt.trial,
            "NNI_TRIAL_SEQ_ID": str(order.sequence),
            "NNI_TRIAL_ATTEMPT": str(attempt.number),
            "NNI_ROLE": self._role.name,
        }

    async def _watch(self, attempt: model.AttemptKey, process: asyncio.subprocess.Process) -> None:
        started_at = self._clock.now()
        running = model.Observation(phase=model.JobPhase.RUNNING, started_at=started_at)
        self._emit(event.JobObserved(attempt=attempt, observation=running))
        code = await process.wait()
        # Whatever outlived the runtime in its group must not outlive the job.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        ended = model.Observation(
            phase=model.JobPhase.SUCCEEDED if code == 0 else model.JobPhase.FAILED,
            started_at=started_at,
            ended_at=self._clock.now(),
            exit_code=code if code >= 0 else 128 - code,
        )
        await asyncio.to_thread(tree.remove, str(self._pod(attempt)))
        self._emit(event.JobObserved(attempt=attempt, observation=ended))

    async def remove(self, attempt: model.AttemptKey) -> None:
        """See the port."""
        process = self._processes.get(attempt)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        watcher = self._watchers[attempt]
        done, _ = await asyncio.wait([watcher], timeout=GRACE_SECONDS)
        if not done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.wait([watcher])

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        """See the port; an ended process leaves nothing that could be kept."""
        async with asyncio.TaskGroup() as tasks:
            for attempt in list(self._processes):
                tasks.create_task(self.remove(attempt))

    async def close(self) -> None:
        """See the port; processes of this machine end with their manager."""
        await self.clean_up()
        await asyncio.to_thread(tree.remove, str(self._pods))
