"""What belongs to assets is found by indexes, and no filter of assets is quadratic."""

import pytest

from db.connect.types import Connection
from db.read.asset_parts import coins_of_assets_statement
from db.read.assets import (
    ASKED_ASSETS,
    ASSET_ORDER,
    ASSET_ORDERS,
    ASSETS,
    AssetFilter,
    asked_assets_statement,
    asset_conditions,
)
from db.read.coins import COINS
from db.read.keyset import Variant, count_statement, page_statement
from db.read.listings import LISTINGS, listings_of_assets_statement

LISTED = """
INSERT INTO listings (source, external_id, ticker, symbol, name, name_words, core_words,
    observed_at, fetched_at, first_seen_at, last_seen_at, content_hash, contributes, asset)
SELECT s.name, n::text, 'T' || n, 't', 'Coin', '', '', now(), now(), now(), now(),
    decode(md5(s.name || n), 'hex'), true, CASE WHEN s.name <> 'a' AND n % 2 = 0 THEN 'a:' || n END
FROM (VALUES ('a'), ('b')) AS s (name), generate_series(1, 5000) AS n
"""
RECORDED = """
INSERT INTO normalized_records
    (ticker, market_cap_usd, source, created_at, ingested_at, rival_count, provenance, asset)
SELECT 'T' || n, n, 'a', now(), now(), 0, '[]', 'a:' || n FROM generate_series(1, 5000) AS n
"""
LOCATED = """
INSERT INTO listing_addresses SELECT source, external_id, 'bsc', external_id, true, now()
FROM listings
"""
RENAMED = (
    "INSERT INTO former_tickers SELECT source, external_id, 'F' || ticker, now() FROM listings"
)


@pytest.fixture
async def market(connection: Connection) -> None:
    """Ten thousand listings of 7,500 assets."""
    for statement in (LISTED, RECORDED, LOCATED, RENAMED, "ANALYZE"):
        await connection.execute(statement)
    await connection.execute("SET plan_cache_mode = force_generic_plan")


async def plan_of(connection: Connection, statement: str, arguments: str) -> str:
    await connection.execute(f"PREPARE asked AS {statement}")
    records = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE asked ({arguments})")
    await connection.execute("DEALLOCATE asked")
    return "\n".join(record[0] for record in records)


@pytest.mark.usefixtures("market")
async def test_the_parts_of_assets_are_found_by_indexes(connection: Connection) -> None:
    for statement, index in (
        (listings_of_assets_statement(LISTINGS), "listings_by_asset"),
        (coins_of_assets_statement(COINS), "listings_by_asset"),
        (asked_assets_statement(ASKED_ASSETS.narrow({"asked", "key"})), "listings_pkey"),
    ):
        plan = await plan_of(connection, statement, "'{a:4}'")
        assert index in plan
        assert "Seq Scan on listings" not in plan
        assert "Seq Scan on normalized_records" not in plan


@pytest.mark.usefixtures("market")
async def test_the_assets_of_a_ticker_are_found_by_indexes(connection: Connection) -> None:
    places = asset_conditions(AssetFilter(tickers=["T5"])).places
    query = ASSETS.narrow({"key"})
    plan = await plan_of(
        connection, page_statement(Variant(query, ASSET_ORDER, places)), "'{T5}', 51"
    )
    assert "listings_by_ticker" in plan
    assert "former_tickers_by_ticker" in plan
    assert "Seq Scan on listings" not in plan
    first = await plan_of(
        connection, page_statement(Variant(query, ASSET_ORDERS["ASSET_TICKER:ASC"])), "51"
    )
    assert "Index Scan using listings_by_ticker" in first


@pytest.mark.usefixtures("market")
async def test_a_filter_of_assets_is_a_join(connection: Connection) -> None:
    for filters, argument in (
        (AssetFilter(sources=["b"]), "'{b}'"),
        (AssetFilter(search="b"), "'b'"),
        (AssetFilter(with_address=True), "true"),
        (AssetFilter(without_address=True), "true"),
        (AssetFilter(chains=["bsc"]), "'{bsc}'"),
    ):
        places = asset_conditions(filters).places
        assert len(places) == 1
        plan = await plan_of(connection, count_statement(ASSETS, places), argument)
        # A subplan runs once for each listing.
        assert "SubPlan" not in plan
