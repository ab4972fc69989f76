"""How metrics travel: from any process of the trial to the journal, and on to an intake that has its moods."""

import json
import os
import sys
from pathlib import Path

import pytest

from nni.testing import pods
from nni.wire import report

PYTHON = os.path.realpath(sys.executable)


def connected(intake: pods.Intake) -> dict[str, str | None]:
    return {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}


MANY = """\
import os, threading, multiprocessing
import nni

def report(who):
    for number in range(25):
        nni.report_intermediate_result({"default": number, "who": who})

if __name__ == "__main__":
    if os.fork() == 0:
        report("forked")
        os._exit(0)
    threads = [threading.Thread(target=report, args=("thread-%d" % n,)) for n in range(4)]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=report, args=("process-%d" % n,)) for n in range(2)]
    for one in threads + processes:
        one.start()
    for one in threads + processes:
        one.join()
    os.wait()
    nni.report_final_result(1)
"""


def test_several_processes_and_threads_report(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        pod = pods.Pod(
            tmp_path, "python3 many.py", code={"many.py": MANY}, environment=connected(intake), python=PYTHON
        )

        ended = pod.run()

    journal = pod.metrics()
    assert (ended.code, ended.stderr) == (0, b"")
    assert [metric.number for metric in journal] == list(range(1, 177))
    assert [metric.sequence for metric in journal[:-1]] == list(range(175))
    assert tuple(intake.metrics[pod.path]) == journal
    orders: dict[str, list[int]] = {}
    for metric in journal[:-1]:
        value = json.loads(metric.value)
        orders.setdefault(value["who"], []).append(value["default"])
    assert set(orders) == {"forked", "process-0", "process-1", "thread-0", "thread-1", "thread-2", "thread-3"}
    assert all(order == list(range(25)) for order in orders.values())


IN_STEPS = """\
import nni, os
for number in range(3):
    open(os.environ["NNI_POD_DIR"] + "/gate").read()
    nni.report_intermediate_result(number)
"""


def in_steps(tmp_path: Path, intake: pods.Intake) -> tuple[pods.Pod, Path]:
    """A trial that reports whenever something is written to a fifo."""
    pod = pods.Pod(
        tmp_path, "python3 steps.py", code={"steps.py": IN_STEPS}, environment=connected(intake), python=PYTHON
    )
    pod.own.mkdir()
    os.mkfifo(pod.own / "gate")
    return pod, pod.own / "gate"


def test_metrics_arrive_while_the_trial_runs(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        pod, gate = in_steps(tmp_path, intake)
        with pod.start() as process:
            for count in (1, 2, 3):
                gate.write_text("")
                intake.wait_for(lambda count=count: len(intake.metrics.get(pod.path, ())) == count)  # type: ignore[misc]
            process.communicate(timeout=30)

        assert process.returncode == 0
        assert [metric.value for metric in intake.metrics[pod.path]] == ["0", "1", "2"]


def test_an_intake_that_went_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        pod, gate = in_steps(tmp_path, intake)
        with pod.start() as process:
            gate.write_text("")
            intake.wait_for(lambda: len(intake.metrics.get(pod.path, ())) == 1)
            intake.stop()
            gate.write_text("")
            # It stands in the journal all the same, and the training goes on.
            pods.wait_until(lambda: len(pod.metrics()) == 2)
            pods.wait_until(lambda: "metrics stand in the journal" in pod.read("trial.log"))
            intake.start()
            intake.wait_for(lambda: len(intake.metrics[pod.path]) == 2)
            gate.write_text("")
            process.communicate(timeout=30)

    assert [metric.value for metric in intake.metrics[pod.path]] == ["0", "1", "2"]
    assert intake.exits[pod.path].metrics == 3
    assert "the intake answers again" in pod.read("trial.log")


def test_errors_of_the_intake_are_outlasted(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        left = [500, 503, 429]
        intake.interfere = lambda request: (left.pop(), b"busy") if left and request.batch.metrics else None
        code = {"train.py": "import nni; nni.report_final_result(1)"}
        pod = pods.Pod(tmp_path, "python3 train.py", code=code, environment=connected(intake), python=PYTHON)

        ended = pod.run()

    assert ended.code == 0
    assert left == []
    assert [metric.value for metric in intake.metrics[pod.path]] == ["1"]
    assert intake.exits[pod.path].metrics == 1


def test_a_wrong_token_costs_the_trial_nothing(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        code = {"train.py": "import nni; nni.report_final_result(1)"}
        given = {**connected(intake), "NNI_TRIAL_TOKEN": "wrong"}
        pod = pods.Pod(tmp_path, "python3 train.py", code=code, environment=given, python=PYTHON)

        ended = pod.run(seconds=9)

    # Not insistent: the sign of life, the end.
    assert [request.authorization for request in intake.requests] == ["Bearer wrong"] * 2
    assert ended.code == 0
    assert [metric.value for metric in pod.metrics()] == ["1"]
    assert "answers 401 wrong token" in pod.read("trial.log")
    assert "the rest stands in the journal" in pod.read("trial.log")


@pytest.mark.slow
def test_an_intake_that_never_answers_holds_up_the_end_for_ten_seconds_at_most(tmp_path: Path) -> None:
    pod = pods.Pod(tmp_path, "exit 3", environment={"NNI_INTAKE_URL": "http://127.0.0.1:9"}, python=PYTHON)

    ended = pod.run(seconds=15)

    assert ended.code == 3


def test_an_intake_that_lost_its_records_gets_them_again(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        pod, gate = in_steps(tmp_path, intake)
        with pod.start() as process:
            for count in (1, 2):
                gate.write_text("")
                intake.wait_for(lambda count=count: len(intake.metrics.get(pod.path, ())) == count)  # type: ignore[misc]
            intake.metrics.clear()
            gate.write_text("")
            process.communicate(timeout=30)

    assert [metric.value for metric in intake.metrics[pod.path]] == ["0", "1", "2"]
    assert pod.path in intake.exits


MARKERS = r"""
NNISDK_MEb'{"parameter_id": 3, "trial_job_id": "k2f9z", "type": "PERIODICAL", "sequence": 0, "value": "0.5"}'
epoch 1 NNISDK_MEb'{"trial_job_id": "k2f9z", "type": "PERIODICAL", "value": "{\"it's\": NaN}"}'NNISDK_MEb'
NNISDK_MEb'{"trial_job_id": "k2f9z", "type": "FINAL", "value": "Infinity"}' and no line feed"""


def test_marker_lines_on_standard_output_are_metrics(tmp_path: Path) -> None:
    pod = pods.Pod(tmp_path, "cat lines", code={"lines": MARKERS}, python=PYTHON)

    ended = pod.run()

    assert [(metric.type, metric.sequence, metric.value) for metric in pod.metrics()] == [
        ("PERIODICAL", 0, "0.5"),
        ("PERIODICAL", 1, '{"it\'s": NaN}'),
        ("FINAL", 0, "Infinity"),
    ]
    assert ended.stdout.decode() == MARKERS == pod.read("stdout")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("NNISDK_MEb'{\"value\": '", "is passed over (Expecting value"),
        ('NNISDK_MEb\'{"type": "FINAL", "value": "no JSON", "trial_job_id": "k2f9z"}\'', "a metric's value is no JSON"),
        ('NNISDK_MEb\'{"type": "FINAL", "value": "1", "trial_job_id": "other"}\'', "belongs to trial other"),
    ],
)
def test_a_broken_marker_line_is_noted_and_passed_over(tmp_path: Path, line: str, sentence: str) -> None:
    pod = pods.Pod(tmp_path, "cat lines", code={"lines": line + "\n"}, python=PYTHON)

    ended = pod.run()

    assert ended.code == 0
    assert sentence in pod.read("trial.log")
    assert pod.read("metrics.jsonl") == ""


@pytest.mark.parametrize("broken", ["unset NNI_METRIC_SOCKET", "export NNI_METRIC_SOCKET=/nowhere"])
def test_without_the_socket_metrics_go_over_standard_output(tmp_path: Path, broken: str) -> None:
    code = {
        "train.py": "import nni; print('no line feed', end=''); nni.report_final_result({\"default\": 1, \"it's\": 2})"
    }
    pod = pods.Pod(tmp_path, broken + "; python3 train.py", code=code, python=PYTHON)

    ended = pod.run()

    assert ended.code == 0
    assert [(metric.type, metric.value) for metric in pod.metrics()] == [(report.FINAL, '{"default": 1, "it\'s": 2}')]


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    code = {"train.py": "import nni, os; nni.report_final_result(1); print(os.environ['NNI_METRIC_SOCKET'])"}
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    pod = pods.Pod(deep, "python3 train.py", code=code, python=PYTHON)

    ended = pod.run()

    assert len(ended.stdout) < 100
    assert not Path(ended.stdout.decode().strip()).exists()
    assert [metric.value for metric in pod.metrics()] == ["1"]


REFUSED = """\
import nni
for metric in (object(), {1j: 2}, "x" * 1000001):
    try:
        nni.report_intermediate_result(metric)
    except nni.errors.TrialError as error:
        print(error)
nni.report_final_result("x" * 999998)
"""


def test_what_is_no_metric_is_one_clear_error(tmp_path: Path) -> None:
    pod = pods.Pod(tmp_path, "python3 train.py", code={"train.py": REFUSED}, python=PYTHON)

    ended = pod.run()

    first, second, third = ended.stdout.decode().splitlines()
    assert first.endswith("no JSON: object is not a number.")
    assert second.startswith("A metric must be a number, or a dict of numbers with the key 'default'")
    assert third.startswith("A metric may have 1000000 characters of JSON, this one has 1000003: ")
    assert [len(metric.value) for metric in pod.metrics()] == [1_000_000]
