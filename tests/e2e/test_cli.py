"""``nnictl`` as its users run it: a process for each command, in a home of its own."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nni._version import __version__
from nni.experiment import client

NNICTL = str(Path(sys.executable).with_name("nnictl"))

EXPERIMENT = """\
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
tuner: {name: Random}
trialConcurrency: 1
trialCommand: python3 trial.py
trainingService: {platform: local}
"""

# The first trial fails; the others report a metric and wait to be stopped.
TRIAL = """\
import signal
import sys
import nni
nni.get_next_parameter()
if nni.get_sequence_id() == 0:
    sys.exit("it's broken")
nni.report_intermediate_result(0.123456789)
signal.pause()
"""

START = """\
import json
import sys
from nni.experiment import Experiment, ExperimentConfig, RunMode

config = ExperimentConfig.load("experiment.yml")
config.experiment_name = "it's\\tmine"
experiment = Experiment(config, id=sys.argv[1])
experiment.url_prefix = sys.argv[3] or None
experiment.start(int(sys.argv[2]), run_mode=RunMode.Detach)
print(json.dumps({"url": experiment._running.url, "token": experiment._running.token}))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def runner(home: Path) -> Run:
    """Return what runs a command with this home, in the directory beside it."""

    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "KUBECONFIG")}
        return subprocess.run(
            words,
            cwd=home.parent,
            env={**environment, "HOME": str(home)},
            text=True,
            timeout=90,
            check=False,
            **{"capture_output": True, **options},
        )

    return run


def make_place(place: Path) -> Run:
    (place / "home").mkdir()
    (place / "trial.py").write_text(TRIAL)
    (place / "experiment.yml").write_text(EXPERIMENT)
    (place / "start.py").write_text(START)
    return runner(place / "home")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs commands on a machine that has seen no experiment yet."""
    return make_place(tmp_path)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, new_port: Callable[[], int]) -> Iterator[Run]:
    """Runs commands on a machine where two experiments run, twin-a and twin-b, and two have ended."""
    place = tmp_path_factory.mktemp("busy")
    run = make_place(place)
    try:
        for name, prefix in (("twin-done", ""), ("gone", ""), ("twin-a", ""), ("twin-b", "its/prefix")):
            ended = run(sys.executable, "start.py", name, str(new_port()), prefix)
            assert ended.returncode == 0, ended.stderr
            manager = client.Client(**json.loads(ended.stdout))
            assert any(change["counts"]["FAILED"] and _has_metric(change) for change in _events(manager))
            if name in ("twin-done", "gone"):
                assert run(NNICTL, "stop", name).returncode == 0
        yield run
    finally:
        ended = run(NNICTL, "stop", "--all")
    assert ended.returncode == 0, ended.stderr


def _events(manager: client.Client) -> Iterator[dict[str, Any]]:
    with contextlib.closing(manager.events()) as events:  # type: ignore[type-var]
        yield from map(dict, events)


def _has_metric(change: dict[str, Any]) -> bool:
    return any(trial.get("lastValue") for trial in change["trials"])


def known(run: Run) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in json.loads(run(NNICTL, "experiment", "list", "--all", "--json").stdout)}


def test_the_version(run: Run) -> None:
    for words in (["--version"], ["-v"]):
        ended = run(NNICTL, *words)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")


def test_python_m_nni_is_nnictl(run: Run) -> None:
    assert run(sys.executable, "-m", "nni", "--version").stdout == f"{__version__}\n"


HELP: list[tuple[str, list[str]]] = [
    ("", ["create", "stop", "experiment", "trial", "webui", "sandbox", "--version"]),
    ("create", ["--config", "--port", "--url_prefix", "--debug", "--foreground"]),
    ("stop", ["--all", "--port"]),
    ("experiment", ["list", "status"]),
    ("experiment list", ["--all", "--json"]),
    ("trial ls", ["--head", "--tail", "--json"]),
    ("webui", ["url"]),
    ("sandbox", ["--nfs", "--nodes", "--cpus", "--memory", "--gpus"]),
]


@pytest.mark.parametrize(("verb", "names"), HELP, ids=[verb or "nnictl" for verb, _ in HELP])
def test_help_names_what_there_is(run: Run, verb: str, names: Sequence[str]) -> None:
    ended = run(NNICTL, *verb.split(), "--help")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [name for name in names if name not in ended.stdout] == []


def test_help_loads_nothing_that_only_other_verbs_need(run: Run) -> None:
    program = (
        "import sys\nfrom nni.cli import main\n"
        "try:\n    main.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'yaml', 'aiohttp', 'kubernetes', 'optuna', 'asyncio', 'sqlite3', 'nni.config', 'nni.sandbox', "
        "'nni.experiment'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )

    assert run(sys.executable, "-c", program).stderr == "[]\n"


# What is typed, the exit code, and what the last line on stderr says.
WRONG_WORDS = [
    ("", 2, "the following arguments are required: VERB"),
    ("crate", 2, "invalid choice: 'crate'"),
    ("--no-such-option", 2, "the following arguments are required: VERB"),
    ("create", 2, "the following arguments are required: -c/--config"),
    ("create --config experiment.yml --speed 5", 2, "unrecognized arguments: --speed 5"),
    ("create --config experiment.yml --port http", 2, "argument -p/--port: invalid int value: 'http'"),
    ("create --config experiment.yml --port 0", 1, "Port 0 cannot be used: choose one from 1 to 65534"),
    ("create --config experiment.yml --port 65535", 1, "Port 65535 cannot be used: choose one from 1 to 65534"),
    ("create --config experiment.yml --port -1", 1, "Port -1 cannot be used: choose one from 1 to 65534"),
    ("create --config experiment.yml --url_prefix a?b", 1, "error: url_prefix: 'a?b' cannot be a part of an address"),
    ("create --config nowhere.yml", 1, "error: nowhere.yml: cannot be read (No such file or directory)"),
    ("create --config .", 1, "error: .: cannot be read (Is a directory)"),
    ("create --config trial.py", 1, "error: trial.py: "),
    ("stop nosuch", 1, "error: No experiment nosuch is known on this machine."),
    ("stop ../../etc", 1, "error: No experiment ../../etc is known on this machine."),
    ("stop", 1, "error: No experiment runs on this machine"),
    ("stop --port 1", 1, "error: No experiment runs on port 1 of this machine."),
    ("stop --port x", 2, "argument -p/--port: invalid int value: 'x'"),
    ("experiment", 2, "the following arguments are required: VERB"),
    ("experiment lst", 2, "invalid choice: 'lst'"),
    ("experiment status", 1, "error: No experiment runs on this machine"),
    ("experiment status nosuch", 1, "error: No experiment nosuch is known on this machine."),
    ("trial", 2, "the following arguments are required: VERB"),
    ("trial ls", 1, "error: No experiment runs on this machine"),
    ("trial ls nosuch --json", 1, "error: No experiment nosuch is known on this machine."),
    ("trial ls --head 0", 2, "argument --head: '0' is not a whole number above 0"),
    ("trial ls --tail -1", 2, "argument --tail: '-1' is not a whole number above 0"),
    ("webui", 2, "the following arguments are required: VERB"),
    ("webui url", 1, "error: No experiment runs on this machine"),
    ("sandbox --port x", 2, "nnictl sandbox: --port x is not a whole number from 0 to 65535."),
    ("sandbox --nfs here", 2, "nnictl sandbox: --nfs here is not of the form SERVER:PATH or SERVER:PATH=DIR"),
    ("sandbox --memory much", 2, "nnictl sandbox: --memory"),
    ("sandbox --isolation none", 2, "argument --isolation: invalid choice: 'none'"),
]


@pytest.mark.parametrize(("typed", "code", "says"), WRONG_WORDS, ids=[words or "nothing" for words, *_ in WRONG_WORDS])
def test_wrong_words_get_one_sentence(run: Run, typed: str, code: int, says: str) -> None:
    ended = run(NNICTL, *typed.split())

    assert ended.returncode == code
    assert says in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_an_empty_id_means_no_experiment(run: Run) -> None:
    ended = run(NNICTL, "stop", "")

    assert ended.returncode == 1
    assert ended.stderr == "error: The experiment's id is empty; leave it out to mean the one that runs.\n"


def test_more_trials_at_once_than_this_machine_bears_are_warned_of(run: Run, tmp_path: Path, free_port: int) -> None:
    (tmp_path / "experiment.yml").write_text(EXPERIMENT.replace("trialConcurrency: 1", "trialConcurrency: 99999"))
    found = run(NNICTL, "doctor", "--config", "experiment.yml", "--port", str(free_port))
    assert (found.returncode, "standstill" in found.stdout) == (0, True), found.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["error: it.yml: does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'"]),
        (
            "- a\n",
            ["error: it.yml: does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'"],
        ),
        ("a: [\n", ["error: it.yml: cannot be understood in line 2, column 1: "]),
        ("a: &b [*b]\n", ["error: it.yml: has an alias (*name) inside of what it stands for (&name)"]),
        (
            "trainingServicePlatform: local\nmaxTrialNum: 3\n",
            [
                "error: it.yml: is written in version 1 of NNI's format",
                "error: trainingServicePlatform: is trainingService.platform now",
                "error: maxTrialNum: is maxTrialNumber now",
            ],
        ),
        (
            "searchSpace: {x: {_type: unifrom, _value: [0, 1]}}\n"
            "tuner: {name: TPEE}\n"
            "trialCodeDirectory: nowhere\n"
            "maxTrialNumbr: 3\n"
            "trainingService: {platform: local}\n",
            [
                "error: maxTrialNumbr: ExperimentConfig has no field 'maxTrialNumbr'; did you mean 'maxTrialNumber'?",
                "error: trialConcurrency: is not set; ",
                "error: searchSpace.x._type: ",
                "error: trialCommand: is not set; ",
                "error: trialCodeDirectory: 'nowhere' is not a directory of this machine",
                "error: tuner.name: there is no tuner 'TPEE'; did you mean 'TPE'?",
            ],
        ),
        (
            EXPERIMENT + "experimentWorkingDirectory: trial.py\n",
            ["Experiment ", "error: "],
        ),
    ],
)
def test_all_that_is_wrong_with_a_file_is_said_at_once(
    run: Run, tmp_path: Path, free_port: int, text: str, says: list[str]
) -> None:
    (tmp_path / "it.yml").write_text(text)

    ended = run(NNICTL, "create", "--config", "it.yml", "--port", str(free_port))

    lines = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert [line[: len(start)] for line, start in zip(lines, says, strict=True)] == says
    assert not (tmp_path / "home/nni-experiments").exists()


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_said_before_anything_happens(run: Run, tmp_path: Path, free_port: int, offset: int) -> None:
    with socket.create_server(("127.0.0.1", free_port + offset)):
        ended = run(NNICTL, "create", "--config", "experiment.yml", "--port", str(free_port))

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: Port {free_port + offset}, for ")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "home/nni-experiments").exists()


def test_a_machine_without_experiments(run: Run) -> None:
    none = "No experiment runs on this machine. Add --all for those that have ended.\n"
    assert run(NNICTL, "experiment", "list").stdout == none
    assert run(NNICTL, "experiment", "list", "--all").stdout == "No experiment is known on this machine.\n"
    assert run(NNICTL, "experiment", "list", "--json").stdout == "[]\n"
    assert run(NNICTL, "stop", "--all").stdout == "No experiment runs on this machine.\n"


def test_a_foreground_experiment_ends_with_its_command(run: Run, tmp_path: Path, free_port: int) -> None:
    (tmp_path / "trial.py").write_text("import nni\nnni.report_final_result(nni.get_next_parameter()['x'])\n")
    with (tmp_path / "experiment.yml").open("a") as file:
        file.write("maxTrialNumber: 2\n")

    ended = run(NNICTL, "create", "--config", "experiment.yml", "--port", str(free_port), "--foreground")

    assert ended.returncode == 0, ended.stderr
    assert "best trial" in ended.stdout
    (one,) = known(run).values()
    assert one["status"] in ("DONE", "STOPPED")
    assert run(NNICTL, "experiment", "list").stdout.startswith("No experiment runs")


def test_the_list_shows_those_that_run(busy: Run) -> None:
    lines = busy(NNICTL, "experiment", "list").stdout.splitlines()

    assert lines[0].split() == ["id", "name", "status", "platform", "port", "started"]
    assert [line.split()[0] for line in lines[1:]] == ["twin-a", "twin-b"]
    # A tab in a name stays in its column.
    assert all("it's mine" in line for line in lines[1:])


def test_the_whole_list_shows_those_that_have_ended_too(busy: Run) -> None:
    assert {name: one["status"] for name, one in known(busy).items()} == {
        "twin-done": "STOPPED",
        "gone": "STOPPED",
        "twin-a": "RUNNING",
        "twin-b": "RUNNING",
    }


def test_an_experiment_in_json(busy: Run) -> None:
    one = known(busy)["twin-a"]

    fields = {"id", "name", "status", "platform", "port", "pid", "startTime", "endTime", "directory", "left"}
    assert set(one) == fields
    assert (one["name"], one["platform"], one["endTime"]) == ("it's\tmine", "local", None)
    assert Path(one["directory"]).is_dir()


@pytest.mark.parametrize("words", ["twin-a", "twin-a --json"])
def test_the_status_of_one_that_runs(busy: Run, words: str) -> None:
    shown = busy(NNICTL, "experiment", "status", *words.split()).stdout

    if "--json" in words:
        status = json.loads(shown)
        assert (status["id"], status["status"], status["errors"]) == ("twin-a", "RUNNING", [])
        assert status["trials"] == {"RUNNING": 1, "FAILED": 1}
    else:
        assert shown.splitlines()[0] == "Experiment twin-a: RUNNING"
        assert shown.splitlines()[1] == "trials: 1 running, 1 failed"


def test_the_status_of_one_that_has_ended(busy: Run) -> None:
    assert busy(NNICTL, "experiment", "status", "gone").stdout == "Experiment gone: STOPPED\n"
    assert json.loads(busy(NNICTL, "experiment", "status", "gone", "--json").stdout)["status"] == "STOPPED"


@pytest.mark.parametrize(
    ("prefix", "code", "says"),
    [
        ("twin-a", 0, "Experiment twin-a: RUNNING"),
        ("g", 0, "Experiment gone: STOPPED"),
        ("twin-d", 0, "Experiment twin-done: STOPPED"),
        ("twin-", 1, "error: 'twin-' could be any of twin-a, twin-b, twin-done: write more of the id."),
        ("x", 1, "error: No experiment x is known on this machine; there are gone, twin-a, twin-b, twin-done."),
    ],
)
def test_ids_by_their_beginning(busy: Run, prefix: str, code: int, says: str) -> None:
    ended = busy(NNICTL, "experiment", "status", prefix)

    assert ended.returncode == code
    assert (ended.stdout or ended.stderr).splitlines()[0] == says


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stop", "error: Several experiments run on this machine; say which: twin-a, twin-b.\n"),
        ("webui url", "error: Several experiments run on this machine; say which: twin-a, twin-b.\n"),
        ("stop gone", "error: Experiment gone does not run any more (STOPPED); nnictl resume gone opens it again.\n"),
        (
            "trial ls gone",
            "error: Experiment gone does not run any more (STOPPED); nnictl resume gone opens it again.\n",
        ),
        (
            "webui url twin-done",
            "error: Experiment twin-done does not run any more (STOPPED); nnictl resume twin-done opens it again.\n",
        ),
    ],
)
def test_what_needs_one_that_runs_says_so(busy: Run, words: str, says: str) -> None:
    ended = busy(NNICTL, *words.split())

    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", says)


@pytest.mark.parametrize(("name", "prefix"), [("twin-a", ""), ("twin-b", "/its/prefix")])
def test_the_portals_link_opens_it(busy: Run, name: str, prefix: str) -> None:
    link = busy(NNICTL, "webui", "url", name).stdout.strip()

    start, _, token = link.partition("?token=")
    assert start == f"http://127.0.0.1:{known(busy)[name]['port']}{prefix}/oview"
    manager = client.Client(url=start.removesuffix("/oview"), token=token)
    assert manager.get("check-status")["status"] == "RUNNING"


def test_trials_in_a_pipe_are_whole(busy: Run) -> None:
    head, failed, running = busy(NNICTL, "trial", "ls", "twin-a").stdout.splitlines()

    assert head.split() == ["no", "trial", "status", "metric", "steps", "job", "why"]
    assert failed.split()[2] == "FAILED"
    assert "exit code 1" in failed
    assert not failed.endswith("...")
    assert running.split()[2:5] == ["RUNNING", "0.123457", "1"]


def test_trials_in_json(busy: Run) -> None:
    trials = json.loads(busy(NNICTL, "trial", "ls", "twin-a", "--json").stdout)

    assert [trial["status"] for trial in trials] == ["FAILED", "RUNNING"]
    assert trials[0]["exitCode"] == 1
    assert trials[0]["lastLines"] == ["it's broken"]


def on_terminal(run: Run, columns: int, *words: str) -> list[str]:
    """Return the lines that a command writes on a terminal of this width."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        try:
            assert run(*words, capture_output=False, stdout=theirs, stderr=subprocess.PIPE).returncode == 0
        finally:
            os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # what the end of a terminal is on Linux
            while piece := os.read(ours, 65536):
                text += piece
    finally:
        os.close(ours)
    return text.decode().splitlines()


def test_trials_on_a_narrow_terminal_take_a_line_each(busy: Run) -> None:
    lines = on_terminal(busy, 50, NNICTL, "trial", "ls", "twin-a")

    assert len(lines) == 3
    assert all(len(line) <= 50 for line in lines)
    assert lines[1].endswith("...")


def test_trials_on_a_wide_terminal_are_whole(busy: Run) -> None:
    assert (
        on_terminal(busy, 400, NNICTL, "trial", "ls", "twin-a")
        == busy(NNICTL, "trial", "ls", "twin-a").stdout.splitlines()
    )


def test_the_best_and_the_worst_are_of_those_that_have_a_final_metric(busy: Run) -> None:
    assert busy(NNICTL, "trial", "ls", "twin-a", "--head", "1").stdout == "No trial has a final metric yet.\n"


@pytest.mark.parametrize("words", ["experiment list", "trial ls twin-a", "--help"])
def test_a_reader_that_goes_away_is_no_error(busy: Run, words: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        ended = busy(NNICTL, *words.split(), capture_output=False, stdout=theirs, stderr=subprocess.PIPE)
    finally:
        os.close(theirs)

    assert ended.stderr == ""
    # argparse keeps the end of its own output to itself when that is not buffered.
    assert ended.returncode == 141 or (words == "--help" and ended.returncode == 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_one_sentence(busy: Run) -> None:
    with Path("/dev/full").open("w") as full:
        ended = busy(NNICTL, "experiment", "list", capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert ended.returncode == 1
    assert ended.stderr == "error: [Errno 28] No space left on device\n"


def end_trials_of(experiment_id: str) -> None:
    """Kill what a manager that was killed itself has left."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and f"NNI_EXP_ID={experiment_id}".encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_manager_that_was_killed_is_listed_as_stopped(run: Run, free_port: int) -> None:
    ended = run(NNICTL, "create", "--config", "experiment.yml", "--port", str(free_port))
    assert ended.returncode == 0, ended.stderr
    (one,) = known(run).values()
    assert ended.stdout.splitlines() == [
        f"Follow it with: nnictl trial ls {one['id']}",
        f"Stop it with:   nnictl stop {one['id']}",
    ]
    descriptor = os.pidfd_open(one["pid"])
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        assert select.select([descriptor], [], [], 60)[0]
    finally:
        os.close(descriptor)

    assert known(run)[one["id"]]["status"] == "STOPPED"
    end_trials_of(one["id"])
    assert "is gone and did not stop it, so its jobs may still run" in run(NNICTL, "stop", one["id"]).stderr
