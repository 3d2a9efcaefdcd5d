"""The time at which a coin becomes stale: three polls of its source after its observation."""

from datetime import timedelta

import pytest

from db.connect.types import Connection
from db.read.coins import (
    COIN_ORDERS,
    COINS,
    NO_FILTER,
    CoinFilter,
    coin_conditions,
    coin_page,
    count_coins,
)
from db.read.keyset import PageSlice, Variant, page_statement
from db.sources import SourceSettings, save_sources
from tests.ingestor.conftest import Ingest, ingest

__all__ = ["ingest"]

WRONG = """
SELECT count(*) FROM normalized_records AS n JOIN sources AS s ON s.name = n.source
WHERE n.stale_at <> n.created_at + 3 * s.poll_seconds * interval '1 second'
"""
SET = [SourceSettings("coinpaprika", "api", 10, 300), SourceSettings("coingecko", "api", 20, 300)]


async def test_the_merge_and_a_changed_setting_keep_it_right(
    ingest: Ingest, connection: Connection
) -> None:
    await ingest.run("coinpaprika")
    await ingest.run("coingecko")
    ingest.market.advance(3)
    await ingest.run("coingecko")
    assert (
        await ingest.value("SELECT count(DISTINCT stale_at - created_at) FROM normalized_records")
        == 1
    )
    assert await ingest.value(WRONG) == 0
    before = await ingest.value(
        "SELECT min(stale_at) FROM normalized_records WHERE source = 'coingecko'"
    )
    await save_sources(connection, [SET[0], SourceSettings("coingecko", "api", 20, 900)])
    assert await ingest.value(WRONG) == 0
    after = await ingest.value(
        "SELECT min(stale_at) FROM normalized_records WHERE source = 'coingecko'"
    )
    assert after - before == timedelta(seconds=3 * 600)  # type: ignore[operator]  # both are times


async def test_a_disabled_source_s_coins_become_stale_in_their_time(
    ingest: Ingest, connection: Connection
) -> None:
    await ingest.run("coinpaprika")
    await ingest.run("coingecko")
    kept = "SELECT ticker, stale_at FROM normalized_records ORDER BY ticker"
    before = await ingest.rows(kept)
    await save_sources(connection, SET[:1])
    assert await ingest.rows(kept) == before
    assert await ingest.value(WRONG) == 0


@pytest.mark.parametrize("wanted", [True, False])
async def test_they_are_told_apart_within_the_index(
    connection: Connection, *, wanted: bool
) -> None:
    """Every thousandth of the coins is what is looked for."""
    await connection.execute(
        "INSERT INTO normalized_records (ticker, price_usd_exact, market_cap_usd, source, "
        "created_at, stale_at, "
        "ingested_at, rival_count, provenance) SELECT 'T' || i, 1, 1 + i, 'coingecko', now(), "
        "CASE WHEN (i % 1000 = 7) = $1 THEN '-infinity' ELSE 'infinity' END::timestamptz, now(), "
        "0, '[]' "
        "FROM generate_series(1, 20000) AS i",
        wanted,
    )
    await connection.execute("VACUUM ANALYZE normalized_records")
    order = COIN_ORDERS["MARKET_CAP_USD:DESC"]
    only = CoinFilter(is_stale=wanted)
    for _ in range(10):  # past the five executions after which a generic plan may take over
        page = await coin_page(connection, only, order, PageSlice(5))
    assert [coin.ticker for coin in page.rows] == ["T19007", "T18007", "T17007", "T16007", "T15007"]
    assert (await count_coins(connection, only), await count_coins(connection, NO_FILTER)) == (
        20,
        20_000,
    )
    filters = coin_conditions(only)
    statement = page_statement(Variant(COINS, order, places=filters.places))
    plan = "\n".join(
        row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *filters.values, 6)
    )
    assert "Index Cond: ((stale_at >= " in plan, plan
