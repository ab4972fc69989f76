"""The tuner process and the assessor's from outside: their ports over the pipes of a process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nni import errors
from nni.core import model, spec
from nni.tuners import messages

_Result = TypeVar("_Result")

CLOSE_SECONDS = 5.0
"""How long the process may take to end by itself."""
_LINE_LIMIT = 1 << 28
_TAIL_BYTES = 8192
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""How many threads linear algebra takes. One is the fastest for matrices as small as a tuner's, many wait for each
other on a busy machine, and suggestions of the same seed would depend on the number of processors."""


def environment() -> Mapping[str, str]:
    """Return what our own algorithms run in: this process's environment, with the user's word on threads first."""
    return {**dict.fromkeys(_THREADS, "1"), **os.environ}  # noqa: TID251 what a process that is started gets anyway


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class _Process:
    """Starts ``python -m nni.tuners`` and speaks with it, one call at a time."""

    def __init__(self, what: str, chosen: spec.AlgorithmSpec, first_call: Mapping[str, Any], log: Path) -> None:
        self._what, self._name = what, chosen.name or chosen.class_name or ""
        self._is_ours = chosen.class_name is None
        self._first_call = first_call
        self._log = log
        self._log_start = 0
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._calls = 0
        self._failure = f"The {what} was not started."

    @property
    def pid(self) -> int | None:
        """The id of the process while there is one."""
        return None if self._process is None else self._process.pid

    async def open(self) -> None:
        """See the port."""
        try:
            stderr = await asyncio.to_thread(self._open_log)
        except OSError as error:
            raise errors.TunerError(f"The {self._what}'s log cannot be written: {error}.") from error
        try:
            # -P: the current directory is the user's, whose files are not to be taken for modules.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "nni.tuners",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=environment() if self._is_ours else None,
                start_new_session=True,
                limit=_LINE_LIMIT,
            )
        except OSError as error:
            raise errors.TunerError(f"The {self._what} process cannot be started: {error}.") from error
        finally:
            os.close(stderr)
        self._failure = ""
        try:
            await self._call(self._first_call, messages.nothing)
        except BaseException:
            await self.close()
            raise

    async def ended(self) -> str:
        """Return how the process ended, as one sentence, as soon as it has; it is open."""
        assert self._process is not None  # noqa: S101
        said = await self._last_words(self._process)
        return self._failure or said

    async def close(self) -> None:
        """See the port. A tuner that does not end by itself is killed."""
        process, self._process = self._process, None
        self._failure = self._failure or f"The {self._what} was closed."
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 a pipe was asked for
        process.stdin.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await process.wait()
        except TimeoutError:
            _kill(process)
            await process.wait()

    async def _call(self, content: Mapping[str, Any], read: Callable[[Any], _Result]) -> _Result:
        """Make a call, and return its result as something reads it that raises WireError at what is none."""
        async with self._turn:
            if self._failure or self._process is None:
                raise errors.TunerError(self._failure)
            self._calls += 1
            try:
                answer = await self._answer(self._process, messages.encode({"call": self._calls, **content}))
                if answer is None:
                    self._failure = await self._last_words(self._process)
                elif "error" in answer:
                    said = messages.sentence(answer["error"])
                    self._failure = f"The {self._what} {self._name} failed: {said} (see {self._log})"
                else:
                    return read(answer.get("result"))
            except errors.WireError as error:
                self._failure = f"The {self._what} {self._name} answered {messages.sentence(error)} (see {self._log})"
                # Whatever it is now, it is not to be asked again.
                _kill(self._process)
            raise errors.TunerError(self._failure)

    async def _answer(self, process: asyncio.subprocess.Process, line: bytes) -> Mapping[str, Any] | None:
        """Return the answer to the latest call, None when the process has ended.

        Raises:
            WireError: It says something that is no answer.
        """
        assert process.stdin is not None  # noqa: S101 pipes were asked for
        assert process.stdout is not None  # noqa: S101
        # A process that has ended is noticed by the end of its output.
        with contextlib.suppress(ConnectionError):
            process.stdin.write(line)
            await process.stdin.drain()
        while written := await self._line(process.stdout):
            answer = messages.decode(written)
            if answer["call"] == self._calls:
                return answer
        return None

    async def _line(self, answers: asyncio.StreamReader) -> bytes:
        try:
            return await answers.readline()
        except ValueError as error:
            raise errors.WireError(f"more than {_LINE_LIMIT} bytes") from error

    async def _last_words(self, process: asyncio.subprocess.Process) -> str:
        code = await process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        line = await asyncio.to_thread(self._last_line)
        said = f": {line}" if line else ""
        return f"The {self._what} {self._name} ended by itself ({how}){said} (see {self._log})"

    def _open_log(self) -> int:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._log_start = os.fstat(descriptor).st_size
        return descriptor

    def _last_line(self) -> str:
        """Return the last line that this process wrote to the log."""
        with self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class TunerProcess(_Process):
    """See ``ports.TunerPort``."""

    def __init__(
        self,
        *,
        tuner: spec.AlgorithmSpec,
        search_space: Mapping[str, Any],
        log: Path,
        first: Sequence[model.Parameters] = (),
        running: Mapping[int, model.Parameters] | None = None,
    ) -> None:
        """Say which tuner; nothing is started before ``open``.

        Args:
            tuner: The choice and its arguments.
            search_space: As the user wrote it.
            log: What the tuner prints is added to this file; its directory is made.
            first: Parameters to try before the tuner is asked.
            running: The trials that run from before a restart, by parameter id.
        """
        super().__init__("tuner", tuner, messages.open_call(tuner, search_space, first, running), log)

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        """See the port."""
        return await self._call(messages.ask_call(parameter_ids, new), messages.suggestions)

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        """See the port."""
        await self._call(messages.tell_call(outcomes), messages.nothing)

    async def update(self, search_space: Mapping[str, Any]) -> None:
        """See the port."""
        await self._call(messages.update_call(search_space), messages.nothing)


class AssessorProcess(_Process):
    """See ``ports.AssessorPort``."""

    def __init__(self, *, assessor: spec.AlgorithmSpec, maximize: bool, log: Path, objective: str = "default") -> None:
        """Say which assessor; nothing is started before ``open``.

        Args:
            assessor: The choice and its arguments.
            maximize: Whether the tuner looks for larger values.
            log: What the assessor prints is added to this file; its directory is made.
            objective: What trials are compared by, where their metric is a dictionary.
        """
        first_call = messages.open_assessor_call(assessor, maximize=maximize, objective=objective)
        super().__init__("assessor", assessor, first_call, log)

    async def assess(self, trial: model.TrialId, start: int, values: Sequence[str]) -> bool:
        """See the port."""
        return await self._call(messages.assess_call(trial, start, values), messages.verdict)

    async def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See the port."""
        await self._call(messages.end_call(trial, succeeded=succeeded), messages.nothing)
