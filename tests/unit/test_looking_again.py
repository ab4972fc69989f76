"""What the portal asks of the cluster while somebody looks: the doctor's report, and what is around the jobs."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from nni import errors
from nni.core import surroundings as around
from nni.manager import doctor, lookout
from nni.platforms.kubeflow import preflight
from nni.testing import story


class Looking:
    """Looks when it is let, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.may = asyncio.Event()
        self.may.set()
        self.error: errors.NniError | None = None

    async def findings(self) -> Sequence[preflight.Finding]:
        await self._look()
        return [preflight.ok("look", f"number {self.count}")]

    async def surroundings(self) -> around.Surroundings:
        await self._look()
        return around.Surroundings(unseen=(f"look {self.count}",))

    async def _look(self) -> None:
        self.count += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
async def looking() -> Looking:
    return Looking()


@pytest.fixture
def clock() -> story.Story:
    return story.Story()


async def test_the_report_is_the_start_s_until_somebody_asks(looking: Looking, clock: story.Story) -> None:
    first = [preflight.warning("images", "The old one is used.")]
    its = doctor.Doctor(looking.findings, clock, first)
    clock.passes(60)
    assert its.report() == {
        "at": 1795441600000,
        "findings": [{"what": "images", "verdict": "warning", "sentence": "The old one is used."}],
    }
    report = await its.examine()
    assert report == {
        "at": 1795441660000,
        "findings": [{"what": "look", "verdict": "ok", "sentence": "number 1"}],
    }
    assert its.report() == report


async def test_a_cluster_that_is_gone_is_a_finding(looking: Looking, clock: story.Story) -> None:
    its = doctor.Doctor(looking.findings, clock, [])
    looking.error = errors.PlatformUnavailableError("It does not answer.")
    assert (await its.examine())["findings"] == [
        {"what": "platform", "verdict": "failed", "sentence": "It does not answer."}
    ]
    looking.error = None
    assert (await its.examine())["findings"][0]["verdict"] == "ok"


@pytest.mark.parametrize(
    "make",
    [
        lambda looking, clock: doctor.Doctor(looking.findings, clock, []).examine,
        lambda looking, clock: lookout.Lookout(looking.surroundings, clock).ask,
    ],
    ids=["doctor", "lookout"],
)
async def test_those_who_ask_meanwhile_get_the_same(
    looking: Looking, clock: story.Story, make: Callable[[Looking, story.Story], Callable[[], asyncio.Future[object]]]
) -> None:
    ask = make(looking, clock)
    looking.may.clear()
    asking = [asyncio.ensure_future(ask()) for _ in range(3)]
    await asyncio.sleep(0)
    looking.may.set()
    assert len({str(one) for one in await asyncio.gather(*asking)}) == 1
    assert looking.count == 1


async def test_what_is_around_the_jobs_is_asked_for_again_after_a_moment(looking: Looking, clock: story.Story) -> None:
    its = lookout.Lookout(looking.surroundings, clock)
    assert (await its.ask()).unseen == ("look 1",)
    clock.passes(lookout.SECONDS)
    assert (await its.ask()).unseen == ("look 1",)
    clock.passes(0.1)
    assert (await its.ask()).unseen == ("look 2",)
    clock.passes(60)
    looking.error = errors.PlatformUnavailableError("It does not answer.")
    with pytest.raises(errors.PlatformUnavailableError):
        await its.ask()
    looking.error = None
    assert (await its.ask()).unseen == ("look 4",)
