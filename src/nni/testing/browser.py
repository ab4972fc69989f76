"""A browser on a story's portal, that notes everything which goes wrong in it. Needs Playwright and Chromium."""

import contextlib
import pathlib
from collections.abc import AsyncIterator
from typing import Any

from playwright import async_api as playwright

from nni import server
from nni.testing import story

STATIC = pathlib.Path(server.__file__).parent / "static"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOSE_ENDS = "net::ERR_INTERNET_DISCONNECTED"
"""What a browser says of requests while a test has taken its network away."""


class Visit:
    """A page of the portal in a browser, and what went wrong in it."""

    def __init__(self, page: playwright.Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)

    def _said(self, said: playwright.ConsoleMessage) -> None:
        if said.type in {"error", "warning"} and LOOSE_ENDS not in said.text:
            self.faults.append(said.text)

    def _request(self, request: playwright.Request) -> None:
        if not request.url.startswith((self.url + "/", "data:", "blob:")):
            self.faults.append(f"left the portal: {request.url}")

    async def goes(self, path: str) -> None:
        """Open another page by its address."""
        await self.page.goto(f"{self.url}/{path}")

    async def shows(self, text: str) -> None:
        """Wait until a text can be seen."""
        await self.page.get_by_text(text).first.wait_for()

    async def presses(self, name: str, *, exact: bool = True) -> None:
        """Press the first button of this name, as soon as it is there."""
        await self.page.get_by_role("button", name=name, exact=exact).first.click()

    async def column(self, place: int) -> list[str]:
        """Return what stands in a column of the table of trials, counted from 0."""
        rows = await self.page.locator(".table tbody tr[aria-rowindex]").all()
        return [await row.locator("td").nth(place).inner_text() for row in rows]

    async def barriers(self, axe: str, *rules: str) -> list[str]:
        """Return what axe has to say against the page as it is now.

        Args:
            axe: Its source.
            rules: The only ones to look at; all when there is none.
        """
        await self.page.evaluate(axe)
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        found: dict[str, Any] = await self.page.evaluate("(options) => axe.run(document, options)", options)
        return [f"{its['id']}: {its['nodes'][0]['html'][:120]}" for its in found["violations"]]


@contextlib.asynccontextmanager
async def launched() -> AsyncIterator[playwright.Browser]:
    """Run a browser; starting one takes longer than most visits."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visiting(
    browser: playwright.Browser,
    tale: story.Story,
    *,
    width: int = 1280,
    url_prefix: str = "",
    theme: str = "light",
    start: str = "oview",
) -> AsyncIterator[Visit]:
    """Open the link that signs in, with a fresh profile.

    Args:
        browser: Runs already.
        tale: Whose portal it is.
        width: Of the window, in pixels.
        url_prefix: Where the portal stands.
        theme: ``light`` or ``dark``, as the system has it.
        start: The page that is opened.
    """
    if not (STATIC / "index.html").is_file():
        raise AssertionError("the portal's page is not built: make web")
    scheme: Any = theme
    async with tale.shown(STATIC, url_prefix=url_prefix) as url:
        context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        visit = Visit(page, url)
        await page.goto(f"{url}/{start}{'&' if '?' in start else '?'}token={tale.token}")
        try:
            yield visit
        finally:
            await context.close()
