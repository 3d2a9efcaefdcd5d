"""Pages are read one ahead: while a page is written, the next one is fetched and decoded."""

import asyncio
import datetime
import random
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from db.connect.locks import take_write_lock
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from db.write.runs import finish_run, start_run
from ingestor.clock import utc_now
from ingestor.http.fetch import Fetch
from ingestor.run.page import PageWriter
from ingestor.run.prefetch import prefetch
from ingestor.run.run import run
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Listing, Record
from tests.history_oracle import CANDLES, POINTS
from tests.ingestor.conftest import QUICK, START, Ingest, provider

TIMEOUT_SECONDS = 20


class _Markets:
    """Two pages of one coin each; `go` releases the first, `requested` is set by the second."""

    def __init__(self) -> None:
        self.begun, self.requested, self.go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def page(self, request: web.Request) -> web.Response:
        number = int(request.query["page"])
        if number == 1:
            self.begun.set()
            await self.go.wait()
        else:
            self.requested.set()
        return web.json_response(
            [{"id": f"coin-{number}", "symbol": f"c{number}", "current_price": number}]
        )


@pytest.fixture
def markets() -> _Markets:
    return _Markets()


@pytest.fixture
async def source(markets: _Markets, aiohttp_server: AiohttpServer) -> CoinGecko:
    app = web.Application()
    app.router.add_get("/coins/markets", markets.page)
    server = await aiohttp_server(app)
    url = str(server.make_url("")).rstrip("/")
    return CoinGecko(Fetch(provider("CoinGecko", url), QUICK), page_count=2)


async def test_the_next_page_is_fetched_while_the_last_one_is_written(
    ingest: Ingest, markets: _Markets, source: CoinGecko
) -> None:
    async with ingest.pool.acquire() as other, asyncio.timeout(TIMEOUT_SECONDS):
        running = asyncio.create_task(run(ingest.pool, source, timeout_seconds=TIMEOUT_SECONDS))
        await markets.begun.wait()
        async with other.transaction():
            await take_write_lock(other)
            markets.go.set()
            await markets.requested.wait()
            assert await ingest.value("SELECT count(*) FROM listings") == 0
        outcome = await running
    await source.close()
    assert outcome is not None
    assert (outcome.status, outcome.pages) == ("success", 2)
    assert await ingest.value("SELECT count(*) FROM listings") == 2


async def test_a_run_that_was_taken_over_writes_nothing_more_and_ends(
    ingest: Ingest, markets: _Markets, source: CoinGecko
) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        running = asyncio.create_task(run(ingest.pool, source, timeout_seconds=TIMEOUT_SECONDS))
        await markets.begun.wait()
        await ingest.value(
            "UPDATE etl_runs SET status = 'abandoned', finished_at = started_at RETURNING id"
        )
        markets.go.set()
        assert await running is None
    await source.close()
    assert await ingest.value("SELECT count(*) FROM listings") == 0


STORED = {
    "listings": "SELECT external_id, ticker, price_usd, observed_at, content_hash, contributes "
    "FROM listings",
    "raw": "SELECT external_id, content_hash, payload::text FROM raw_csv_records",
    "coins": "SELECT ticker, price_usd_exact, created_at, rival_count, provenance::text FROM "
    "normalized_records",
    "points": f"SELECT external_id, at, price_usd, is_held FROM {POINTS} AS p",
    "candles": "SELECT external_id, interval, start, open, high, low, close, samples "
    f"FROM {CANDLES} AS c",
}


def rows_of(chance: random.Random) -> str:
    """Rows of few ids, tickers and times: some pages share a record, others do not."""
    lines = ["id,symbol,name,price,date"]
    for _ in range(chance.randint(1, 40)):
        number = chance.choice([chance.randint(1, 4), chance.randint(5, 60)])
        time = START + datetime.timedelta(days=chance.randint(1, 3))
        lines.append(
            f"id-{number},T{number % 7},Name "
            f"{number % 5},{chance.randint(1, 3)},{time:%Y-%m-%dT%XZ}"
        )
    return "\n".join(lines) + "\n"


async def write_in_turn(ingest: Ingest) -> None:
    """The plain twin of a run: one page is read, decoded and written, and then the next."""
    source = ingest.sources["csv"]
    now = utc_now()
    async with ingest.pool.acquire() as connection:
        await ensure_partitions(connection, now, DEFAULT_RETENTION)
        run_id = await start_run(connection, source.name, now, None)
        async for page in source.pages(None, full=True):
            oldest = DEFAULT_RETENTION.oldest_history(now)
            writer = PageWriter(
                connection, source, run_id, page, now=now, oldest=oldest, accept_missing=True
            )
            await writer.write()
        await finish_run(connection, run_id, "success", None, utc_now())


@pytest.mark.parametrize("seed", range(6))
async def test_reading_ahead_and_writing_in_parts_store_what_reading_in_turn_does(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    ingest.sources["csv"] = CsvFiles(str(ingest.csv_path), rows_a_page=3)
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    versions = [rows_of(chance) for _ in range(3)]
    found = []
    for in_turn, part in ((True, 3), (False, 3), (True, 1), (False, 2)):
        monkeypatch.setattr("ingestor.run.parts._PART_RECORDS", part)
        await ingest.value(
            "TRUNCATE listings, raw_csv_records, normalized_records, price_points, candles, "
            "source_pages, "
            "etl_checkpoints"
        )
        for version in versions:
            ingest.csv_path.write_text(version)
            if in_turn:
                await write_in_turn(ingest)
            else:
                await ingest.run("csv", full=True)
        found.append(
            {name: sorted(await ingest.rows(query), key=repr) for name, query in STORED.items()}
        )
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0]["listings"]


async def test_what_goes_wrong_ahead_interrupts_nothing_and_is_raised_as_it_is() -> None:
    async def items() -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("of ours")

    used = []

    async def use() -> None:
        async with prefetch(items()) as made:
            async for item in made:
                await asyncio.sleep(0.05)  # what makes the next one has failed by now
                used.append(item)

    with pytest.raises(RuntimeError, match="of ours"):
        await asyncio.wait_for(use(), TIMEOUT_SECONDS)
    assert used == [1]


class _Broken(CoinGecko):
    """Stops at its second coin: a fault of ours, which no source's error is."""

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        if record.external_id == "coin-2":
            raise RuntimeError("of ours")
        return super().to_listing(record, fetched_at)


async def test_of_a_page_whose_later_part_fails_nothing_is_stored(
    ingest: Ingest, aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.run.parts._PART_RECORDS", 1)

    async def page(_: web.Request) -> web.Response:
        coins = [
            {"id": f"coin-{number}", "symbol": f"c{number}", "current_price": number}
            for number in (1, 2, 3)
        ]
        return web.json_response(coins)

    app = web.Application()
    app.router.add_get("/coins/markets", page)
    server = await aiohttp_server(app)
    source = _Broken(
        Fetch(provider("CoinGecko", str(server.make_url("")).rstrip("/")), QUICK), page_count=1
    )
    with pytest.raises(RuntimeError, match="of ours"):
        await run(ingest.pool, source, timeout_seconds=TIMEOUT_SECONDS)
    await source.close()
    assert await ingest.value("SELECT count(*) FROM listings") == 0
    assert await ingest.value("SELECT count(*) FROM raw_api_records") == 0
    # The connection that wrote the first part is fit for the next one.
    assert (await ingest.run("coinpaprika")).status == "success"
