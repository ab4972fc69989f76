"""What becomes of processes: signals, orphans, leftovers, and a runtime that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nni.testing import pods

PYTHON = os.path.realpath(sys.executable)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_lines(pod: pods.Pod, count: int) -> list[str]:
    pods.wait_until(lambda: pod.read("stdout").count("\n") >= count)
    return pod.read("stdout").splitlines()


TRAP = """\
trap 'echo shell got it; exit 5' TERM
(trap 'echo child got it; exit 0' TERM; echo ready; while :; do sleep 0.05; done) &
echo ready; while :; do sleep 0.05; done
"""


def test_sigterm_reaches_the_whole_process_group(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        pod = pods.Pod(tmp_path, TRAP, environment=given, python=PYTHON)

        with pod.start() as process:
            wait_for_lines(pod, 2)
            process.send_signal(signal.SIGTERM)
            stdout, _ = process.communicate(timeout=30)

    assert process.returncode == 5
    assert sorted(stdout.decode().splitlines()) == ["child got it", "ready", "ready", "shell got it"]
    assert pod.exit().stopped
    assert intake.exits[pod.path].stopped
    assert "SIGTERM is passed on to the command" in pod.read("trial.log")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)])
def test_other_signals_reach_it_too(tmp_path: Path, number: signal.Signals, code: int) -> None:
    pod = pods.Pod(tmp_path, "echo ready; exec sleep 60", python=PYTHON)

    with pod.start() as process:
        wait_for_lines(pod, 1)
        process.send_signal(number)
        process.communicate(timeout=30)

    assert process.returncode == code
    assert pod.exit().stopped is (number != signal.SIGUSR1)


def test_a_command_that_does_not_end_is_killed_before_the_grace_is_over(tmp_path: Path) -> None:
    command = "trap '' TERM; echo $$; sleep 60 & echo $!; while :; do wait; done"
    pod = pods.Pod(tmp_path, command, environment={"NNI_GRACE_SECONDS": "2"}, python=PYTHON)

    with pod.start() as process:
        pids = [int(line) for line in wait_for_lines(pod, 2)]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 137
    assert 0.9 < time.monotonic() - began < 2.0
    assert not any(is_alive(pid) for pid in pids)
    assert pod.exit().stopped
    assert "did not end in time and is killed" in pod.read("trial.log")


def test_a_signal_before_the_command_starts_keeps_it_from_starting(tmp_path: Path) -> None:
    # Reading the bundle from this fifo is where the runtime waits until the signal is there.
    pod = pods.Pod(tmp_path, "echo started", python=PYTHON)
    path = pod.volume / "nni/exp1/code/b0.tar.gz"
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)

    with pod.start() as process:
        with path.open("wb") as bundle:
            process.send_signal(signal.SIGTERM)
            bundle.write(content)
        stdout, _ = process.communicate(timeout=30)

    assert (process.returncode, stdout) == (143, b"")
    assert pod.exit().stopped


def test_what_the_command_leaves_running_is_ended(tmp_path: Path) -> None:
    command = "sleep 60 & echo $!; (trap '' TERM; exec sleep 61) & echo $!; exit 4"
    pod = pods.Pod(tmp_path, command, python=PYTHON)

    ended = pod.run()

    assert ended.code == 4
    assert not any(is_alive(int(pid)) for pid in ended.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to the runtime")
def test_what_left_the_commands_session_is_ended_too(tmp_path: Path) -> None:
    command = "setsid sh -c 'echo $$ >pid; exec sleep 60' & until [ -s pid ]; do :; done; cat pid; echo done"
    pod = pods.Pod(tmp_path, command, python=PYTHON)

    ended = pod.run()

    lines = ended.stdout.decode().split()
    assert lines[1] == "done"
    assert not is_alive(int(lines[0]))


def test_a_killed_runtime_does_not_leave_the_command_running(tmp_path: Path) -> None:
    command = "trap '' TERM; echo $$; sleep 60 & echo $!; wait"
    pod = pods.Pod(tmp_path, command, python=PYTHON)

    with pod.start() as process:
        pids = [int(line) for line in wait_for_lines(pod, 2)]
        process.kill()
        process.wait(timeout=30)
        pods.wait_until(lambda: not any(is_alive(pid) for pid in pids))

    assert process.returncode == -signal.SIGKILL


def can_unshare() -> bool:
    probe = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


ORPHANS = """\
for i in 1 2 3; do (sh -c 'exit 0' & exec true); done
# Each inner shell is an orphan by now; only a first process that reaps leaves no zombie of it.
until [ "$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ')" = 0 ]; do sleep 0.05; done
echo $PPID none left
trap 'echo stopped; exit 6' TERM
while :; do sleep 0.05; done
"""


def test_as_a_pods_first_process_it_reaps_orphans_and_takes_signals(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("no namespaces here (unshare --pid --fork --mount-proc)")
    pod = pods.Pod(tmp_path, ORPHANS, python=PYTHON)

    # unshare passes no signal on: the first process is its child, found by its parent.
    with pod.start("unshare", "--pid", "--fork", "--mount-proc") as process:
        wait_for_lines(pod, 1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        stdout, _ = process.communicate(timeout=30)

    assert stdout == b"1 none left\nstopped\n"
    assert process.returncode == 6


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    pod = pods.Pod(tmp_path, "ps -o pid= --ppid $PPID", python=PYTHON)

    ended = pod.run()

    # The command itself and whoever watched over it.
    pids = [int(pid) for pid in ended.stdout.split()]
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)
