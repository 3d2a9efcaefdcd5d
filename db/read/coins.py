"""Reading coins: pages of them in every order, and single ones.

Numbers arrive as text, every digit of them.
"""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.read.expressions import as_float, like_prefix, search_condition
from db.read.keyset import (
    FilterParts,
    KeysetPage,
    Order,
    PageQuery,
    PageSlice,
    count_rows,
    fetch_page,
    filter_parts,
)

WIDE_SPREAD_PERCENT = 3
"""A larger spread of fresh prices, in per cent, is a dispute."""

_IS_STALE = "(n.stale_at < now())"
# The same as a range, which the index by market cap can answer in a generic plan.
_IS_STALE_AS = (
    "n.stale_at >= CASE WHEN {} THEN '-infinity' ELSE now() END"
    " AND n.stale_at <= CASE WHEN {} THEN now() - interval '1 microsecond' ELSE 'infinity' END"
)
_PERCENT_CHANGE = as_float("n.percent_change_24h")
_IS_DISPUTED = (
    f"(n.rival_count > 0 OR coalesce(n.price_spread_percent > {WIDE_SPREAD_PERCENT}, false))"
)


class CoinRow(msgspec.Struct, frozen=True, gc=False):
    """A merged coin as clients see it; the columns' comments describe the JSON."""

    id: str
    ticker: str
    name: str | None
    price_usd: str | None
    price_usd_exact: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None
    percent_change_24h: float | None
    rank: int | None
    source: str
    created_at: datetime.datetime
    ingested_at: datetime.datetime
    is_stale: bool
    price_spread_percent: float | None
    provenance: msgspec.Raw
    asset: str | None
    confidence: float | None
    is_suspect: bool
    excluded: msgspec.Raw | None


class CoinFilter(msgspec.Struct, frozen=True):
    """A filter of coins; None does not restrict. Bounds are inclusive, decimals are exact text.

    `search` is the start of a ticker or of any word of a name. The order of the fields is that of
    the conditions.
    """

    tickers: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    search: str | None = None
    price_usd_from: str | None = None
    price_usd_to: str | None = None
    market_cap_usd_from: str | None = None
    market_cap_usd_to: str | None = None
    volume_24h_usd_from: str | None = None
    volume_24h_usd_to: str | None = None
    percent_change_24h_from: float | None = None
    percent_change_24h_to: float | None = None
    created_from: datetime.datetime | None = None
    created_to: datetime.datetime | None = None
    ingested_from: datetime.datetime | None = None
    ingested_to: datetime.datetime | None = None
    is_stale: bool | None = None
    is_disputed: bool | None = None
    is_suspect: bool | None = None
    min_confidence: float | None = None


COINS = PageQuery(
    columns=(
        ("id", "n.id"),
        ("ticker", "n.ticker"),
        ("name", "n.name"),
        ("price_usd", "trim_scale(n.price_usd)::text"),
        ("price_usd_exact", "n.price_usd_exact::text"),
        ("market_cap_usd", "n.market_cap_usd::text"),
        ("volume_24h_usd", "n.volume_24h_usd::text"),
        ("percent_change_24h", _PERCENT_CHANGE),
        ("rank", "n.rank"),
        ("source", "n.source"),
        ("created_at", "n.created_at"),
        ("ingested_at", "n.ingested_at"),
        ("is_stale", _IS_STALE),
        ("price_spread_percent", "n.price_spread_percent"),
        ("provenance", "n.provenance"),
        ("asset", "n.asset"),
        ("confidence", as_float("n.confidence")),
        ("is_suspect", "n.is_suspect"),
        ("excluded", "n.excluded"),
    ),
    tables="normalized_records AS n",
    conditions=(
        ("text[]", "n.ticker = ANY ({})"),
        ("text[]", "n.source = ANY ({})"),
        ("text", search_condition("n.ticker", "n.name")),
        ("text::numeric", "n.price_usd >= {}"),
        ("text::numeric", "n.price_usd <= {}"),
        ("text::numeric", "n.market_cap_usd >= {}"),
        ("text::numeric", "n.market_cap_usd <= {}"),
        ("text::numeric", "n.volume_24h_usd >= {}"),
        ("text::numeric", "n.volume_24h_usd <= {}"),
        ("double precision", f"{_PERCENT_CHANGE} >= {{}}"),
        ("double precision", f"{_PERCENT_CHANGE} <= {{}}"),
        ("timestamptz", "n.created_at >= {}"),
        ("timestamptz", "n.created_at <= {}"),
        ("timestamptz", "n.ingested_at >= {}"),
        ("timestamptz", "n.ingested_at <= {}"),
        ("boolean", _IS_STALE_AS),
        ("boolean", f"{_IS_DISPUTED} = {{}}"),
        ("boolean", "n.is_suspect = {}"),
        ("double precision", "n.confidence >= {}::numeric"),
    ),
)
NO_FILTER = CoinFilter()

_BY_TICKERS = COINS.select("WHERE n.ticker = ANY ($1::text[])")
WITH_IDS = """
WHERE n.id = ANY ($1::text[]) AND (
    n.ticker = ANY (ARRAY(
        SELECT upper(substr(id, length('merged_') + 1)) FROM unnest($1::text[]) AS given (id)
    ))
    OR n.id = ANY ($1::text[]) AND n.ticker <> upper(lower(n.ticker))
)
"""
"""The coins with these ids: by ticker, or by id if the ticker does not follow from the id."""

_BY_IDS = COINS.select(WITH_IDS)


def _orders(name: str, sort: str, sort_type: str, *, nullable: bool) -> list[Order]:
    return [
        Order(
            f"{name}:{direction}",
            sort,
            sort_type,
            "n.ticker",
            descending=direction == "DESC",
            nullable=nullable,
        )
        for direction in ("ASC", "DESC")
    ]


COIN_ORDERS = {
    order.name: order
    for order in (
        *_orders("MARKET_CAP_USD", "n.market_cap_usd", "numeric", nullable=True),
        *_orders("VOLUME_24H_USD", "n.volume_24h_usd", "numeric", nullable=True),
        # The rounded prices of the smallest coins are equal.
        *_orders("PRICE_USD", "n.price_usd_exact", "numeric", nullable=True),
        *_orders("PERCENT_CHANGE_24H", "n.percent_change_24h", "numeric", nullable=True),
        *_orders("TICKER", "n.ticker", "text", nullable=False),
        *_orders("NAME", "lower(n.name)", "text", nullable=True),
        *_orders("CREATED_AT", "n.created_at", "timestamptz", nullable=False),
        *_orders("INGESTED_AT", "n.ingested_at", "timestamptz", nullable=False),
    )
}
"""Every order of coins by its name, such as "MARKET_CAP_USD:DESC"."""


def coin_conditions(filters: CoinFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    if filters.search is not None:
        filters = msgspec.structs.replace(filters, search=like_prefix(filters.search))
    return filter_parts(msgspec.structs.astuple(filters))


async def coin_page(
    connection: Connection, filters: CoinFilter, order: Order, part: PageSlice
) -> KeysetPage[CoinRow]:
    """Return a slice of the matching coins."""
    return await fetch_page(
        connection, COINS, order, part, make=CoinRow, filters=coin_conditions(filters)
    )


async def count_coins(connection: Connection, filters: CoinFilter = NO_FILTER) -> int:
    """Return the number of matching coins."""
    return await count_rows(connection, COINS, coin_conditions(filters))


async def coins_by_ticker(connection: Connection, tickers: Sequence[str]) -> dict[str, CoinRow]:
    """Return the coins of `tickers`, by ticker; unknown ones are left out."""
    return {
        record["ticker"]: CoinRow(*record)
        for record in await connection.fetch(_BY_TICKERS, tickers)
    }


async def coins_by_id(connection: Connection, ids: Sequence[str]) -> dict[str, CoinRow]:
    """Return the coins with these ids, by id; unknown ones are left out."""
    return {record["id"]: CoinRow(*record) for record in await connection.fetch(_BY_IDS, ids)}
