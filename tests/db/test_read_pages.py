"""Reading pages: every statement fits the schema, and a page begins by an index scan."""

import itertools
from types import ModuleType

import msgspec
import pytest

from db.connect.types import Connection
from db.read import asset_parts, stats
from db.read import assets as asset_pages
from db.read import coins as coin_pages
from db.read import listings as listing_pages
from db.read import requests as request_rows
from db.read import runs as run_pages
from db.read import sources as source_rows
from db.read.assets import ASSET_ORDER, ASSET_ORDERS, ASSETS, AssetFilter, AssetRow
from db.read.coins import COIN_ORDERS, COINS, CoinFilter, CoinRow, coin_page
from db.read.history.candle_json import COLUMNS, candle_statement
from db.read.history.candles import INTERVALS
from db.read.history.series import Owner
from db.read.keyset import (
    Bound,
    KeysetPosition,
    Order,
    PageQuery,
    PageSlice,
    Variant,
    page_statement,
)
from db.read.listings import LISTING_ORDER, LISTINGS, ListingFilter, ListingRow
from db.read.runs import NEWEST_FIRST, RUNS, RunFilter, RunRow

QUERIES: list[tuple[PageQuery, list[Order], type[msgspec.Struct], type[msgspec.Struct]]] = [
    (ASSETS, [ASSET_ORDER, *ASSET_ORDERS.values()], AssetRow, AssetFilter),
    (COINS, list(COIN_ORDERS.values()), CoinRow, CoinFilter),
    (LISTINGS, [LISTING_ORDER], ListingRow, ListingFilter),
    (RUNS, [NEWEST_FIRST], RunRow, RunFilter),
]
MODULES = [
    asset_pages,
    asset_parts,
    coin_pages,
    listing_pages,
    request_rows,
    run_pages,
    source_rows,
    stats,
]


def variants() -> list[Variant]:
    """Return every variant of every page's statement that can be asked for."""
    return [
        Variant(query, order, places, after, before, backward)
        for query, orders, _, _ in QUERIES
        for order in orders
        for places in ((), tuple(range(len(query.conditions))))
        for backward in (False, True)
        for after, before in itertools.product(Bound, repeat=2)
        if order.nullable or Bound.NULL not in (after, before)
    ]


async def test_every_variant_of_a_page_can_be_prepared(connection: Connection) -> None:
    asked = [
        variant
        for variant in variants()
        if (variant.after, variant.before) != (Bound.NULL, Bound.VALUE)
    ]
    assert len(asked) > 300
    for variant in asked:
        statement = await connection.prepare(page_statement(variant))
        names = [attribute.name for attribute in statement.get_attributes()]
        assert names[2:] == [name for name, _ in variant.query.columns]


def statements(module: ModuleType) -> dict[str, str]:
    return {
        f"{module.__name__}.{name}": value
        for name, value in vars(module).items()
        if isinstance(value, str) and value.lstrip().startswith(("SELECT", "WITH"))
    }


async def test_every_other_statement_can_be_prepared(connection: Connection) -> None:
    found = {name: text for module in MODULES for name, text in statements(module).items()}
    assert len(found) >= 12
    for text in found.values():
        await connection.prepare(text)


async def test_the_text_of_candles_can_be_prepared_for_every_interval(
    connection: Connection,
) -> None:
    owners: tuple[Owner, ...] = ("coin", "listing")
    selections = ((), ("close",), tuple(COLUMNS), ("samples", "samples", "start"))
    for owner, interval, columns in itertools.product(owners, INTERVALS.values(), selections):
        statement = await connection.prepare(candle_statement(owner, interval, columns))
        kinds = [parameter.name for parameter in statement.get_parameters()]
        assert kinds[-len(columns) - 1 :] == ["text"] * (len(columns) + 1)


def test_the_columns_are_the_fields_of_the_rows_and_the_parameters_those_of_the_filters() -> None:
    for query, _, row, wanted in QUERIES:
        assert [name for name, _ in query.columns] == list(row.__struct_fields__)
        assert len(query.conditions) == len(wanted.__struct_fields__)


async def explained(connection: Connection, statement: str, *arguments: object) -> str:
    records = await connection.fetch(f"EXPLAIN (COSTS OFF) {statement}", *arguments)
    return "\n".join(record[0] for record in records)


@pytest.fixture
async def market(connection: Connection) -> None:
    """Five thousand coins, a tenth of them without a market cap."""
    await connection.execute("""
        INSERT INTO normalized_records
            (ticker, market_cap_usd, source, created_at, ingested_at, rival_count, provenance)
        SELECT 'T' || n, CASE WHEN n % 10 > 0 THEN n END, 'csv', now(), now(), 0, '[]'
        FROM generate_series(1, 5000) AS n
    """)
    await connection.execute("ANALYZE normalized_records")


@pytest.mark.usefixtures("market")
async def test_a_deep_page_begins_within_the_index(connection: Connection) -> None:
    order = COIN_ORDERS["MARKET_CAP_USD:DESC"]
    deep = Variant(COINS, order, after=Bound.VALUE)
    plan = await explained(connection, page_statement(deep), 51, "100", "T100")
    assert "Index Cond: (market_cap_usd <= '100'::numeric)" in plan
    assert "Index Cond: (market_cap_usd IS NULL)" in plan
    assert "Seq Scan on normalized_records" not in plan
    first = await explained(connection, page_statement(Variant(COINS, order)), 51)
    assert "Index Scan using normalized_records_by_market_cap" in first
    assert "Sort" not in first.replace("Incremental Sort", "")


@pytest.mark.usefixtures("market")
async def test_a_page_that_is_planned_for_every_limit_begins_within_the_index_too(
    connection: Connection,
) -> None:
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    order = COIN_ORDERS["MARKET_CAP_USD:DESC"]
    deep = Variant(COINS, order, after=Bound.VALUE)
    for variant, arguments in ((Variant(COINS, order), "51"), (deep, "51, '9', 'T9'")):
        await connection.execute(f"PREPARE page AS {page_statement(variant)}")
        plan = await explained(connection, f"EXECUTE page ({arguments})")
        await connection.execute("DEALLOCATE page")
        assert "Index Scan using normalized_records_by_market_cap" in plan
        assert "Seq Scan on normalized_records" not in plan


@pytest.mark.usefixtures("market")
async def test_a_page_across_the_end_of_the_known_values(connection: Connection) -> None:
    order = COIN_ORDERS["MARKET_CAP_USD:DESC"]
    page = await coin_page(
        connection, CoinFilter(), order, PageSlice(limit=3, after=KeysetPosition("2", "T2"))
    )
    assert [row.ticker for row in page.rows] == ["T1", "T10", "T100"]
    assert page.positions == [
        KeysetPosition("1", "T1"),
        KeysetPosition(None, "T10"),
        KeysetPosition(None, "T100"),
    ]
    assert page.more
    back = await coin_page(
        connection, CoinFilter(), order, PageSlice(limit=3, backward=True, before=page.positions[2])
    )
    assert [row.ticker for row in back.rows] == ["T2", "T1", "T10"]
