"""The database of the queries: 10,000 coins of two sources, ingested, and their daily candles."""

import datetime
from typing import Final

import msgspec

from bench.postgres import Server
from common.settings import load_settings
from db.connect.pool import connect, create_pool
from db.read.coins import count_coins
from db.read.history.candles import INTERVALS, CandleSpan, best_candles, candle_parameters
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources import coinpaprika
from ingestor.sources.coingecko import source as coingecko
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket

LISTED_COINS: Final = 11_000
"""Coins of each source: some share a ticker, which leaves at least 10,000 tickers."""
QUICK_COINS: Final = 500
DAYS: Final = 40
TIMEOUT_SECONDS = 120.0

# A daily candle of each listing, in the order of arrival: day by day.
_CANDLES = """
INSERT INTO candles (listing, interval, start, open, high, low, close, open_at, close_at, samples)
SELECT id, 'D1', day, price, price * 1.05, price * 0.9, price * 0.97, day,
    day + interval '1 hour', 288
FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 day') AS day, LATERAL (
    SELECT l.id, round(l.price_usd * (1 + extract(day FROM day) / 100),
        12) + 0.000000000001 AS price
    FROM (SELECT * FROM normalized_records ORDER BY market_cap_usd DESC NULLS LAST, ticker
        LIMIT $3::integer) AS coin
    JOIN listings AS l ON l.ticker = coin.ticker AND l.contributes
    WHERE l.price_usd IS NOT NULL
    ORDER BY l.id
) AS listing
ON CONFLICT DO NOTHING
"""
# PostGraphile cannot choose a source for each candle: it reads the chosen ones from a table.
_COIN_CANDLES = """
CREATE TABLE coin_candles (
    ticker text, interval text, start timestamptz, open numeric, high numeric, low numeric,
    close numeric, PRIMARY KEY (ticker, interval, start)
)
"""
_CHOOSE_CANDLES = f"""
INSERT INTO coin_candles
SELECT key, 'D1', start, open, high, low, close FROM ({best_candles("coin", INTERVALS["D1"])}) AS y
"""
_TICKERS = "SELECT array_agg(ticker ORDER BY ticker) FROM normalized_records"
# Our tables have no foreign keys: these comments tell PostGraphile the relations.
_RELATIONS = """
COMMENT ON TABLE listings IS E'@foreignKey (ticker) references normalized_records (ticker)';
COMMENT ON TABLE coin_candles IS E'@foreignKey (ticker) references normalized_records (ticker)';
"""


class World(msgspec.Struct, frozen=True):
    """The database, its number of coins, and the start of thirty days of candles."""

    dsn: str
    coins: int
    since: datetime.datetime


async def fill(server: Server, *, quick: bool) -> World:
    """Create and fill a database; the quick size has details of the largest coins only."""
    dsn = await server.database("queries")
    now = datetime.datetime.now(datetime.UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    detailed = QUICK_COINS if quick else LISTED_COINS
    await _ingest(dsn, now, detailed // coingecko.PER_PAGE)
    connection = await connect(dsn)
    try:
        for age in range(0, DAYS, 7):
            await ensure_partitions(
                connection, now - datetime.timedelta(days=age), DEFAULT_RETENTION
            )
        await connection.execute(_CANDLES, today - datetime.timedelta(days=DAYS), today, detailed)
        await connection.execute(_COIN_CANDLES)
        span = CandleSpan("D1", today - datetime.timedelta(days=DAYS), now)
        tickers = await connection.fetchval(_TICKERS)
        await connection.execute(_CHOOSE_CANDLES, *candle_parameters(tickers, span))
        await connection.execute(_RELATIONS)
        await connection.execute("VACUUM ANALYZE")
        return World(dsn, await count_coins(connection), today - datetime.timedelta(days=29))
    finally:
        await connection.close()


async def _ingest(dsn: str, now: datetime.datetime, coingecko_pages: int) -> None:
    market = SimulatedMarket(LISTED_COINS, start=now, moving=1.0)
    async with serving(create_app(market)) as address, await create_pool(dsn, max_size=2) as pool:
        settings = load_settings(
            {
                "COINPAPRIKA_URL": address.coinpaprika_url,
                "COINGECKO_URL": address.coingecko_url,
                "COINGECKO_PAGES": str(coingecko_pages),
            }
        )
        async with pool.acquire() as connection:
            rows = [
                SourceSettings("coinpaprika", "api", 10, 300),
                SourceSettings("coingecko", "api", 20, 300),
            ]
            await save_sources(connection, rows)
        for source in (coinpaprika.create(settings), coingecko.create(settings)):
            try:
                finished = await run(pool, source, timeout_seconds=TIMEOUT_SECONDS)
            finally:
                await source.close()
            if finished is None or finished.status != "success":
                raise RuntimeError(f"{source.name} was not ingested: {finished}")
