"""Asks how much each parameter matters, in a process of its own, and keeps the answer while it is good enough."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping

from nni.core import state as states
from nni.server import views
from nni.tuners import process

_log = logging.getLogger(__name__)

GROWTH = 0.05
"""An answer is good enough until there are so many more results, as a share."""
SECONDS = 120.0


class Importance:
    """Computes once for all that ask at the same time."""

    def __init__(self, state: states.State) -> None:
        """Take the experiment; nothing is computed before somebody asks."""
        self._state = state
        self._turn = asyncio.Lock()
        self._results = 0
        self._shares: Mapping[str, float] = {}

    async def ask(self) -> views.Json:
        """Return the share of each parameter, and from how many results it was computed."""
        async with self._turn:
            known = [
                [dict(result.parameters), result.value]
                for its in self._state.trials.values()
                if (result := its.result) is not None and result.value is not None
            ]
            if len(known) > self._results * (1 + GROWTH):
                asked = {
                    "search_space": dict(self._state.spec.search_space),
                    "maximize": self._state.spec.maximize,
                    "results": known,
                }
                self._shares, self._results = await _compute(asked), len(known)
            return {"importance": dict(self._shares), "trials": self._results}


async def _compute(asked: views.Json) -> Mapping[str, float]:
    """Return what the process answers, nothing when it fails; the log says why."""
    # -P: the current directory is the user's, whose files are not to be taken for modules.
    computing = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "nni.tuners.importance",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=process.environment(),
    )
    text = await asyncio.to_thread(json.dumps, asked)
    try:
        async with asyncio.timeout(SECONDS):
            answer, said = await computing.communicate(text.encode())
    except TimeoutError:
        _log.warning("the importance of parameters was given up after %d s", SECONDS)
        return {}
    finally:
        if computing.returncode is None:
            computing.kill()
            await computing.wait()
    if computing.returncode:
        _log.warning("the importance of parameters could not be computed: %s", said.decode(errors="replace")[-2000:])
        return {}
    found: Mapping[str, float] = json.loads(answer)
    return found
