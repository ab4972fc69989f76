"""The overview in a real browser: what people see from the first minute to the end."""

import contextlib
import pathlib
from collections.abc import AsyncIterator

import pytest
from playwright import async_api as playwright

import nni.server
from nni.core import event, model
from nni.testing import story

pytestmark = pytest.mark.requires("browser")

STATIC = pathlib.Path(nni.server.__file__).parent / "static"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Visit:
    """A browser on the portal, and what went wrong in it."""

    def __init__(self, page: playwright.Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("console", lambda said: self.faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)

    def _request(self, request: playwright.Request) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.faults.append(f"left the portal: {request.url}")

    async def rows(self) -> list[list[str]]:
        """Return number, trial, status and metric of each row that is shown."""
        rows = await self.page.locator("tbody tr").all()
        return [(await row.locator("td").all_inner_texts())[:4] for row in rows]

    async def shows(self, text: str) -> None:
        """Wait until a text can be seen."""
        await self.page.get_by_text(text).first.wait_for()


@contextlib.asynccontextmanager
async def visiting(tale: story.Story, width: int = 1280, url_prefix: str = "") -> AsyncIterator[Visit]:
    """Open the link that signs in, in a browser with a fresh profile."""
    assert (STATIC / "index.html").is_file(), "the portal's page is not built: make web"
    async with tale.shown(STATIC, url_prefix=url_prefix) as url, playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = await browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(10_000)
        visit = Visit(page, url)
        await page.goto(f"{url}/oview?token={tale.token}")
        yield visit
        await browser.close()


async def test_an_experiment_from_its_first_minute_to_its_end() -> None:
    tale = story.Story()
    tale.is_now()
    async with visiting(tale) as visit:
        await visit.shows("Starting")
        assert visit.page.url == f"{visit.url}/oview"

        tale.happens(event.Started())
        await visit.shows("No trial yet: the tuner is choosing the first parameters.")

        tale.runs("aaaaa", "bbbbb")
        tale.reports("aaaaa", "0.25", final="0.75")
        tale.ends("aaaaa")
        tale.ends("bbbbb", code=3, lines=["ValueError: it's wrong"])
        await visit.shows("The command of master-0 ended with exit code 3: ValueError: it's wrong")
        assert await visit.rows() == [["1", "bbbbb", "Failed", "\u2013"], ["0", "aaaaa", "Succeeded", "0.75"]]
        assert await visit.page.locator(".best .figure").inner_text() == "0.75"
        assert await visit.page.locator(".best dl").inner_text() == "x\n0"
        assert await visit.page.title() == "2/6 Running · story"

        tale.proposes("ccccc")
        tale.creates("ccccc")
        full = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="No node has 1 nvidia.com/gpu free.")
        tale.observes("ccccc", model.JobPhase.PENDING, full)
        await visit.shows("No node has 1 nvidia.com/gpu free.")

        tale.happens(event.StopRequested(by="the portal"), event.CleanedUp())
        await visit.shows("Stopped")
        assert visit.faults == []


async def test_trials_by_status_and_by_metric() -> None:
    tale = story.Story()
    tale.happens(event.Started())
    for trial, value in (("aaaaa", "0.2"), ("bbbbb", "0.9"), ("ccccc", "0.4")):
        tale.runs(trial)
        tale.reports(trial, final=value)
        tale.ends(trial)
    tale.runs("ddddd")
    async with visiting(tale) as visit:
        await visit.shows("ddddd")
        await visit.page.get_by_role("button", name="Best first").click()
        assert [row[1] for row in await visit.rows()] == ["bbbbb", "ccccc", "aaaaa"]
        await visit.page.get_by_role("button", name="Newest first").click()
        await visit.page.get_by_role("button", name="Running").click()
        assert [row[1] for row in await visit.rows()] == ["ddddd"]
        assert visit.faults == []


async def test_it_fits_a_telephone_and_stands_below_a_prefix() -> None:
    tale = story.Story(name="an-experiment-with-quite-a-long-name-without-any-space-in-it")
    tale.happens(event.Started())
    tale.runs("aaaaa")
    tale.ends("aaaaa", code=1, lines=["x" * 200])
    async with visiting(tale, width=420, url_prefix="proxy/8080") as visit:
        await visit.shows("Needs a look")
        assert await visit.page.evaluate("document.documentElement.scrollWidth") <= 420
        assert visit.faults == []


async def test_a_browser_that_was_not_signed_in_is_told_what_to_run() -> None:
    tale = story.Story()
    async with visiting(tale) as visit:
        await visit.page.context.clear_cookies()
        await visit.page.goto(f"{visit.url}/oview")
        await visit.shows("nnictl webui url story123")


async def test_the_page_says_when_the_manager_is_gone() -> None:
    tale = story.Story()
    tale.happens(event.Started())
    async with visiting(tale) as visit:
        await visit.shows("Live")
        await visit.page.context.set_offline(True)
        await visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await visit.shows("The manager does not answer")
        await visit.page.context.set_offline(False)
        tale.runs("aaaaa")
        await visit.shows("aaaaa")
        await visit.page.get_by_text("Live", exact=True).wait_for()
