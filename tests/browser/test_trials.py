"""The pages of trials in a real browser: finding some of many, comparing, acting on them, and looking into one."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import Sequence

import pytest
from playwright import async_api as playwright

from nni.core import event, model
from nni.core import trial as trials
from nni.testing import story, volume
from nni.testing.browser import visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one point."""


@pytest.fixture
def tale() -> story.Story:
    """Three trials that succeeded, one that failed, one that runs."""
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    for trial, value in (("aaaaa", "0.2"), ("bbbbb", "0.9"), ("ccccc", "0.4")):
        tale.proposes(trial, lr=float(value) / 3)
        tale.creates(trial)
        tale.observes(trial, model.JobPhase.RUNNING)
        tale.reports(trial, "0.1", final=value)
        tale.ends(trial)
    tale.runs("ddddd", "eeeee")
    tale.ends("ddddd", code=1, lines=["boom"])
    return tale


async def test_a_filter_stands_in_the_address(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail") as visit:
        await visit.shows("5 trials")
        assert await visit.column(2) == ["eeeee", "ddddd", "ccccc", "bbbbb", "aaaaa"]
        await visit.page.get_by_role("button", name="Metric").click()
        await visit.page.locator("th[aria-sort=descending]", has_text="Metric").wait_for()
        assert (await visit.column(2))[:3] == ["bbbbb", "ccccc", "aaaaa"]
        await visit.page.get_by_role("button", name="Succeeded 3").click()
        await visit.presses("Add condition")
        await visit.page.get_by_label("Value").fill("0.3")
        await visit.page.get_by_role("button", name="Add", exact=True).click()
        await visit.shows("2 of 5 trials")
        await visit.page.reload()
        await visit.shows("2 of 5 trials")
        assert await visit.column(2) == ["bbbbb", "ccccc"]
        await visit.page.get_by_role("button", name="Remove: Metric >= 0.3").click()
        await visit.page.get_by_label("Search trials").fill("bbb")
        await visit.shows("1 of 5 trials")
        assert "search=bbb" in visit.page.url
        assert visit.faults == []


async def test_a_condition_that_says_nothing_is_refused(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail") as visit:
        await visit.presses("Add condition")
        await visit.page.get_by_label("Value").fill("0,9")
        await visit.page.get_by_role("button", name="Add", exact=True).click()
        await visit.shows("Metric is a number, written like 0.9 or 1e-3; “0,9” is none.")
        await visit.shows("5 trials")
        assert "where=" not in visit.page.url
        await visit.page.get_by_label("Field").select_option("Duration")
        await visit.shows("Written like 90s, 5m or 1h 30m.")
        await visit.page.get_by_label("Comparison").select_option("<")
        await visit.page.get_by_label("Value").fill("1h")
        await visit.page.get_by_role("button", name="Add", exact=True).click()
        await visit.page.get_by_role("button", name="Remove: Duration < 1h").wait_for()
        await visit.shows("5 trials")
        # An address may hold anything: what cannot be read is told, and left out.
        await visit.goes("detail?where=metric>=0,9&where=x:lr<0.2")
        await visit.shows("Metric >= 0,9 (left out: Metric is a number, written like 0.9 or 1e-3; “0,9” is none.)")
        await visit.shows("2 of 5 trials")
        await visit.goes("detail?where=bogus=3&where=x:lrr>0&where=x:lr<0.2")
        await visit.shows("bogus = 3 (left out: The table has no column “bogus”.)")
        await visit.shows("x:lrr > 0 (left out: No trial has a parameter “lrr”.)")
        await visit.shows("2 of 5 trials")
        assert visit.faults == []


async def test_columns_are_chosen_and_saved_as_csv(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail?sort=number") as visit:
        await visit.presses("Columns")
        await visit.page.get_by_label("Reports").uncheck()
        await visit.page.keyboard.press("Escape")
        assert await visit.page.locator("th", has_text="Reports").count() == 0
        async with visit.page.expect_download() as download:
            await visit.presses("CSV")
        lines = (await (await download.value).path()).read_text().splitlines()
        assert lines[0] == "number,trial,status,metric,duration_s,started,x,lr"
        assert [line.split(",")[1] for line in lines[1:]] == ["aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee"]


async def test_chosen_trials_are_compared_killed_and_run_again(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail?sort=number") as visit:
        await visit.page.get_by_label("Choose aaaaa").check()
        await visit.page.get_by_label("Choose eeeee").check()
        await visit.presses("Compare")
        await visit.page.locator("dialog tr.differs", has_text="lr").wait_for()
        await visit.page.get_by_role("button", name="Close").click()
        await visit.presses("Kill")
        await visit.shows("eeeee will be stopped.")
        await visit.page.locator("dialog").get_by_role("button", name="Kill").click()
        await visit.page.locator("dialog").wait_for(state="detached")
        await visit.page.get_by_label("Choose eeeee").uncheck()
        await visit.presses("Retry")
        await visit.shows("Trial number 5 was added.")
        await visit.page.get_by_label("Choose bbbbb").check()
        await visit.presses("Clone and change")
        field = visit.page.get_by_label("Parameters as JSON")
        assert json.loads(await field.input_value()) == {"x": 1, "lr": 0.9 / 3}
        await field.fill('{"x": 7}')
        await visit.presses("Add trial")
        await visit.shows("Trial number 6 was added.")
    assert tale.commands == [
        event.KillRequested(trial=model.TrialId("eeeee")),
        event.TrialRequested(trial=model.TrialId("own05"), parameters={"x": 0, "lr": 0.2 / 3}),
        event.TrialRequested(trial=model.TrialId("own06"), parameters={"x": 7}),
    ]


@pytest.mark.parametrize(
    ("tab", "picture"),
    [
        ("metric", "Default metric of 4 trials by number. Best so far 0.9."),
        ("parameters", "Parallel coordinates of 2 parameters and the metric, 3 trials"),
        ("duration", "Duration of 5 trials by number."),
        ("intermediate", "Intermediate results of 3 trials, up to 1 report."),
    ],
)
async def test_charts(browser: playwright.Browser, tale: story.Story, tab: str, picture: str) -> None:
    tale.reports("eeeee", "0.5")
    tale.ends("eeeee", code=1)
    tale.runs("fffff")
    expected = picture.replace("5 trials", "6 trials").replace("results of 3", "results of 4")
    async with visiting(browser, tale, start=f"detail?tab={tab}") as visit:
        await visit.page.get_by_role("img", name=expected).wait_for()
        assert visit.faults == []


async def test_what_is_going_on_in_a_trial_and_why(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="trial/eeeee") as visit:
        await visit.shows("It has reported nothing yet.")
        tale.reports("eeeee", "0.5")
        await visit.shows("It has reported 1 intermediate result; the last is 0.5, ")
        tale.ends("eeeee", code=137, lines=["Killed"])
        await visit.shows("The command of master-0 ended with exit code 137: Killed")
        await visit.page.get_by_role("link", name="Trials", exact=True).click()
        await visit.page.get_by_role("link", name="bbbbb").click()
        await visit.shows("with 0.9, the best so far.")
        assert await visit.page.title() == "bbbbb · story"
        # Its curve is called the best one, which that of a trial that failed is not.
        curves = visit.page.get_by_role("list", name="Curves").get_by_role("listitem")
        for trial, name in (("bbbbb", "bbbbb best"), ("eeeee", "eeeee")):
            await visit.goes(f"trial/{trial}?tab=metrics")
            await curves.first.wait_for()
            assert await curves.all_inner_texts() == [name]
        await visit.goes("detail")
        await visit.page.get_by_role("link", name="bbbbb").click()
        await visit.page.go_back()
        await visit.shows("5 trials")
        assert visit.faults == []


async def test_a_log_is_followed_searched_and_shown_in_its_colours(
    browser: playwright.Browser, tale: story.Story
) -> None:
    await tale.writes("eeeee", "stdout", "\x1b[31mfirst\x1b[0m line\n" + "".join(f"step {n}\n" for n in range(500)))
    async with visiting(browser, tale, start="trial/eeeee?tab=logs") as visit:
        await visit.shows("step 499")
        await visit.shows("501 lines")
        text = "".join(f"step {n}\n" for n in range(500))
        await tale.writes("eeeee", "stdout", f"\x1b[31mfirst\x1b[0m line\n{text}the newest\n")
        await visit.shows("the newest")
        await visit.page.get_by_label("Search the log").fill("first")
        await visit.page.locator(".fg1", has_text="first").wait_for()
        await visit.shows("1 of 502 lines")
        await visit.page.get_by_role("button", name="stderr").click()
        await visit.shows("Nothing yet; lines appear here as the trial writes them.")
        assert visit.faults == []
        # What a trial has not written is no error.
        await visit.goes("trial/aaaaa?tab=logs")
        await visit.shows("It wrote nothing to stdout.")
        assert await visit.page.locator(".notice").count() == 0


async def test_files_are_browsed_looked_at_and_downloaded(browser: playwright.Browser, tale: story.Story) -> None:
    await tale.writes("aaaaa", "output/result.csv", 'epoch,note\n1,"a, b"\n')
    await tale.writes("aaaaa", "output/<b>.html", "<script>document.title='run'</script>")
    async with visiting(browser, tale, start="trial/aaaaa?tab=files") as visit:
        for name in ("1/", "master-0/", "output/"):
            await visit.presses(name)
        await visit.presses("result.csv")
        await visit.page.locator("td", has_text="a, b").wait_for()
        await visit.presses("<b>.html")
        await visit.shows("<script>document.title='run'</script>")
        await visit.shows("nfs://10.20.30.40/mnt/nfs/nni/nni/story123/aaaaa/1/master-0/output")
        async with visit.page.expect_download() as download:
            await visit.page.get_by_role("link", name="Download all (tar)").click()
        assert (await download.value).suggested_filename == "aaaaa.tar"
        assert visit.faults == []


class FarVolume(volume.MemoryVolume):
    """One on which checkpoints are somewhere where nobody is yet."""

    def __init__(self) -> None:
        super().__init__()
        self.has_come = asyncio.Event()

    async def list(self, path: str) -> Sequence[str]:
        if path.endswith("checkpoint"):
            await self.has_come.wait()
        return await super().list(path)


async def test_files_that_take_long_to_come_are_waited_for(browser: playwright.Browser, tale: story.Story) -> None:
    tale.volume = far = FarVolume()
    await far.put("nni/story123/aaaaa/1/parameter.cfg", b"{}")
    await far.put("nni/story123/aaaaa/checkpoint/epoch-1.pt", b"model")
    async with visiting(browser, tale, start="trial/aaaaa?tab=files") as visit:
        await visit.presses("checkpoint/")
        await visit.shows("files on a claim that the manager has not mounted are fetched by a pod")
        assert await visit.page.get_by_role("row").count() == 0, "what is in the directory before is not in this one"
        far.has_come.set()
        await visit.presses("epoch-1.pt")
        await visit.shows("model")
        assert visit.faults == []


async def test_a_trial_that_is_not_there(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="trial/zzzzz") as visit:
        await visit.shows("Experiment story123 has no trial zzzzz.")


async def test_a_page_that_is_not_there(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="trails/aaaaa") as visit:
        await visit.shows("The portal has no page “trails”.")
        assert await visit.page.locator("nav [aria-current]").count() == 0
        await visit.page.locator("main").get_by_role("link", name="Overview").click()
        await visit.shows("Top trials")
        await visit.goes("constructor")
        await visit.shows("The portal has no page “constructor”.")
        await visit.goes("oview%ZZ")
        await visit.shows("The portal has no page “oview%ZZ”.")
        await visit.goes("")
        await visit.shows("Top trials")
        assert visit.faults == []


async def test_each_attempt_has_a_bar_of_its_own_that_says_why(browser: playwright.Browser, tale: story.Story) -> None:
    tale.passes(5)
    tale.loses("eeeee")
    async with visiting(browser, tale, start="detail?tab=duration") as visit:
        line = visit.page.locator(".timeline li", has_text="eeeee")
        await line.locator(".ran.FAILED").wait_for()
        assert await line.locator("[title]").evaluate_all("(all) => all.map((its) => its.title.split(':')[0])") == [
            "Attempt 1, first. Failed",
            "Attempt 1, first. Failed",
            "Attempt 2, after a failure of the cluster. Waiting",
        ]
        # The page follows while the next attempt comes.
        tale.passes(20)
        tale.creates("eeeee")
        tale.observes("eeeee", model.JobPhase.RUNNING)
        await line.locator(".ran.RUNNING").wait_for()
        await visit.page.reload()
        await line.locator(".ran.RUNNING").wait_for()
        assert await line.locator(".ran").count() == 2
        await visit.goes("trial/eeeee")
        await visit.shows("Attempt 2, after a failure of the cluster")
        assert visit.faults == []


async def test_a_trial_s_page_asks_for_more_no_oftener_than_once_a_second(
    browser: playwright.Browser, tale: story.Story
) -> None:
    tale.reports("eeeee", "0.1")
    async with visiting(browser, tale, start="trial/eeeee?tab=pods") as visit:
        asked: list[str] = []
        await visit.page.get_by_role("row", name="master-0").get_by_role("cell", name="1", exact=True).wait_for()
        visit.page.on("request", lambda request: asked.append(request.url) if "trial-jobs/" in request.url else None)
        start = visit.page.evaluate("performance.now()")
        for number in range(2, 22):
            tale.reports("eeeee", str(number / 10))
            await visit.page.evaluate("new Promise(requestAnimationFrame)")
        # However fast they came: the last word is there.
        await visit.page.get_by_role("row", name="master-0").get_by_role("cell", name="21", exact=True).wait_for()
        seconds = (await visit.page.evaluate("performance.now()") - await start) / 1000
        assert 1 <= len(asked) <= seconds + 2
        assert visit.faults == []


async def test_trials_are_copied_as_json_and_as_a_command(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail?sort=number") as visit:
        await visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await visit.page.get_by_label("Choose bbbbb").check()
        await visit.presses("Copy JSON")
        await visit.page.get_by_role("button", name="Copied").wait_for()
        text = await visit.page.evaluate("navigator.clipboard.readText()")
        assert json.loads(text) == {
            "trial": "bbbbb",
            "status": "SUCCEEDED",
            "parameters": {"x": 1, "lr": 0.9 / 3},
            "metric": 0.9,
        }
        await visit.page.get_by_role("button", name="Copy JSON").wait_for()
        await visit.presses("Copy command")
        await visit.page.get_by_role("button", name="Copied").wait_for()
        command = await visit.page.evaluate("navigator.clipboard.readText()")
        assert command.startswith(f"curl -sS -X POST {visit.url}/api/v1/nni/trial-jobs")
        assert tale.token not in command
        # The same stands on the trial's own page.
        await visit.goes("trial/bbbbb?tab=job")
        await visit.page.locator("pre", has_text="curl -sS").wait_for()
        assert (await visit.page.locator("pre", has_text="curl -sS").inner_text()).strip() == command


async def test_curves_are_chosen_by_what_they_are_of(browser: playwright.Browser, tale: story.Story) -> None:
    tale.reports("eeeee", "0.5", "0.6")
    async with visiting(browser, tale, start="detail?tab=intermediate") as visit:
        curves = visit.page.get_by_role("list", name="Curves").get_by_role("link")
        await visit.page.get_by_role("img", name="Intermediate results of 4 trials").wait_for()
        assert await curves.all_inner_texts() == ["bbbbb", "eeeee", "ccccc", "aaaaa"]
        await visit.presses("Newest")
        await visit.page.wait_for_url("**/detail?tab=intermediate&of=newest")
        await curves.first.filter(has_text="eeeee").wait_for()
        await visit.presses("Running")
        await visit.page.get_by_role("img", name="Intermediate results of 1 trial, up to 2 reports.").wait_for()
        # The table's filter is the charts', too.
        await visit.presses("Best")
        await visit.page.get_by_label("Search trials").fill("ccccc")
        await visit.page.get_by_role("img", name="Intermediate results of 1 trial, up to 1 report.").wait_for()
        assert visit.faults == []


async def test_what_failed_is_not_among_the_best_whatever_it_reported(
    browser: playwright.Browser, tale: story.Story
) -> None:
    tale.reports("eeeee", "0.5", final="99")
    tale.ends("eeeee", code=4)
    async with visiting(browser, tale) as visit:
        await visit.page.get_by_role("region", name="Top trials").get_by_role("link", name="bbbbb").wait_for()
        assert await visit.column(1) == ["bbbbb", "ccccc", "aaaaa"]
        await visit.goes("analysis?tab=distribution")
        await visit.shows("3 trials with a result")
        await visit.page.get_by_role("img", name="Empirical distribution of 3 metrics.").wait_for()
        await visit.goes("detail?tab=parameters")
        await visit.page.get_by_role("img", name="2 parameters and the metric, 3 trials").wait_for()
        # Its curve is there for those who look for it, behind those of trials that may be the best.
        await visit.goes("detail?tab=intermediate")
        await visit.page.get_by_role("img", name="Intermediate results of 4 trials").wait_for()
        curves = visit.page.get_by_role("list", name="Curves").get_by_role("link")
        assert await curves.all_inner_texts() == ["bbbbb", "ccccc", "aaaaa", "eeeee"]
        assert visit.faults == []


async def test_what_is_done_with_many_trials(browser: playwright.Browser) -> None:
    tale = story.Story(max_trial_number=None)
    tale.is_now()
    tale.happens(event.Started())
    names = [f"t{number:04}" for number in range(130)]
    for place, trial in enumerate(names):
        tale.runs(trial)
        tale.reports(trial, "0.5", "0.6", final=str(place))
        tale.ends(trial)
    async with visiting(browser, tale, start="detail?tab=intermediate&curves=50") as visit:
        # No two curves look the same; those beyond are grey, and say so.
        swatch = visit.page.get_by_role("list", name="Curves").locator("li line")
        await visit.shows("30 curves have a look of their own, the other 20 are grey")
        looks = await swatch.evaluate_all(
            "all => all.map(its => its.getAttribute('stroke') + its.getAttribute('stroke-dasharray'))"
        )
        assert (len(looks), len(set(looks[:30])), set(looks[30:])) == (50, 30, {"var(--quiet)"})
        await visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await visit.page.get_by_label("Choose all").check()
        await visit.shows("130 trials chosen")
        await visit.presses("Copy JSON")
        await visit.page.get_by_role("button", name="Copied").wait_for()
        copied = json.loads(await visit.page.evaluate("navigator.clipboard.readText()"))
        assert [its["trial"] for its in copied] == names
        assert copied[129] == {"trial": "t0129", "status": "SUCCEEDED", "parameters": {"x": 129}, "metric": 129}
        # A filter that leaves nothing says so, and goes.
        await visit.page.get_by_label("Search trials").fill("nowhere")
        await visit.shows("The filter leaves no trial to draw.")
        await visit.shows("None of 130 trials is like this now.")
        await visit.presses("Clear filters")
        await visit.page.get_by_text("130 trials", exact=True).wait_for()
        assert "search" not in visit.page.url
        assert visit.faults == []


async def test_of_many_trials_the_best_twentieth_is_drawn_first(browser: playwright.Browser) -> None:
    tale = story.Story(max_trial_number=None)
    tale.is_now()
    tale.happens(event.Started())
    for number in range(120):
        trial = f"t{number:04}"
        tale.runs(trial)
        tale.reports(trial, final=str(number))
        tale.ends(trial)
    async with visiting(browser, tale, start="detail?tab=parameters") as visit:
        await visit.page.get_by_role(
            "img", name="Parallel coordinates of 1 parameter and the metric, 6 trials"
        ).wait_for()
        assert await visit.page.get_by_role("button", name="Best 5 %").get_attribute("aria-pressed") == "true"
        await visit.page.get_by_role("group", name="Which trials").get_by_role("button", name="All").click()
        await visit.page.get_by_role("img", name="the metric, 120 trials").wait_for()
        axis = visit.page.locator(".axis-line").last
        box = await axis.bounding_box()
        assert box is not None
        await visit.page.mouse.move(box["x"] + 10, box["y"] + 1)
        await visit.page.mouse.down()
        await visit.page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
        await visit.page.mouse.up()
        await visit.shows("60 trials chosen, the best 119.")
        assert visit.faults == []


async def test_pods_and_events_of_each_replica_as_they_come(browser: playwright.Browser, tale: story.Story) -> None:
    tale.proposes("fffff")
    tale.creates("fffff")
    async with visiting(browser, tale, start="trial/fffff?tab=pods") as visit:
        await visit.shows("No event is known.")
        pods = [
            model.Pod(replica=model.Replica(role), name=f"p-{role}-0", phase="Pending", node=node, state=state)
            for role, node, state in (("master", "node-7", "ErrImagePull"), ("worker", "", ""))
        ]
        notice = model.Notice(
            about="Pod default/p-master-0",
            reason="Failed",
            message="manifest unknown",
            is_warning=True,
            count=3,
            last_at=tale.now(),
        )
        seen = model.Observation(phase=model.JobPhase.PENDING, pods=tuple(pods), notices=(notice,))
        tale.happens(event.JobObserved(attempt=tale.key("fffff"), observation=seen))
        await visit.page.get_by_role("row", name="master-0 not started Pending, ErrImagePull node-7").wait_for()
        await visit.page.get_by_role("row", name="worker-0 not started Pending").wait_for()
        told = visit.page.locator(".concerns li", has_text="manifest unknown").filter(has_text="3 times")
        await told.filter(has_text="Failed · master-0").wait_for()
        await visit.page.get_by_role("link", name="worker-0").click()
        await visit.page.get_by_role("button", name="worker-0", pressed=True).wait_for()
        assert visit.faults == []


async def test_an_image_is_looked_at_and_a_log_is_saved(browser: playwright.Browser, tale: story.Story) -> None:
    await tale.writes("aaaaa", "output/curve.png", PICTURE)
    await tale.writes("aaaaa", "stdout", "whole\n")
    async with visiting(browser, tale, start="trial/aaaaa?tab=files") as visit:
        for name in ("1/", "master-0/", "output/", "curve.png"):
            await visit.presses(name)
        picture = visit.page.get_by_role("img", name="curve.png")
        await picture.wait_for()
        assert await picture.evaluate("async (its) => (await its.decode(), its.naturalWidth)") == 1
        await visit.page.get_by_role("tab", name="Logs").click()
        await visit.shows("whole")
        async with visit.page.expect_download() as download:
            await visit.page.get_by_role("link", name="Download").click()
        assert (await (await download.value).path()).read_text() == "whole\n"
        assert visit.faults == []


async def test_a_trial_that_is_promoted_goes_on(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="trial/bbbbb") as visit:
        await visit.shows("with 0.9, the best so far.")
        # What a tuner that promotes brings about: a trial that had succeeded waits and runs once more.
        known = tale.state.trials[model.TrialId("bbbbb")]
        first = trials.PastAttempt(
            number=1,
            cause=model.AttemptCause.FIRST,
            job=known.job,
            started_at=known.started_at,
            ended_at=tale.now(),
            reason=None,
            exit_code=0,
        )
        tale.state.revision += 1
        tale.state.put(
            dataclasses.replace(
                known, status=model.TrialStatus.WAITING, step=trials.Step.LIVE, attempt=2, past=(first,), ended_at=None
            )
        )
        tale.revisions.publish(tale.state.revision)
        await visit.page.locator(".verdict .status", has_text="Waiting").wait_for()
        await visit.presses("Kill")
        await visit.page.locator("dialog").get_by_role("button", name="Not now").click()
        await visit.page.get_by_role("link", name="Trials", exact=True).click()
        await visit.page.locator("tbody tr", has_text="bbbbb").filter(has_text="Waiting").wait_for()
        assert visit.faults == []
