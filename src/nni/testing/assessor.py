"""An assessor that follows a rule, and what all assessors behind ``AssessorPort`` have to do.

A test class inherits ``AssessorContract`` and says how an assessor is made that stops a trial whose third value is
above 0.5 when three others ended well with values below that:

    class TestMine(assessor.AssessorContract):
        def make(self, directory): ...
"""
# ruff: noqa: S101 - a contract is told in assertions

import abc
from collections.abc import Sequence
from pathlib import Path

from nni import errors
from nni.core import model, ports


class ThresholdAssessor:
    """``AssessorPort`` that stops a trial at its third value when that is above 0.5."""

    def __init__(self) -> None:
        """Begin without trials."""
        self.curves: dict[model.TrialId, list[str]] = {}
        self.ended: dict[model.TrialId, bool] = {}
        self.is_open = False

    async def open(self) -> None:
        """See the port."""
        self.is_open = True

    async def assess(self, trial: model.TrialId, start: int, values: Sequence[str]) -> bool:
        """See the port."""
        self._check()
        curve = self.curves.setdefault(trial, [])
        curve[start:] = values
        return len(curve) < 3 or curve[2] in ("NaN", "null") or float(curve[2]) <= 0.5

    async def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See the port."""
        self._check()
        self.ended[trial] = succeeded

    async def close(self) -> None:
        """See the port."""
        self.is_open = False

    def _check(self) -> None:
        if not self.is_open:
            raise errors.TunerError("The assessor is not open.")


class AssessorContract(abc.ABC):
    """What every implementation of ``AssessorPort`` has to do."""

    @abc.abstractmethod
    def make(self, directory: Path) -> ports.AssessorPort:
        """Return an assessor of the kind that the module describes, not opened yet; ``directory`` is its own."""

    async def _with_good_trials(self, directory: Path) -> ports.AssessorPort:
        assessor = self.make(directory)
        await assessor.open()
        for name in ("good1", "good2", "good3"):
            assert await assessor.assess(model.TrialId(name), 0, ["0.3", "0.2", "0.1"])
            await assessor.end(model.TrialId(name), succeeded=True)
        return assessor

    async def test_a_bad_trial_is_stopped_and_a_good_one_goes_on(self, tmp_path: Path) -> None:
        """Value by value."""
        assessor = await self._with_good_trials(tmp_path)
        good, bad = model.TrialId("good4"), model.TrialId("bad")
        assert [await assessor.assess(good, step, ["0.05"]) for step in range(3)] == [True] * 3
        await assessor.assess(bad, 0, ["0.9", "0.9"])
        assert not await assessor.assess(bad, 2, ["0.9"])
        await assessor.close()

    async def test_values_put_again_count_once(self, tmp_path: Path) -> None:
        """The last ones under a number hold."""
        assessor = await self._with_good_trials(tmp_path)
        trial = model.TrialId("again")
        for _ in range(3):
            assert await assessor.assess(trial, 0, ["0.1", "0.1"])
        assert await assessor.assess(trial, 2, ["0.05"])
        await assessor.close()

    async def test_odd_values_and_unknown_trials_are_taken(self, tmp_path: Path) -> None:
        """Whatever a trial reports, the assessor goes on."""
        assessor = await self._with_good_trials(tmp_path)
        await assessor.assess(model.TrialId("odd"), 0, ["NaN", "null"])
        await assessor.end(model.TrialId("odd"), succeeded=False)
        await assessor.end(model.TrialId("never seen"), succeeded=True)
        assert await assessor.assess(model.TrialId("next"), 0, ["0.01"])
        await assessor.close()

    async def test_a_closed_assessor_says_so(self, tmp_path: Path) -> None:
        """Closing twice is closing once."""
        assessor = self.make(tmp_path)
        await assessor.open()
        await assessor.close()
        await assessor.close()
        try:
            await assessor.end(model.TrialId("any"), succeeded=True)
        except errors.TunerError:
            return
        raise AssertionError("a closed assessor answered")
