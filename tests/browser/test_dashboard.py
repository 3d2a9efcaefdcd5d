"""The dashboard in a real browser, with a running demo."""

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Visitor, rows_of
from tests.browser.visiting import AXE, DESK, PHONE, Demo

if TYPE_CHECKING:
    from playwright.async_api import Page

# Background, grid and text are grey; only prices have colours.
HAS_CANDLES = """() => [...document.querySelectorAll('.chart canvas')].some(canvas => {
    if (!canvas.width || !canvas.height) return false;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let i = 0; i < pixels.length; i += 4) {
        const colour = pixels.slice(i, i + 3);
        if (Math.max(...colour) - Math.min(...colour) > 80) coloured += 1;
    }
    return coloured > 100;
})"""
PATHS = ["/dashboard", "/dashboard/coins/BTC", "/dashboard/runs", "/dashboard/sources"]
TOO_WIDE = """() => {
    const root = document.documentElement;
    return root.scrollWidth <= root.clientWidth ? [] : [...document.querySelectorAll('body *')]
        .filter(element => element.getBoundingClientRect().right > root.clientWidth)
        .map(element => element.outerHTML.slice(0, 100))
}"""
IS_LIVE = "() => document.querySelector('.sign')?.innerText === 'Live'"
IS_OFFLINE = "() => document.querySelector('.sign')?.innerText === 'Offline'"


async def test_prices_move_without_a_reload(visitor: Visitor) -> None:
    async with visitor.visit("/") as page:
        await page.wait_for_function(IS_LIVE)
        await page.evaluate("window.untouched = true")
        before = await rows_of(page)
        async with asyncio.timeout(30):
            while (
                len(
                    {
                        t
                        for t, price in (await rows_of(page)).items()
                        if before.get(t, price) != price
                    }
                )
                < 5
            ):
                await asyncio.sleep(0.1)
        assert await page.evaluate("window.untouched")


@pytest.mark.timeout(480)
async def test_a_run_can_be_triggered_and_followed_to_its_end(visitor: Visitor, demo: Demo) -> None:
    async with visitor.visit("/dashboard/runs") as page:
        token = page.get_by_label("Scheduler token")
        await token.fill("wrong")
        await page.get_by_role("button", name="Run now").click()
        await page.get_by_text(re.compile("token", re.IGNORECASE)).last.wait_for()
        await token.fill(demo.token)
        await page.get_by_role("button", name="Run now").click()
        await page.wait_for_function(
            "() => /is done/.test(document.querySelector('.request')?.innerText ?? '')",
            timeout=300_000,  # the demo's first polls and its past come before it
        )
        text = await page.locator(".request").inner_text()
        assert all(source in text for source in ("coinpaprika", "coingecko", "csv")), text
        kept = await page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        assert demo.token not in kept


async def test_a_rejected_record_is_shown_with_its_bytes(visitor: Visitor, demo: Demo) -> None:
    await demo.spoil_a_record()
    async with visitor.visit("/dashboard/runs?status=PARTIAL") as page:
        await page.get_by_role("region", name="Table of runs").get_by_role("link").first.click()
        rejected = page.locator("section", has=page.get_by_role("heading", name="Rejected records"))
        await rejected.get_by_text("1 stored byte for byte").wait_for()
        assert '"price"' in await rejected.inner_text()


async def test_the_sources_page_shows_how_a_file_was_read(visitor: Visitor) -> None:
    async with visitor.visit("/dashboard/sources") as page:
        files = page.get_by_role("region", name="Files of csv")
        await files.get_by_text("CSV, UTF-8, delimiter: comma, header on line 1").wait_for()
        columns = files.get_by_role("region", name="Columns of sample.csv")
        price = columns.get_by_role("row", name="price")
        assert await price.get_by_role("cell").all_inner_texts() == [
            "price_usd",
            "US dollars, decimal point",
        ]
        rows = files.get_by_role("region", name="First rows of sample.csv").get_by_role("rowheader")
        assert (await rows.all_inner_texts())[:2] == ["BTC", "ETH"]


async def test_the_chart_of_a_coin_draws_and_changes_its_interval(visitor: Visitor) -> None:
    async with visitor.visit("/dashboard/coins/BTC") as page:
        await page.wait_for_function(HAS_CANDLES)
        await page.get_by_text("1h", exact=True).click()
        await page.get_by_text("Sources side by side").wait_for()
        assert "coinpaprika" in await page.inner_text("main")


async def test_search_and_sort_change_the_table(visitor: Visitor) -> None:
    async with visitor.visit("/dashboard") as page:
        first = await rows_of(page)
        assert next(iter(first)) == "BTC"
        await page.get_by_placeholder("Search").fill("eth")
        await page.wait_for_function(
            "() => document.querySelector('.rows .row .c-ticker')?.innerText === 'ETH'"
        )
        assert "BTC" not in await rows_of(page)
        await page.get_by_placeholder("Search").fill("")
        await page.get_by_role("button", name="Ticker").click()
        await page.wait_for_function(
            "() => document.querySelector('.rows .row .c-ticker')?.innerText !== 'BTC'"
        )
        tickers = list(await rows_of(page))
        assert tickers in (sorted(tickers), sorted(tickers, reverse=True))


async def test_the_table_loads_more_rows_while_it_scrolls(visitor: Visitor) -> None:
    async with visitor.visit("/dashboard") as page:
        await rows_of(page)
        seen = 0
        async with asyncio.timeout(30):
            while seen < 1_000:
                await page.locator(".scroller").evaluate("element => element.scrollBy(0, 4000)")
                await asyncio.sleep(0.05)
                seen = await page.evaluate(
                    "Math.max(0, ...[...document.querySelectorAll('.rows .row')]"
                    ".map(r => +r.ariaRowIndex))"
                )
        assert (
            await page.locator(".rows .row").count() < 100
        )  # only visible rows are in the document


async def test_it_shows_that_it_is_offline_and_recovers(visitor: Visitor, demo: Demo) -> None:
    visitor.forgiven = re.compile(
        r"ERR_CONNECTION_REFUSED|WebSocket connection|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET"
        r"|ERR_SOCKET_NOT_CONNECTED"
    )
    async with visitor.visit("/dashboard") as page:
        await page.wait_for_function(IS_LIVE)
        process = demo.server()
        process.kill()
        await page.wait_for_function(IS_OFFLINE)
        assert "Offline" in await page.inner_text(".banners")
        await page.wait_for_function(IS_LIVE)
        await page.wait_for_function(
            "() => !/Offline/.test(document.querySelector('.banners')?.innerText ?? '')"
        )
        before = await rows_of(page)
        async with asyncio.timeout(30):
            while await rows_of(page) == before:
                await asyncio.sleep(0.1)
    assert demo.server().pid != process.pid


@pytest.mark.parametrize("path", [*PATHS, "/dashboard/coins/NOTHING", "/dashboard/nowhere"])
async def test_every_page_fits_a_phone(visitor: Visitor, path: str) -> None:
    async with visitor.visit(path, size=PHONE) as page:
        await settled(page)
        assert await page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_every_page_passes_the_accessibility_checks(
    visitor: Visitor, path: str, theme: str, size: tuple[int, int]
) -> None:
    async with visitor.visit(path, theme="dark" if theme == "dark" else "light", size=size) as page:
        await settled(page)
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))"
        )
        assert not [one for one in found if one[0] in ("serious", "critical")]


async def settled(page: "Page") -> None:
    """Wait until the page is live and shows data."""
    await page.wait_for_function(IS_LIVE)
    await page.wait_for_load_state("networkidle")
