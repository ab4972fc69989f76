"""What the manager's log tells of trials."""

import logging

import pytest

from nni.core import event, model
from nni.manager import narrator
from nni.testing import story

WAITS = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No node has room: 0/1", evidence="Pod default/x")


def test_each_turn_of_a_trial_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tale, teller = story.Story(), narrator.Narrator()
    told = 0

    def tell() -> list[str]:
        nonlocal told
        caplog.clear()
        teller.tell(tale.state, told)
        told = tale.state.revision
        return [record.message for record in caplog.records]

    with caplog.at_level(logging.INFO, "nni"):
        tale.proposes("aaaaa")
        assert tell() == ["trial aaaaa WAITING"]
        tale.creates("aaaaa")
        assert tell() == ["trial aaaaa WAITING, job nni-exp-story123-trial-aaaaa"]
        tale.observes("aaaaa", model.JobPhase.PENDING, WAITS)
        assert tell() == [
            "trial aaaaa WAITING, job nni-exp-story123-trial-aaaaa: No node has room: 0/1 [Pod default/x]"
        ]
        tale.observes("aaaaa", model.JobPhase.PENDING, WAITS)
        assert tell() == []
        tale.observes("aaaaa", model.JobPhase.RUNNING)
        assert tell() == ["trial aaaaa RUNNING, job nni-exp-story123-trial-aaaaa"]
        tale.reports("aaaaa", "0.1", "0.2", final="0.25")
        assert tell() == []
        tale.ends("aaaaa")
        assert tell() == ["trial aaaaa SUCCEEDED with 0.25"]


def test_what_a_tuner_fails_at_is_told_once_and_again_when_it_was_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    tale, teller = story.Story(), narrator.Narrator()
    failed, other = event.TunerFailed(message="It broke."), event.Failed(message="And that.")
    for happened in (failed, failed, other, event.TunerReopened(), failed):
        tale.happens(happened)
        teller.tell(tale.state, tale.state.revision)
    told = [(record.levelname, record.message) for record in caplog.records]
    assert told == [("ERROR", "It broke."), ("ERROR", "And that."), ("ERROR", "It broke.")]
    assert tale.state.errors == ["It broke."]
