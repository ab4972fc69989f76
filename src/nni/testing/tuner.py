"""A tuner that follows a script, and what all tuners behind ``TunerPort`` have to do.

A test class inherits ``TunerContract`` and says how its tuner is made:

    class TestMine(tuner.TunerContract):
        def make(self, directory): ...
"""
# ruff: noqa: S101 - a contract is told in assertions

import abc
import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import model, ports

SEARCH_SPACE = {
    "lr": {"_type": "loguniform", "_value": [0.001, 1.0]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "act": {"_type": "choice", "_value": ["relu", None, {"deep": [1, 2.5]}, "it's"]},
}
"""For tuners under the contract; it has far more points than a contract asks for."""


class ScriptedTuner:
    """``TunerPort`` that gives prepared answers and remembers what it was told."""

    def __init__(self, script: Iterable[model.Parameters], *, fails_after: int | None = None) -> None:
        """Take what to answer.

        Args:
            script: One set of parameters after another; when it ends there are no more.
            fails_after: How many sets are given before the tuner fails.
        """
        self._script = iter(script)
        self._left = fails_after
        self._failed = False
        self._answers: dict[int, model.Parameters] = {}
        self.told: dict[int, model.Outcome] = {}
        """Outcomes by parameter id, in the order in which they came."""
        self.is_open = False
        self.search_space: Mapping[str, Any] = SEARCH_SPACE

    async def open(self) -> None:
        """See the port."""
        self.is_open = True

    async def ask(self, parameter_ids: Sequence[int], new: int | None = None) -> Sequence[model.Suggestion]:
        """See the port; nothing is ever promoted."""
        self._check()
        answers = []
        for parameter_id in parameter_ids:
            if parameter_id not in self._answers and not self._prepare(parameter_id):
                break
            answers.append(model.Suggestion(parameters=self._answers[parameter_id]))
        return answers if new is None else answers[:new]

    async def tell(self, outcomes: Sequence[model.Outcome]) -> None:
        """See the port."""
        self._check()
        for outcome in outcomes:
            self.told.setdefault(outcome.parameter_id, outcome)

    async def update(self, search_space: Mapping[str, Any]) -> None:
        """See the port; the script goes on as it was written."""
        self._check()
        self.search_space = search_space

    async def close(self) -> None:
        """See the port."""
        self.is_open = False

    def _prepare(self, parameter_id: int) -> bool:
        if self._left == 0:
            self._failed = True
            self._check()
        try:
            self._answers[parameter_id] = next(self._script)
        except StopIteration:
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _check(self) -> None:
        if self._failed or not self.is_open:
            raise errors.TunerError("The scripted tuner failed." if self._failed else "The tuner is not open.")


class TunerContract(abc.ABC):
    """What every implementation of ``TunerPort`` has to do."""

    @abc.abstractmethod
    def make(self, directory: Path) -> ports.TunerPort:
        """Return a tuner for ``SEARCH_SPACE``, not opened yet; ``directory`` is empty and its own."""

    async def test_each_id_gets_parameters(self, tmp_path: Path) -> None:
        """As many as asked for, as plain JSON."""
        tuner = self.make(tmp_path)
        await tuner.open()
        answers = await drawn(tuner, [0, 1, 2])
        assert len(answers) == 3
        assert json.loads(json.dumps(answers)) == answers
        assert [set(parameters) for parameters in answers] == [set(SEARCH_SPACE)] * 3
        await tuner.close()

    async def test_an_id_gets_the_same_answer_again(self, tmp_path: Path) -> None:
        """Alone, among others, and after it was told how the trial ended."""
        tuner = self.make(tmp_path)
        await tuner.open()
        first, second = await tuner.ask([0, 1])
        assert list(await tuner.ask([1])) == [second]
        assert list(await tuner.ask([2, 0]))[1:] == [first]
        await tuner.tell([outcome(0, first.parameters, 0.5)])
        assert list(await tuner.ask([0, 1])) == [first, second]
        await tuner.close()

    async def test_an_outcome_told_again_is_passed_over(self, tmp_path: Path) -> None:
        """In the same call and in a later one, with another value too; asking goes on."""
        tuner = self.make(tmp_path)
        await tuner.open()
        first, second = await tuner.ask([0, 1])
        await tuner.tell([outcome(0, first.parameters, 0.5), outcome(0, first.parameters, 0.5)])
        await tuner.tell([outcome(0, first.parameters, 7.0), outcome(1, second.parameters, None)])
        assert len(await tuner.ask([2])) == 1
        await tuner.close()

    async def test_failures_and_odd_values_are_taken(self, tmp_path: Path) -> None:
        """Whatever a trial reports, the tuner goes on."""
        tuner = self.make(tmp_path)
        await tuner.open()
        answers = await tuner.ask(range(5))
        values = [None, float("nan"), float("inf"), -float("inf"), 1e300]
        await tuner.tell([outcome(place, answers[place].parameters, value) for place, value in enumerate(values)])
        assert len(await tuner.ask([5])) == 1
        await tuner.close()

    async def test_no_more_new_trials_than_there_may_be(self, tmp_path: Path) -> None:
        """The others could only be promotions, of which there are none at the beginning."""
        tuner = self.make(tmp_path)
        await tuner.open()
        assert len(await tuner.ask([0, 1, 2], 2)) == 2
        assert list(await tuner.ask([2], 0)) == []
        assert len(await tuner.ask([3], 1)) == 1
        await tuner.close()

    async def test_outcomes_of_trials_it_did_not_propose_are_taken(self, tmp_path: Path) -> None:
        """From before a restart, or from a space that was another one then."""
        tuner = self.make(tmp_path)
        await tuner.open()
        own = {"lr": 0.5, "layers": 3, "act": {"deep": [1, 2.5]}}
        await tuner.tell([outcome(7, own, 0.5), outcome(8, {"else": 1}, 0.1), outcome(9, own | {"lr": "high"}, 0.1)])
        assert len(await tuner.ask([10])) == 1
        await tuner.close()

    async def test_nothing_asked_and_nothing_told(self, tmp_path: Path) -> None:
        """Both are harmless."""
        tuner = self.make(tmp_path)
        await tuner.open()
        assert list(await tuner.ask([])) == []
        await tuner.tell([])
        await tuner.close()

    async def test_calls_at_once_do_not_mix(self, tmp_path: Path) -> None:
        """Each gets its own answer."""
        tuner = self.make(tmp_path)
        await tuner.open()
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(tuner.ask([number])) for number in range(8)]
        answers = [task.result()[0] for task in asked]
        assert list(await tuner.ask(range(8))) == answers
        await tuner.close()

    async def test_another_search_space_changes_no_answer_that_was_given(self, tmp_path: Path) -> None:
        """And the tuner goes on, with what it was told before."""
        tuner = self.make(tmp_path)
        await tuner.open()
        first, second = await tuner.ask([0, 1])
        await tuner.tell([outcome(0, first.parameters, 0.5)])
        await tuner.update({**SEARCH_SPACE, "layers": {"_type": "randint", "_value": [1, 30]}})
        assert list(await tuner.ask([1, 0])) == [second, first]
        await tuner.tell([outcome(0, first.parameters, 7.0), outcome(1, second.parameters, 0.1)])
        assert len(await tuner.ask([2])) == 1
        await tuner.close()

    async def test_closing_twice(self, tmp_path: Path) -> None:
        """Is closing once; a closed tuner says so."""
        tuner = self.make(tmp_path)
        await tuner.open()
        await tuner.close()
        await tuner.close()
        try:
            await tuner.ask([0])
        except errors.TunerError:
            return
        raise AssertionError("a closed tuner answered")


async def drawn(tuner: ports.TunerPort, parameter_ids: Sequence[int]) -> list[model.Parameters]:
    """Return the parameters that a tuner suggests."""
    return [answer.parameters for answer in await tuner.ask(parameter_ids)]


def outcome(parameter_id: int, parameters: model.Parameters, value: float | None) -> model.Outcome:
    """Return how a trial ended: well when there is a value."""
    return model.Outcome(
        parameter_id=parameter_id,
        parameters=parameters,
        value=value,
        metric=None if value is None else json.dumps(value),
        succeeded=value is not None,
    )
