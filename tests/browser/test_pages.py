"""Every page in a real browser: at any width, in both themes, by keyboard, below a prefix, and without a fault."""

import json
import pathlib

import pytest
from playwright import async_api as playwright

from nni.core import event, model, spec
from nni.core import surroundings as around
from nni.server import health
from nni.testing import story
from nni.testing.browser import visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]

AXE = pathlib.Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "oview": "Top trials",
    "detail": "12 trials",
    "detail?tab=parameters&where=metric>0": "Drag along an axis to choose",
    "detail?tab=duration": "t0011",
    "detail?tab=intermediate": "Newest",
    "trial/t0000": "It failed",
    "trial/t0002?tab=metrics": "It succeeded",
    "trial/t0002?tab=pods": "nothing was heard",
    "trial/t0002?tab=logs": "epoch 1",
    "trial/t0002?tab=files": "Copy address",
    "trial/t0002?tab=job": "kind: PyTorchJob",
    "analysis": "62.0 %",
    "analysis?tab=slice": "optimizer",
    "analysis?tab=parallel": "Drag along an axis to choose",
    "analysis?tab=contour": "rank among all trials",
    "analysis?tab=distribution": "How large a share",
    "analysis?tab=pareto": "lower is better",
    "analysis?tab=experiments": "Parameters of the best",
    "cluster": "cannot be seen",
    "logs": "a warning",
    "experiment": "nni-experiments/story123",
}


@pytest.fixture
async def tale() -> story.Story:
    """Some of everything."""
    tale = story.Story(name="an-experiment-with-quite-a-long-name-without-any-space-in-it", max_trial_number=20)
    tale.is_now()
    tale.happens(event.Started())
    for number in range(12):
        trial = f"t{number:04}"
        tale.proposes(trial, lr=10.0**-number, optimizer=("adam", "sgd")[number % 2])
        tale.creates(trial)
        if number == 11:
            full = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No node has 1 nvidia.com/gpu free.")
            tale.observes(trial, model.JobPhase.PENDING, full)
            continue
        tale.observes(trial, model.JobPhase.RUNNING)
        tale.reports(trial, "0.1", "0.2")
        if number == 0:
            tale.ends(trial, code=1, lines=["x" * 200])
        elif number < 10:
            tale.reports(trial, final=json.dumps({"default": number / 10, "loss": 1 / number}))
            tale.ends(trial)
    await tale.writes("t0002", "stdout", "epoch 1\n")
    await tale.logs.put("nnimanager.log", b"2026-01-01 00:00:00,000 WARNING nni: a warning\n")
    tale.vitals.hears(health.TUNER, tale.now())
    tale.vitals.fails(health.PLATFORM, "The API server does not answer.", tale.now())
    tale.jobs["nni-exp-story123-trial-t0002"] = {"kind": "PyTorchJob", "metadata": {"name": "n"}}
    tale.importance = {"lr": 0.62, "optimizer": 0.38}
    tale.experiments = [
        {
            "id": "story123",
            "port": 8080,
            "status": "RUNNING",
            "platform": "kubeflow",
            "experimentName": "",
            "prefixUrl": None,
            "startTime": 1,
            "endTime": "N/A",
            "isAlive": True,
            "logDir": "/home/somebody/nni-experiments/story123",
            "best": 0.9,
        }
    ]
    tale.around = around.Surroundings(
        nodes=(around.Node(name="node-1", is_ready=True, takes_pods=True, capacity={"cpu": "64"}),),
        quotas=(around.Quota(name="team", amounts=(around.Amount(resource="pods", used="4", most="4"),)),),
        unseen=("The queue cannot be seen: this user may not get localqueues.",),
    )
    tale.findings = [
        {"what": "rights", "verdict": "failed", "sentence": "Missing in the namespace default: list pods."},
        {"what": "images", "verdict": "warning", "sentence": "docker_image of master is not set."},
        {"what": "namespace", "verdict": "ok", "sentence": "default is there."},
    ]
    await tale.examine()
    return tale


@pytest.mark.parametrize(("width", "theme", "rules"), [(1280, "light", []), (420, "dark", ["color-contrast"])])
async def test_every_page_fits_and_is_accessible(
    browser: playwright.Browser, tale: story.Story, width: int, theme: str, rules: list[str]
) -> None:
    assert AXE.is_file(), "axe is missing: run npm ci in web"
    axe = AXE.read_text()
    async with visiting(browser, tale, width=width, theme=theme, url_prefix="proxy/8080") as visit:
        wrong = {}
        for page, text in PAGES.items():
            await visit.goes(page)
            await visit.page.locator("main", has_text=text).wait_for()
            said = await visit.barriers(axe, *rules)
            wide = await visit.page.evaluate("document.documentElement.scrollWidth")
            if said or wide > width:
                wrong[page] = (said, wide)
        await visit.goes("oview")
        for panel in ("Search space", "Config", "Summary"):
            await visit.presses(panel)
            await visit.page.get_by_role("tabpanel").locator("pre, p, dl").first.wait_for()
            if said := await visit.barriers(axe, *rules):
                wrong[panel] = (said, 0)
            await visit.presses("Close")
        assert wrong == {}
        assert visit.faults == []


async def test_an_open_page_asks_for_nothing_while_nothing_happens(
    browser: playwright.Browser, tale: story.Story
) -> None:
    asked: list[str] = []
    async with visiting(browser, tale) as visit:
        await visit.page.clock.install()
        for path, text in PAGES.items():
            await visit.goes(path)
            await visit.shows(text)
            await visit.page.wait_for_load_state("load")
            await visit.page.wait_for_timeout(300)
            visit.page.on("request", note := lambda request: asked.append(f"{path}: {request.url}"))  # noqa: B023
            # Half a minute on the page's own clock: less than a manager may be silent.
            await visit.page.clock.run_for(30_000)
            await visit.page.wait_for_timeout(100)
            visit.page.remove_listener("request", note)
    assert asked == []


async def test_the_theme_is_chosen_and_kept(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, theme="dark") as visit:
        back = "getComputedStyle(document.body).backgroundColor"
        dark = await visit.page.evaluate(back)
        await visit.presses("Theme: system")
        light = await visit.page.evaluate(back)
        assert (dark, light) == ("rgb(20, 23, 26)", "rgb(245, 246, 247)")
        await visit.goes("detail")
        await visit.presses("Theme: light")
        assert await visit.page.evaluate(back) == dark


async def test_the_keyboard_is_enough(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale) as visit:
        await visit.shows("Top trials")
        await visit.page.keyboard.press("Tab")
        await visit.page.keyboard.press("Enter")
        assert await visit.page.evaluate("document.activeElement.id") == "main"
        await visit.page.get_by_role("link", name="Trials", exact=True).focus()
        await visit.page.keyboard.press("Enter")
        await visit.page.get_by_role("tab", name="Default metric").focus()
        await visit.page.keyboard.press("ArrowRight")
        await visit.page.locator("[role=tab]:focus", has_text="Hyper-parameters").wait_for()
        await visit.page.get_by_label("Choose t0002").focus()
        await visit.page.keyboard.press("Space")
        await visit.presses("Clone and change")
        await visit.page.get_by_label("Parameters as JSON").wait_for()
        await visit.page.keyboard.press("Escape")
        await visit.page.locator("dialog").wait_for(state="detached")


async def test_parallel_coordinates_are_chosen_from_by_dragging(browser: playwright.Browser, tale: story.Story) -> None:
    async with visiting(browser, tale, start="analysis?tab=parallel") as visit:
        axis = visit.page.locator(".axis-line").last
        box = await axis.bounding_box()
        assert box is not None
        middle = box["x"] + box["width"] / 2
        await visit.page.mouse.move(middle, box["y"] + 1)
        await visit.page.mouse.down()
        await visit.page.mouse.move(middle, box["y"] + box["height"] * 0.2)
        await visit.page.mouse.up()
        await visit.shows("2 trials chosen, the best 0.9.")
        # The keys do the same.
        await axis.press("Escape")
        await visit.shows("Drag along an axis to choose")
        await axis.press("ArrowUp")
        await visit.shows("5 trials chosen, the best 0.9.")
        await axis.press("Shift+ArrowDown")
        await visit.shows("3 trials chosen, the best 0.8.")


async def test_another_experiment_is_compared(browser: playwright.Browser, tale: story.Story) -> None:
    tale.experiments.append({**tale.experiments[0], "id": "other456", "experimentName": "before"})
    tale.results["other456"] = [0.1, 0.2, 0.95]
    async with visiting(browser, tale, start="analysis?tab=distribution") as visit:
        await visit.page.get_by_label("Compare with").select_option("other456")
        await visit.shows("3 results, best 0.95, median 0.2")
        await visit.shows("9 results, best 0.9, median 0.5")
        assert "with=other456" in visit.page.url
        assert visit.faults == []


async def test_experiments_are_compared_by_what_came_of_them(browser: playwright.Browser, tale: story.Story) -> None:
    for number in range(6):
        info = {"id": f"other{number}", "experimentName": f"before {number}", "status": "DONE", "isAlive": False}
        tale.experiments.append({**tale.experiments[0], **info})
        tale.results[f"other{number}"] = [0.1, 0.2 + number / 100, 0.95]
    tuner = {"name": "Random", "classArgs": {"optimize_mode": "maximize"}}
    tale.configs["other5"] = {**tale.state.spec.canonical, "tuner": tuner}
    del tale.results["other2"]
    async with visiting(browser, tale, start="analysis?tab=experiments") as visit:
        # The newest are compared until others are chosen.
        await visit.shows("Best so far")
        await visit.page.get_by_role("img", name="Best value so far of 4 experiments.").wait_for()
        await visit.shows("No experiment other2 is known on this machine.")
        row = visit.page.get_by_role("row", name="Compare with before 5")
        assert (await row.inner_text()).split("\t")[1:7] == ["before 5", "Done", "0.9", "3", "3", "3 min"]
        await visit.page.get_by_role("row", name="tuner.name TPE Random TPE TPE").wait_for()
        await visit.page.get_by_role("row", name="x 9 3 1 1").wait_for()
        await visit.shows("Not all of them are after the same")
        await visit.presses("By time")
        await visit.page.wait_for_url("**by=time")
        for number in (2, 3, 4):
            await visit.page.get_by_label(f"Compare with before {number}").uncheck()
        await visit.page.get_by_role("img", name="Best value so far of 2 experiments.").wait_for()
        await visit.page.reload()
        await visit.page.get_by_role("img", name="Best value so far of 2 experiments.").wait_for()
        await visit.page.get_by_label("Compare with before 5").uncheck()
        await visit.page.get_by_role("img", name="Best value so far of 1 experiment.").wait_for()
        assert visit.faults == ["Failed to load resource: the server responded with a status of 404 (Not Found)"]


async def test_an_experiment_compared_with_itself_is_the_same(browser: playwright.Browser, tale: story.Story) -> None:
    for trial, code in (("early", 0), ("fails", 1)):
        tale.runs(trial)
        tale.reports(trial, final="5")
        tale.ends(trial, code=code)
    tale.experiments.append({**tale.experiments[0], "id": "twin456", "experimentName": "twin", "best": 5})
    tale.others["twin456"] = tale
    async with visiting(browser, tale, start="analysis?tab=experiments") as visit:
        await visit.page.get_by_role("img", name="Best value so far of 2 experiments.").wait_for()
        rows = [visit.page.get_by_role("row", name=name) for name in ("this one", "Compare with twin")]
        own, other = [(await row.inner_text()).split("\t")[3:7] for row in rows]
        assert own == other
        assert own[:3] == ["5", "14", "10"]
        await visit.shows("They are configured alike.")


async def test_the_manager_s_log_by_level(browser: playwright.Browser, tale: story.Story) -> None:
    lines = [f"2026-01-01 00:00:00,000 {level} nni: said {level}" for level in ("DEBUG", "INFO", "ERROR")]
    await tale.logs.put("nnimanager.log", ("\n".join(lines) + "\nTraceback\n").encode())
    async with visiting(browser, tale, start="logs") as visit:
        await visit.shows("4 lines")
        await visit.page.get_by_label("From level").select_option("WARNING")
        await visit.shows("2 lines")
        assert await visit.page.locator(".line").all_inner_texts() == [lines[2], "Traceback"]


async def test_ten_thousand_trials_are_a_few_rows_at_a_time(browser: playwright.Browser) -> None:
    tale = story.Story(max_trial_number=None)
    tale.proposes(*(f"t{number:04x}" for number in range(10_000)))
    async with visiting(browser, tale, start="detail?sort=number") as visit:
        await visit.shows("10000 trials")
        assert len(await visit.column(1)) < 60
        await visit.page.locator(".table").evaluate("its => its.scrollTop = its.scrollHeight")
        await visit.page.get_by_role("link", name="t270f").wait_for()
        await visit.page.get_by_label("Choose all").check()
        await visit.shows("10000 trials chosen")
        assert visit.faults == []


async def test_a_file_of_the_page_that_does_not_come_is_fetched_again(
    browser: playwright.Browser, tale: story.Story
) -> None:
    async with visiting(browser, tale) as visit:
        await visit.shows("Top trials")
        lost: list[str] = []

        async def lose_first(route: playwright.Route) -> None:
            # Not ``times=1``: taken away while the page loads anew, a route leaves that load hanging at times.
            await (route.continue_() if lost else route.abort())
            lost.append(route.request.url)

        await visit.page.route("**/assets/trials-*.js", lose_first)
        await visit.page.get_by_role("link", name="Trials", exact=True).click()
        await visit.shows("12 trials")
        assert len(lost) == 2
        # One that is never there is told to be missing, and the rest of the portal goes on.
        await visit.page.route("**/assets/logs-*.js", lambda route: route.abort())
        await visit.page.get_by_role("link", name="Logs", exact=True).click()
        await visit.shows("This page cannot be loaded")
        await visit.page.get_by_role("link", name="Overview").click()
        await visit.shows("Top trials")


async def test_the_front_of_several_objectives_knows_what_is_better_of_each(browser: playwright.Browser) -> None:
    optimize = {"latency": "minimize", "accuracy": "maximize"}
    tuner = spec.AlgorithmSpec(name="NSGA2", class_args={"optimize": optimize})
    tale = story.Story(tuner=tuner)
    tale.is_now()
    tale.happens(event.Started())
    for trial, latency, accuracy in (("aaaaa", 1, 0.5), ("bbbbb", 2, 0.9), ("ccccc", 3, 0.7)):
        tale.runs(trial)
        tale.reports(trial, final=json.dumps({"latency": latency, "accuracy": accuracy, "size": 3}))
        tale.ends(trial)
    async with visiting(browser, tale, start="analysis?tab=pareto") as visit:
        await visit.page.get_by_role("img", name="accuracy over the latency, 3 trials").wait_for()
        await visit.page.get_by_role("link", name="Overview").click()
        await visit.shows("Best, lowest latency")
        await visit.page.go_back()
        assert not await visit.page.get_by_label("lower is better").is_checked()
        assert await visit.page.get_by_label("Second metric").locator("option").all_inner_texts() == ["accuracy"]
        assert visit.faults == []


async def test_the_manager_s_log_is_followed(browser: playwright.Browser, tale: story.Story) -> None:
    line = "2026-01-01 00:00:00,000 INFO nni: said"
    async with visiting(browser, tale, start="logs") as visit:
        await visit.shows("a warning")
        await tale.logs.put("nnimanager.log", f"2026-01-01 00:00:00,000 WARNING nni: a warning\n{line} more\n".encode())
        await visit.shows("said more")
        assert visit.faults == []
