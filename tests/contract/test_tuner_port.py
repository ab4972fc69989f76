"""The contract of the tuner over the script and the process, and what the process alone has to do."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.core import ports, spec
from nni.testing import tuner as contract
from nni.tuners import process


class TestScriptedTuner(contract.TunerContract):
    def make(self, directory: Path) -> ports.TunerPort:
        return contract.ScriptedTuner({"lr": 0.5, "layers": number, "act": None} for number in range(100))


class TestTpeProcess(contract.TunerContract):
    def make(self, directory: Path) -> ports.TunerPort:
        return tuner_process(directory, "TPE", seed=1, optimize_mode="maximize")


class TestRandomProcess(contract.TunerContract):
    def make(self, directory: Path) -> ports.TunerPort:
        return tuner_process(directory, "Random", seed=1)


class TestAutoProcess(contract.TunerContract):
    def make(self, directory: Path) -> ports.TunerPort:
        return tuner_process(directory, "Auto", seed=1)


def tuner_process(directory: Path, name: str, **arguments: Any) -> process.TunerProcess:
    return process.TunerProcess(
        tuner=spec.AlgorithmSpec(name=name, class_args=arguments),
        search_space=contract.SEARCH_SPACE,
        log=directory / "log" / "tuner.log",
    )


@contextlib.asynccontextmanager
async def opened(tuner: process.TunerProcess) -> AsyncIterator[process.TunerProcess]:
    await tuner.open()
    try:
        yield tuner
    finally:
        await tuner.close()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def log_of(directory: Path) -> str:
    return (directory / "log" / "tuner.log").read_text()


@pytest.fixture
def of_a_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A module that the tuner process imports when it starts: what users' code does in there, it can do."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(directory))
    return directory / "sitecustomize.py"


BREAKS_RANDOM = """
import importlib.abc, importlib.util, sys
class Late(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "nni.tuners.random_search":
            return importlib.util.spec_from_file_location(name, {path!r})
sys.meta_path.insert(0, Late())
"""


@pytest.fixture
def replace_random(of_a_user: Path, tmp_path: Path) -> Callable[[str], object]:
    """Puts code in the place of the random tuner in the tuner process."""
    replaced = tmp_path / "replaced.py"
    of_a_user.write_text(BREAKS_RANDOM.format(path=str(replaced)))
    return replaced.write_text


async def test_the_process_ends_with_its_input(tmp_path: Path) -> None:
    tuner = tuner_process(tmp_path, "Random")
    await tuner.open()
    pid = tuner.pid
    assert pid is not None
    assert is_there(pid)
    await tuner.close()
    assert not is_there(pid)
    assert log_of(tmp_path) == ""


async def test_it_has_a_session_of_its_own(tmp_path: Path) -> None:
    async with opened(tuner_process(tmp_path, "Random")) as tuner:
        assert tuner.pid is not None
        assert os.getsid(tuner.pid) == tuner.pid


async def test_a_process_that_is_killed_is_one_sentence_and_stays_so(tmp_path: Path) -> None:
    async with opened(tuner_process(tmp_path, "TPE")) as tuner:
        assert tuner.pid is not None
        os.kill(tuner.pid, signal.SIGKILL)
        sentence = (
            rf"^The tuner TPE ended by itself \(signal SIGKILL\) \(see {re.escape(str(tmp_path))}/log/tuner.log\)$"
        )
        for _ in range(2):
            with pytest.raises(errors.TunerError, match=sentence):
                await tuner.ask([0])
        with pytest.raises(errors.TunerError, match=sentence):
            await tuner.tell([contract.outcome(0, {}, 1.0)])


async def test_what_a_tuner_prints_goes_to_the_log_and_its_input_is_empty(
    tmp_path: Path, replace_random: Callable[[str], object]
) -> None:
    replace_random(
        "import os, sys\n"
        "def make(space, arguments):\n"
        '    print(\'{"call": 1, "result": null}\', flush=True)\n'
        "    os.write(1, b'it is me\\n')\n"
        "    print('read', repr(sys.stdin.read()))\n"
    )
    async with opened(tuner_process(tmp_path, "Random")):
        pass
    assert sorted(log_of(tmp_path).splitlines()) == ["it is me", "read ''", '{"call": 1, "result": null}']


async def test_an_exception_is_one_sentence_and_the_traceback_is_in_the_log(
    tmp_path: Path, replace_random: Callable[[str], object]
) -> None:
    replace_random(
        "class Broken:\n"
        "    def suggest(self, parameter_id):\n"
        '        raise ValueError("it\'s broken")\n'
        "def make(space, arguments):\n"
        "    return Broken()\n"
    )
    async with opened(tuner_process(tmp_path, "Random")) as tuner:
        for _ in range(2):
            with pytest.raises(
                errors.TunerError,
                match=r"^The tuner Random failed: ValueError: it's broken in suggest, /.*/replaced.py:3 \(see /.*\)$",
            ):
                await tuner.ask([0])
    assert "Traceback" in log_of(tmp_path)
    assert "in suggest" in log_of(tmp_path)


async def test_the_last_words_of_this_process_are_told_not_those_of_an_earlier_one(
    tmp_path: Path, replace_random: Callable[[str], object]
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "tuner.log").write_text("old words\n")
    replace_random("import os\nos._exit(7)\n")
    with pytest.raises(errors.TunerError, match=r"^The tuner Random ended by itself \(exit code 7\) \(see"):
        await tuner_process(tmp_path, "Random").open()
    replace_random("import os, sys\nprint('no licence', file=sys.stderr, flush=True)\nos._exit(1)\n")
    with pytest.raises(errors.TunerError, match=r"ended by itself \(exit code 1\): no licence \(see"):
        await tuner_process(tmp_path, "Random").open()


async def test_a_tuner_that_hangs_is_killed_at_the_end(
    tmp_path: Path, replace_random: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.2)
    replace_random("import threading\ndef make(space, arguments):\n    threading.Event().wait()\n")
    tuner = tuner_process(tmp_path, "Random")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tuner.open(), timeout=1.0)
    assert tuner.pid is None


async def test_a_call_that_was_given_up_does_not_spoil_the_next(
    tmp_path: Path, replace_random: Callable[[str], object]
) -> None:
    replace_random(
        "import pathlib, time\n"
        "class Slow:\n"
        "    def suggest(self, parameter_id):\n"
        f"        while parameter_id == 0 and not pathlib.Path({str(tmp_path / 'go')!r}).exists():\n"
        "            time.sleep(0.01)\n"
        "        return {'its': parameter_id}\n"
        "def make(space, arguments):\n"
        "    return Slow()\n"
    )
    async with opened(tuner_process(tmp_path, "Random")) as tuner:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tuner.ask([0]), timeout=0.1)
        (tmp_path / "go").touch()
        assert await contract.drawn(tuner, [1, 0]) == [{"its": 1}, {"its": 0}]


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("Rondom", {}, "tuner.name: there is no tuner 'Rondom'; did you mean 'Random'?"),
        ("TPE", {"sed": 1}, "tuner.class_args.sed: is not an argument of TPE; there are optimize_mode, seed, tpe_args"),
    ],
)
async def test_a_wrong_choice_is_one_sentence(
    name: str, arguments: Mapping[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(errors.TunerError, match=re.escape(sentence)):
        await tuner_process(tmp_path, name, **arguments).open()
    assert log_of(tmp_path) == ""


async def test_modules_of_the_current_directory_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    async with opened(tuner_process(tmp_path, "Random")) as tuner:
        assert len(await tuner.ask([0])) == 1


async def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with pytest.raises(errors.TunerError, match="log cannot be written"):
        await tuner_process(tmp_path, "Random").open()


async def test_many_outcomes_in_one_call(tmp_path: Path) -> None:
    """More than any buffer between the processes holds."""
    async with opened(tuner_process(tmp_path, "Random")) as tuner:
        answers = await contract.drawn(tuner, range(5_000))
        assert len(answers) == 5_000
        await tuner.tell([contract.outcome(number, one, 0.5) for number, one in enumerate(answers)])
        assert await contract.drawn(tuner, [4_999]) == [answers[4_999]]


async def test_the_first_ids_get_what_the_user_knows_to_be_good(tmp_path: Path) -> None:
    first: list[dict[str, Any]] = [{"lr": 0.5, "layers": 3, "act": "relu"}, {"lr": 0.01, "layers": 8, "act": None}]
    chosen = spec.AlgorithmSpec(name="Auto", class_args={"seed": 1})
    made = process.TunerProcess(
        tuner=chosen, search_space=contract.SEARCH_SPACE, log=tmp_path / "tuner.log", first=first
    )
    async with opened(made) as tuner:
        answers = await contract.drawn(tuner, [0, 1, 2])
        assert list(answers[:2]) == first
        assert answers[2] not in first
        await tuner.tell([contract.outcome(0, first[0], 0.1)])
        assert await contract.drawn(tuner, [1]) == [first[1]]


@pytest.mark.parametrize("name", ["Auto", "TPE", "Anneal", "GridSearch"])
async def test_another_search_space_is_searched_with_what_is_known(name: str, tmp_path: Path) -> None:
    async with opened(tuner_process(tmp_path, name)) as tuner:
        for number in range(12):
            (parameters,) = await contract.drawn(tuner, [number])
            await tuner.tell([contract.outcome(number, parameters, abs(parameters["lr"] - 0.5))])
        await tuner.update({"lr": {"_type": "loguniform", "_value": [0.001, 1.0]}})
        assert [set(one) for one in await contract.drawn(tuner, [50, 51])] == [{"lr"}] * 2


@pytest.mark.parametrize("name", ["Auto", "TPE", "Random", "GridSearch"])
async def test_trials_that_run_from_before_a_restart_are_not_proposed_again(name: str, tmp_path: Path) -> None:
    made = process.TunerProcess(
        tuner=spec.AlgorithmSpec(name=name),
        search_space={"x": {"_type": "choice", "_value": [1, 2, 3, 4]}},
        log=tmp_path / "tuner.log",
        running={5: {"x": 2}, 6: {"x": 3}},
    )
    async with opened(made) as tuner:
        assert await contract.drawn(tuner, [5]) == [{"x": 2}]
        assert sorted(one["x"] for one in await contract.drawn(tuner, [7, 8, 9])) == [1, 4]
        await tuner.tell([contract.outcome(5, {"x": 2}, 0.5), contract.outcome(6, {"x": 3}, None)])


@pytest.mark.parametrize("name", ["Auto", "TPE", "Random", "GridSearch", "Evolution"])
async def test_trials_that_run_when_the_search_space_changes_are_not_proposed_again(name: str, tmp_path: Path) -> None:
    made = process.TunerProcess(
        tuner=spec.AlgorithmSpec(name=name),
        search_space={"x": {"_type": "choice", "_value": [1, 2]}},
        log=tmp_path / "tuner.log",
    )
    async with opened(made) as tuner:
        first, second = await contract.drawn(tuner, [0, 1])
        await tuner.tell([contract.outcome(0, first, 0.5)])
        await tuner.update({"x": {"_type": "choice", "_value": [1, 2, 3]}})
        assert await contract.drawn(tuner, [2, 3]) == [{"x": 3}]
        await tuner.tell([contract.outcome(1, second, 0.5)])


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
async def test_linear_algebra_takes_one_thread_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    async with opened(tuner_process(tmp_path, "Random", seed=1)) as tuner:
        known = Path(f"/proc/{tuner.pid}/environ").read_bytes().split(b"\0")
    assert b"OMP_NUM_THREADS=1" in known
    assert b"OPENBLAS_NUM_THREADS=3" in known
