"""The list of this machine's experiments."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.records import registry


def known(experiment_id: str, **changes: Any) -> registry.Known:
    values: dict[str, Any] = {
        "id": experiment_id,
        "name": "it's mine",
        "platform": "kubeflow",
        "port": 8080,
        "url_prefix": None,
        "pid": os.getpid(),
        "process_mark": registry.process_mark(os.getpid()),
        "status": "RUNNING",
        "start_time": 1795441642.5,
        "end_time": None,
        "directory": Path("/work space") / experiment_id,
        "working_directory": Path("/work space"),
        "is_alive": True,
    }
    return registry.Known(**{**values, **changes})


@pytest.fixture
def its(tmp_path: Path) -> registry.Registry:
    return registry.Registry(tmp_path / "not" / "made")


def test_what_is_written_is_read(its: registry.Registry) -> None:
    its.write(known("abc123"))
    assert its.read("abc123") == known("abc123")
    its.write(known("abc123", status="DONE", end_time=2e9))
    assert its.read("abc123") == known("abc123", status="DONE", end_time=2e9)


def test_what_an_earlier_release_wrote_has_no_best(its: registry.Registry, tmp_path: Path) -> None:
    its.write(known("abc", best=0.5))
    assert its.read("abc").best == 0.5
    (file,) = (tmp_path / "not" / "made").iterdir()
    fields = json.loads(file.read_text())
    del fields["best"]
    file.write_text(json.dumps(fields))
    assert its.read("abc") == known("abc")


def test_the_list_begins_with_the_oldest(its: registry.Registry) -> None:
    assert its.list() == []
    its.write(known("new", start_time=3.0))
    its.write(known("old", start_time=1.0))
    its.write(known("unborn", start_time=None))
    assert [one.id for one in its.list()] == ["unborn", "old", "new"]


def test_files_are_for_their_owner_and_nothing_else_is_left(its: registry.Registry, tmp_path: Path) -> None:
    its.write(known("abc"))
    its.write(known("abc"))
    files = list((tmp_path / "not" / "made").iterdir())
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in files] == [("abc.json", 0o600)]
    assert "is_alive" not in json.loads(files[0].read_text())


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("INITIALIZED", "STOPPED"),
        ("RUNNING", "STOPPED"),
        ("TUNER_NO_MORE_TRIAL", "STOPPED"),
        ("STOPPING", "STOPPED"),
        ("DONE", "DONE"),
        ("ERROR", "ERROR"),
        ("STOPPED", "STOPPED"),
    ],
)
def test_a_manager_that_is_gone(its: registry.Registry, status: str, shown: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    its.write(known("abc", pid=gone.pid, process_mark=registry.process_mark(gone.pid), status=status))
    assert (its.read("abc").is_alive, its.read("abc").status) == (True, status)
    gone.communicate()
    assert (its.read("abc").is_alive, its.read("abc").status) == (False, shown)


def test_a_manager_that_nobody_has_waited_for_is_gone(its: registry.Registry) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert registry.process_mark(zombie.pid) == ""


def test_another_process_with_the_pid_of_the_manager_is_not_it(its: registry.Registry) -> None:
    its.write(known("abc", process_mark="another boot/4711"))
    assert its.read("abc").is_alive is False


def test_a_process_that_is_not_there_has_no_mark(its: registry.Registry) -> None:
    assert registry.process_mark(2**22 + 1) == ""
    its.write(known("abc", pid=2**22 + 1, process_mark=registry.process_mark(os.getpid())))
    assert its.read("abc").is_alive is False


@pytest.mark.parametrize("experiment_id", ["missing", "../outside", "", "a/b", "*"])
def test_an_experiment_that_is_not_known(its: registry.Registry, experiment_id: str) -> None:
    its.write(known("abc"))
    with pytest.raises(errors.ExperimentNotFoundError, match="is known on this machine"):
        its.read(experiment_id)
    its.remove(experiment_id)
    assert [one.id for one in its.list()] == ["abc"]


def test_an_experiment_is_found_by_the_beginning_of_its_id(its: registry.Registry) -> None:
    for experiment_id in ("abc", "abcd", "xyz"):
        its.write(known(experiment_id))
    assert [its.find(prefix).id for prefix in ("x", "xyz", "abc", "abcd")] == ["xyz", "xyz", "abc", "abcd"]
    with pytest.raises(errors.ExperimentNotFoundError, match="'ab' could be any of abc, abcd: write more of the id"):
        its.find("ab")
    with pytest.raises(errors.ExperimentNotFoundError, match=r"No experiment q is known .*; there are abc, abcd, xyz"):
        its.find("q")


def test_an_experiment_is_forgotten(its: registry.Registry) -> None:
    its.write(known("abc"))
    its.remove("abc")
    its.remove("abc")
    assert its.list() == []
    with pytest.raises(errors.ExperimentNotFoundError, match=r"No experiment abc is known on this machine\.$"):
        its.find("abc")


def test_files_that_say_nothing_are_passed_over(its: registry.Registry, tmp_path: Path) -> None:
    its.write(known("abc"))
    directory = tmp_path / "not" / "made"
    (directory / "half.json").write_text('{"id": "ha')
    (directory / "other.json").write_text('{"id": "other"}')
    (directory / "list.json").write_text("[]")
    later = json.loads((directory / "abc.json").read_text()) | {"id": "later", "colour": "blue"}
    (directory / "later.json").write_text(json.dumps(later))
    assert [one.id for one in its.list()] == ["abc", "later"]


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.RecordsError, match=r"Experiment abc cannot be entered in .*: File exists\."):
        registry.Registry(tmp_path / "file").write(known("abc"))
