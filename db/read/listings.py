"""Reads listings: pages, by key, and by ticker."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.read.expressions import as_float, asset_of, is_member, like_prefix, search_condition
from db.read.keyset import (
    FilterParts,
    Order,
    PageQuery,
    count_rows,
    filter_parts,
)

MAX_LISTINGS_OF_TICKER = 250
"""The most listings of one ticker that are read; the recorded maximum is 68 (WETH, CoinGecko)."""


class ListingRow(msgspec.Struct, frozen=True, gc=False):
    """One source's view of one asset; numbers are text with all digits, `asset` is its key."""

    source: str
    external_id: str
    ticker: str
    symbol: str
    name: str | None
    rank: int | None
    price_usd: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None
    percent_change_24h: float | None
    circulating_supply: str | None
    total_supply: str | None
    max_supply: str | None
    observed_at: datetime.datetime
    first_seen_at: datetime.datetime
    last_seen_at: datetime.datetime
    active: bool
    missing_since: datetime.datetime | None
    contributes: bool
    asset: str
    content_hash: bytes


class ListingFilter(msgspec.Struct, frozen=True):
    """A filter of listings; None does not restrict.

    The order of the fields is that of the conditions.
    """

    tickers: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    active: bool | None = None
    search: str | None = None


ListingKey = tuple[str, str]
"""Source and external id."""

# An unchanged listing is not written again: the last complete sweep of its source has seen it.
_LAST_SEEN_AT = """
    CASE
        WHEN l.active AND l.missing_since IS NULL THEN greatest(l.last_seen_at, c.last_sweep_at)
        ELSE l.last_seen_at
    END
"""

LISTINGS = PageQuery(
    columns=(
        ("source", "l.source"),
        ("external_id", "l.external_id"),
        ("ticker", "l.ticker"),
        ("symbol", "l.symbol"),
        ("name", "l.name"),
        ("rank", "l.rank"),
        ("price_usd", "l.price_usd::text"),
        ("market_cap_usd", "l.market_cap_usd::text"),
        ("volume_24h_usd", "l.volume_24h_usd::text"),
        ("percent_change_24h", as_float("l.percent_change_24h")),
        ("circulating_supply", "l.circulating_supply::text"),
        ("total_supply", "l.total_supply::text"),
        ("max_supply", "l.max_supply::text"),
        ("observed_at", "l.observed_at"),
        ("first_seen_at", "l.first_seen_at"),
        ("last_seen_at", _LAST_SEEN_AT),
        ("active", "l.active"),
        ("missing_since", "l.missing_since"),
        ("contributes", "l.contributes"),
        ("asset", asset_of("l")),
        ("content_hash", "l.content_hash"),
    ),
    tables="listings AS l LEFT JOIN etl_checkpoints AS c ON c.source = l.source",
    conditions=(
        ("text[]", "l.ticker = ANY ({})"),
        ("text[]", "l.source = ANY ({})"),
        ("boolean", "l.active = {}"),
        ("text", search_condition("l.ticker", "l.name")),
    ),
)


def listings_by_key_statement(query: PageQuery) -> str:
    """Return the statement for the listings with the keys of its parameters."""
    return query.select(
        "JOIN unnest($1::text[], $2::text[]) AS k (source, external_id)"
        " ON k.source = l.source AND k.external_id = l.external_id"
    )


def listings_of_tickers_statement(query: PageQuery) -> str:
    """Return the statement for the listings of some tickers, largest market cap first."""
    listings = query.select(
        "WHERE l.ticker = k.ticker AND l.contributes = $2"
        " ORDER BY l.market_cap_usd DESC NULLS LAST, l.source, l.external_id"
        f" LIMIT {MAX_LISTINGS_OF_TICKER}"
    )
    # Constants of this package.
    return f"SELECT x.* FROM unnest($1::text[]) AS k (ticker) CROSS JOIN LATERAL ({listings}) AS x"  # noqa: S608


def listings_of_assets_statement(query: PageQuery) -> str:
    """Return the statement for the listings of some assets, largest market cap first."""
    listings = query.select(
        f"WHERE {is_member('l', 'k.key')}"
        " ORDER BY l.market_cap_usd DESC NULLS LAST, l.source, l.external_id"
        f" LIMIT {MAX_LISTINGS_OF_TICKER}"
    )
    # Constants of this package.
    return f"SELECT x.* FROM unnest($1::text[]) AS k (key) CROSS JOIN LATERAL ({listings}) AS x"  # noqa: S608


LISTING_ORDER = Order("SOURCE", sort="l.source", sort_type="text", key="l.external_id")
NO_FILTER = ListingFilter()

_BY_KEYS = listings_by_key_statement(LISTINGS)
_OF_TICKERS = listings_of_tickers_statement(LISTINGS)
_OF_ASSETS = listings_of_assets_statement(LISTINGS)


def listing_conditions(filters: ListingFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    if filters.search is not None:
        filters = msgspec.structs.replace(filters, search=like_prefix(filters.search))
    return filter_parts(msgspec.structs.astuple(filters))


async def count_listings(connection: Connection, filters: ListingFilter = NO_FILTER) -> int:
    """Return the number of matching listings."""
    return await count_rows(connection, LISTINGS, listing_conditions(filters))


async def listings_by_key(
    connection: Connection, keys: Sequence[ListingKey]
) -> dict[ListingKey, ListingRow]:
    """Return the listings with these keys; unknown ones are left out."""
    sources, external_ids = zip(*keys, strict=True)
    rows = [
        ListingRow(*record) for record in await connection.fetch(_BY_KEYS, sources, external_ids)
    ]
    return {(row.source, row.external_id): row for row in rows}


async def listings_of_tickers(
    connection: Connection, tickers: Sequence[str], *, contributing: bool
) -> dict[str, list[ListingRow]]:
    """Return the contributing listings of each ticker, or the rivals; largest market cap first."""
    listings: defaultdict[str, list[ListingRow]] = defaultdict(list)
    for record in await connection.fetch(_OF_TICKERS, tickers, contributing):
        row = ListingRow(*record)
        listings[row.ticker].append(row)
    return listings


async def listings_of_assets(
    connection: Connection, keys: Sequence[str]
) -> dict[str, list[ListingRow]]:
    """Return the listings of each asset, largest market cap first."""
    listings: defaultdict[str, list[ListingRow]] = defaultdict(list)
    for record in await connection.fetch(_OF_ASSETS, keys):
        row = ListingRow(*record)
        listings[row.asset].append(row)
    return listings
