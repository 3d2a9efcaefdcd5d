"""A payload's two times: its fetch, and its arrival, which orders the past of a rebuild."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

import pytest

from ingestor.run.code_digest import digest
from ingestor.run.run import run
from ingestor.sources.records import Checkpoint, Listing, Page, Record, Source
from tests.ingestor.conftest import Ingest
from tests.ingestor.reprocess_rows import (
    again,
    contents,
    ingest_again,
    misread,
    read_ticks,
    row_versions,
)


class Late:
    """A source that fetches at once and returns when `go` is set: others commit newer pages."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.kind, self.priority = source.name, source.kind, source.priority
        self.poll_seconds, self.missed_sweeps = source.poll_seconds, source.missed_sweeps
        self.fetched, self.go = asyncio.Event(), asyncio.Event()

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        pages = [page async for page in self._source.pages(checkpoint, full=full)]
        self.fetched.set()
        await self.go.wait()
        for page in pages:
            yield page

    def to_listing(self, record: Record, fetched_at: datetime) -> Listing:
        return self._source.to_listing(record, fetched_at)

    async def close(self) -> None:
        """Leave the inner source open: its owner closes it."""


async def read_overlapping(ingest: Ingest, ticks: int, sources: dict[str, Source]) -> None:
    """Read two sources a tick, so that the page fetched first is committed last."""
    for _ in range(ticks):
        late = Late(sources["coingecko"])
        task = asyncio.create_task(run(ingest.pool, late, timeout_seconds=60))
        await late.fetched.wait()
        ingest.market.advance()
        assert (await run(ingest.pool, sources["coinpaprika"], timeout_seconds=60)) is not None
        late.go.set()
        assert (await task) is not None
        ingest.market.advance()


async def forget_readers(ingest: Ingest) -> None:
    """As if other code had read all payloads: nothing counts as rebuilt."""
    await ingest.value("TRUNCATE raw_readers")


@pytest.mark.parametrize("known", [True, False])
async def test_where_pages_overlap_nothing_is_rebuilt_either(
    ingest: Ingest, *, known: bool
) -> None:
    await read_ticks(ingest, ingest.sources, 1)
    await read_overlapping(ingest, 6, ingest.sources)
    crossed = await ingest.value(
        "WITH page AS (SELECT ingested_at, min(fetched_at) AS fetched_at FROM raw_api_records "
        "GROUP BY ingested_at) "
        "SELECT count(*) FROM page AS a JOIN page AS b ON a.fetched_at < b.fetched_at AND "
        "a.ingested_at > b.ingested_at"
    )
    assert crossed >= 6  # type: ignore[operator]  # a count
    if known:
        code = digest(type(ingest.sources["coingecko"]))
        await ingest.value(
            "UPDATE raw_readers SET code = $1 WHERE source = 'coingecko'", code
        )  # Late has read it
    else:
        await forget_readers(ingest)
    before = await row_versions(ingest)
    report = await again(ingest)
    assert report.changes == []
    assert await row_versions(ingest) == before


async def test_what_overlapped_is_rebuilt_in_the_order_of_arrival(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 1)
    await read_overlapping(ingest, 5, misread(ingest))
    await again(ingest)
    rebuilt = await contents(ingest)
    await forget_readers(ingest)
    assert (await again(ingest)).changes == []
    await ingest_again(ingest)
    right = await contents(ingest)
    for table, rows in right.items():
        assert rebuilt[table] == rows, table


async def test_arrivals_never_go_backwards_however_a_clock_is_set(ingest: Ingest) -> None:
    await ingest.run("coinpaprika")
    await ingest.value(
        "UPDATE raw_clock SET at = now() + interval '1 hour'"
    )  # another server had the clock until now
    ahead = await ingest.value("SELECT at FROM raw_clock")
    ingest.market.advance()
    await ingest.run("coinpaprika")
    ingest.market.advance()
    await ingest.run("coingecko")
    arrivals = await ingest.rows(
        "SELECT run_id, min(ingested_at), max(ingested_at), min(fetched_at) < $1 FROM "
        "raw_api_records "
        "GROUP BY run_id ORDER BY run_id", ahead
    )  # fmt: skip
    assert len(arrivals) == 3
    (_, _, first_to, _), (_, second_from, second_to, early), (_, third_from, _, _) = arrivals
    assert first_to < ahead < second_from <= second_to < third_from  # type: ignore[operator]  # all are times
    assert early
    assert (await again(ingest)).changes == []


async def test_payloads_from_before_fetched_at_was_kept_count_as_fetched_when_they_arrived(
    ingest: Ingest,
) -> None:
    await read_ticks(ingest, ingest.sources, 3)
    for table in ("raw_api_records", "raw_csv_records"):
        await ingest.value(f"UPDATE {table} SET fetched_at = NULL")
    await forget_readers(ingest)
    before = await contents(ingest)
    await again(ingest)
    after = await contents(ingest)
    for table in ("coins", "points", "candles"):
        assert after[table] == before[table], table


async def test_code_that_has_read_all_has_nothing_to_mend(ingest: Ingest) -> None:
    await read_ticks(ingest, ingest.sources, 3)
    missing = "DELETE FROM price_points WHERE listing IN (SELECT min(listing) FROM price_points)"
    await ingest.value(missing)
    assert (await again(ingest)).changes == []
    await forget_readers(ingest)
    assert {change.table for change in (await again(ingest)).changes} <= {"price_points", "candles"}
    await again(ingest)
    readers = await ingest.rows("SELECT source, arrived_from FROM raw_readers ORDER BY 1")
    assert [source for source, _ in readers] == ["coingecko", "coinpaprika", "csv"]
