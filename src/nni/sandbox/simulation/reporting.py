"""What a simulated trial reports: to the intake that its environment names, as the runtime in a real pod would.

The one module of the sandbox that knows the product: without ``NNI_INTAKE_URL`` a pod reports nothing.
"""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Mapping

import aiohttp

from nni import errors
from nni.wire import intake, report

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 15.0
_CLOSING_SECONDS, _CLOSING_DELAY = 10.0, 0.5
_FINAL_ANSWERS = (401, 404, 413)


class Reporter:
    """The journal and the push of one pod."""

    def __init__(self, session: aiohttp.ClientSession, environment: Mapping[str, str]) -> None:
        """Take the container's environment, which says where to report and as whom."""
        self._session = session
        self._trial = environment.get("NNI_TRIAL_JOB_ID", "")
        self._token = environment.get("NNI_TRIAL_TOKEN", "")
        self._fingerprint = environment.get("NNI_INTAKE_CERT_SHA256", "").replace(":", "")
        path = intake.path(
            environment.get("NNI_EXP_ID", ""),
            self._trial,
            int(environment.get("NNI_TRIAL_ATTEMPT") or 1),
            environment.get("NNI_ROLE", "master"),
            int(environment.get("NNI_REPLICA_INDEX") or 0),
        )
        base = environment.get("NNI_INTAKE_URL", "").rstrip("/")
        self._url = base + path if base else ""
        self._numbered = 0
        self._sequence = 0
        self._waiting: list[tuple[int, bytes]] = []
        self._exit: bytes | None = None
        self._has_vanished = False
        self._changed = asyncio.Event()

    def metric(self, value: float, *, is_final: bool = False) -> None:
        """Report a result."""
        kind = report.FINAL if is_final else report.PERIODICAL
        sequence = 0 if is_final else self._sequence
        self._sequence += not is_final
        self._numbered += 1
        moment = time.time()  # noqa: TID251 - the pod's clock
        made = report.Metric(self._numbered, moment, None, self._trial, kind, sequence, json.dumps(value))
        self._waiting.append((self._numbered, made.encode()))
        self._changed.set()

    def end(self, code: int, *, is_stopped: bool) -> None:
        """Report how it ended."""
        moment = time.time()  # noqa: TID251
        lines = (f"simulated: ended with code {code}",) if code else ()
        self._exit = report.ReplicaExit(code, self._numbered, lines, is_stopped, moment).encode()
        self._changed.set()

    def vanish(self) -> None:
        """End without another word, as a process that is killed."""
        self._has_vanished = True
        self._changed.set()

    async def run(self) -> None:
        """Send until the end is acknowledged, or has not come through for some seconds."""
        if not self._url:
            return
        delay, loop = 0.0, asyncio.get_running_loop()
        ends_at = 0.0
        while not self._has_vanished and (not ends_at or loop.time() < ends_at):
            if self._exit and not ends_at:
                ends_at = loop.time() + _CLOSING_SECONDS
            batch, ending = list(self._waiting), self._exit
            answer = await self._send(intake.encode([line for _, line in batch], ending))
            if answer in _FINAL_ANSWERS or (answer == 200 and ending and not self._waiting):
                return
            delay = 0.0 if answer == 200 else min(max(_FIRST_DELAY, 2 * delay), _LONGEST_DELAY)
            await self._pause(delay, is_closing=bool(ends_at))

    async def _pause(self, delay: float, *, is_closing: bool) -> None:
        """Wait until there is something to send, or the delay is over."""
        if is_closing:
            await asyncio.sleep(min(delay, _CLOSING_DELAY))
            return
        if not delay and (self._waiting or self._exit):
            return
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay or intake.HEARTBEAT_SECONDS):
                await self._until_due(is_failing=bool(delay))

    async def _until_due(self, *, is_failing: bool) -> None:
        """Wait for news; while nothing gets through, for the end alone."""
        await self._changed.wait()
        while is_failing and not self._exit and not self._has_vanished:
            self._changed.clear()
            await self._changed.wait()

    async def _send(self, body: bytes) -> int:
        """Post a body; return the answer's status, 0 for none."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        trust: bool | aiohttp.Fingerprint = True
        if self._fingerprint:
            trust = aiohttp.Fingerprint(bytes.fromhex(self._fingerprint))
        try:
            async with self._session.post(self._url, data=body, headers=headers, ssl=trust) as answer:
                if answer.status == 200:
                    acknowledged = intake.decode_answer(await answer.read())
                    self._waiting = [entry for entry in self._waiting if entry[0] > acknowledged]
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError, errors.WireError):
            return 0
