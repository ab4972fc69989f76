"""A trial's process ends with whoever started it."""

import os
import signal
import subprocess
import sys

import pytest

WAITS = """\
import os, signal
from nni.runtime import lifeline
lifeline.watch(os.environ)
print("ready", flush=True)
signal.pause()
"""


def start(stdin: int, **environment: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=stdin, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_it_is_told_to_stop_when_the_pipe_ends() -> None:
    with start(subprocess.PIPE, NNI_LIFELINE="1") as process:
        assert process.stdin is not None
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=10) == -signal.SIGTERM


@pytest.mark.parametrize(("stdin", "variable"), [(subprocess.DEVNULL, "1"), (subprocess.PIPE, "")])
def test_without_such_a_pipe_it_goes_on(stdin: int, variable: str) -> None:
    with start(stdin, NNI_LIFELINE=variable) as process:
        if process.stdin is not None:
            process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.kill()
