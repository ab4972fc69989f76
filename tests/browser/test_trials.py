"""The pages of trials in a real browser: finding some of many, comparing, acting on them, and looking into one."""

import json

import pytest
from playwright import async_api as playwright

from nni.core import event, model
from nni.testing import story
from nni.testing.browser import visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]


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


async def test_columns_are_chosen_and_saved_as_csv(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="detail?sort=number") as visit:
        await visit.presses("Columns")
        await visit.page.get_by_label("Reports").uncheck()
        await visit.page.keyboard.press("Escape")
        assert await visit.page.locator("th", has_text="Reports").count() == 0
        async with visit.page.expect_download() as download:
            await visit.presses("CSV")
        lines = (await (await download.value).path()).read_text().splitlines()
        assert lines[0].startswith("number,trial,status,metric")
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
        await visit.shows("It has reported 1 intermediate result; the last is 0.5.")
        tale.ends("eeeee", code=137, lines=["Killed"])
        await visit.shows("The command of master-0 ended with exit code 137: Killed")
        await visit.page.get_by_role("link", name="Trials", exact=True).click()
        await visit.page.get_by_role("link", name="bbbbb").click()
        await visit.shows("with 0.9, the best so far.")
        assert await visit.page.title() == "bbbbb · story"
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


async def test_a_trial_that_is_not_there(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="trial/zzzzz") as visit:
        await visit.shows("Experiment story123 has no trial zzzzz.")


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
