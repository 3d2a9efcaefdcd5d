"""Code of the dashboard that cannot be loaded: offline, after an upgrade, after an error."""

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

import pytest
from aiohttp import web

from server.pages import DASHBOARD
from tests.browser.conftest import Visitor
from tests.browser.proxy import Proxy, running_proxy
from tests.browser.test_dashboard import IS_LIVE
from tests.browser.visiting import AXE, DESK, PHONE, Demo

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

AWAY = re.compile(
    r"ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection"
    r"|Failed to load resource"
)
# A browser that saves data loads nothing in advance.
SAVES_DATA = "Object.defineProperty(navigator, 'connection', { value: { saveData: true } })"
LOADED = (
    "name => performance.getEntriesByType('resource')"
    ".filter(e => e.name.includes(`/${name}-`)).length"
)
NAVIGATIONS = "() => Number(sessionStorage.getItem('navigations'))"
COUNT_NAVIGATIONS = (
    "sessionStorage.setItem('navigations', 1 + Number(sessionStorage.getItem('navigations')))"
)


async def save_data(page: "Page") -> None:
    await page.add_init_script(SAVES_DATA)


async def go_offline(page: "Page") -> None:
    await page.context.set_offline(True)
    await page.wait_for_function("() => document.querySelector('.sign')?.innerText === 'Offline'")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_a_click_while_offline_shows_it_and_the_page_loads_after_a_reconnect(
    visitor: Visitor, theme: Literal["dark", "light"], size: tuple[int, int]
) -> None:
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard", theme=theme, size=size, prepare=save_data) as page:
        await page.wait_for_function(IS_LIVE)
        await go_offline(page)
        await (
            page.get_by_role("navigation", name="Pages")
            .get_by_role("link", name="Runs")
            .locator("visible=true")
            .click()
        )
        await page.get_by_role("heading", name="No connection to the server").wait_for()
        await page.get_by_role("button", name="Try again").click()
        await page.get_by_role("heading", name="No connection to the server").wait_for()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))"
        )
        assert not [one for one in found if one[0] in ("serious", "critical")]
        await visitor.shoot(page)
        await page.context.set_offline(False)
        await page.get_by_role("region", name="Table of runs").wait_for()
        assert await page.get_by_role("heading", name="No connection to the server").count() == 0


async def test_the_code_of_every_page_is_loaded_in_advance(visitor: Visitor) -> None:
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard") as page:
        await page.wait_for_function(f"() => ({LOADED})('page') === 3 && ({LOADED})('chart') === 1")
        await page.wait_for_load_state("networkidle")
        await go_offline(page)
        for name, heading in (("Runs", "Runs"), ("Sources", "Sources")):
            await page.get_by_role("link", name=name, exact=True).first.click()
            await page.get_by_role("heading", name=heading, exact=True).wait_for()


class EarlierVersion:
    """Responds with the page of an earlier version, whose parts the server no longer has."""

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self._shown = False

    def __call__(self, request: web.Request) -> web.Response | None:
        if request.path.endswith("/index-BEFORE_0.js"):
            [entry] = DASHBOARD.glob("index-*.js")
            script = re.sub(
                r"\b(page|chart)-[\w-]{8}\.js", r"\1-BEFORE_0.js", entry.read_text(encoding="utf-8")
            )
            return web.Response(text=script, content_type="text/javascript")
        is_page = request.headers.get("Sec-Fetch-Dest") == "document"
        if not is_page or (self._shown and not self._always):
            return None
        self._shown = True
        html = (DASHBOARD / "index.html").read_text(encoding="utf-8")
        return web.Response(
            text=re.sub(r"index-[\w-]{8}\.js", "index-BEFORE_0.js", html), content_type="text/html"
        )


@pytest.fixture
async def upgraded(demo: Demo) -> AsyncIterator[Proxy]:
    """The demo behind a proxy that serves the page of the earlier version once."""
    async with running_proxy(demo.url) as proxy:
        proxy.change = EarlierVersion(always=False)
        yield proxy


async def count_navigations(page: "Page") -> None:
    await page.add_init_script(COUNT_NAVIGATIONS)


async def test_a_part_missing_after_an_upgrade_loads_the_new_version_once(
    visitor: Visitor, upgraded: Proxy
) -> None:
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard", url=upgraded.url, prepare=count_navigations) as page:
        await page.wait_for_function(IS_LIVE)
        await page.get_by_role("link", name="Runs", exact=True).first.click()
        await page.get_by_role("region", name="Table of runs").wait_for()
        assert page.url.endswith("/dashboard/runs")
        assert await page.evaluate(NAVIGATIONS) == 2
        await page.get_by_role("link", name="Sources", exact=True).first.click()
        await page.get_by_role("heading", name="Sources", exact=True).wait_for()
        assert await page.evaluate(NAVIGATIONS) == 2


async def test_a_part_that_stays_missing_shows_an_error_and_stops_reloading(
    visitor: Visitor, upgraded: Proxy
) -> None:
    upgraded.change = EarlierVersion(always=True)
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard", url=upgraded.url, prepare=count_navigations) as page:
        await page.wait_for_function(IS_LIVE)
        await page.get_by_role("link", name="Runs", exact=True).first.click()
        await page.wait_for_function(f"() => ({NAVIGATIONS})() === 2")
        await page.get_by_role(
            "heading", name="This part of the page could not be loaded"
        ).wait_for()
        await page.wait_for_function(IS_LIVE)
        await page.get_by_role("button", name="Try again").wait_for()
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate(NAVIGATIONS) == 2
        await page.get_by_role("button", name="Try again").click()  # the user may always try again
        await page.wait_for_function(f"() => ({NAVIGATIONS})() === 3")
        await page.get_by_role(
            "heading", name="This part of the page could not be loaded"
        ).wait_for()
        # The other parts still work.
        await page.get_by_role("link", name="Coins", exact=True).first.click()
        await page.wait_for_selector(".rows .row .c-price")


async def test_an_open_page_notices_an_upgrade_and_the_next_click_loads_it(
    visitor: Visitor, demo: Demo, upgraded: Proxy
) -> None:
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard", url=upgraded.url, prepare=count_navigations) as page:
        await page.wait_for_function(IS_LIVE)
        demo.server().kill()
        await page.get_by_text("A newer version of this page is available").wait_for()
        await page.get_by_role("link", name="Sources", exact=True).first.click()
        await page.get_by_role("heading", name="Sources", exact=True).wait_for()
        assert await page.evaluate(NAVIGATIONS) == 2
        await page.wait_for_function(IS_LIVE)
        assert await page.get_by_text("A newer version of this page is available").count() == 0


async def test_a_restart_of_the_same_version_is_not_an_upgrade(
    visitor: Visitor, demo: Demo
) -> None:
    visitor.forgiven = AWAY
    async with visitor.visit("/dashboard") as page:
        await page.wait_for_function(IS_LIVE)
        async with page.expect_response(
            lambda r: r.url.endswith("/dashboard") and r.request.resource_type == "fetch"
        ):
            demo.server().kill()
        await page.wait_for_function(IS_LIVE)
        assert await page.get_by_text("A newer version of this page is available").count() == 0


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_an_error_in_a_page_does_not_affect_the_others(
    visitor: Visitor, theme: Literal["dark", "light"]
) -> None:
    visitor.forgiven = re.compile("TypeError|error occurred in|Cannot read")

    async def spoil(page: "Page") -> None:
        async def answer(route: "Route") -> None:
            if "sources" in (route.request.post_data or ""):
                await route.fulfill(
                    json={"data": {"sources": [{"name": "spoiled"}], "stats": None}}
                )
            else:
                await route.continue_()

        await page.route("**/graphql", answer)

    async with visitor.visit("/dashboard/sources", theme=theme, prepare=spoil) as page:
        await page.get_by_role("heading", name="This page could not be shown").wait_for()
        await visitor.shoot(page)
        await page.unroute("**/graphql")
        await page.get_by_role("link", name="Coins", exact=True).first.click()
        await page.wait_for_selector(".rows .row .c-price")
