"""Names and labels on Kubernetes: legal and distinct for every id that a user may choose."""

import re

import pytest

from nni.core import model
from nni.platforms.kubeflow import names

FIRST = model.AttemptKey(model.TrialId("k2f9z"), 1)
IDS = ("a", "k3x9ab12", "A", "a_b", "a-b", "_x_", "-", "x" * 32, "X" * 32, "9lives", "exp-", "Exp", "exp", "__", "_-_")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize("experiment", IDS)
@pytest.mark.parametrize("number", [1, 2, 999])
def test_a_job_has_a_legal_name_whatever_the_id(experiment: str, number: int) -> None:
    name = names.job(model.ExperimentId(experiment), model.AttemptKey(model.TrialId("k2f9z"), number))

    assert NAME.fullmatch(name)
    assert len(name) <= names.LONGEST


@pytest.mark.parametrize("make", [lambda one: names.job(one, FIRST), names.secret, names.label])
def test_no_two_experiments_share_a_name(make: object) -> None:
    assert callable(make)
    assert len({make(model.ExperimentId(one)) for one in IDS}) == len(IDS)


@pytest.mark.parametrize("experiment", IDS)
def test_labels_are_legal(experiment: str) -> None:
    found = names.labels(model.ExperimentId(experiment), FIRST)

    assert all(LABEL.fullmatch(value) for value in found.values())
    assert names.attempt_of(found) == FIRST


@pytest.mark.parametrize(
    ("experiment", "number", "name"),
    [
        ("k3x9ab12", 1, "nni-exp-k3x9ab12-trial-k2f9z"),
        ("k3x9ab12", 2, "nni-exp-k3x9ab12-trial-k2f9z-2"),
        ("My_Experiment", 1, "nni-exp-my-exper-31c5e7c-trial-k2f9z"),
    ],
)
def test_a_job_is_named_after_experiment_and_trial(experiment: str, number: int, name: str) -> None:
    assert names.job(model.ExperimentId(experiment), model.AttemptKey(model.TrialId("k2f9z"), number)) == name


@pytest.mark.parametrize("labels", [{}, {"nni/trial": "a"}, {"nni/trial": "a", "nni/attempt": "x"}])
def test_what_is_not_ours_has_no_attempt(labels: dict[str, str]) -> None:
    assert names.attempt_of(labels) is None
