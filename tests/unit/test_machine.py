"""This machine's experiments: what their list says, and what came of another one."""

import dataclasses
import os
from pathlib import Path

import pytest

from nni.core import event, model, spec
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


def told() -> story.Story:
    """Trials that ended in every way, each with a final metric but one."""
    roles = {"master": {"replicas": 1}, "worker": {"replicas": 1}}
    tuner = {"name": "TPE", "classArgs": {"optimize": {"accuracy": "maximize", "loss": "minimize"}}}
    config = {
        "trialConcurrency": 9,
        "maxTrialNumber": 20,
        "maxTrialRetries": 1,
        "trialCommand": "TOKEN=abc python3 x.py",
        "tuner": tuner,
        "trainingService": {"platform": "kubeflow", "infrastructureRetries": 1, **roles},
    }
    tale = story.Story(
        canonical=config,
        tuner=spec.AlgorithmSpec.written(tuner),
        trial_concurrency=9,
        max_trial_number=20,
        max_trial_retries=1,
        infrastructure_retries=1,
    )
    tale.happens(event.Started())
    tale.runs("good1", "fails", "kills", "other", "twice", "grows", "still", "stops", "mute1", "good2")
    limits = {"trial_concurrency": 5, "max_trial_number": 20, "max_experiment_seconds": 7200}
    tale.happens(event.LimitsChanged(**limits))

    def gives(trial: str, accuracy: float, who: model.Replica = story.CHIEF) -> None:
        tale.passes(10.0)
        tale.reports(trial, "0.1", "0.2", final=f'{{"accuracy": {accuracy}, "loss": 1}}', who=who)
        tale.passes(10.0)

    gives("good2", 0.4)
    tale.ends("good2")
    gives("good1", 0.5)
    tale.ends("good1")
    for _ in range(2):
        tale.creates("fails")
        gives("fails", 0.9)
        tale.ends("fails", code=1)
    gives("kills", 0.91)
    tale.happens(event.KillRequested(trial=model.TrialId("kills")), event.JobRemoved(attempt=tale.key("kills")))
    tale.happens(event.Harvested(attempt=tale.key("kills")))
    gives("other", 0.92, model.Replica("worker"))
    gives("other", 0.75)
    tale.ends("other")
    gives("twice", 0.93)
    tale.loses("twice")
    tale.creates("twice")
    gives("twice", 0.6)
    tale.ends("twice")
    gives("grows", 0.7)
    tale.ends("grows")
    more = event.Proposal(
        trial=model.TrialId("spare"), parameter_id=99, parameters={"x": 9}, promotes=model.TrialId("grows")
    )
    tale.happens(event.Began(action=event.Ask(parameter_ids=(99,))), event.Proposed(asked=1, proposals=(more,)))
    gives("still", 0.94)
    gives("stops", 0.95)
    tale.happens(event.Rejected(attempt=tale.key("stops"), results=2))
    tale.happens(event.JobRemoved(attempt=tale.key("stops")), event.Harvested(attempt=tale.key("stops")))
    tale.reports("mute1", "0.3")
    tale.ends("mute1")
    return tale


def test_results_count_that_trials_ended_with() -> None:
    found = machine.outcome(told().state)
    assert (found["maximize"], found["trialNumber"]) == (True, 10)
    assert found["values"] == [0.4, 0.5, 0.75, 0.6, 0.7]
    assert [value for _, _, value in found["bestSoFar"]] == [0.4, 0.5, 0.75]
    assert (found["bestSoFar"][0], found["bestTrial"], found["bestParameters"]) == ([20_000, 1, 0.4], "other", {"x": 3})
    config = found["config"]
    assert (config["trialCommand"], config["trialConcurrency"]) == ("TOKEN=(hidden) python3 x.py", 5)


async def test_another_experiment_counts_as_it_counts_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tale = told()
    known = registry.Known(
        id="other456", name="other", platform="local", port=8081, url_prefix=None, pid=os.getpid(),
        process_mark=registry.process_mark(os.getpid()), status="RUNNING", start_time=100.0, end_time=None,
        directory=tmp_path, working_directory=tmp_path,
    )  # fmt: skip
    registry.Registry(registry.default_directory()).write(known)
    description.write(tmp_path, tale.state.spec.canonical)
    records = await sqlite.SqliteRecords.create(tmp_path)
    await records.append(tale.entries)
    await records.close()
    found = await machine.results("other456")
    assert (found["id"], found["experimentName"], found["isAlive"]) == ("other456", "other", True)
    assert found.items() >= machine.outcome(tale.state).items()
