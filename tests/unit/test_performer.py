"""What comes of actions."""

import itertools
from collections.abc import Sequence
from typing import Any, cast

import pytest

from nni import errors
from nni.core import event, model
from nni.manager import performer
from nni.testing import tuner as scripted


class Scene:
    """A performer with a scripted tuner and maybe a platform; nothing else of it is used."""

    def __init__(
        self, script: Sequence[model.Parameters], fails_after: int | None = None, platform: Any = None
    ) -> None:
        self.tuner = scripted.ScriptedTuner(script, fails_after=fails_after)
        self.said: list[event.Event] = []
        names = (model.TrialId(f"t{number}") for number in itertools.count())
        nothing = cast("Any", None)
        self.performer = performer.Performer(
            platform=platform,
            tuner=self.tuner,
            assessor=None,
            files=nothing,
            chief=model.Replica("master"),
            emit=self.said.append,
            new_trial_id=lambda: next(names),
        )

    async def asks(self, count: int, new: int | None = None) -> list[tuple[int, list[int]]]:
        """Ask and return how many each answer is for, and the parameter ids that it has."""
        await self.tuner.open()
        await self.performer.perform(event.Ask(parameter_ids=tuple(range(count)), new=new))
        answers = [one for one in self.said if isinstance(one, event.Proposed)]
        assert len(answers) == len(self.said)
        return [(one.asked, [proposal.parameter_id for proposal in one.proposals]) for one in answers]


@pytest.mark.parametrize(
    ("there_are", "new", "answers"),
    [
        (100, None, [(1, [0]), (2, [1, 2]), (4, [3, 4, 5, 6]), (3, [7, 8, 9])]),
        (2, None, [(1, [0]), (9, [1])]),
        (3, None, [(1, [0]), (2, [1, 2]), (7, [])]),
        (0, None, [(10, [])]),
        (100, 2, [(1, [0]), (9, [1])]),
    ],
)
async def test_the_first_suggestions_do_not_wait_for_the_last(
    there_are: int, new: int | None, answers: list[tuple[int, list[int]]]
) -> None:
    assert await Scene([{"x": number} for number in range(there_are)]).asks(10, new) == answers
    assert sum(asked for asked, _ in answers) == 10


class Away:
    """A platform that never answers."""

    async def remove(self, attempt: model.AttemptKey) -> None:
        raise errors.PlatformUnavailableError("The API server does not answer.")

    async def clean_up(self, keep: Sequence[model.AttemptKey] = ()) -> None:
        raise errors.PlatformUnavailableError("The API server does not answer.")


async def test_a_platform_that_does_not_answer_is_given_up_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "INSIST_SECONDS", 0.01)
    scene = Scene([], platform=Away())
    key = model.AttemptKey(model.TrialId("aaaaa"), 1)
    await scene.performer.perform(event.Remove(attempt=key, ending=model.TrialStatus.SYS_CANCELED))
    await scene.performer.perform(event.CleanUp())
    assert scene.said == [event.JobRemoved(attempt=key, gave_up=True), event.CleanedUp(gave_up=True)]


async def test_a_clean_up_without_the_platform_asks_nothing_of_it() -> None:
    scene = Scene([])
    await scene.performer.perform(event.CleanUp(without_platform=True))
    assert scene.said == [event.CleanedUp(gave_up=True)]


async def test_a_tuner_that_fails_between_answers_is_told_once() -> None:
    scene = Scene([{"x": number} for number in range(9)], fails_after=2)
    await scene.tuner.open()
    await scene.performer.perform(event.Ask(parameter_ids=tuple(range(8))))
    assert [type(one) for one in scene.said] == [event.Proposed, event.TunerFailed]
