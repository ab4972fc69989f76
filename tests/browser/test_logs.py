"""Logs in a real browser that are read for long: in many tabs, and over connections that are cut."""

import asyncio
import contextlib
import urllib.parse
from collections.abc import AsyncIterator

import pytest
from playwright import async_api as playwright

from nni.core import event
from nni.testing import story
from nni.testing.browser import visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]

TURN = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
LOG = "trial/aaaaa?tab=logs"


@pytest.fixture
def tale() -> story.Story:
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.runs("aaaaa")
    return tale


class Line:
    """A way to a portal that can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self.most: int | None = None
        """Bytes of an answer after which its connection is cut; None for any number."""

    @contextlib.asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator[str]:
        """Yield the address under which the portal is reached by it; it is gone when the context is left."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ours = {writer, back}
        self._open |= ours
        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass(reader, back, None))
                tasks.create_task(_pass(there, writer, self.most))
        self._open -= ours


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(1 << 14 if most is None else max(1, most)):
            writer.write(part)
            await writer.drain()
            most = None if most is None else most - len(part)
            if most is not None and most <= 0:
                break
    writer.transport.abort()


async def test_more_tabs_show_a_log_than_a_browser_has_connections(
    browser: playwright.Browser, tale: story.Story
) -> None:
    text = "before\n"
    await tale.writes("aaaaa", "stdout", text)
    async with visiting(browser, tale, start=LOG) as visit:
        tabs = [visit.page]
        for number in range(8):
            await visit.shows("before")
            await tabs[-1].evaluate(TURN, True)
            tabs.append(await visit.page.context.new_page())
            await tabs[-1].goto(f"{visit.url}/{LOG}")
            await tabs[-1].get_by_text(f"while {number - 1}" if number else "before").wait_for()
            text += f"while {number}\n"
            await tale.writes("aaaaa", "stdout", text)
            await tabs[-1].get_by_text(f"while {number}").wait_for()
        # A tab goes on where it was, and asks for nothing that it has.
        await tabs[-1].evaluate(TURN, True)
        async with tabs[0].expect_request("**/stdout?offset=7&follow"):
            await tabs[0].evaluate(TURN, False)
        await tabs[0].get_by_text("while 7").wait_for()
        await tabs[0].get_by_text("9 lines", exact=True).wait_for()
        assert visit.faults == []


async def test_a_log_goes_on_after_a_cut_where_it_was(browser: playwright.Browser, tale: story.Story) -> None:
    lines = [f"schön {number} …\n" for number in range(3000)]
    async with visiting(browser, tale) as visit:
        line = Line(urllib.parse.urlsplit(visit.url).port or 0)
        async with line.served() as url:
            page = await visit.page.context.new_page()
            await tale.writes("aaaaa", "stdout", "".join(lines[:1000]))
            await page.goto(f"{url}/{LOG}")
            await page.get_by_text("1000 lines", exact=True).wait_for()
            # Answers break off wherever they are, within characters too.
            line.most = 9001
            line.cut()
            await page.get_by_text("The connection was cut: reconnecting").wait_for()
            for count in (1500, 2200, 3000):
                await tale.writes("aaaaa", "stdout", "".join(lines[:count]))
                await page.get_by_text(f"{count} lines", exact=True).wait_for(timeout=60_000)
            line.most = None
            await page.get_by_text("schön 2999 …").wait_for()
            await page.get_by_label("Search the log").fill("schön")
            await page.get_by_text("3000 of 3000 lines").wait_for()
            await page.get_by_label("Search the log").fill("…")
            await page.get_by_text("3000 of 3000 lines").wait_for()


async def test_a_log_goes_on_with_a_manager_that_came_back(browser: playwright.Browser, tale: story.Story) -> None:
    await tale.writes("aaaaa", "stdout", "before\n")
    async with visiting(browser, tale) as visit:
        line = Line(urllib.parse.urlsplit(visit.url).port or 0)
        page = await visit.page.context.new_page()
        async with line.served() as url:
            port = urllib.parse.urlsplit(url).port or 0
            await page.goto(f"{url}/{LOG}")
            await page.get_by_text("before", exact=True).wait_for()
        await page.get_by_text("The connection was cut: reconnecting").wait_for()
        await tale.writes("aaaaa", "stdout", "before\nmeanwhile\n")
        async with line.served(port):
            await page.get_by_text("meanwhile").wait_for(timeout=30_000)
            await page.get_by_text("2 lines", exact=True).wait_for()
            assert await page.get_by_text("reconnecting").count() == 0
            # Another file under the same name is begun anew.
            line.cut()
            await tale.writes("aaaaa", "stdout", "anew\n")
            await page.get_by_text("anew").wait_for(timeout=30_000)
            await page.get_by_text("1 line", exact=True).wait_for()
