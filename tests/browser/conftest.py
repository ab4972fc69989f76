"""One browser for all tests that visit a story's portal; each visit has a profile of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright import async_api as playwright

from nni.testing.browser import launched


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[playwright.Browser]:
    async with launched() as running:
        yield running
