"""A successful run with notes: the list shows their number, the pages their texts."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.settings import Settings
from db.connect.pool import Pool
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from tests.browser.conftest import Visitor
from tests.browser.test_dashboard import IS_LIVE, TOO_WIDE, settled
from tests.browser.visiting import AXE, DESK, PHONE
from tests.server.conftest import Service, running_service, settings

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["settings"]

UNREAD = "Columns that are not read: " + ", ".join(
    f"a_rather_long_column_name_{number}" for number in range(6)
)
DATED = "No column holds a time: rows are dated by the file"
CAPS = "'much' is not a number - at `$.market_cap_usd`"
SIDES = ("volume_24h", "change_24h", "total_supply", "max_supply")
SEEN = [DATED, UNREAD, CAPS, *(f"'odd' is not a number - at `$.{side}`" for side in SIDES)]


class ServiceWithNotes:
    """A service with a source whose file has notes."""

    def __init__(self, service: Service, pool: Pool, source: CsvFiles) -> None:
        self.url = service.url
        self._pool = pool
        self._source = source

    async def run(self) -> None:
        assert await run(self._pool, self._source, timeout_seconds=60)


@pytest.fixture
async def service_with_notes(
    settings: Settings, pool: Pool, tmp_path: Path
) -> AsyncIterator[ServiceWithNotes]:
    columns = UNREAD.partition(": ")[2].replace(" ", "")
    header = f"symbol,name,price_usd,market_cap_usd,{','.join(SIDES)},{columns}"
    rows = [
        f"T{number},Token {number},{number + 1}.5,much,odd,odd,odd,odd,,,,,,"
        for number in range(1_234)
    ]
    (tmp_path / "prices.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    source = CsvFiles(str(tmp_path))
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    async with running_service(settings) as service:
        yield ServiceWithNotes(service, pool, source)


async def check(page: "Page") -> None:
    """Check that the page fits its window and has no serious accessibility violation."""
    await settled(page)
    assert await page.evaluate(TOO_WIDE) == []
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))"
    )
    assert not [one for one in found if one[0] in ("serious", "critical")]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_list_counts_notes_and_the_run_shows_them(
    visitor: Visitor, service_with_notes: ServiceWithNotes, size: tuple[int, int], theme: str
) -> None:
    await service_with_notes.run()
    async with visitor.visit(
        "/dashboard/runs",
        url=service_with_notes.url,
        size=size,
        theme="dark" if theme == "dark" else "light",
    ) as page:
        table = page.get_by_role("region", name="Table of runs")
        await table.get_by_text("Success", exact=True).wait_for()
        await check(page)
        await visitor.shoot(page)
        await table.get_by_role("link", name="6,172 notes of run 1").click()
        notes = page.locator("section", has=page.get_by_role("heading", name="Notes", exact=True))
        await notes.get_by_text("6,172 notes in total").wait_for()
        texts = [text.split("\n") for text in await notes.get_by_role("listitem").all_inner_texts()]
        assert [" ".join(lines) for lines in texts] == [
            DATED,
            UNREAD,
            *(f"{text} 1,234 times" for text in SEEN[2:]),
        ]
        await check(page)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_card_of_a_source_has_the_notes_of_its_last_run(
    visitor: Visitor, service_with_notes: ServiceWithNotes, size: tuple[int, int]
) -> None:
    for _ in range(2):  # the second one finds no changes
        await service_with_notes.run()
    async with visitor.visit("/dashboard/sources", url=service_with_notes.url, size=size) as page:
        await page.get_by_role("heading", name="Notes of the last run").wait_for()
        card = page.locator("section.source")
        assert await card.get_by_role("listitem").count() == 5
        assert UNREAD in await card.inner_text()
        await check(page)
        await visitor.shoot(page)
        await card.get_by_role("link", name="2 more in run 2").click()
        await page.get_by_role("heading", name="Notes", exact=True).wait_for()


async def test_notes_appear_while_their_run_continues(
    visitor: Visitor, service_with_notes: ServiceWithNotes
) -> None:
    async with visitor.visit("/dashboard/runs?notes=some", url=service_with_notes.url) as page:
        await page.wait_for_function(IS_LIVE)
        await page.get_by_text("No matches").wait_for()
        await service_with_notes.run()
        table = page.get_by_role("region", name="Table of runs")
        await table.get_by_role("link", name="6,172 notes of run 1").wait_for()
        assert await page.get_by_label("Notes").input_value() == "some"
