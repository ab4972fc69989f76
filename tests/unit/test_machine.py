"""This machine's experiments: what their list says, and which final metrics of another one count."""

import dataclasses
import os
from pathlib import Path

import pytest

from nni.core import event, model, ports
from nni.manager import machine
from nni.records import description, registry, sqlite
from nni.server import views
from nni.testing import story


async def test_the_list_knows_how_an_experiment_is_its_best_and_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tale = story.Story()
    first = registry.Known(
        id="story123", name="story", platform="kubeflow", port=8080, url_prefix=None, pid=os.getpid(),
        process_mark=registry.process_mark(os.getpid()), status="INITIALIZED", start_time=1.0, end_time=None,
        directory=tmp_path, working_directory=tmp_path,
    )  # fmt: skip
    async with machine.listed(first, tale.state, tale.revisions):
        (its,) = await machine.experiments()
        assert (its["status"], its["best"], its["isAlive"]) == ("INITIALIZED", None, True)
        tale.happens(event.Started())
        tale.runs("aaaaa")
        tale.reports("aaaaa", final="0.75")
        tale.ends("aaaaa")
    (its,) = await machine.experiments()
    assert (its["status"], its["best"]) == ("RUNNING", 0.75)
    began = views.milliseconds(tale.now())
    tale.passes(3600.0)
    async with machine.listed(dataclasses.replace(first, start_time=tale.now()), tale.state, tale.revisions):
        (its,) = await machine.experiments()
    assert its["startTime"] == began


def row(trial: str, value: str, *, attempt: int = 1, who: str = "master-0") -> ports.MetricRow:
    role, index = who.split("-")
    return ports.MetricRow(
        attempt=model.AttemptKey(model.TrialId(trial), attempt),
        replica=model.Replica(role, int(index)),
        metric=model.Metric(number=1, at=0.0, type=model.MetricType.FINAL, sequence=0, value=value),
        received_at=0.0,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([row("a", "1"), row("b", '{"default": 2}'), row("c", "NaN")], [1.0, 2.0]),
        ([row("a", "1"), row("a", "9", who="worker-0"), row("a", "8", who="master-1")], [1.0]),
        ([row("a", "9", who="worker-0"), row("a", "1"), row("a", "0", who="chief-0")], [0.0]),
        ([row("a", "3", who="worker-0"), row("a", "4", who="worker-1")], [3.0]),
        ([row("a", "1", attempt=2), row("a", "5", attempt=1)], [1.0]),
    ],
)
def test_the_chief_s_word_in_the_last_attempt_counts(rows: list[ports.MetricRow], expected: list[float]) -> None:
    assert [one.value for one in machine.finals(rows)] == expected


async def test_what_came_of_another_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    known = registry.Known(
        id="other456", name="other", platform="local", port=8081, url_prefix=None, pid=os.getpid(),
        process_mark=registry.process_mark(os.getpid()), status="RUNNING", start_time=100.0, end_time=None,
        directory=tmp_path, working_directory=tmp_path,
    )  # fmt: skip
    registry.Registry(registry.default_directory()).write(known)
    tuner = {"name": "TPE", "classArgs": {"optimize": {"accuracy": "maximize", "loss": "minimize"}}}
    description.write(tmp_path, {"tuner": tuner, "trialCommand": "TOKEN=abc python3 x.py"})
    records = await sqlite.SqliteRecords.create(tmp_path)
    entries = []
    for number, accuracy in enumerate((0.5, 0.4, 0.75, 0.6)):
        attempt = model.AttemptKey(model.TrialId(f"aaaa{number}"), 1)
        order = model.JobOrder(attempt=attempt, sequence=number, slot=number)
        submit = event.Submit(order=order, parameter_id=number, parameters={"x": number, "text": '"is":"Submit"'})
        value = f'{{"accuracy": {accuracy}, "loss": 1}}'
        metric = model.Metric(number=1, at=0.0, type=model.MetricType.FINAL, sequence=0, value=value)
        said = event.ReplicaReported(attempt=attempt, replica=model.Replica("worker"), metrics=(metric,))
        entries += [ports.Entry(at=100.0, event=event.Began(action=submit)), ports.Entry(at=110.0 + number, event=said)]
    await records.append(entries)
    await records.close()
    told = await machine.results("other456")
    assert (told["id"], told["experimentName"], told["isAlive"]) == ("other456", "other", True)
    assert (told["maximize"], told["trialNumber"], told["values"]) == (True, 4, [0.5, 0.4, 0.75, 0.6])
    assert told["bestSoFar"] == [[10_000, 1, 0.5], [12_000, 3, 0.75]]
    assert (told["bestTrial"], told["bestParameters"]["x"]) == ("aaaa2", 2)
    assert told["config"]["trialCommand"] == "TOKEN=(hidden) python3 x.py"
