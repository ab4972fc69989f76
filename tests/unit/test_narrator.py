"""What the manager's log tells of trials."""

import logging

import pytest

from nni.core import model
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
