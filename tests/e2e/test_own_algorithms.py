"""Tuners and assessors of users' own in whole experiments: whatever they do, the manager lives and says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.experiment import AlgorithmConfig, Experiment
from nni.testing import experiments

TRIAL = """\
import nni
parameters = nni.get_next_parameter()
nni.report_intermediate_result(0.1)
nni.report_final_result(0.5)
"""

TUNER = """\
# {mark}
import os

import numpy as np
from nni.tuner import Tuner

itself = {{}}
itself["itself"] = itself


class Mine(Tuner):
    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id, **kwargs):
        return {answer}

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass
"""

MAPPING = (
    "The tuner mine.Mine failed: generate_parameters of Mine must return a mapping of parameters by their names, not "
)
JSON = "The tuner mine.Mine failed: generate_parameters of Mine must return what JSON can hold, "
ANSWERS = {
    "None": MAPPING + "None.",
    "[0.5]": MAPPING + "[0.5].",
    "'x=0.5'": MAPPING + "'x=0.5'.",
    "np.zeros(3)": MAPPING + "array([0., 0., 0.]).",
    "{'x': 0.5, 'also': {1, 2}}": JSON + "but also is {1, 2}, a set.",
    "{'x': 0.5, 'also': [1, b'x']}": JSON + "but also[1] is b'x', a bytes.",
    "{'x': 0.5, 'also': {'in': Tuner}}": JSON + "but also.in is <class 'nni.tuner.Tuner'>, a type.",
    "{'x': 0.5, 1: 2}": JSON + "but it has the name 1, which is not text.",
    "{'x': float('nan')}": JSON + "but x is nan, which JSON has no number for.",
    "{'x': np.array([1, np.inf])}": JSON + "but x[1] is inf, which JSON has no number for.",
    "{'x': 10**400}": JSON + "but x is an integer too large for a number.",
    "{'x': -(10**5000)}": JSON + "but x is an integer too large for a number.",
    "{'x': '\\ud800'}": JSON + "but x is '\\ud800', which holds half a character.",
    "{'x': itself}": JSON + "and these parameters hold themselves.",
    "{'x': 'a' * 1_000_000}": "Mine must return at most 1000000 characters of JSON, not 1000009; put large things into",
    "int('half \\ud800, ' + 5000 * ' more')": "ValueError: invalid literal for int() with base 10: 'half ",
    "os._exit(3)": "The tuner mine.Mine ended by itself (exit code 3)",
    "exit(4)": "The tuner mine.Mine ended by itself (exit code 4)",
    # What it says to the manager is not its own affair, but it can.
    "os.write(4, b'nonsense\\n')": "The tuner mine.Mine answered no message: Expecting value: line 1 column 1",
}


@pytest.fixture
def make_own(make: Callable[..., Experiment], tmp_path: Path) -> Callable[..., Experiment]:
    """Return what makes an experiment with the tuner mine.Mine, in a directory where tests write it."""

    def make_one(**config: Any) -> Experiment:
        experiment = make(TRIAL, "local", trial_concurrency=1, **config)
        experiment.config.tuner.name = None
        experiment.config.tuner.class_name = "mine.Mine"
        experiment.config.tuner.code_directory = tmp_path
        return experiment

    return make_one


def test_whatever_a_tuner_answers_the_experiment_pauses_and_goes_on_when_it_is_mended(
    make_own: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    experiment = make_own(max_trial_number=1)
    said = {}
    for number, answer in enumerate(ANSWERS):
        # Of another length each time, so that none is taken for the one before that was compiled.
        (tmp_path / "mine.py").write_text(TUNER.format(mark="x" * number, answer=answer))
        if number == 0:
            experiment.start(free_port)
        else:
            experiment.resume_tuner()
        experiments.until(experiment, lambda change: change["experiment"]["status"] == "ERROR")
        (said[answer],) = experiment.get_errors()
    good = "{'x': np.float32(0.5), 'n': np.int64(3), 'also': (np.bool_(1), np.arange(2)), 'text': np.str_('it')}"
    (tmp_path / "mine.py").write_text(TUNER.format(mark="", answer=good))

    experiment.resume_tuner()

    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
    wrong = {answer: said[answer] for answer, sentence in ANSWERS.items() if sentence not in said[answer]}
    assert wrong == {}
    assert [sentence for sentence in said.values() if "\n" in sentence or len(sentence) > 2300] == []
    (result,) = experiment.export_data()
    assert result.parameter == {"x": 0.5, "n": 3, "also": [True, [0, 1]], "text": "it"}


ASSESSOR = """\
# {mark}
import numpy as np
from nni.assessor import Assessor, AssessResult


class Mine(Assessor):
    def assess_trial(self, trial_job_id, trial_history):
        return {answer}
"""
VERDICTS = {
    "None": (
        "The assessor judge.Mine failed: "
        "assess_trial of Mine must return AssessResult.Good or AssessResult.Bad, not None."
    ),
    "'Good'": "AssessResult.Bad, not 'Good'.",
    "float('nan')": "AssessResult.Bad, not nan.",
    "10**5000": "AssessResult.Bad, not a int too large to show.",
    "np.ones(2) > 0": "AssessResult.Bad, not [True, True].",
}


def test_whatever_an_assessor_answers_the_experiment_pauses_and_goes_on_when_it_is_mended(
    make: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    experiment = make(TRIAL, "local", trial_concurrency=1, max_trial_number=2)
    experiment.config.assessor = AlgorithmConfig(class_name="judge.Mine", code_directory=tmp_path, class_args={})
    first, *others = VERDICTS
    (tmp_path / "judge.py").write_text(ASSESSOR.format(mark="", answer=first))
    experiment.start(free_port)
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "ERROR")
    said = {first: "".join(experiment.get_errors())}
    # It is asked about the trial that has ended meanwhile as soon as it begins anew.
    experiments.until(experiment, lambda change: change["counts"]["SUCCEEDED"] == 1)
    for number, answer in enumerate(others, 1):
        (tmp_path / "judge.py").write_text(ASSESSOR.format(mark="x" * number, answer=answer))
        with pytest.raises(errors.RequestRefusedError) as refused:
            experiment.resume_tuner()
        said[answer] = str(refused.value)
    (tmp_path / "judge.py").write_text(ASSESSOR.format(mark="", answer="np.bool_(len(trial_history) == 1)"))

    experiment.resume_tuner()

    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
    assert {answer: said[answer] for answer, sentence in VERDICTS.items() if sentence not in said[answer]} == {}
    assert [trial.status for trial in experiment.list_trial_jobs()] == ["SUCCEEDED"] * 2


def test_parameters_of_the_users_own_that_nobody_could_show_are_refused(
    make_own: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(TUNER.format(mark="", answer="{'x': 1}"))
    experiment = make_own(max_trial_number=1)
    experiment.start(free_port)
    connected = experiment._connected
    sent = json.loads('{"x": [1, "\\ud800"]}')
    with pytest.raises(errors.RequestRefusedError, match=r"cannot have these parameters: x\[1\] is '\\ud800'"):
        connected.post("trial-jobs", sent)
    with pytest.raises(errors.RequestRefusedError, match=r"at place 0 cannot have these parameters: x is nan"):
        connected.post("experiment/import-data", [{"parameter": {"x": float("nan")}, "value": 1}])
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")
