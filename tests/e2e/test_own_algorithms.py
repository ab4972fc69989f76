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
    "exit(4)": "The tuner mine.Mine failed: SystemExit: 4 in generate_parameters, ",
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


BREEDING = """\
import os
from collections import deque

import numpy as np

import nni
from nni import ClassArgsValidator
from nni.tuner import Tuner
from nni.utils import OptimizeMode, extract_scalar_reward, json2parameter, json2space, split_index

here = os.path.dirname(os.path.abspath(__file__))


class MineClassArgsValidator(ClassArgsValidator):
    def validate_class_args(self, **kwargs):
        self.choices('optimize_mode', 'maximize', 'minimize').validate(kwargs['optimize_mode'])
        self.range('size', int, 1, 99).validate(kwargs['size'])


class Mine(Tuner):
    def __init__(self, optimize_mode, size=2, generations=3):
        super(Mine, self).__init__()
        self.mode = OptimizeMode(optimize_mode)
        self.size, self.left = size, generations
        self.random = np.random.RandomState(1)
        self.under_way, self.waiting, self.best = {}, deque(), None
        self._accept_customized_trials()

    def write(self, text, *values):
        with open(os.path.join(here, 'story.txt'), 'a') as f:
            f.write(text % values + '\\n')

    def update_search_space(self, search_space):
        self.space = search_space
        self.names = json2space(search_space)
        self.young = deque()
        self.breed(dict.fromkeys(self.names, True), None)

    def breed(self, is_rand, parent):
        self.left -= 1
        for _ in range(self.size):
            self.young.append(json2parameter(self.space, is_rand, self.random, parent))

    def generate_multiple_parameters(self, parameter_id_list, **kwargs):
        self.send_trial_callback = kwargs['st_callback']
        result = []
        for parameter_id in parameter_id_list:
            try:
                result.append(self.generate_parameters(parameter_id, **kwargs))
            except nni.NoMoreTrialError:
                self.waiting.append(parameter_id)
        return result

    def generate_parameters(self, parameter_id, **kwargs):
        if not self.young:
            raise nni.NoMoreTrialError('no more parameters now.')
        self.under_way[parameter_id] = self.young.popleft()
        return split_index(self.under_way[parameter_id])

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.write('%s customized=%s', kwargs['trial_job_id'], kwargs['customized'])
        if kwargs['customized']:
            return
        reward = extract_scalar_reward(value)
        assert split_index(self.under_way[parameter_id]) == parameters
        reward = -reward if self.mode is OptimizeMode.Minimize else reward
        if self.best is None or reward > self.best[0]:
            self.best = reward, self.under_way[parameter_id]

    def trial_end(self, parameter_id, success):
        if self.under_way.pop(parameter_id, None) is None or self.under_way or self.young or not self.left:
            return
        self.write('a generation of %d', self.size)
        parent = self.best[1]
        changed = self.random.choice(json2space(self.space, parent))
        self.breed({name: name == changed for name in self.names}, parent)
        while self.waiting and self.young:
            parameter_id = self.waiting.popleft()
            self.send_trial_callback(parameter_id, self.generate_parameters(parameter_id))
"""
NESTED = {
    "x": {"_type": "quniform", "_value": [0, 1, 0.1]},
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "wide", "units": {"_type": "randint", "_value": [1, 9]}},
            {"_name": "deep", "rate": {"_type": "loguniform", "_value": [0.01, 1]}},
        ],
    },
}
BRED = """\
import nni
parameters = nni.get_next_parameter()
nni.report_final_result({"default": parameters["x"], "name": parameters["net"]["_name"]})
"""


@pytest.mark.parametrize("platform", ["local", "kubeflow"])
def test_a_population_that_is_bred_when_the_one_before_has_ended(
    make: Callable[..., Experiment], free_port: int, tmp_path: Path, platform: str
) -> None:
    (tmp_path / "mine.py").write_text(BREEDING)
    experiment = make(BRED, platform, trial_concurrency=3, search_space=NESTED)
    experiment.config.tuner.name = None
    experiment.config.tuner.class_name = "mine.Mine"
    experiment.config.tuner.code_directory = tmp_path
    experiment.config.tuner.class_args = {"optimize_mode": "maximize", "size": 2}
    experiment.start(free_port)
    own = experiment._connected.post("trial-jobs", {"x": 7, "net": {"_name": "mine"}})["trialJobId"]

    # It ends by itself: nobody says how many trials there are to be.
    experiments.until(experiment, lambda change: change["experiment"]["status"] == "DONE")

    trials = {trial.trialJobId: trial.hyperParameters[0] for trial in experiment.list_trial_jobs()}
    assert len(trials) == 7
    assert {one["parameter_source"] for key, one in trials.items() if key != own} == {"algorithm"}
    assert trials[own]["parameter_source"] == "customized"
    story = (tmp_path / "story.txt").read_text().splitlines()
    assert story.count("a generation of 2") == 2
    told = {line for line in story if "customized" in line}
    assert told == {f"{key} customized={key == own}" for key in trials}


def test_arguments_that_a_validator_refuses_are_said_before_anything_runs(
    make_own: Callable[..., Experiment], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(BREEDING)
    experiment = make_own()
    experiment.config.tuner.class_args = {"optimize_mode": "maximize", "size": 0}
    refused = "MineClassArgsValidator refuses the class_args of Mine: size should be of type int and from 1 to 99"
    with pytest.raises(errors.ManagerError, match=refused):
        experiment.start(free_port)
