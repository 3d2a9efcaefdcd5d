"""The history of a database of version 0.1.0, by ticker, is moved to the listings."""

import datetime
import re
import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from db.connect.pool import Pool, connect, create_pool
from db.read.history.candles import CandleSpan, HistoryPart, candles_of, history_of
from db.schema.logins import login_dsn
from db.schema.migrate import MIGRATIONS, migrate
from db.sources import SourceSettings, save_sources
from ingestor.run import upgrade as steps
from ingestor.run.upgrade import log_step, move_former_history, upgrade, upgrade_beside_polls
from tests import history_oracle
from tests.history_oracle import Word, stored_history
from tests.kasparro.command_line import kasparro

FIRST = datetime.datetime(2026, 11, 2, 9, 30, tzinfo=datetime.UTC)
HOURS = 60
LISTINGS = [
    ("coinpaprika", "btc-bitcoin", "BTC", True),
    ("coingecko", "bitcoin", "BTC", True),
    ("coingecko", "fake-bitcoin", "BTC", False),
    ("coinpaprika", "eth-ethereum", "ETH", True),
]
SAID = [("BTC", "coinpaprika", 60_000), ("BTC", "coingecko", 60_100), ("ETH", "coinpaprika", 3_000)]
GONE = ("GONE", "csv", 7)


def points() -> list[tuple[str, datetime.datetime, Decimal, str]]:
    """A point an hour for each coin and source, one spike, and points of a source that is gone."""
    found = []
    for ticker, source, price in [*SAID, GONE]:
        for hour in range(HOURS):
            at = FIRST + datetime.timedelta(hours=hour, minutes=len(source))
            spike = 1000 if (ticker, hour) == ("ETH", 20) else 1
            found.append((ticker, at, Decimal(price * spike + hour), source))
    return found


@pytest.fixture
async def old_database(empty_database: str, tmp_path: Path) -> str:
    for path in MIGRATIONS.glob("000[1-8]_*.sql"):
        shutil.copy(path, tmp_path)
    await migrate(empty_database, tmp_path)
    connection = await connect(empty_database)
    try:
        await connection.execute(
            "CREATE TABLE price_points_20261102 PARTITION OF price_points "
            "FOR VALUES FROM ('2026-11-02 UTC') TO ('2026-11-09 UTC')"
        )
        await connection.executemany(
            "INSERT INTO listings (source, external_id, ticker, symbol, name_words, core_words, "
            "observed_at, fetched_at, first_seen_at, last_seen_at, content_hash, contributes, "
            "price_usd, market_cap_usd) "
            "VALUES ($1, $2, $3, $3, $2, $2, $5, $5, $5, $5, '\\x00', $4, 1, 1000000)",
            [(*listing, FIRST + datetime.timedelta(days=3)) for listing in LISTINGS],
        )
        await connection.executemany(
            "INSERT INTO normalized_records (ticker, source, created_at, ingested_at, rival_count, "
            "provenance) VALUES ($1, 'coinpaprika', now(), now(), 0, '[]')",
            [("BTC",), ("ETH",), ("GONE",)],
        )
        await connection.copy_records_to_table(
            "price_points",
            records=points(),
            columns=["ticker", "at", "price_usd", "source"],
        )
    finally:
        await connection.close()
    await migrate(empty_database)
    async with await create_pool(empty_database, max_size=1) as pool, pool.acquire() as owner:
        await save_sources(
            owner,
            [
                SourceSettings("coinpaprika", "api", 10, 300),
                SourceSettings("coingecko", "api", 20, 300),
            ],
        )
    return empty_database


@pytest.fixture
async def old(old_database: str) -> AsyncIterator[Pool]:
    """The migrated database, with the rights of an ingestor."""
    dsn = await login_dsn(old_database, "ingestor")
    async with await create_pool(dsn, application_name="test", max_size=2) as opened:
        yield opened


def words() -> list[Word]:
    keys = {(ticker, source): external_id for source, external_id, ticker, owns in LISTINGS if owns}
    return [
        Word((source, keys[ticker, source]), at, None, price)
        for ticker, at, price, source in points()
        if (ticker, source) in keys
    ]


async def test_every_point_goes_to_the_listing_that_said_it(old: Pool) -> None:
    await upgrade(old, log_step)
    expected = history_oracle.points(words())
    assert sum(point.is_held for point in expected) == 1
    async with old.acquire() as connection:
        assert await stored_history(connection) == (expected, history_oracle.candles(expected))
        left = await connection.fetch("SELECT DISTINCT ticker, source FROM former_price_points")
        assert [tuple(row) for row in left] == [GONE[:2]], "what no listing said stays where it was"


async def test_a_coin_shows_its_past_as_before(old: Pool) -> None:
    await upgrade(old, log_step)
    midnight = FIRST.replace(hour=0, minute=0)
    span = CandleSpan("D1", midnight, midnight + datetime.timedelta(days=7))
    async with old.acquire() as connection:
        found = await candles_of(connection, ["BTC", "ETH"], span)
        part = HistoryPart(None, None, None, None, 1000, backward=False)
        history = await history_of(connection, ["BTC", "ETH"], part)
    assert [candle.start.day for candle in found["ETH"]] == [2, 3, 4]
    assert max(Decimal(candle.high) for candle in found["ETH"]) < 4_000, "the spike is held"
    assert [len(history[ticker]) for ticker in ("BTC", "ETH")] == [HOURS, HOURS - 1]
    assert {point.source for point in history["BTC"]} == {"coinpaprika"}, "one source a stretch"


async def test_a_restart_moves_the_rest(old: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MOVED_TICKERS", 1)
    moved = 0

    async def stop(*_: object, **__: object) -> None:
        nonlocal moved
        moved += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps._log, "ainfo", stop)
        with pytest.raises(KeyboardInterrupt):
            await move_former_history(old, log_step)
    assert moved == 1
    async with old.acquire() as connection:
        rest = "SELECT count(*) FROM former_price_points"
        assert 0 < await connection.fetchval(rest) < len(points())
    await move_former_history(old, log_step)
    expected = history_oracle.points(words())
    async with old.acquire() as connection:
        assert await stored_history(connection) == (expected, history_oracle.candles(expected))


async def test_an_ingestor_logs_how_far_it_is_and_what_stays(
    old: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    await upgrade_beside_polls(old)
    logged = capsys.readouterr().out
    assert re.search(r"upgrade\.history_moved .*done=3 of=3", logged)
    assert re.search(
        rf"upgrade\.history_left .*points={HOURS} reason=.*former_price_points", logged
    )


async def test_migrate_moves_it_and_shows_how_far_it_is(old_database: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": old_database, "KASPARRO_HOME": str(tmp_path)}
    only_schema = await kasparro("migrate", "--schema-only", **settings)
    assert (only_schema.stdout, only_schema.stderr) == ("up to date\n", "")
    moved = await kasparro("migrate", **settings)
    left = "their source has no listing of the ticker"
    assert moved.stderr.splitlines() == [
        "coins merged: 3 of 3",
        "histories moved: 3 of 3",
        f"{HOURS} points of history stay in the table former_price_points: {left}",
    ]
    again = await kasparro("migrate", **settings)
    assert again.stdout == "up to date\n"
    assert "histories moved: 1 of 1" in again.stderr


async def test_former_tables_are_gone_once_all_is_moved(old: Pool) -> None:
    async with old.acquire() as connection:
        await connection.execute("DELETE FROM former_price_points WHERE ticker = 'GONE'")
    await upgrade(old, log_step)
    async with old.acquire() as connection:
        assert await connection.fetchval("SELECT to_regclass('former_price_points')") is None
        assert await connection.fetchval("SELECT to_regclass('former_candles')") is None
    await upgrade(old, log_step)
