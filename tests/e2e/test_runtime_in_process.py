"""A replica from start to end: the real script, the real runtime, real processes, an intake that listens."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nni.testing import pods
from nni.wire import report

PYTHONS = ["this", pytest.param("python3.8", marks=pytest.mark.requires("python3.8"))]


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """The interpreter of the image."""
    if request.param == "this":
        return os.path.realpath(sys.executable)
    found = pods.interpreter(request.param, os.environ)
    if found is None:
        pytest.skip(f"{request.param} is on the PATH but does not run")
    return found


@pytest.fixture
def this_python() -> str:
    return os.path.realpath(sys.executable)


TRAIN = """\
import nni, sys

parameters = nni.get_next_parameter()
for epoch in range(3):
    nni.report_intermediate_result({"default": epoch * parameters["lr"], "it's": float("nan")})
nni.report_final_result(float("inf"))
print("trained with", parameters["lr"])
print("nearly done", file=sys.stderr)
open("model.bin", "w").write("weights")
"""


def test_a_trial_from_start_to_end(tmp_path: Path, python: str) -> None:
    with pods.Intake() as intake:
        pod = pods.Pod(
            tmp_path,
            "python3 train.py",
            code={"train.py": TRAIN},
            parameters={"lr": 0.5},
            environment={"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token},
            python=python,
        )

        ended = pod.run()

    values = ['{"default": 0.0, "it\'s": NaN}', '{"default": 0.5, "it\'s": NaN}', '{"default": 1.0, "it\'s": NaN}']
    kinds = ["PERIODICAL", "PERIODICAL", "PERIODICAL", "FINAL"]
    assert ended == pods.Ended(0, b"trained with 0.5\n", b"nearly done\n")
    assert (pod.read("stdout"), pod.read("stderr")) == ("trained with 0.5\n", "nearly done\n")
    assert pod.read("output/model.bin") == "weights"
    assert not (pod.replica / "output" / "train.py").exists()
    journal = pod.metrics()
    assert [metric.value for metric in journal] == [*values, "Infinity"]
    assert [metric.type for metric in journal] == kinds
    assert [metric.number for metric in journal] == [1, 2, 3, 4]
    assert [metric.sequence for metric in journal] == [0, 1, 2, 0]
    assert {(metric.trial, metric.parameter_id) for metric in journal} == {("k2f9z", 3)}
    assert tuple(intake.metrics[pod.path]) == journal
    assert pod.exit() == intake.exits[pod.path]
    assert pod.exit()._replace(time=0) == report.ReplicaExit(0, 4, ("nearly done",), False, 0)
    # The first sign of life comes before any metric.
    assert intake.requests[0].batch == ((), None)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ('echo it"\'"s', "it's\n"),
        ("printf '%s|' a 'b c' \"d e\"", "a|b c|d e|"),
        ("echo one two | tr a-z A-Z | cat", "ONE TWO\n"),
        ("X=5; echo $X ${X}0 \\$X `echo sub` $(echo dollar)", "5 50 $X sub dollar\n"),
        ("echo first\necho 'second\nthird'", "first\nsecond\nthird\n"),
        ("echo a && false || echo b; echo c & wait", "a\nb\nc\n"),
        ("echo héllo 你好 '!' # comment", "héllo 你好 !\n"),
        ("--help", ""),
        ("cat <<END\n$HOME_NOT_SET{}\nEND", "{}\n"),
        ("printf '%s ' \\\\ '\\n' *", "\\ \\n a.txt "),
    ],
)
def test_commands_run_as_written(tmp_path: Path, this_python: str, command: str, printed: str) -> None:
    pod = pods.Pod(tmp_path, command, code={"a.txt": ""}, python=this_python)

    ended = pod.run()

    assert ended.stdout.decode() == printed
    assert pod.read("stdout") == printed


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", 139), ("kill -9 $$", 137), ("no-such-program", 127)],
)
def test_the_exit_code_is_the_commands(tmp_path: Path, this_python: str, command: str, code: int) -> None:
    pod = pods.Pod(tmp_path, command, python=this_python)

    ended = pod.run()

    assert ended.code == code
    assert pod.exit().code == code


SHOW = """\
import json, os, sys
import nni
wanted = ["NNI_", "PYTHONPATH", "HOME", "XDG", "CUDA", "MINE"]
print(json.dumps({name: value for name, value in os.environ.items() if any(part in name for part in wanted)}))
print(json.dumps([nni.__file__, os.getcwd(), nni.get_experiment_id(), nni.get_trial_id(), nni.get_sequence_id()]))
print(nni.get_checkpoint_dir(), nni.get_next_parameter(), nni.get_next_parameter(), nni.get_current_parameter("a"))
"""


def test_what_the_command_finds_around_it(tmp_path: Path, python: str) -> None:
    given = {"MINE": "kept", "CUDA_VISIBLE_DEVICES": "1,3", "NNI_TRIAL_TOKEN": "sesame", "PYTHONPATH": "/somewhere"}
    pod = pods.Pod(
        tmp_path, "python3 show.py", code={"show.py": SHOW}, parameters={"a": 1}, environment=given, python=python
    )

    first, second, third = pod.run().stdout.decode().splitlines()

    found = json.loads(first)
    assert found["MINE"] == "kept"
    assert found["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert found["PYTHONPATH"] == f"{pod.own}/runtime:/somewhere"
    assert found["NNI_SYS_DIR"] == f"{pod.own}/trial"
    assert found["NNI_CODE_DIR"] == f"{pod.own}/work"
    assert found["NNI_OUTPUT_DIR"] == f"{pod.replica}/output"
    assert found["NNI_METRIC_SOCKET"]
    assert (found["NNI_ROLE"], found["NNI_REPLICA_INDEX"], found["NNI_TRIAL_ATTEMPT"]) == ("master", "0", "1")
    assert "sesame" not in first
    assert json.loads(second) == [f"{pod.own}/runtime/nni/__init__.py", f"{pod.own}/work", "exp1", "k2f9z", 7]
    assert third == f"{pod.volume}/nni/exp1/k2f9z/checkpoint {{'a': 1}} {{'a': 1}} 1"


def test_homes_move_where_they_cannot_be_written(tmp_path: Path, this_python: str) -> None:
    command = "echo $HOME $XDG_CACHE_HOME; touch $HOME/x $XDG_CACHE_HOME/y"
    pod = pods.Pod(tmp_path, command, environment={"HOME": "/proc"}, python=this_python)

    ended = pod.run()

    assert ended == pods.Ended(0, f"{pod.own}/home {pod.own}/cache\n".encode(), b"")


def test_the_token_is_not_to_be_found(tmp_path: Path, python: str) -> None:
    command = "env; for i in /proc/[0-9]*; do tr '\\0' '\\n' <$i/environ 2>/dev/null | grep -s NNI_TRIAL_TOKEN; done"
    pod = pods.Pod(tmp_path, command, environment={"NNI_TRIAL_TOKEN": "open-sesame"}, python=python)

    ended = pod.run()

    written = b"".join(path.read_bytes() for path in pod.volume.rglob("*") if path.is_file())
    assert b"open-sesame" not in ended.stdout + ended.stderr + written


def test_output_of_any_bytes_arrives_as_it_is(tmp_path: Path, this_python: str) -> None:
    content = bytes(range(256)) * 16384
    pod = pods.Pod(tmp_path, "cat blob; cat blob >&2", code={"blob": content}, python=this_python)

    ended = pod.run()

    assert (ended.stdout, ended.stderr) == (content, content)
    assert (pod.replica / "stdout").read_bytes() == content


def test_output_arrives_while_the_command_runs(tmp_path: Path, this_python: str) -> None:
    pod = pods.Pod(tmp_path, "printf begun; read line <$NNI_POD_DIR/gate", python=this_python)
    pod.own.mkdir()
    os.mkfifo(pod.own / "gate")

    with pod.start() as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 100)
        pods.wait_until(lambda: pod.read("stdout") == "begun")
        (pod.own / "gate").write_text("go on\n")
        process.communicate(timeout=30)

    assert first == b"begun"


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path, this_python: str) -> None:
    # 256 MiB without a line feed, and how large the runtime became by it.
    command = "head -c 268435456 /dev/zero; grep VmHWM /proc/$PPID/status >&2"
    pod = pods.Pod(tmp_path, command, python=this_python)

    with pod.start(stdout=subprocess.DEVNULL) as process:
        _, stderr = process.communicate(timeout=60)

    peak_kib = int(stderr.split()[1])
    assert (pod.replica / "stdout").stat().st_size == 268435456
    assert peak_kib < 64 * 1024


def test_last_lines_are_those_of_stdout_where_stderr_is_empty(tmp_path: Path, this_python: str) -> None:
    pod = pods.Pod(tmp_path, "seq 1 100; printf '10%%\\r50%%\\r100%%\\n'; exit 1", python=this_python)

    pod.run()

    assert pod.exit().lines == (*map(str, range(82, 101)), "100%")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("nni/exp1/code/b0.tar.gz", "the code directory cannot be unpacked"),
        ("nni/exp1/k2f9z/1/parameter.cfg", "the parameter file cannot be read"),
    ],
)
def test_a_missing_file_is_one_sentence(tmp_path: Path, this_python: str, missing: str, sentence: str) -> None:
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        pod = pods.Pod(tmp_path, "true", environment=given, python=this_python)
        (pod.volume / missing).unlink()

        ended = pod.run()

    assert ended.code == 126
    assert ended.stderr.decode().startswith(f"nni: this trial cannot start: {sentence} from {pod.volume / missing}: ")
    assert ended.stderr.count(b"\n") == 1
    assert intake.exits[pod.path].code == 126
    assert intake.exits[pod.path].lines[0].startswith(sentence)


@pytest.mark.parametrize(
    ("environment", "code", "sentence"),
    [
        ({"NNI_VOLUME": None}, 126, "NNI_VOLUME does not say where"),
        ({"PATH": "/nowhere"}, 127, "the image has no python3 on its PATH"),
        ({"NNI_INTAKE_URL": "10.0.0.1:80"}, 126, "NNI_INTAKE_URL is '10.0.0.1:80', not http://host:port"),
        ({"NNI_REPLICA_INDEX": "first"}, 126, "NNI_REPLICA_INDEX is 'first', not a number"),
    ],
)
def test_a_broken_container_is_one_sentence(
    tmp_path: Path, this_python: str, environment: dict[str, str | None], code: int, sentence: str
) -> None:
    pod = pods.Pod(tmp_path, "true", environment=environment, python=this_python)

    ended = pod.run()

    assert ended.code == code
    assert ended.stderr.decode().startswith("nni: this trial cannot start: " + sentence)
    assert ended.stderr.count(b"\n") == 1


def test_an_old_python_is_one_sentence(tmp_path: Path) -> None:
    old = pods.interpreter("python3.6", os.environ) or pods.interpreter("python3.7", os.environ)
    if old is None:
        pytest.skip("no python3.6 or python3.7 on the PATH")
    pod = pods.Pod(tmp_path, "true", python=old)

    ended = pod.run()

    assert ended.code == 126
    assert ended.stderr.decode().endswith("; use an image with Python 3.8 or newer.\n")


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        ("PYTHONPATH=lib python3 a.py", {}, "write PYTHONPATH=lib:$PYTHONPATH"),
        ("python3 -u -I a.py", {}, "the command starts Python with -I"),
        ("python3 a.py", {"nni.py": ""}, "the code directory holds nni.py"),
        ("python3 a.py", {"nni/__init__.py": ""}, "the code directory holds nni,"),
    ],
)
def test_what_hides_our_nni_is_warned_about(
    tmp_path: Path, this_python: str, command: str, code: dict[str, str], sentence: str
) -> None:
    pod = pods.Pod(tmp_path, command, code={"a.py": "", **code}, python=this_python)

    ended = pod.run()

    assert ended.code == 0
    assert sentence in ended.stderr.decode()
    assert sentence in pod.read("trial.log")


def test_without_a_directory_of_its_own_the_pod_leaves_nothing_behind(tmp_path: Path, this_python: str) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    given = {"NNI_POD_DIR": None, "TMPDIR": str(temporary)}
    pod = pods.Pod(tmp_path, "pwd", environment=given, python=this_python)

    ended = pod.run()

    assert ended.stdout.decode().startswith(str(temporary))
    assert list(temporary.iterdir()) == []


def test_a_restart_in_place_goes_on_where_the_journal_stands(tmp_path: Path, this_python: str) -> None:
    code = {"train.py": "import nni; nni.report_intermediate_result(1); nni.report_intermediate_result(2)"}
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        pod = pods.Pod(tmp_path, "python3 train.py; touch left-over", code=code, environment=given, python=this_python)
        pod.run()
        with (pod.replica / "metrics.jsonl").open("ab") as journal:
            journal.write(b'{"n": 3, "ti')

        ended = pod.run()

    assert ended.code == 0
    assert [(metric.number, metric.sequence) for metric in pod.metrics()] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert tuple(intake.metrics[pod.path]) == pod.metrics()
    assert time.time() - pod.exit().time < 60
