"""Tuners and assessors of users' own, as they are written for NNI, run unchanged in the tuner process."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.core import model, spec
from nni.testing import tuner as contract
from nni.tuners import process

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "act": {"_type": "choice", "_value": ["relu", "tanh"]}}

COUNTING = """
import json
import logging
import os

from nni.tuner import Tuner
from nni.utils import extract_scalar_reward

logger = logging.getLogger('counting')
here = os.path.dirname(__file__)
results = open(os.path.join(here, 'results.txt'), 'w')


class CountingTuner(Tuner):
    def __init__(self, optimize_mode='maximize', most=3):
        super(CountingTuner, self).__init__()
        self.number = 0
        self.most = most
        print('printing is harmless')

    def update_search_space(self, search_space):
        with open(os.path.join(here, 'space.json'), 'w') as f:
            json.dump(search_space, f)

    def generate_parameters(self, parameter_id, **kwargs):
        import nni
        if self.number == self.most:
            raise nni.NoMoreTrialError('that is all')
        self.number += 1
        return {'x': self.number}

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        results.write('%d %s %s\\n' % (parameters['x'], extract_scalar_reward(value), kwargs['trial_job_id']))
        results.flush()

    def trial_end(self, parameter_id, success, **kwargs):
        results.write('end %d %s\\n' % (parameter_id, success))
        results.flush()

    def _on_exit(self):
        results.write('exit\\n')
        results.close()
"""

CLIMBING = '''
from enum import Enum, unique

import numpy as np
from nni.tuner import Tuner
from nni.utils import OptimizeMode, extract_scalar_reward


class HillClimbing(Tuner):
    """Keeps its best point as an array and steps from it."""

    def __init__(self, optimize_mode, step=0.1, seed=0):
        self.mode = OptimizeMode(optimize_mode)
        self.step = step
        self.random = np.random.RandomState(seed)
        self.best, self.best_reward = None, -np.inf
        self.running = dict()

    def update_search_space(self, search_space):
        self.names = sorted(name for name in search_space if search_space[name]['_type'] == 'uniform')
        self.low = np.array([search_space[name]['_value'][0] for name in self.names], dtype=float)
        self.high = np.array([search_space[name]['_value'][1] for name in self.names], dtype=float)
        self.acts = search_space['act']['_value']

    def generate_multiple_parameters(self, parameter_id_list, **kwargs):
        return [self.generate_parameters(one, **kwargs) for one in parameter_id_list]

    def generate_parameters(self, parameter_id, **kwargs):
        if self.best is None:
            point = self.random.uniform(self.low, self.high)
        else:
            point = self.best + self.random.normal(size=len(self.low)) * self.step
        self.running[parameter_id] = np.clip(point, self.low, self.high)
        parameters = dict(zip(self.names, self.running[parameter_id]))
        parameters['act'] = self.acts[self.random.randint(len(self.acts))]
        parameters['layers'] = np.int64(3)
        return parameters

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        reward = extract_scalar_reward(value)
        if self.mode is OptimizeMode.Minimize:
            reward = -reward
        if reward > self.best_reward:
            self.best, self.best_reward = self.running.pop(parameter_id), reward

    def import_data(self, data):
        for one in data:
            point = np.array([one['parameter'][name] for name in self.names])
            reward = extract_scalar_reward(one['value'])
            reward = -reward if self.mode is OptimizeMode.Minimize else reward
            if reward > self.best_reward:
                self.best, self.best_reward = point, reward
'''

PATIENT = '''
import logging
from collections import defaultdict

from nni.assessor import Assessor, AssessResult
from nni.utils import extract_scalar_history

logger = logging.getLogger('patient')


class PatientAssessor(Assessor):
    """Stops a trial that has not become better for some results."""

    def __init__(self, patience=2, higher_is_better=True):
        super(PatientAssessor, self).__init__()
        self.patience = patience
        self.sign = 1 if higher_is_better else -1
        self.judged = defaultdict(int)

    def assess_trial(self, trial_job_id, trial_history):
        history = [self.sign * one for one in extract_scalar_history(trial_history)]
        self.judged[trial_job_id] += 1
        best = history.index(max(history))
        return AssessResult.Good if len(history) - 1 - best < self.patience else AssessResult.Bad

    def trial_end(self, trial_job_id, success):
        del self.judged[trial_job_id]
'''


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    for name, text in {"counting": COUNTING, "climbing": CLIMBING, "patient": PATIENT}.items():
        (directory / f"{name}.py").write_text(text)
    return directory


def tuner(code: Path, class_name: str, **class_args: Any) -> process.TunerProcess:
    chosen = spec.AlgorithmSpec(class_name=class_name, code_directory=str(code), class_args=class_args)
    return process.TunerProcess(tuner=chosen, search_space=SPACE, log=code / "log")


async def test_a_tuner_that_writes_files_and_has_an_end(code: Path) -> None:
    counting = tuner(code, "counting.CountingTuner", most=2)
    await counting.open()
    assert await contract.drawn(counting, [0, 1, 2]) == [{"x": 1}, {"x": 2}]
    told = model.Outcome(
        parameter_id=0,
        parameters={"x": 1},
        value=0.5,
        metric='{"default": 0.5, "loss": 2}',
        succeeded=True,
        trial=model.TrialId("abcde"),
    )
    await counting.tell([told, contract.outcome(1, {"x": 2}, None)])
    await counting.close()
    assert (code / "results.txt").read_text() == "1 0.5 abcde\nend 0 True\nend 1 False\nexit\n"
    assert json.loads((code / "space.json").read_text()) == SPACE
    assert "printing is harmless" in (code / "log").read_text()


async def test_a_tuner_behind_initial_parameters_keeps_its_state_and_has_an_end(code: Path) -> None:
    chosen = spec.AlgorithmSpec(class_name="counting.CountingTuner", code_directory=str(code))
    counting = process.TunerProcess(tuner=chosen, search_space=SPACE, log=code / "log", first=[{"x": 7}])
    await counting.open()
    assert await contract.drawn(counting, [0, 1]) == [{"x": 7}, {"x": 1}]
    other = {"x": {"_type": "uniform", "_value": [0, 2]}}
    await counting.update(other)
    assert await contract.drawn(counting, [2]) == [{"x": 2}]
    await counting.close()
    assert json.loads((code / "space.json").read_text()) == other
    assert (code / "results.txt").read_text() == "exit\n"


async def test_a_tuner_with_numpy_state_climbs_and_takes_what_was_before_a_restart(code: Path) -> None:
    def loss(parameters: Mapping[str, Any]) -> float:
        return float((parameters["x"] - 0.8) ** 2)

    climbing = tuner(code, "climbing.HillClimbing", optimize_mode="minimize", step=0.05)
    await climbing.open()
    await climbing.tell([contract.outcome(100, {"x": 0.7, "act": "relu"}, 0.01)])
    losses = []
    for number in range(40):
        (parameters,) = await contract.drawn(climbing, [number])
        assert set(parameters) == {"x", "act", "layers"}
        losses.append(loss(parameters))
        await climbing.tell([contract.outcome(number, parameters, losses[-1])])
    await climbing.close()
    assert losses[0] < 0.1
    assert min(losses) < 0.001


async def test_an_assessor(code: Path) -> None:
    chosen = spec.AlgorithmSpec(
        class_name="patient.PatientAssessor", code_directory=str(code), class_args={"patience": 2}
    )
    patient = process.AssessorProcess(assessor=chosen, maximize=True, log=code / "log")
    await patient.open()
    trial = model.TrialId("abcde")
    assert await patient.assess(trial, 0, ["0.1", '{"default": 0.3, "loss": 1}', "0.2"])
    assert not await patient.assess(trial, 3, ["0.2"])
    await patient.end(trial, succeeded=False)
    assert await patient.assess(model.TrialId("other"), 0, ["0.1"])
    await patient.close()


@pytest.mark.parametrize(
    ("class_name", "class_args", "says"),
    [
        (
            "absent.Tuner",
            {},
            r"There is no module absent in .*/code; set code_directory to where it is, and class_name to",
        ),
        ("broken.Syntax", {}, r"SyntaxError: '\(' was never closed in .*/code/broken\.py:1 \(see"),
        (
            "needy.Tuner",
            {},
            r"ModuleNotFoundError: No module named 'absent_too' in <module>, .*/code/needy\.py:1 \(see",
        ),
        ("lines.Lines", {}, r"ValueError: one; two in __init__, .*/code/lines\.py:5 \(see"),
        ("lines.Early", {}, r"NoMoreTrialError: too early in update_search_space, .*/code/lines\.py:9 \(see"),
        ("counting.Missing", {}, r"There is no class Missing in .*counting\.py; set class_name to 'module\.Class'\."),
        ("patient.PatientAssessor", {}, r"patient\.PatientAssessor is not a tuner; derive it from nni\.tuner\.Tuner\."),
        ("climbing.HillClimbing", {"optimize_mode": "up"}, r"'up' is not a valid OptimizeMode"),
        (
            "climbing.HillClimbing",
            {},
            r"class_args do not fit HillClimbing\(optimize_mode, step=0\.1, seed=0\): missing a required argument",
        ),
        (
            "counting.CountingTuner",
            {"mode": 1},
            r"CountingTuner\(optimize_mode='maximize', most=3\): got an unexpected keyword argument 'mode'\. \(see",
        ),
    ],
)
async def test_what_cannot_be_made_is_one_sentence(
    code: Path, class_name: str, class_args: Mapping[str, Any], says: str
) -> None:
    (code / "broken.py").write_text("class Syntax(\n    def")
    (code / "needy.py").write_text("import absent_too\n")
    (code / "lines.py").write_text(
        "import nni\nfrom nni.tuner import Tuner\n"
        "class Lines(Tuner):\n    def __init__(self):\n        raise ValueError('one\\n\\ntwo')\n"
        "\nclass Early(Tuner):\n"
        "    def update_search_space(self, space):\n        raise nni.NoMoreTrialError('too early')\n"
    )
    with pytest.raises(errors.TunerError, match=f"^The tuner {re.escape(class_name)} failed: .*{says}"):
        await tuner(code, class_name, **class_args).open()


async def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    chosen = spec.AlgorithmSpec(class_name="mine.Mine", code_directory=str(tmp_path / "gone"))
    absent = process.TunerProcess(tuner=chosen, search_space=SPACE, log=tmp_path / "log")
    with pytest.raises(errors.TunerError, match=r"There is no directory .*/gone, which code_directory names\. \(see"):
        await absent.open()


async def test_an_assessor_that_fails_is_one_line_with_its_place_behind_what_it_calls(code: Path) -> None:
    (code / "judge.py").write_text(
        "import json\nfrom nni.assessor import Assessor\n\n"
        "class Judge(Assessor):\n    def assess_trial(self, trial_job_id, trial_history):\n"
        "        if trial_history[-1] > 0:\n            return json.dumps({1})\n"
        "        raise RuntimeError('one\\n  two')\n"
    )
    place = r"in assess_trial, .*/judge\.py:%d \(see .*/log\)$"
    for value, says in (
        ("1", "TypeError: Object of type set .* " + place % 7),
        ("0", "RuntimeError: one; two " + place % 8),
    ):
        chosen = spec.AlgorithmSpec(class_name="judge.Judge", code_directory=str(code))
        judge = process.AssessorProcess(assessor=chosen, maximize=True, log=code / "log")
        await judge.open()
        with pytest.raises(errors.TunerError, match=f"^The assessor judge.Judge failed: {says}"):
            await judge.assess(model.TrialId("abcde"), 0, [value])
        await judge.close()
    assert "return json.dumps({1})" in (code / "log").read_text()


async def test_a_crash_names_the_line_of_the_users_code_and_its_traceback_is_in_the_log(code: Path) -> None:
    (code / "broken.py").write_text(
        "from nni.tuner import Tuner\n\n"
        "class Broken(Tuner):\n    def update_search_space(self, space):\n        pass\n\n"
        "    def generate_parameters(self, parameter_id, **kwargs):\n        return 1 / 0\n"
    )
    broken = tuner(code, "broken.Broken")
    await broken.open()
    with pytest.raises(
        errors.TunerError,
        match=r"failed: ZeroDivisionError: division by zero in generate_parameters, .*/broken\.py:8 \(see .*/log\)$",
    ):
        await broken.ask([0])
    await broken.close()
    assert "return 1 / 0" in (code / "log").read_text()


@pytest.mark.parametrize(
    ("leaves", "says"),
    [("sys.exit()", "SystemExit(: None)?"), ("sys.exit(0)", "SystemExit: 0"), ("exit('tired')", "SystemExit: tired")],
)
async def test_a_tuner_that_leaves_is_named_by_its_line_as_one_that_crashes(code: Path, leaves: str, says: str) -> None:
    (code / "leaving.py").write_text(
        "import sys\nfrom nni.tuner import Tuner\n\n"
        "class Leaving(Tuner):\n    def update_search_space(self, space):\n        pass\n\n"
        f"    def generate_parameters(self, parameter_id, **kwargs):\n        {leaves}\n"
    )
    leaving = tuner(code, "leaving.Leaving")
    await leaving.open()
    place = r"in generate_parameters, .*/leaving\.py:9 \(see .*/log\)$"
    with pytest.raises(errors.TunerError, match=rf"^The tuner leaving\.Leaving failed: {says} {place}"):
        await leaving.ask([0])
    await leaving.close()
    assert leaves in (code / "log").read_text()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
async def test_a_class_of_the_users_takes_as_many_threads_as_it_likes(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    counting = tuner(code, "counting.CountingTuner", most=2)
    await counting.open()
    known = Path(f"/proc/{counting.pid}/environ").read_bytes()
    await counting.close()
    assert b"OMP_NUM_THREADS" not in known


async def test_an_answer_too_long_to_read_ends_the_tuner_alone(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LINE_LIMIT", 1 << 16)
    (code / "long.py").write_text(
        "from nni.tuner import Tuner\n\n"
        "class Long(Tuner):\n    def update_search_space(self, space):\n        pass\n\n"
        "    def generate_parameters(self, parameter_id, **kwargs):\n        return {'x': 'a' * 900_000}\n"
    )
    long = tuner(code, "long.Long")
    await long.open()
    for _ in range(2):
        with pytest.raises(errors.TunerError, match=r"^The tuner long\.Long answered more than 65536 bytes \(see "):
            await long.ask([0])
    assert (await long.ended()).startswith("The tuner long.Long answered more than")
    await long.close()


LISTENING = """
import os

from nni.tuner import Tuner

here = os.path.dirname(__file__)


class ListeningTuner(Tuner):
    def __init__(self, accept):
        if accept:
            self._accept_customized_trials()

    def write(self, *said):
        with open(os.path.join(here, 'told.txt'), 'a') as f:
            print(*said, file=f)

    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id, **kwargs):
        return {'x': parameter_id}

    def receive_trial_result(self, parameter_id, parameters, value, customized, trial_job_id):
        self.write('result', parameter_id, parameters['x'], value, customized, trial_job_id)

    def trial_end(self, parameter_id, success):
        self.write('end', parameter_id, success)

    def import_data(self, data):
        self.write('import', data)
"""


@pytest.mark.parametrize("accept", [False, True])
async def test_what_a_tuner_is_told_of_which_trials(code: Path, accept: bool) -> None:
    (code / "listening.py").write_text(LISTENING)
    listening = tuner(code, "listening.ListeningTuner", accept=accept)
    await listening.open()
    assert await contract.drawn(listening, [0, 1]) == [{"x": 0}, {"x": 1}]

    def outcome(number: int, name: str, value: float | None, **more: Any) -> model.Outcome:
        return model.Outcome(
            parameter_id=number,
            parameters={"x": number},
            value=value,
            metric=None if value is None else str(value),
            succeeded=value is not None,
            trial=model.TrialId(name),
            **more,
        )

    await listening.tell(
        [
            outcome(0, "whole", 0.5),
            outcome(1, "early", 0.25, is_whole=False),
            outcome(2, "users", 0.75, is_customized=True),
            outcome(3, "usersbad", None, is_customized=True),
            outcome(4, "before", 1.0),
        ]
    )
    await listening.close()
    told = ["result 0 0 0.5 False whole", "end 0 True", "result 1 1 0.25 False early", "end 1 False"]
    if accept:
        told += ["result 2 2 0.75 True users", "end 2 True", "end 3 False"]
    told += ["import [{'parameter': {'x': 4}, 'value': 1.0}]"]
    assert (code / "told.txt").read_text().splitlines() == told


@pytest.mark.parametrize("first", [[], [{"x": 9}]], ids=["alone", "behind initial parameters"])
async def test_what_was_before_a_restart_is_imported_as_one_list(code: Path, first: list[Mapping[str, Any]]) -> None:
    (code / "listening.py").write_text(LISTENING)
    chosen = spec.AlgorithmSpec(
        class_name="listening.ListeningTuner", code_directory=str(code), class_args={"accept": False}
    )
    listening = process.TunerProcess(tuner=chosen, search_space=SPACE, log=code / "log", first=first)
    await listening.open()
    await contract.drawn(listening, list(range(len(first) + 1)))
    own = len(first)
    before = [contract.outcome(number, {"x": number}, value) for number, value in ((7, 0.5), (8, None), (9, 0.25))]
    await listening.tell([*before, contract.outcome(own, {"x": own}, 1.0), contract.outcome(10, {"x": 10}, 2.0)])
    await listening.close()
    assert (code / "told.txt").read_text().splitlines() == [
        "import [{'parameter': {'x': 7}, 'value': 0.5}, {'parameter': {'x': 9}, 'value': 0.25}]",
        f"result {own} {own} 1.0 False ",
        f"end {own} True",
        "import [{'parameter': {'x': 10}, 'value': 2.0}]",
    ]


async def test_a_tuner_that_imports_nothing_says_so_once(code: Path) -> None:
    counting = tuner(code, "counting.CountingTuner")
    await counting.open()
    await counting.tell([contract.outcome(number, {"x": number}, 0.5) for number in range(7, 12)])
    await counting.close()
    said = [line for line in (code / "log").read_text().splitlines() if "import_data" in line]
    assert said == ["CountingTuner has no import_data, so 5 results are passed over."]
