"""The asset of a coin, its former tickers and addresses, and the values that are not believed."""

import datetime
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.settings import Settings
from db.connect.pool import Pool
from db.connect.types import Connection
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from tests.browser.conftest import Visitor, rows_of
from tests.browser.test_dashboard import IS_LIVE
from tests.browser.test_notes import check
from tests.browser.visiting import DESK, PHONE
from tests.server.conftest import Service, running_service, settings
from tests.server.graphql_rows import NOW, Rows

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

__all__ = ["settings"]

ASSET = "coinpaprika:pol-polygon"
ADDRESS = "0x455e53cbb86018ac2b8092fdcd39d8444affc3f6"
ADDRESSES = {"ethereum": ADDRESS} | {
    f"source-{number}:a-chain": f"0x{number}e53cbb86018ac2b8092fdcd39d8444affc3f7"
    for number in range(10, 17)
}
EXCLUDED = [
    {
        "source": source,
        "external_id": external_id,
        "field": field,
        "value": value,
        "reason": reason,
        "observed_at": NOW.isoformat(),
    }
    for source, external_id, field, value, reason in (
        ("coingecko", "matic-network", "price_usd", 9.25, "jump"),
        ("coinpaprika", "pol-polygon", "market_cap_usd", 9_000_000_000_000_000, "impossible"),
        ("csv", "matic", "price_usd", 0.51, "disagrees"),
    )
]
WHY = [
    (
        "It is far from the last values of the same listing, and is held until a second poll or"
        " another source confirms it."
    ),
    "No asset is worth that much.",
    "The other fresh sources say otherwise: it differs from them by more than 1%.",
]
SUSPECT = "A source's price was left out, and fewer than two sources confirm the price shown."


async def fill(connection: Connection) -> None:
    """Write an asset with two tickers, a coin that is suspect, and one without any doubt."""
    rows = Rows(connection)
    for number, source in enumerate(("coinpaprika", "coingecko", "csv")):
        await rows.source(source, priority=number, poll_seconds=10**8)
    await rows.listing(
        "coinpaprika", "pol-polygon", "POL", name="Polygon Ecosystem Token", price_usd="0.4512"
    )
    for source, external_id, price in (
        ("coingecko", "matic-network", "9.25"),
        ("csv", "matic", "0.51"),
    ):
        await rows.listing(
            source, external_id, "MATIC", name="Polygon", price_usd=price, asset=ASSET
        )
    await rows.listing("csv", "other", "MATIC", name="Another", contributes=False)
    for chain, address in ADDRESSES.items():
        await connection.execute(
            "INSERT INTO listing_addresses VALUES ($1, $2, $3, $4, true, $5)",
            "coingecko",
            "matic-network",
            chain,
            address,
            NOW,
        )
    await connection.execute(
        "INSERT INTO former_tickers VALUES ($1, $2, $3, $4)",
        "coinpaprika",
        "pol-polygon",
        "PLG",
        datetime.datetime(2024, 9, 4, tzinfo=datetime.UTC),
    )
    giver = {"source": "coinpaprika", "external_id": "pol-polygon", "observed_at": NOW.isoformat()}
    await rows.coin(
        "MATIC",
        name="Polygon",
        price_usd_exact="0.4512",
        asset=ASSET,
        confidence=0.375,
        is_suspect=True,
        excluded=EXCLUDED,
        provenance=giver,
        rival_count=1,
    )
    await rows.coin("POL", price_usd_exact="0.4512", asset=ASSET, confidence=0.75, provenance=giver)
    await rows.listing("csv", "plain", "PLAIN", price_usd="1.5")
    await rows.coin("PLAIN", source="csv", asset="csv:plain", confidence=0.5)
    await rows.coin("BARE")  # as before its first merge


@pytest.fixture
async def filled(settings: Settings, connection: Connection) -> AsyncIterator[Service]:
    await fill(connection)
    async with running_service(settings) as service:
        yield service


def section(page: "Page", heading: str) -> "Locator":
    return page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))


async def facts(card: "Locator") -> dict[str, str]:
    """Return the rows of the asset's card: texts by label, on one line."""
    pairs = await card.locator("dl > div").evaluate_all(
        "rows => rows.map(row => [...row.children].map(one => one.innerText))"
    )
    return {label: " ".join(text.split()) for label, text in pairs}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_page_of_a_coin_shows_its_asset_and_what_is_not_believed(
    visitor: Visitor, filled: Service, size: tuple[int, int], theme: str
) -> None:
    async with visitor.visit(
        "/dashboard/coins/matic",
        url=filled.url,
        size=size,
        theme="dark" if theme == "dark" else "light",
    ) as page:
        await check(page)
        await visitor.shoot(page)
        head = await page.locator(".coin-head").inner_text()
        assert "Suspect price" in head
        assert SUSPECT in head
        assert "Confidence\n0.38" in head
        card = section(page, "Asset")
        shown = await facts(card)
        assert shown["Confidence"].startswith("0.38 From 0 to 1.")
        assert shown["Key"] == ASSET
        assert shown["Names"] == "Polygon Ecosystem Token Polygon"
        assert shown["Tickers"] == "POL Current MATIC"
        assert shown["Former ticker"] == "PLG until 2024-09-04"
        assert f"ethereum {ADDRESS}" in shown["Addresses"]
        await card.get_by_role("button", name="Show all 8 addresses").click()
        assert await card.locator(".addresses li").count() == len(ADDRESSES)
        await card.get_by_role("button", name="Show fewer addresses").click()
        assert await card.locator(".addresses li").count() == 6
        refused = section(page, "Not believed")
        entries = [
            " ".join(text.split())
            for text in await refused.get_by_role("listitem").all_inner_texts()
        ]
        assert [text.partition(" ago ")[2] for text in entries] == WHY
        assert entries[0].startswith("coingecko matic-network Price $9.25")
        assert entries[1].startswith("coinpaprika pol-polygon Market cap $9.00E15 observed")
        await card.scroll_into_view_if_needed()
        await visitor.shoot(page)
        await section(page, "Sources side by side").scroll_into_view_if_needed()
        await visitor.shoot(page)
        await section(page, "Rivals for MATIC").scroll_into_view_if_needed()
        await check(page)


async def test_the_comparison_has_the_listings_of_all_tickers(
    visitor: Visitor, filled: Service
) -> None:
    async with visitor.visit("/dashboard/coins/MATIC", url=filled.url) as page:
        table = page.get_by_role("region", name="Table of the sources")
        await table.wait_for()
        assert await table.locator("thead th").all_inner_texts() == [
            "coingecko",
            "csv",
            "coinpaprika POL",
        ]
        prices = await table.get_by_role("row", name="Price").get_by_role("cell").all_inner_texts()
        assert [" ".join(text.split()) for text in prices] == [
            "not believed: 9.2500000",
            "not believed: 0.5100000",
            "used: 0.4512000",
        ]
        addresses = table.get_by_role("row", name="Address").get_by_role("cell")
        assert ADDRESS in await addresses.first.inner_text()
        assert "6 more" in await addresses.first.inner_text()


async def test_a_listing_that_one_reading_missed_says_since_when(
    visitor: Visitor, filled: Service, connection: Connection
) -> None:
    await connection.execute(
        "UPDATE listings SET missing_since = $1 WHERE source = 'csv' AND external_id = 'matic'",
        NOW,
    )
    # A listing that has ended says only that.
    await connection.execute(
        "UPDATE listings SET missing_since = $1, active = false WHERE source = 'coinpaprika'", NOW
    )
    async with visitor.visit("/dashboard/coins/MATIC", url=filled.url) as page:
        table = page.get_by_role("region", name="Table of the sources")
        await table.wait_for()
        row = table.get_by_role("row", name="Still listed")
        texts = await row.get_by_role("cell").all_inner_texts()
        found = dict(zip(await table.locator("thead th").all_inner_texts(), texts, strict=True))
        since = f"{NOW.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
        assert found["coingecko"] == "yes"
        assert " ".join(found["csv"].split()) == (
            f"missing since {since}, still counted until another sweep misses it too"
        )
        assert found["coinpaprika POL"] == "no"


async def test_an_address_is_copied_whole(visitor: Visitor, filled: Service) -> None:
    async with visitor.visit("/dashboard/coins/MATIC", url=filled.url) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        card = section(page, "Asset")
        shown = card.locator(".addresses code").first
        assert await shown.get_attribute("title") == ADDRESS
        await card.get_by_role("button", name="Copy the address on ethereum").click()
        await card.get_by_text("Copied").wait_for()
        assert await page.evaluate("navigator.clipboard.readText()") == ADDRESS
        # A selection has the whole address, too.
        await shown.select_text()
        assert await page.evaluate("getSelection().toString()") == ADDRESS


async def test_the_other_ticker_of_an_asset_is_one_click_away(
    visitor: Visitor, filled: Service
) -> None:
    async with visitor.visit("/dashboard/coins/MATIC", url=filled.url) as page:
        await section(page, "Asset").get_by_role("link", name="POL").click()
        await page.wait_for_url("**/coins/POL")
        await page.get_by_role("heading", name="POL", exact=True).wait_for()
        assert "POL Current MATIC" in (await facts(section(page, "Asset"))).values()
        assert "Suspect" not in await page.locator(".coin-head").inner_text()


@pytest.mark.parametrize(
    ("ticker", "labels"), [("PLAIN", ["Confidence", "Key", "Name"]), ("BARE", [])]
)
async def test_empty_parts_are_not_shown(
    visitor: Visitor, filled: Service, ticker: str, labels: list[str]
) -> None:
    async with visitor.visit(f"/dashboard/coins/{ticker}", url=filled.url) as page:
        await section(page, "Sources side by side").wait_for()
        assert list(await facts(section(page, "Asset"))) == labels
        text = await page.inner_text("main")
        assert not [part for part in ("Not believed", "Suspect", "Address") if part in text]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_table_marks_suspect_prices_and_filters_by_them(
    visitor: Visitor, filled: Service, size: tuple[int, int], theme: str
) -> None:
    async with visitor.visit(
        "/dashboard",
        url=filled.url,
        size=size,
        theme="dark" if theme == "dark" else "light",
    ) as page:
        rows = await rows_of(page)
        assert {ticker for ticker, price in rows.items() if "suspect price:" in price} == {"MATIC"}
        await check(page)
        await visitor.shoot(page)
        only = page.get_by_role("button", name="Suspect only")
        await only.click()
        await page.get_by_text("1 coin found").wait_for()
        assert list(await rows_of(page)) == ["MATIC"]
        assert page.url.endswith("/dashboard?suspect=1")
        await page.reload()
        await page.get_by_text("1 coin found").wait_for()
        assert await only.get_attribute("aria-pressed") == "true"
        await only.click()
        await page.get_by_text("4 coins", exact=True).wait_for()


async def test_a_mark_comes_and_goes_while_the_page_is_open(
    visitor: Visitor, settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    source = CsvFiles(str(tmp_path))
    path = tmp_path / "prices.csv"

    async def poll(price: str, minute: int) -> None:
        path.write_text(f"symbol,name,price_usd\nLEAP,Leap,{price}\n", encoding="utf-8")
        os.utime(path, (NOW.timestamp() + 60 * minute,) * 2)
        assert await run(pool, source, timeout_seconds=60)

    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    await poll("100", 0)
    async with (
        running_service(settings) as service,
        visitor.visit("/dashboard/coins/LEAP", url=service.url) as page,
    ):
        await page.wait_for_function(IS_LIVE)
        await page.evaluate("window.untouched = true")
        await section(page, "Sources side by side").wait_for()
        assert "Suspect" not in await page.inner_text("main")
        await poll("900", 1)
        await page.get_by_text("Suspect price").wait_for()
        await section(page, "Not believed").get_by_text("$900.00").wait_for()
        assert "$100.00" in await page.locator(".coin-price").inner_text()
        await poll("901", 2)
        await page.locator(".coin-price").get_by_text("$901.00").wait_for()
        await page.get_by_text("Suspect price").wait_for(state="detached")
        await section(page, "Not believed").wait_for(state="detached")
        assert await page.evaluate("window.untouched")
