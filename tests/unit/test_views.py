"""The state as JSON, in NNI's shapes."""

import json
import math
from typing import Any

import pytest

from nni import errors
from nni.core import event, model
from nni.core import state as states
from nni.server import limits, views
from nni.testing import story

ABOUT = views.About(port=8080, pid=42, platform="kubeflow", log_directory="/log", version="1.2", url_prefix="a/b")
WORKER = model.Replica("worker")


def test_a_trial_that_waits() -> None:
    tale = story.Story()
    tale.happens(event.Started())
    tale.proposes("aaaaa", name="it's")
    assert views.trial(tale.state.trials[model.TrialId("aaaaa")], story.CHIEF) == {
        "trialJobId": "aaaaa",
        "sequenceId": 0,
        "status": "WAITING",
        "hyperParameters": [
            '{"parameter_id":0,"parameter_source":"algorithm","parameters":{"x":0,"name":"it\'s"},"parameter_index":0}'
        ],
        "submitTime": 1795441600000,
        "attempt": 1,
        "intermediateCount": 0,
    }


def test_a_trial_that_succeeded_carries_its_final_metric_twice_encoded() -> None:
    tale = story.Story()
    tale.runs("aaaaa")
    tale.passes(10)
    tale.reports("aaaaa", "0.25", final='{"default": 0.5, "loss": NaN}')
    tale.ends("aaaaa")
    answer = views.trial(tale.state.trials[model.TrialId("aaaaa")], story.CHIEF)
    assert {name: answer[name] for name in ("status", "startTime", "endTime", "finalValue", "lastValue")} == {
        "status": "SUCCEEDED",
        "startTime": 1795441600000,
        "endTime": 1795441610000,
        "finalValue": 0.5,
        "lastValue": 0.25,
    }
    assert answer["finalMetricData"] == [
        {
            "timestamp": 1795441610000,
            "trialJobId": "aaaaa",
            "parameterId": "0",
            "type": "FINAL",
            "sequence": 0,
            "data": '"{\\"default\\": 0.5, \\"loss\\": NaN}"',
        }
    ]
    strict = json.loads(views.compact(answer), parse_constant=pytest.fail)
    assert json.loads(strict["finalMetricData"][0]["data"]) == '{"default": 0.5, "loss": NaN}'


def test_the_pods_of_a_trial_that_is_over_do_not_run() -> None:
    tale = story.Story()
    tale.runs("aaaaa")
    roles = ("master", "worker", "ps", "evaluator")
    phases = dict(zip(roles, ("Running", "Running", "Failed", "Pending"), strict=True))
    pods = [model.Pod(replica=model.Replica(role), name=role, phase=phase) for role, phase in phases.items()]
    tale.observes("aaaaa", model.JobPhase.RUNNING, pods=pods)
    trial_id = model.TrialId("aaaaa")
    assert [one["phase"] for one in views.pods(tale.state.trials[trial_id])] == list(phases.values())
    attempt = tale.key("aaaaa")
    for role, code in (("master", 0), ("worker", 3)):
        exited = model.ReplicaExit(code=code, metrics=0)
        tale.happens(event.ReplicaReported(attempt=attempt, replica=model.Replica(role), exit=exited))
    tale.happens(event.KillRequested(trial=trial_id))
    tale.happens(event.Began(action=event.Remove(attempt=attempt, ending=model.TrialStatus.USER_CANCELED)))
    tale.happens(event.JobRemoved(attempt=attempt), event.Harvested(attempt=attempt))
    shown = [(one["phase"], one["exitCode"]) for one in views.pods(tale.state.trials[trial_id])]
    # What a replica said of its end tells what became of its pod; of the others it is known that they are gone.
    assert shown == [("Succeeded", 0), ("Failed", 3), ("Failed", None), ("Gone", None)]


def test_a_trial_that_failed_says_why_and_where_to_look() -> None:
    tale = story.Story()
    tale.runs("aaaaa")
    tale.ends("aaaaa", code=3, lines=["Traceback", "ValueError: it's wrong"], who=WORKER)
    answer = views.trial(tale.state.trials[model.TrialId("aaaaa")], story.CHIEF)
    assert answer["status"] == "FAILED"
    assert answer["exitCode"] == 3
    assert answer["lastLines"] == ["Traceback", "ValueError: it's wrong"]
    assert answer["message"] == "The command of worker-0 ended with exit code 3: ValueError: it's wrong"
    assert answer["reason"] == {
        "class": "user",
        "sentence": "The command of worker-0 ended with exit code 3: ValueError: it's wrong",
        "evidence": "",
        "since": 1795441600000,
        "failsAt": None,
    }
    assert answer["job"] == "nni-exp-story123-trial-aaaaa"
    assert answer["logPath"] == "nfs://10.20.30.40/mnt/nfs/nni/nni/story123/aaaaa"
    assert answer["stderrPath"] == "nfs://10.20.30.40/mnt/nfs/nni/nni/story123/aaaaa/1/worker-0/stderr"


def test_a_link_into_the_portal_is_not_taken_for_a_directory() -> None:
    tale = story.Story()
    tale.proposes("aaaaa")
    tale.creates("aaaaa", directory="http://127.0.0.1:8080/trial")
    tale.ends("aaaaa", code=3)
    answer = views.trial(tale.state.trials[model.TrialId("aaaaa")], story.CHIEF)
    assert answer["logPath"] == answer["stderrPath"] == "http://127.0.0.1:8080/trial/aaaaa"


def test_the_profile_shows_the_limits_that_are_in_force() -> None:
    tale = story.Story()
    assert views.profile(tale.state, ABOUT, tale.now())["execDuration"] == 0
    tale.happens(event.Started())
    tale.happens(event.LimitsChanged(trial_concurrency=5, max_trial_number=None, max_experiment_seconds=7200))
    tale.proposes("aaaaa")
    tale.passes(61.9)
    assert views.profile(tale.state, ABOUT, tale.now()) == {
        "params": {"trialConcurrency": 5, "tuner": {"name": "TPE"}, "maxExperimentDuration": "7200s"},
        "id": "story123",
        "execDuration": 61,
        "logDir": "/log",
        "startTime": 1795441600000,
        "nextSequenceId": 1,
        "revision": 4,
    }


def test_metadata() -> None:
    tale = story.Story()
    tale.happens(event.Started())
    assert views.metadata(tale.state, ABOUT) == {
        "id": "story123",
        "port": 8080,
        "startTime": 1795441600000,
        "endTime": "N/A",
        "status": "RUNNING",
        "platform": "kubeflow",
        "experimentName": "story",
        "tag": [],
        "pid": 42,
        "webuiUrl": [],
        "logDir": "/log",
        "prefixUrl": "a/b",
    }


async def test_only_the_chief_of_the_current_attempt_counts() -> None:
    tale = story.Story()
    tale.runs("aaaaa", "bbbbb")
    tale.reports("aaaaa", "1", "2", final="3")
    tale.reports("aaaaa", "100", who=WORKER)
    tale.reports("bbbbb", "4")
    rows = await tale.metrics()
    assert [row.metric.value for row in views.counting(rows, tale.state)] == ["1", "2", "3", "4"]
    assert [row.metric.value for row in views.latest(views.counting(rows, tale.state))] == ["2", "3", "4"]
    assert views.metric(rows[3], tale.state.trials[model.TrialId("aaaaa")], with_replica=True) == {
        "timestamp": 1795441600000,
        "trialJobId": "aaaaa",
        "parameterId": "0",
        "type": "PERIODICAL",
        "sequence": 0,
        "data": '"100"',
        "role": "worker",
        "index": 0,
        "attempt": 1,
    }


async def test_a_trial_that_goes_on_shows_its_result_and_what_it_tries_now() -> None:
    tale = story.Story()
    tale.runs("aaaaa")
    tale.reports("aaaaa", "1", final="0.5")
    tale.passes(10)
    tale.ends("aaaaa")
    trial_id = model.TrialId("aaaaa")
    before = views.trial(tale.state.trials[trial_id], story.CHIEF)
    going = event.Proposal(
        trial=model.TrialId("zzzzz"), parameter_id=7, parameters={"x": 0, "budget": 3}, promotes=trial_id
    )
    tale.passes(10)
    tale.happens(event.Proposed(asked=0, proposals=(going,)))

    trial = tale.state.trials[trial_id]
    answer = views.trial(trial, story.CHIEF)
    assert (answer["status"], answer["attempt"], answer["finalValue"]) == ("WAITING", 2, 0.5)
    assert answer["finalMetricData"] == before["finalMetricData"]
    sets = [json.loads(text) for text in answer["hyperParameters"]]
    assert [(one["parameter_id"], one["parameters"]) for one in sets] == [(0, {"x": 0}), (7, {"x": 0, "budget": 3})]
    assert views.export(trial) == {"parameter": {"x": 0}, "value": "0.5", "trialJobId": "aaaaa"}
    first, _ = views.history(trial)["attempts"]
    assert (first["finalValue"], first["parameters"]) == (0.5, {"x": 0})
    # Of what was reported before, the result alone counts; each metric has the id of the parameters that gave it.
    tale.creates("aaaaa")
    tale.reports("aaaaa", "9")
    rows = await tale.metrics()
    counted = list(views.counting(rows, tale.state))
    assert [(row.metric.value, row.metric.type) for row in counted] == [("0.5", "FINAL"), ("9", "PERIODICAL")]
    trial = tale.state.trials[trial_id]
    assert [views.metric(row, trial)["parameterId"] for row in rows] == ["0", "0", "7"]


CURRENT = states.Limits(trial_concurrency=2, max_trial_number=6, max_experiment_seconds=None)


@pytest.mark.parametrize(
    ("update_type", "params", "expected"),
    [
        ("TRIAL_CONCURRENCY", {"trialConcurrency": 4, "maxTrialNumber": 99}, (4, 6, None)),
        ("MAX_TRIAL_NUM", {"maxTrialNumber": 10}, (2, 10, None)),
        ("MAX_TRIAL_NUM", {}, (2, None, None)),
        ("MAX_EXEC_DURATION", {"maxExperimentDuration": "1.5h"}, (2, 6, 5400)),
        ("MAX_EXEC_DURATION", {"maxExperimentDuration": "90 M"}, (2, 6, 5400)),
        ("MAX_EXEC_DURATION", {"maxExperimentDuration": 30}, (2, 6, 30)),
        ("MAX_EXEC_DURATION", {}, (2, 6, None)),
    ],
)
def test_limits_that_can_be_asked_for(
    update_type: str, params: dict[str, Any], expected: tuple[int, int | None, int | None]
) -> None:
    change = limits.parse(update_type, {"params": params}, CURRENT, lambda space: [])
    assert isinstance(change, event.LimitsChanged)
    assert (change.trial_concurrency, change.max_trial_number, change.max_experiment_seconds) == expected


@pytest.mark.parametrize(
    ("update_type", "profile", "words"),
    [
        ("TRIAL_CONCURRENCY", {"params": {"trialConcurrency": -1}}, "params.trialConcurrency .* 0 to pause, not -1"),
        ("TRIAL_CONCURRENCY", {"params": {"trialConcurrency": 10**11}}, "up to 100000, 0 to pause, not 100000000000.$"),
        ("TRIAL_CONCURRENCY", {"params": {"trialConcurrency": math.inf}}, "0 to pause, not inf"),
        ("TRIAL_CONCURRENCY", {"params": {"trialConcurrency": "9" * 999}}, "not '9{56}[.]{3}[.]$"),
        ("TRIAL_CONCURRENCY", {"params": {"trialConcurrency": True}}, "0 to pause, not True"),
        ("TRIAL_CONCURRENCY", {"params": {}}, "^params.trialConcurrency is empty; write a whole .* 0 to pause.$"),
        ("TRIAL_CONCURRENCY", [], 'has no "params"'),
        ("MAX_TRIAL_NUM", {"params": {"maxTrialNumber": 1.5}}, "from 1 to 1000000000, or null, not 1.5"),
        ("MAX_TRIAL_NUM", {"params": {"maxTrialNumber": 10**11}}, "from 1 to 1000000000, or null, not 100000000000"),
        ("MAX_TRIAL_NUM", {"params": {"maxTrialNumber": 0}}, "from 1 to 1000000000, or null, not 0"),
        ("MAX_EXEC_DURATION", {"params": {"maxExperimentDuration": True}}, "Duration: True is not a duration; write"),
        ("MAX_EXEC_DURATION", {"params": {"maxExperimentDuration": -1}}, "Duration: -1 is not a duration above zero"),
        ("MAX_EXEC_DURATION", {"params": {"maxExperimentDuration": math.inf}}, "Duration: inf is not a duration"),
        ("MAX_EXEC_DURATION", {"params": {"maxExperimentDuration": 10**400}}, "[.]{3} is too long; write 1000000d at"),
        (
            "MAX_EXEC_DURATION",
            {"params": {"maxExperimentDuration": "1h30"}},
            "Duration: '1h30' is not a duration; write",
        ),
        (
            "MAX_EXEC_DURATION",
            {"params": {"maxExperimentDuration": "0s"}},
            "Duration: '0s' is not a duration above zero",
        ),
        ("SEARCH_SPACE", {"params": {"searchSpace": {}}}, "^search_space: is empty\nsearch_space: is too small$"),
        ("CONCURRENCY", {"params": {}}, "CONCURRENCY cannot be changed"),
        (None, {"params": {}}, "MAX_TRIAL_NUM, MAX_EXEC_DURATION and SEARCH_SPACE can"),
    ],
)
def test_limits_that_cannot(update_type: str | None, profile: object, words: str) -> None:
    problems = [errors.Problem("search_space", "is empty"), errors.Problem("search_space", "is too small")]
    with pytest.raises(ValueError, match=words):
        limits.parse(update_type, profile, CURRENT, lambda space: problems)


def test_results_to_import_are_read_as_they_are_exported_too() -> None:
    found = limits.parse_import(
        [{"parameter": {"x": 1}, "value": 0.5}, {"parameter": {"x": 2}, "value": '{"default": 1}', "trialJobId": "a"}]
    )
    assert [(one.parameters, one.metric) for one in found.results] == [({"x": 1}, "0.5"), ({"x": 2}, '{"default": 1}')]


@pytest.mark.parametrize(
    ("data", "words"),
    [({}, "is not a list"), ([{"parameter": 3, "value": 1}], "at place 0"), ([{"parameter": {}}], "at place 0")],
)
def test_results_that_cannot_be_imported(data: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        limits.parse_import(data)
