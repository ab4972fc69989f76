"""batch/v1 Jobs: what the API server makes of them and refuses, and what their controller reckons: tables."""

import datetime as dt
from typing import Any

import pytest

from nni.sandbox import jobs, kinds, registry, schema, status, store
from nni.sandbox.operators import job_plan, job_pods

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> registry.Registry:
    made = registry.Registry(store.Store(), schema.load(), lambda: MOMENT, {})
    made.create(kinds.NAMESPACE, "", {"metadata": {"name": "default"}})
    return made


def batch_job(**spec: Any) -> schema.Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
    return {"metadata": {"name": "j"}, "spec": {"template": {"spec": pod}, **spec}}


def refusal_of(objects: registry.Registry, kind: kinds.Kind, body: schema.Object) -> tuple[int, str]:
    with pytest.raises(status.Refusal) as caught:
        objects.create(kind, "default", body)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"template": {"spec": {"containers": [{"name": "m", "image": "x"}]}}},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        ({"completionMode": "Indexed", "parallelism": 2},
         "spec.completions: Required value: when completion mode is Indexed"),
        ({"completionMode": "Other"},
         'spec.completionMode: Unsupported value: "Other": supported values: "Indexed", "NonIndexed"'),
        ({"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_what_the_api_refuses_of_batch_jobs(objects: registry.Registry, spec: schema.Object, sentence: str) -> None:
    code, message = refusal_of(objects, kinds.JOB, batch_job(**spec))
    assert (code, message) == (422, f'Job.batch "j" is invalid: {sentence}')


def test_a_batch_job_gets_its_defaults_and_labels(objects: registry.Registry) -> None:
    made = objects.create(kinds.JOB, "default", batch_job())
    spec, uid = made["spec"], made["metadata"]["uid"]
    defaults = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    assert {name: spec[name] for name in defaults} == defaults
    labels = {
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "j", "controller-uid": uid,
        "job-name": "j",
    }  # fmt: skip
    assert spec["template"]["metadata"]["labels"] == made["metadata"]["labels"] == labels
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    without = objects.create(kinds.JOB, "default", batch_job(parallelism=2) | {"metadata": {"name": "open"}})
    assert "completions" not in without["spec"]


@pytest.mark.parametrize(
    ("is_suspended", "change", "is_refused"),
    [
        (False, {"nodeSelector": {"a": "b"}}, True),
        (True, {"nodeSelector": {"a": "b"}}, False),
        (True, {"hostname": "x"}, True),
    ],
)
def test_the_template_of_a_job_is_fixed_but_for_where_waiting_pods_go(
    objects: registry.Registry, is_suspended: bool, change: schema.Object, is_refused: bool
) -> None:
    made = objects.create(kinds.JOB, "default", batch_job(suspend=is_suspended))
    template = made["spec"]["template"]
    changed = {**made, "spec": {**made["spec"], "template": {**template, "spec": {**template["spec"], **change}}}}
    found = list(jobs.findings(changed, made))
    assert [each.path for each in found] == (["spec.template"] if is_refused else [])


@pytest.mark.parametrize(
    ("text", "found"),
    [("", set()), ("0", {0}), ("0,1", {0, 1}), ("0-2", {0, 1, 2}), ("1,3-5,7", {1, 3, 4, 5, 7}), ("0,2", {0, 2})],
)
def test_completed_indexes_are_written_in_runs(text: str, found: set[int]) -> None:
    assert (job_plan.indexes(text), job_plan.written(found)) == (found, text)


def ended(phase: str, seconds: int) -> schema.Object:
    finished = (MOMENT + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    states = [{"name": "main", "state": {"terminated": {"exitCode": 1, "finishedAt": finished}}}]
    metadata = {"creationTimestamp": "2026-01-02T03:04:05Z"}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": states}}


@pytest.mark.parametrize(
    ("pods", "seconds"),
    [
        ([], None),
        ([ended("Succeeded", 0)], None),
        ([ended("Failed", 0)], 10),
        ([ended("Failed", 0), ended("Failed", 15)], 35),
        ([ended("Failed", 0), ended("Failed", 15), ended("Failed", 40)], 80),
        ([ended("Failed", 0), ended("Succeeded", 5), ended("Failed", 15)], 25),
        ([ended("Failed", number) for number in range(20)], 619),
    ],
)
def test_the_wait_after_failures_doubles(pods: list[schema.Object], seconds: int | None) -> None:
    expected = None if seconds is None else MOMENT + dt.timedelta(seconds=seconds)
    assert job_pods.replacement_due(pods) == expected


@pytest.mark.parametrize(
    ("spec", "seconds", "again"),
    [({}, 3, 10), ({"activeDeadlineSeconds": 7}, 3, 7), ({"activeDeadlineSeconds": 20}, 3, 10), ({}, 10, None)],
)
def test_a_job_is_looked_at_again_when_it_may_go_on_or_must_end(
    objects: registry.Registry, spec: schema.Object, seconds: int, again: int | None
) -> None:
    made = objects.create(kinds.JOB, "default", batch_job(**spec))
    job = {**made, "status": {"startTime": "2026-01-02T03:04:05Z"}}
    plan = job_plan.make(job, [ended("Failed", 0)], MOMENT + dt.timedelta(seconds=seconds))
    assert plan.create == ([None] if again is None else [])
    assert plan.again == (None if again is None else MOMENT + dt.timedelta(seconds=again))
