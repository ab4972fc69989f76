"""Which experiment a user means."""

import os
from pathlib import Path

import pytest

from nni import errors
from nni.cli import finding
from nni.records import registry


def enter(home: Path, name: str, *, is_alive: bool, status: str = "") -> None:
    """Enter an experiment in the list of this home; this process stands for the manager of one that runs."""
    registry.Registry(home / "nni-experiments" / ".experiments").write(
        registry.Known(
            id=name,
            name=None,
            platform="local",
            port=8080,
            url_prefix=None,
            pid=os.getpid(),
            process_mark=registry.process_mark(os.getpid()) if is_alive else "gone",
            status=status or ("RUNNING" if is_alive else "STOPPED"),
            start_time=1795441642.0,
            end_time=None,
            directory=home / name,
            working_directory=home,
        )
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("alive", "ended", "given", "found"),
    [
        # Nothing is needed where one runs.
        (["abc"], [], None, "abc"),
        (["abc"], ["abd"], None, "abc"),
        # The whole id, or its beginning.
        (["abc", "xyz"], [], "xyz", "xyz"),
        (["abc", "xyz"], [], "x", "xyz"),
        # Of several that begin so, the one that runs.
        (["abc"], ["abd", "abe"], "ab", "abc"),
        # The whole id goes before the beginning of others.
        (["ab", "abc"], [], "ab", "ab"),
    ],
)
def test_the_one_that_is_meant(home: Path, alive: list[str], ended: list[str], given: str | None, found: str) -> None:
    for name in alive + ended:
        enter(home, name, is_alive=name in alive)

    assert finding.find(given).id == found


@pytest.mark.parametrize(
    ("alive", "ended", "given", "says"),
    [
        ([], [], None, "No experiment runs on this machine; those that have ended: nnictl experiment list --all."),
        ([], ["abc"], None, "No experiment runs on this machine; those that have ended: nnictl experiment list --all."),
        (["abc", "xyz"], [], None, "Several experiments run on this machine; say which: abc, xyz."),
        (["abc"], [], "", "The experiment's id is empty; leave it out to mean the one that runs."),
        (["abc"], [], "q", "No experiment q is known on this machine; there are abc."),
        (["abc", "abd"], [], "ab", "'ab' could be any of abc, abd: write more of the id."),
        ([], ["abc", "abd"], "ab", "'ab' could be any of abc, abd: write more of the id."),
        # One that has ended is not silently taken for another that runs.
        (["abc"], ["ab"], "ab", "Experiment ab does not run any more (STOPPED); nnictl resume ab opens it again."),
        ([], ["abc"], "a", "Experiment abc does not run any more (STOPPED); nnictl resume abc opens it again."),
    ],
)
def test_none_or_more_than_one(home: Path, alive: list[str], ended: list[str], given: str | None, says: str) -> None:
    for name in alive + ended:
        enter(home, name, is_alive=name in alive)

    with pytest.raises(errors.ExperimentNotFoundError) as raised:
        finding.find(given)

    assert str(raised.value) == says


@pytest.mark.parametrize("given", ["cut", None])
def test_one_whose_manager_died_is_not_said_to_have_ended(home: Path, given: str | None) -> None:
    enter(home, "done", is_alive=False)
    enter(home, "cut", is_alive=False, status="RUNNING")

    with pytest.raises(errors.ExperimentNotFoundError, match="jobs may still run: nnictl resume cut goes on with them"):
        finding.find(given)

    assert finding.find("cut", or_ended=True).status == "STOPPED"


def test_one_that_has_ended_will_do_where_that_is_asked(home: Path) -> None:
    enter(home, "abc", is_alive=False)

    assert finding.find("a", or_ended=True).id == "abc"
