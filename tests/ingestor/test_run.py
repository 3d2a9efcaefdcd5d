"""One run, from a simulated provider's bytes to what a user would see."""

import asyncio
import datetime
from decimal import Decimal
from functools import partial

import anyio
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from common.settings import load_settings
from db.connect.locks import try_source_lock
from db.events import purge_events
from db.write.raw.rejections import purge_rejections
from ingestor.clock import utc_now
from ingestor.http.fetch import Fetch
from ingestor.run.lifecycle import abandon_orphans
from ingestor.run.run import run
from ingestor.run.startup import close_sources, prepare
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from kasparro.simulator.control import expected_listings
from kasparro.simulator.market.universe import PROVIDERS
from tests.ingestor.conftest import QUICK, Ingest, provider
from tests.ingestor.stored_bodies import PAYLOADS

# All stored row versions, except for the rows of a run and its events.
TABLES = (
    "listings", "normalized_records", "raw_api_records", "raw_csv_records", "rejected_records",
    "source_pages", "sources", "identities", "price_points", "bodies",
)  # fmt: skip


async def row_versions(ingest: Ingest) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: await ingest.rows(
            f"SELECT tableoid, ctid::text, xmin::text FROM {table} ORDER BY 1, 2"
        )
        for table in TABLES
    }


async def test_every_record_of_a_body_is_stored_with_every_digit(ingest: Ingest) -> None:
    for name in PROVIDERS:
        outcome = await ingest.run(name)
        wanted = expected_listings(ingest.market, name)
        assert (outcome.status, outcome.processed, outcome.failed) == ("success", len(wanted), 0)
        found: dict[object, object] = dict(
            await ingest.pairs(
                "SELECT external_id, price_usd::text FROM listings WHERE source = $1", name
            )
        )
        assert len(found) == len(wanted)
        for listing in wanted:
            price = Decimal(listing.price_usd) if listing.price_usd else None
            stored = found[listing.external_id]
            assert (Decimal(str(stored)) if stored else None) == price
        kept = await ingest.value("SELECT count(*) FROM raw_api_records WHERE source = $1", name)
        assert kept == len(wanted)


async def test_a_second_identical_run_writes_no_row_but_its_own_and_the_checkpoint(
    ingest: Ingest,
) -> None:
    ingest.csv_path.write_text("symbol,name,price\nBTC,Bitcoin,1\nETH,Ethereum,2\n")
    for name in ingest.sources:
        await ingest.run(name)
    before = await row_versions(ingest)
    for name in ingest.sources:
        outcome = await ingest.run(name, full=True)
        assert (outcome.status, outcome.changed) == ("success", 0)
        assert outcome.unchanged == outcome.processed > 0
    assert await row_versions(ingest) == before


async def test_a_source_that_says_not_modified_has_still_been_seen(ingest: Ingest) -> None:
    await ingest.run("coinpaprika")
    before = await ingest.value("SELECT last_sweep_at FROM etl_checkpoints")
    outcome = await ingest.run("coinpaprika")
    assert (outcome.status, outcome.processed) == ("success", 0)
    assert outcome.message == "coinpaprika has not changed since its last run."
    assert await ingest.value("SELECT last_sweep_at > $1 FROM etl_checkpoints", before)


async def test_only_what_changed_is_written(ingest: Ingest) -> None:
    await ingest.run("coingecko")
    ingest.market.advance()
    outcome = await ingest.run("coingecko")
    assert outcome.changed > 0
    assert outcome.changed + outcome.unchanged == outcome.processed
    assert await ingest.value(PAYLOADS) == outcome.processed + outcome.changed
    # The raw table has the newest payload of each listing.
    assert await ingest.value("SELECT count(*) FROM raw_api_records") == outcome.processed
    differing = (
        "SELECT count(*) FROM listings AS l LEFT JOIN raw_api_records AS r USING (source, "
        "external_id, content_hash) WHERE r.source IS NULL"
    )
    assert await ingest.value(differing) == 0


async def test_a_failed_page_is_resumed_where_it_stopped(ingest: Ingest) -> None:
    ingest.fault("status", provider="coingecko", page=3, status=500, times=2)
    failed = await ingest.run("coingecko")
    assert (failed.status, failed.pages) == ("failure", 2)
    assert failed.message
    assert "500" in failed.message
    assert await ingest.value("SELECT position ->> 'page' FROM etl_checkpoints") == "3"
    assert (
        await ingest.value("SELECT consecutive_failures FROM sources WHERE name = 'coingecko'") == 1
    )
    resumed = await ingest.run("coingecko")
    wanted = len(expected_listings(ingest.market, "coingecko"))
    assert (resumed.status, resumed.processed) == ("success", wanted - failed.processed)
    assert await ingest.value("SELECT count(*) FROM listings") == wanted
    assert (
        await ingest.value("SELECT consecutive_failures FROM sources WHERE name = 'coingecko'") == 0
    )


@pytest.mark.parametrize("kind", ["truncated", "wrong_type", "cut", "html", "reset"])
async def test_of_a_bad_body_nothing_is_stored(ingest: Ingest, kind: str) -> None:
    ingest.fault(kind, provider="coinpaprika", times=None)
    outcome = await ingest.run("coinpaprika")
    assert (outcome.status, outcome.processed) == ("failure", 0)
    assert outcome.message
    assert await ingest.value("SELECT count(*) FROM listings") == 0
    assert await ingest.value("SELECT count(*) FROM raw_api_records") == 0
    assert await ingest.value("SELECT count(*) FROM bodies") == 0


@pytest.mark.parametrize("part", [2, 2_500])
@pytest.mark.parametrize("kind", ["bad_record", "nul_record", "out_of_range"])
async def test_one_bad_record_is_kept_aside_and_costs_the_others_nothing(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, kind: str, part: int
) -> None:
    monkeypatch.setattr("ingestor.run.parts._PART_RECORDS", part)
    ingest.fault(kind, provider="coinpaprika", record=3)
    outcome = await ingest.run("coinpaprika")
    wanted = expected_listings(ingest.market, "coinpaprika")
    assert (outcome.status, outcome.processed, outcome.failed) == ("partial", len(wanted), 1)
    assert outcome.changed == len(wanted) - 1 == await ingest.value("SELECT count(*) FROM listings")
    [(external_id, error, payload)] = await ingest.rows(
        "SELECT external_id, error, payload FROM rejected_records"
    )
    assert external_id == wanted[3].external_id
    assert "$" in str(error) or "PostgreSQL" in str(error)
    assert isinstance(payload, bytes)
    assert payload.startswith(b"{")


@pytest.mark.parametrize("part", [1, 2_500])
async def test_what_only_postgresql_refuses_is_rejected_too(
    ingest: Ingest, aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr("ingestor.run.parts._PART_RECORDS", part)

    def record(symbol: str, extra: str) -> str:
        return (
            f'{{"id": "{symbol}", "symbol": "{symbol}", '
            f'"quotes": {{"USD": {{"price": 1}}}}, "extra": {extra}}}'
        )

    huge = record("HUGE", "1e200000")
    body = f"[{record('A', '1')}, {huge}, {record('B', '2')}]"

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/tickers", answer)
    server = await aiohttp_server(app)
    source = CoinPaprika(
        Fetch(provider("CoinPaprika", str(server.make_url("")).rstrip("/")), QUICK)
    )
    outcome = await run(ingest.pool, source, timeout_seconds=60)
    await source.close()
    assert outcome is not None
    assert (outcome.status, outcome.processed, outcome.failed, outcome.changed) == (
        "partial",
        3,
        1,
        2,
    )
    [(external_id, error, payload)] = await ingest.rows(
        "SELECT external_id, error, payload FROM rejected_records"
    )
    assert (external_id, payload) == ("HUGE", huge.encode())
    assert "PostgreSQL cannot hold this record" in str(error)


async def test_a_listing_that_its_source_no_longer_sends_becomes_inactive_and_comes_back(
    ingest: Ingest,
) -> None:
    await ingest.run("coinpaprika")
    gone = expected_listings(ingest.market, "coinpaprika")[0].external_id
    before = await ingest.value("SELECT price_usd FROM listings WHERE external_id = $1", gone)
    ingest.market.delist("coinpaprika", gone)
    state = "SELECT active, missing_since IS NULL, price_usd FROM listings WHERE external_id = $1"
    await ingest.run("coinpaprika")
    assert await ingest.rows(state, gone) == [(True, False, before)], "one body ends nothing"
    ingest.market.advance()
    await ingest.run("coinpaprika")
    assert await ingest.rows(state, gone) == [(False, False, before)]
    assert await ingest.value("SELECT count(*) FROM listings WHERE NOT active") == 1
    ingest.market.relist("coinpaprika", gone)
    await ingest.run("coinpaprika")
    assert (
        await ingest.value(
            "SELECT count(*) FROM listings WHERE NOT active OR missing_since IS NOT NULL"
        )
        == 0
    )


async def test_where_listings_move_between_pages_two_sweeps_must_miss_one(ingest: Ingest) -> None:
    await ingest.run("coingecko")
    gone = expected_listings(ingest.market, "coingecko")[5].external_id
    ingest.market.delist("coingecko", gone)
    state = "SELECT active, missing_since IS NOT NULL FROM listings WHERE external_id = $1"
    await ingest.run("coingecko")
    assert await ingest.rows(state, gone) == [(True, True)]
    await ingest.run("coingecko")
    assert await ingest.rows(state, gone) == [(False, True)]
    assert await ingest.value("SELECT count(*) FROM listings WHERE missing_since IS NOT NULL") == 1


async def test_a_clock_that_ran_ahead_keeps_no_listing_inactive(ingest: Ingest) -> None:
    ingest.csv_path.write_text("id,symbol,price\n1,ABC,1\n")
    await ingest.run("csv")
    await ingest.value(
        "UPDATE listings SET active = false, missing_since = now() + interval '30 days' RETURNING 1"
    )
    await ingest.run("csv", full=True)
    assert await ingest.rows("SELECT active, missing_since FROM listings") == [(True, None)]


async def test_a_page_that_comes_one_short_does_not_end_the_sweep(ingest: Ingest) -> None:
    await ingest.run("coingecko")
    ingest.market.delist(
        "coingecko", expected_listings(ingest.market, "coingecko")[300].external_id
    )
    outcome = await ingest.run("coingecko")
    assert outcome.processed == 599
    assert (
        await ingest.value("SELECT count(*) FROM source_pages WHERE source = 'coingecko'")
        == outcome.pages
    )


async def test_an_ingestor_of_some_sources_leaves_the_others_enabled(ingest: Ingest) -> None:
    settings = load_settings({"SOURCES": "csv", "CSV_PATH": str(ingest.csv_path)})
    await close_sources(await prepare(settings, ingest.pool, exclusive=False))
    assert await ingest.value("SELECT bool_and(enabled) FROM sources") is True
    await close_sources(await prepare(settings, ingest.pool, exclusive=True))
    assert await ingest.rows("SELECT name FROM sources WHERE enabled") == [("csv",)]


async def test_the_outbox_is_purged_from_its_old_end_without_a_hole(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as connection:
        for hours in (-30, 2, -30, 0, 1):  # the clock ran ahead for a while, and behind
            at = utc_now() + datetime.timedelta(hours=hours)
            await connection.execute(
                "INSERT INTO events (kind, at, tickers) VALUES ('coins_changed', $1, '{A}')", at
            )
        await purge_events(connection, utc_now() - datetime.timedelta(days=1))
    assert await ingest.rows("SELECT seq FROM events ORDER BY seq") == [(4,), (5,)]


async def test_rejected_records_are_not_kept_for_ever(ingest: Ingest) -> None:
    ingest.csv_path.write_text("id,symbol,price\n1,,1\n2,ABC,1\n")
    await ingest.run("csv")
    assert await ingest.value("SELECT count(*) FROM rejected_records") == 1
    async with ingest.pool.acquire() as connection:
        await purge_rejections(connection, utc_now() - datetime.timedelta(hours=1))
        assert await connection.fetchval("SELECT count(*) FROM rejected_records") == 1
        await purge_rejections(connection, utc_now() + datetime.timedelta(hours=1))
        assert await connection.fetchval("SELECT count(*) FROM rejected_records") == 0


async def test_thousands_of_listings_under_one_ticker_are_merged(ingest: Ingest) -> None:
    rows = "".join(f"c{number},BTC,Coin {number},{number},{number}\n" for number in range(1, 3001))
    ingest.csv_path.write_text(f"id,symbol,name,price,market_cap\n{rows}")
    # Each page merges the whole ticker again: pages of 10 rows would do so 300 times.
    ingest.sources["csv"] = CsvFiles(str(ingest.csv_path), rows_a_page=1000)
    await ingest.run("coinpaprika")
    outcome = await ingest.run("csv")
    assert (outcome.status, outcome.processed) == ("success", 3000)
    rivals = await ingest.value("SELECT rival_count FROM normalized_records WHERE ticker = 'BTC'")
    assert rivals == await ingest.value(
        "SELECT count(*) FROM listings WHERE ticker = 'BTC' AND NOT contributes"
    )
    assert rivals == 3000


async def test_a_ticker_passes_to_its_rival_when_the_owner_is_delisted_and_back(
    ingest: Ingest,
) -> None:
    ingest.csv_path.write_text(
        "id,symbol,name,price,market_cap\na1,ABC,Alpha,10,1000\nb2,ABC,Beta,20,500\n"
    )
    await ingest.run("csv")
    owner = "SELECT name, rival_count FROM normalized_records WHERE ticker = 'ABC'"
    assert await ingest.rows(owner) == [("Alpha", 1)]
    ingest.csv_path.write_text("id,symbol,name,price,market_cap\nb2,ABC,Beta,20,500\n")
    await ingest.run("csv")
    assert await ingest.rows(owner) == [("Beta", 1)]
    ingest.csv_path.write_text(
        "id,symbol,name,price,market_cap\na1,ABC,Alpha,10,1000\nb2,ABC,Beta,20,500\n"
    )
    await ingest.run("csv")
    assert await ingest.rows(owner) == [("Alpha", 1)]


async def test_a_renamed_symbol_leaves_no_coin_behind(ingest: Ingest) -> None:
    ingest.csv_path.write_text("id,symbol,name,price\na1,OLD,Alpha,10\n")
    await ingest.run("csv")
    ingest.csv_path.write_text("id,symbol,name,price\na1,NEW,Alpha,10\n")
    await ingest.run("csv")
    assert await ingest.rows("SELECT ticker FROM normalized_records") == [("NEW",)]


async def test_labels_that_come_and_go_join_and_part_listings(ingest: Ingest) -> None:
    await ingest.run("coinpaprika")
    await ingest.run("coingecko")
    both = "SELECT count(*) FROM listings WHERE ticker = 'BTC' AND contributes"
    assert await ingest.value(both) == 2
    await ingest.label(("coinpaprika", "btc-bitcoin", "one"), ("coingecko", "bitcoin", "other"))
    assert await ingest.value(both) == 1
    await ingest.label()
    assert await ingest.value(both) == 2


async def test_two_ingestors_never_run_one_source_at_a_time(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as other:
        assert await try_source_lock(other, "csv")
        assert await run(ingest.pool, ingest.sources["csv"], timeout_seconds=5) is None
    assert await ingest.value("SELECT count(*) FROM etl_runs") == 0


async def test_a_dead_ingestors_run_is_abandoned_and_its_source_due_at_once(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as connection:
        await connection.execute("INSERT INTO etl_runs (source, started_at) VALUES ('csv', now())")
        await connection.execute(
            "UPDATE sources SET next_run_at = now() + interval '1 hour' WHERE name = 'csv'"
        )
    await abandon_orphans(ingest.pool)
    assert await ingest.rows("SELECT status, finished_at IS NOT NULL FROM etl_runs") == [
        ("abandoned", True)
    ]
    assert await ingest.value("SELECT next_run_at FROM sources WHERE name = 'csv'") is None
    assert await ingest.value("SELECT run ->> 'status' FROM events") == "abandoned"


async def test_a_run_that_is_stopped_says_so_and_the_next_goes_on(ingest: Ingest) -> None:
    ingest.fault("timeout", provider="coingecko", page=2, times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(run, ingest.pool, ingest.sources["coingecko"], timeout_seconds=60))
        while not await ingest.value("SELECT pages > 0 FROM etl_runs"):
            await asyncio.sleep(0.01)
        group.cancel_scope.cancel()
    [(status, message)] = await ingest.rows("SELECT status, message FROM etl_runs")
    assert (status, message) == (
        "abandoned",
        "The ingestor was stopped; the next run goes on where this one ended.",
    )
    outcome = await ingest.run("coingecko")
    assert outcome.status == "success"
    assert await ingest.value("SELECT count(*) FROM listings") == len(
        expected_listings(ingest.market, "coingecko")
    )


async def test_a_run_has_a_deadline(ingest: Ingest) -> None:
    ingest.fault("timeout", provider="coingecko", page=2, times=1)
    outcome = await run(ingest.pool, ingest.sources["coingecko"], timeout_seconds=0.5)
    assert outcome is not None
    assert (outcome.status, outcome.pages) == ("failure", 1)
    assert outcome.message
    assert "RUN_TIMEOUT_SECONDS" in outcome.message


async def test_the_outbox_tells_of_every_step_in_order(ingest: Ingest) -> None:
    await ingest.run("coingecko")
    events = await ingest.rows(
        "SELECT kind, (run ->> 'pages')::int, cardinality(tickers) > 0 FROM events ORDER BY seq"
    )
    kinds = [kind for kind, _, _ in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    # The last page is empty: that is how the source says that it is the last.
    assert kinds[1:-2] == ["coins_changed", "run_progress"] * 3
    assert kinds[-2] == "run_progress"
    assert [pages for kind, pages, _ in events if kind == "run_progress"] == [1, 2, 3, 4]
