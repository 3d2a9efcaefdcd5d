"""Fixtures for pages; a console error or a request to another host fails the test."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.browser.visiting import DESK, Demo, missing, running_browser, running_demo

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page

ARTIFACTS = Path(__file__).parent / "artifacts"
TIMEOUT_MS = 60_000


@pytest.fixture(scope="package")
async def demo() -> AsyncIterator[Demo]:
    problem = missing()
    if problem and os.environ.get("CI"):
        pytest.fail(problem)
    elif problem:
        pytest.skip(problem)
    async with running_demo() as running:
        yield running


@pytest.fixture(scope="package")
# It also skips the test if the browser is missing.
async def browser(demo: Demo) -> "AsyncIterator[Browser]":  # noqa: ARG001
    async with running_browser() as running:
        yield running


class Visitor:
    """Opens pages; `problems` are their console messages and requests to other hosts."""

    def __init__(self, browser: "Browser", demo: Demo, name: str) -> None:
        self.demo = demo
        self.problems: list[str] = []
        self.forgiven: re.Pattern[str] | None = None
        self._url = demo.url
        self._browser = browser
        self._name = re.sub(r"\W+", "-", name).strip("-")
        self._shots = 0

    @asynccontextmanager
    async def visit(
        self,
        path: str,
        *,
        size: tuple[int, int] = DESK,
        theme: Literal["dark", "light"] = "dark",
        url: str | None = None,
        prepare: "Callable[[Page], Awaitable[None]] | None" = None,
    ) -> "AsyncIterator[Page]":
        """Open a page in a profile of its own, prepared before it loads; keep its picture.

        `url` is the server's, where it is not the demo's.
        """
        self._url = url or self.demo.url
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        page = await context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._on_address(request.url))
        page.on("websocket", lambda socket: self._on_address(socket.url))
        try:
            if prepare is not None:
                await prepare(page)
            await page.goto(self._url + path)
            yield page
        finally:
            await self.shoot(page)
            await context.close()

    async def shoot(self, page: "Page") -> None:
        """Save a screenshot of the page."""
        ARTIFACTS.mkdir(exist_ok=True)
        self._shots += 1
        await page.screenshot(path=ARTIFACTS / f"{self._name}-{self._shots}.png")

    def _on_console(self, message: "ConsoleMessage") -> None:
        if message.type == "error" and not (self.forgiven and self.forgiven.search(message.text)):
            self.problems.append(f"console: {message.text}")

    def _on_address(self, url: str) -> None:
        ours = f"{self._url}/"
        if not url.startswith((ours, ours.replace("http", "ws", 1), "data:", "blob:")):
            self.problems.append(f"outside: {url}")


@pytest.fixture
async def visitor(
    browser: "Browser", demo: Demo, request: pytest.FixtureRequest
) -> AsyncIterator[Visitor]:
    """A visitor that fails the test at a console error or a request to another host."""
    one = Visitor(browser, demo, request.node.name)
    yield one
    assert not one.problems


async def rows_of(page: "Page") -> dict[str, str]:
    """Return the prices in the table by ticker."""
    await page.wait_for_selector(".rows .row .c-price")
    pairs: list[Any] = await page.eval_on_selector_all(
        ".rows .row",
        "rows => rows.map(r => [r.querySelector('.c-ticker').innerText,"
        " r.querySelector('.c-price').innerText])",
    )
    return dict(pairs)
