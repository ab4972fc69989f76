"""The overview in a real browser: what people see from the first minute to the end."""

import json
import pathlib

import pytest
from playwright import async_api as playwright

from nni.core import event, model, spec
from nni.server import health
from nni.testing import story
from nni.testing.browser import STATIC, visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]

LOADED = "performance.getEntriesByType('resource').map(its => its.name)"


async def test_an_experiment_from_its_first_minute_to_its_end(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    async with visiting(browser, tale) as visit:
        await visit.shows("Starting")
        assert visit.page.url == f"{visit.url}/oview"

        tale.happens(event.Started())
        await visit.shows("No trial yet: the tuner is choosing the first parameters.")

        tale.runs("aaaaa", "bbbbb")
        tale.reports("aaaaa", "0.25", final="0.75")
        tale.ends("aaaaa")
        tale.ends("bbbbb", code=3, lines=["ValueError: it's wrong"])
        await visit.shows("The command of master-0 ended with exit code 3: ValueError: it's wrong")
        await visit.page.locator(".best .figure", has_text="0.75").wait_for()
        assert await visit.page.locator(".best dl").inner_text() == "x\n0"
        assert await visit.column(1) == ["aaaaa"]
        assert await visit.page.title() == "2/6 Running · story"

        tale.proposes("ccccc")
        tale.creates("ccccc")
        full = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No node has 1 nvidia.com/gpu free.")
        tale.observes("ccccc", model.JobPhase.PENDING, full)
        await visit.shows("No node has 1 nvidia.com/gpu free.")

        tale.happens(event.StopRequested(by="the user"), event.CleanedUp())
        await visit.shows("Stopped")
        assert visit.faults == []


async def test_the_limits_are_changed_in_place_and_the_experiment_pauses_and_stops(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale) as visit:
        for field, value in (("Trials at once", "5"), ("Trials in all", ""), ("Time in all", "1 h 30 min")):
            await visit.presses(f"Change: {field}")
            await visit.page.get_by_label(field, exact=True).fill(value)
            await visit.presses("Save")
            await visit.page.get_by_role("button", name="Save").wait_for(state="detached")
        await visit.presses("Change: Trials at once")
        await visit.page.get_by_label("Trials at once", exact=True).fill("many")
        await visit.presses("Save")
        await visit.shows("params.trialConcurrency must be a whole number up to 100000, 0 to pause, not 'many'.")
        await visit.page.get_by_label("Trials at once", exact=True).fill("")
        await visit.presses("Save")
        await visit.shows("params.trialConcurrency is empty; write a whole number up to 100000, 0 to pause.")
        await visit.presses("Leave")
        # What no number of the browser can hold is no way to take a limit away.
        await visit.presses("Change: Trials in all")
        await visit.page.get_by_label("Trials in all", exact=True).fill("9" * 400)
        await visit.presses("Save")
        await visit.shows("params.maxTrialNumber must be a whole number from 1 to 1000000000, or null")
        await visit.presses("Leave")
        await visit.presses("Pause")
        await visit.page.locator("header", has_text="Paused").wait_for()
        await visit.presses("Resume")
        await visit.page.locator("header", has_text="Running").wait_for()
        await visit.presses("Stop experiment")
        await visit.presses("Stop it")
        await visit.shows("Stopping")
    changed = event.LimitsChanged(trial_concurrency=5, max_trial_number=None, max_experiment_seconds=5400)
    assert tale.commands == [
        event.LimitsChanged(trial_concurrency=5, max_trial_number=6, max_experiment_seconds=None),
        event.LimitsChanged(trial_concurrency=5, max_trial_number=None, max_experiment_seconds=None),
        changed,
        event.LimitsChanged(trial_concurrency=0, max_trial_number=None, max_experiment_seconds=5400),
        changed,
        event.StopRequested(by="the user"),
    ]


async def test_more_trials_at_once_than_one_machine_bears_are_asked_about(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.many_at_once = 20
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale) as visit:
        field = visit.page.get_by_label("Trials at once", exact=True)
        for number, is_meant in (("99999", False), ("20", True), ("21", True)):
            await visit.presses("Change: Trials at once")
            await field.fill(number)
            await visit.presses("Save")
            if number != "20":
                await visit.shows("which more than 20 at once may bring to a standstill")
                await visit.presses("Yes, so many" if is_meant else "Not now")
            if not is_meant:
                await visit.presses("Leave")
            await field.wait_for(state="detached")
        assert visit.faults == []
    assert [its.trial_concurrency for its in tale.commands if isinstance(its, event.LimitsChanged)] == [20, 21]


async def test_what_is_paused_in_one_browser_goes_on_in_another_with_as_many_at_once(
    browser: playwright.Browser,
) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.happens(event.LimitsChanged(trial_concurrency=5, max_trial_number=9, max_experiment_seconds=None))
    async with visiting(browser, tale) as visit:
        await visit.presses("Pause")
        await visit.page.locator("header", has_text="Paused").wait_for()
    async with visiting(browser, tale) as another:
        await another.presses("Resume")
        await another.page.locator("header", has_text="Running").wait_for()
        await another.page.locator(".limits div", has_text="Trials at once").filter(has_text="5").wait_for()


async def test_a_dead_tuner_is_red_at_once_though_no_trial_has_changed(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.vitals.hears(health.TUNER, tale.now())
    async with visiting(browser, tale) as visit:
        await visit.page.locator(".light.ok", has_text="Tuner").wait_for()
        tale.vitals.fails(health.TUNER, "The tuner TPE ended by itself (signal SIGKILL).", tale.now())
        await visit.page.locator(".light.failed", has_text="Tuner").wait_for()
        await visit.page.locator(".notice", has_text="The tuner TPE ended by itself (signal SIGKILL).").wait_for()
        tale.vitals.hears(health.TUNER, tale.now())
        await visit.page.locator(".light.ok", has_text="Tuner").wait_for()


async def test_curves_grow_while_trials_report(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.runs("aaaaa")
    async with visiting(browser, tale) as visit:
        await visit.shows("Curves appear here as trials call nni.report_intermediate_result().")
        tale.reports("aaaaa", "0.1", "0.2")
        await visit.page.get_by_role("img", name="Intermediate results of 1 trial, up to 2 reports.").wait_for()
        tale.reports("aaaaa", "0.3")
        await visit.page.get_by_role("img", name="Intermediate results of 1 trial, up to 3 reports.").wait_for()
        assert visit.faults == []


async def test_a_curve_keeps_its_colour_when_another_trial_ends(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    names = ("aaaaa", "bbbbb", "ccccc")
    tale.runs(*names)
    for trial in names:
        tale.reports(trial, "0.1", "0.2")
    async with visiting(browser, tale) as visit:
        curves = visit.page.get_by_role("list", name="Curves").locator("li")

        async def colours() -> dict[str, str]:
            colour = "all => all.map(its => [its.querySelector('a').textContent, its.querySelector('line').outerHTML])"
            return dict(await curves.evaluate_all(colour))

        await curves.nth(2).wait_for()
        before = await colours()
        assert len(set(before.values())) == len(names)
        # The newest stands first; another takes the place, and the colour, that it had.
        tale.ends("ccccc", code=1)
        await curves.nth(2).wait_for(state="detached")
        assert await colours() == {trial: before[trial] for trial in ("aaaaa", "bbbbb")}
        tale.runs("ddddd")
        tale.reports("ddddd", "0.3")
        await curves.nth(2).wait_for()
        assert await colours() == {"ddddd": before["ccccc"], "bbbbb": before["bbbbb"], "aaaaa": before["aaaaa"]}
        assert visit.faults == []


async def test_a_browser_that_was_not_signed_in_is_told_what_to_run(browser: playwright.Browser) -> None:
    tale = story.Story()
    async with visiting(browser, tale) as visit:
        await visit.page.context.clear_cookies()
        await visit.goes("oview")
        await visit.shows("nnictl webui url story123")


async def test_two_experiments_of_one_host_do_not_sign_each_other_out(browser: playwright.Browser) -> None:
    first, second = story.Story(name="first"), story.Story(name="second")
    second.state.experiment_id = model.ExperimentId("story456")
    async with visiting(browser, first) as visit, second.shown(STATIC) as other:
        await visit.page.goto(f"{other}/oview?token={second.token}")
        await visit.shows("second")
        await visit.goes("oview")
        await visit.shows("first")
        await visit.page.goto(f"{other}/oview")
        await visit.shows("second")


async def test_the_page_says_when_the_manager_is_gone_and_catches_up(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale, start="detail") as visit:
        await visit.page.get_by_text("Live", exact=True).wait_for()
        await visit.page.context.set_offline(True)
        await visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await visit.shows("The manager does not answer")
        tale.runs("aaaaa")
        await visit.page.context.set_offline(False)
        await visit.shows("aaaaa")
        await visit.page.get_by_text("Live", exact=True).wait_for()


async def test_a_page_that_is_held_stands_still_and_then_catches_up(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale, start="detail") as visit:
        await visit.page.get_by_text("Live", exact=True).wait_for()
        await visit.presses("Hold")
        tale.runs("aaaaa")
        await visit.shows("Updates paused")
        assert await visit.page.get_by_text("aaaaa").count() == 0
        await visit.presses("Update")
        await visit.shows("aaaaa")


async def test_news_that_comes_late_is_told_to_be_late(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale) as visit:
        await visit.page.get_by_text("Live", exact=True).wait_for()
        tale.passes(-60)
        tale.runs("aaaaa")
        await visit.shows("Behind, catching up")
        tale.passes(60)
        tale.runs("bbbbb")
        await visit.page.get_by_text("Live", exact=True).wait_for()


async def test_what_was_used_what_failed_and_how_much_is_left(browser: playwright.Browser) -> None:
    role = spec.RoleSpec(name="master", replicas=2, command="true", code_directory="/", cpus=3, gpus=1)
    storage = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni")
    tale = story.Story(
        platform=spec.KubeflowSpec(
            operator="pytorch-operator", api_version="v1", namespace="default", roles=(role,), storage=storage
        ),
        max_trial_number=4,
        max_experiment_seconds=86400,
    )
    tale.is_now()
    tale.passes(-7200)
    tale.happens(event.Started())
    tale.runs("aaaaa", "bbbbb")
    tale.passes(3600)
    tale.ends("aaaaa", code=1, lines=["boom"])
    tale.reports("bbbbb", final="1")
    tale.ends("bbbbb")
    tale.passes(3600)
    async with visiting(browser, tale) as visit:
        facts = visit.page.locator(".facts div")
        for name, value in (
            ("GPU-hours", "4 h"),
            ("Core-hours", "12 h"),
            ("Failed: trial's own code", "1"),
            ("Running for", "2 h"),
            ("Time left", "about 2 h"),
        ):
            await facts.filter(has_text=name).filter(has_text=value).wait_for()
        assert await visit.page.locator(".best time").get_attribute("title")
        # A retried trial has used the time of all its attempts.
        tale.passes(-3600)
        tale.runs("ccccc")
        tale.passes(3600)
        tale.loses("ccccc")
        await facts.filter(has_text="GPU-hours").filter(has_text="6 h").wait_for()
        await visit.page.locator(".counts a", has_text="Failed").click()
        await visit.shows("1 of 3 trials")
        assert "status=FAILED" in visit.page.url
        assert visit.faults == []


async def test_a_trial_that_is_silent_for_long_needs_a_look(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.passes(-600)
    tale.happens(event.Started())
    tale.runs("silen", "stuck", "talks", "aaaaa", "bbbbb", "ccccc", "ddddd")
    for _ in range(3):
        tale.passes(30)
        tale.reports("stuck", "0.1")
        tale.reports("talks", "0.1")
    for trial in ("aaaaa", "bbbbb", "ccccc", "ddddd"):
        tale.reports(trial, final="1")
        tale.ends(trial)
    tale.passes(510)
    tale.reports("talks", "0.1")
    async with visiting(browser, tale) as visit:
        look = visit.page.locator(".concerns li.silent")
        await look.filter(has_text="silen").filter(has_text="without any result").wait_for()
        fallen = look.filter(has_text="stuck").filter(has_text="a report came about every 30 s before")
        await fallen.filter(has_text="since 8 min ago").wait_for()
        assert await look.count() == 2
        tale.reports("silen", "0.5")
        tale.reports("stuck", "0.5")
        await visit.shows("Nothing: no trial has failed, none is held up.")


async def test_like_reasons_are_told_once_and_none_is_kept_back(browser: playwright.Browser) -> None:
    tale = story.Story(max_trial_number=None)
    tale.is_now()
    tale.happens(event.Started())
    for number in range(12):
        tale.runs(f"like{number:02}")
        tale.ends(f"like{number:02}", code=1, lines=[f"loss is {number * 1.5} at step {number}"])
    words = ("disk", "key", "shape", "type", "value", "index", "memory", "import", "name", "zero")
    for word in words:
        tale.runs(f"{word[:3]}xx")
        tale.ends(f"{word[:3]}xx", code=1, lines=[f"{word} error"])
    async with visiting(browser, tale) as visit:
        look = visit.page.locator(".concerns li.failed")
        await visit.presses("Show 3 more reasons, of 14 trials")
        await look.filter(has_text="disk error").wait_for()
        assert await look.count() == len(words) + 1
        await look.filter(has_text="loss is 16.5 at step 11").get_by_text("11 more like it").click()
        await visit.shows("12 of 22 trials")
        await visit.shows("Reason like = The command of … ended with exit code 1: loss is … at step …")
        assert visit.faults == []


async def test_of_very_many_reasons_some_more_are_shown_and_lines_come_when_they_are_asked_for(
    browser: playwright.Browser,
) -> None:
    tale = story.Story(max_trial_number=None)
    tale.is_now()
    tale.happens(event.Started())
    for number in range(40):
        trial = f"t{number:04}"
        tale.runs(trial)
        tale.ends(trial, code=1, lines=["first words", f"{chr(97 + number % 26) * (number + 3)} error"])
    async with visiting(browser, tale) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url) if "trial-jobs/" in request.url else None)
        look = visit.page.locator(".concerns li.failed")
        await visit.presses("Show 20 of 32 more reasons, of 32 trials")
        await visit.presses("Show 12 more reasons, of 12 trials")
        await look.nth(39).wait_for()
        await visit.page.get_by_role("button", name="more reason").wait_for(state="detached")
        assert asked == []
        await look.nth(30).get_by_text("Last lines").click()
        await look.nth(30).locator("pre", has_text="first words").wait_for()
        assert asked == [f"{visit.url}/api/v1/nni/trial-jobs/t0009"]
        assert visit.faults == []


async def test_what_needs_a_look_is_looked_for_once_in_some_seconds(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.runs("aaaaa", "bbbbb")
    async with visiting(browser, tale) as visit:
        await visit.page.clock.install()
        await visit.goes("oview")
        await visit.shows("Nothing: no trial has failed, none is held up.")
        await visit.page.get_by_text("Live", exact=True).wait_for()
        tale.is_now()
        await visit.page.clock.pause_at(tale.now() + 20)
        failed = visit.page.locator(".counts a", has_text="Failed")
        look = visit.page.locator(".concerns li.failed")
        tale.ends("aaaaa", code=1, lines=["one"])
        while await look.count() < 1:
            await visit.page.clock.run_for(10)
        tale.ends("bbbbb", code=1, lines=["another"])
        while "2" not in await failed.inner_text():
            await visit.page.clock.run_for(4)
        for _ in range(10):
            await visit.page.clock.run_for(50)
        assert await look.count() == 1
        while await look.count() < 2:
            await visit.page.clock.run_for(100)
        assert visit.faults == []


async def test_what_the_experiment_is_made_of_is_shown_and_taken_along(browser: playwright.Browser) -> None:
    space = {"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}, "opt": {"_type": "choice", "_value": ["a", "b"]}}
    canonical = {
        "searchSpace": space,
        "tuner": {"name": "TPE"},
        "assessor": {"name": "Medianstop"},
        "trainingService": {"platform": "kubeflow", "worker": {"env": {"HF_TOKEN": "hush", "EPOCHS": "3"}}},
    }
    tale = story.Story(search_space=space, canonical=canonical)
    tale.is_now()
    tale.happens(event.Started())
    tale.runs("aaaaa", "bbbbb")
    tale.reports("aaaaa", "0.25", final="0.5")
    tale.ends("aaaaa")
    async with visiting(browser, tale) as visit:
        await visit.shows("aaaaa")
        assert not [one for one in await visit.page.evaluate(LOADED) if "panels" in one]
        await visit.presses("Search space")
        await visit.page.get_by_role("row", name="lr loguniform 0.0001, 0.1").wait_for()
        async with visit.page.expect_download() as waiting:
            await visit.presses("Download")
        assert json.loads(pathlib.Path(await (await waiting.value).path()).read_text()) == space
        await visit.page.get_by_role("tab", name="Config").click()
        await visit.shows('"HF_TOKEN": "(hidden)"')
        await visit.shows('"EPOCHS": "3"')
        assert "hush" not in await visit.page.locator("dialog").inner_text()
        await visit.page.get_by_role("tab", name="Summary").click()
        await visit.shows("Medianstop")
        await visit.shows("0.5, trial aaaaa")
        await visit.page.get_by_label("with intermediate results").check()
        async with visit.page.expect_download() as waiting:
            await visit.presses("Download summary")
        summary = json.loads(pathlib.Path(await (await waiting.value).path()).read_text())
        assert summary["experimentParameters"]["params"]["assessor"] == {"name": "Medianstop"}
        assert "hush" not in json.dumps(summary)
        first, second = summary["trialMessage"]
        assert (first["trialJobId"], first["finalValue"], first["intermediate"]) == ("aaaaa", 0.5, [0.25])
        assert (second["status"], second["intermediate"]) == ("RUNNING", [])
        assert visit.faults == []


async def test_a_hidden_page_closes_its_stream_and_catches_up_when_it_is_shown(browser: playwright.Browser) -> None:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    async with visiting(browser, tale, start="detail") as visit:
        await visit.page.get_by_text("Live", exact=True).wait_for()
        await visit.shows("No trial yet")
        turn = """(isHidden) => {
          Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
        async with visit.page.expect_event("requestfailed", lambda its: "/events" in its.url):
            await visit.page.evaluate(turn, True)
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        tale.runs("aaaaa")
        async with visit.page.expect_request("**/events?after=*"):
            await visit.page.evaluate(turn, False)
        await visit.shows("aaaaa")
        # What was missed came by the stream: nothing else was asked for.
        assert [url for url in asked if "/events?" not in url and "/api/" in url] == []
        assert visit.faults == []
