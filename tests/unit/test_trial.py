"""What a trial's code calls."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import nni
from nni import errors, trial
from nni.runtime import listener
from nni.wire import channel, marker, parameter


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that has asked and reported nothing yet, without a runtime around it."""
    for name in ("PLATFORM", "EXP_ID", "TRIAL_JOB_ID", "TRIAL_SEQ_ID", "SYS_DIR", "CHECKPOINT_DIR", "METRIC_SOCKET"):
        monkeypatch.delenv("NNI_" + name, raising=False)
    monkeypatch.setattr(trial, "_this", trial._Trial())
    monkeypatch.chdir(tmp_path)


class Runtime:
    """Takes metrics over a real socket."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def take(self, reports: Sequence[channel.Report]) -> Sequence[int]:
        self.asked.set()
        assert self.gate.wait(10)
        numbers = range(len(self.taken) + 1, len(self.taken) + len(reports) + 1)
        self.taken += reports
        return numbers


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A trial k2f9z of experiment exp1 with the parameters x = 1."""
    (tmp_path / "parameter.cfg").write_bytes(parameter.encode(3, {"x": 1}))
    given = {
        "NNI_PLATFORM": "kubeflow",
        "NNI_EXP_ID": "exp1",
        "NNI_TRIAL_JOB_ID": "k2f9z",
        "NNI_TRIAL_SEQ_ID": "7",
        "NNI_SYS_DIR": str(tmp_path),
        "NNI_CHECKPOINT_DIR": str(tmp_path / "checkpoint"),
        "NNI_METRIC_SOCKET": listener.place(str(tmp_path)),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    runtime = Runtime()
    serving = listener.Listener(given["NNI_METRIC_SOCKET"], runtime.take)
    serving.start()
    yield runtime
    serving.close(10)


def test_standalone_there_are_no_parameters_and_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match="Running trial code without runtime"):
        assert nni.get_next_parameter() == {}

    assert nni.get_current_parameter() == {}
    assert (nni.get_experiment_id(), nni.get_trial_id(), nni.get_sequence_id()) == ("STANDALONE", "STANDALONE", 0)


def test_standalone_results_are_logged_as_nni_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    nni.report_intermediate_result(0.5)
    nni.report_intermediate_result({"default": 0.75})
    nni.report_final_result(0.9)

    assert caplog.record_tuples == [
        ("nni", logging.INFO, "Intermediate result: 0.5  (Index 0)"),
        ("nni", logging.INFO, "Intermediate result: {'default': 0.75}  (Index 1)"),
        ("nni", logging.INFO, "Final result: 0.9"),
    ]


def test_standalone_results_are_seen_without_any_set_up() -> None:
    code = "import nni; nni.report_intermediate_result(1); nni.report_final_result(2)"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    first, second = printed.splitlines()
    assert first.endswith("] Intermediate result: 1  (Index 0)")
    assert second.endswith("] Final result: 2")


def test_parameters_are_those_of_the_trial(runtime: Runtime) -> None:
    assert nni.get_current_parameter() is None
    assert nni.get_next_parameter() == {"x": 1}
    assert nni.get_next_parameters() == {"x": 1}
    assert nni.get_current_parameter() == {"x": 1}
    assert nni.get_current_parameter("x") == 1
    with pytest.raises(KeyError):
        nni.get_current_parameter("y")
    assert (nni.get_experiment_id(), nni.get_trial_id(), nni.get_sequence_id()) == ("exp1", "k2f9z", 7)


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read: .*No such file"), (b"{", "parameter.cfg are broken: no JSON")]
)
def test_a_bad_parameter_file_is_one_sentence(
    runtime: Runtime, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "parameter.cfg"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    with pytest.raises(errors.TrialError, match=sentence):
        nni.get_next_parameter()


def test_metrics_go_to_the_runtime_with_or_without_parameters_asked_for(runtime: Runtime) -> None:
    nni.report_intermediate_result(float("nan"))
    nni.get_next_parameter()
    nni.report_intermediate_result({"default": 1, "it's": None})
    nni.report_final_result(2)

    assert runtime.taken == [("PERIODICAL", "NaN"), ("PERIODICAL", '{"default": 1, "it\'s": null}'), ("FINAL", "2")]


def test_a_report_returns_when_the_runtime_has_taken_it(runtime: Runtime) -> None:
    runtime.gate.clear()
    reporting = threading.Thread(target=nni.report_final_result, args=(1,))

    reporting.start()
    assert runtime.asked.wait(10)
    was_waiting = reporting.is_alive()
    runtime.gate.set()
    reporting.join(10)

    assert was_waiting
    assert not reporting.is_alive()
    assert runtime.taken == [("FINAL", "1")]


def test_without_a_runtime_that_answers_metrics_are_printed_as_nni_prints_them(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("NNI_METRIC_SOCKET", "/nowhere/metrics.sock")

    nni.report_intermediate_result(0.5)
    nni.report_final_result("it's")

    stdout, stderr = capfdbinary.readouterr()
    found = [metric for line in stdout.splitlines() for metric in marker.find(line)]
    assert found == [
        marker.Found(channel.Report("PERIODICAL", "0.5"), "k2f9z"),
        marker.Found(channel.Report("FINAL", '"it\'s"'), "k2f9z"),
    ]
    assert stderr.startswith(b"nni: the metric socket does not answer ([Errno 2] No such file or directory)")


@pytest.mark.parametrize("metric", [object(), {1, 2}, "x" * 1_000_000])
def test_what_is_no_metric_is_refused_everywhere(metric: Any) -> None:
    with pytest.raises(errors.TrialError):
        nni.report_final_result(metric)


def test_the_checkpoint_directory_exists(runtime: Runtime, tmp_path: Path) -> None:
    assert nni.get_checkpoint_dir() == str(tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint").is_dir()


def test_standalone_it_is_in_the_current_directory(tmp_path: Path) -> None:
    assert nni.get_checkpoint_dir() == str(tmp_path / "nni-checkpoint")
    assert (tmp_path / "nni-checkpoint").is_dir()


def test_a_checkpoint_directory_that_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNI_CHECKPOINT_DIR", "/proc/nni")

    with pytest.raises(errors.TrialError, match="The checkpoint directory /proc/nni cannot be made: "):
        nni.get_checkpoint_dir()
