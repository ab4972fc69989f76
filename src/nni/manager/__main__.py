"""``python -m nni.manager``: reads what to run from standard input, answers on standard output, a JSON line each."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import model
from nni.manager import app
from nni.manager import request as requests


def main() -> int:
    """Run one experiment and return the process's exit code."""
    asked = json.loads(sys.stdin.buffer.readline())
    request = requests.Request(
        config=asked["config"],
        experiment_id=model.ExperimentId(asked["experiment_id"]),
        directory=Path(asked["directory"]),
        port=asked["port"],
        url_prefix=(asked["url_prefix"] or "").strip("/"),
        is_attached=asked["is_attached"],
        is_supervised=asked.get("is_supervised", False),
        is_resumed=asked.get("is_resumed", False),
    )
    try:
        asyncio.run(app.run(request, os.environ, say=_say, ready=_ready))
    except errors.ConfigError as error:
        _answer({"kind": "problems", "problems": [list(problem) for problem in error.problems]})
    except errors.NniError as error:
        _answer({"kind": "failed", "message": str(error)})
    else:
        return 0
    return 1


def _say(message: str) -> None:
    _answer({"kind": "progress", "message": message})


def _ready(url: str, token: str) -> None:
    _answer({"kind": "ready", "url": url, "token": token, "link": f"{url}/oview?token={token}"})
    # Nobody reads on: what is printed from here on must neither block nor end the manager.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.close(silent)


def _answer(answer: Mapping[str, Any]) -> None:
    # They may have gone: a detached experiment goes on, an attached one notices at its standard input.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(answer), flush=True)  # noqa: T201 the pipe to whoever started this


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # A call that hangs on a dead server has a thread, which would hold up the process for as long as it hangs.
    os._exit(code)
