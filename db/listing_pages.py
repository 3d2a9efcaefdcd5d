"""Reading listings: pages of them, those of given tickers, single ones, and their newest raw payloads."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.expressions import as_float, like_prefix, search_condition
from db.keyset import Order, Page, PageQuery, Slice, fetch_page
from db.types import Connection

MAX_LISTINGS_OF_TICKER = 250
"""How many listings of one ticker are read at most; the recorded maximum is 68 (WETH on CoinGecko)."""


class ListingRow(msgspec.Struct, frozen=True, gc=False):
    """What one source says of one asset; numbers as text, every digit of them."""

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
    contributes: bool
    content_hash: bytes


class ListingFilter(msgspec.Struct, frozen=True):
    """Which listings are wanted; None does not restrict. The order of the fields is that of the parameters."""

    tickers: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    active: bool | None = None
    search: str | None = None


ListingKey = tuple[str, str]
"""Source and external id."""

PayloadKey = tuple[str, str, bytes]
"""Source, external id and content hash."""

# A listing that is seen again unchanged is not written: its source's last complete sweep saw it.
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
        ("contributes", "l.contributes"),
        ("content_hash", "l.content_hash"),
    ),
    tables="listings AS l LEFT JOIN etl_checkpoints AS c ON c.source = l.source",
    filters=f"""
        ($1::text[] IS NULL OR l.ticker = ANY ($1))
        AND ($2::text[] IS NULL OR l.source = ANY ($2))
        AND ($3::boolean IS NULL OR l.active = $3)
        AND {search_condition("l.ticker", "l.name", "$4")}
    """,
    filter_count=4,
)
LISTING_ORDER = Order("SOURCE", sort="l.source", sort_type="text", key="l.external_id")
NO_FILTER = ListingFilter()

_COUNT_ALL = "SELECT count(*) FROM listings"
_COUNT = f"SELECT count(*) FROM {LISTINGS.tables} WHERE {LISTINGS.filters}"  # noqa: S608 - constants above
_BY_KEYS = LISTINGS.select(
    "JOIN unnest($1::text[], $2::text[]) AS k (source, external_id)"
    " ON k.source = l.source AND k.external_id = l.external_id"
)
_OF_TICKERS = (
    "SELECT x.* FROM unnest($1::text[]) AS k (ticker) CROSS JOIN LATERAL ("  # noqa: S608 - the same
    + LISTINGS.select(
        "WHERE l.ticker = k.ticker AND l.contributes = $2"
        " ORDER BY l.market_cap_usd DESC NULLS LAST, l.source, l.external_id"
        f" LIMIT {MAX_LISTINGS_OF_TICKER}"
    )
    + ") AS x"
)
_PAYLOADS = """
SELECT k.source, k.external_id, k.content_hash, p.payload
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (source, external_id, content_hash)
JOIN sources AS s ON s.name = k.source
CROSS JOIN LATERAL (
    (
        SELECT r.payload FROM raw_api_records AS r
        WHERE s.kind = 'api' AND r.source = k.source AND r.external_id = k.external_id
          AND r.content_hash = k.content_hash
        ORDER BY r.ingested_at DESC LIMIT 1
    )
    UNION ALL
    (
        SELECT r.payload FROM raw_csv_records AS r
        WHERE s.kind = 'file' AND r.source = k.source AND r.external_id = k.external_id
          AND r.content_hash = k.content_hash
        ORDER BY r.ingested_at DESC LIMIT 1
    )
) AS p
"""


def _filters(wanted: ListingFilter) -> list[object] | None:
    if wanted == NO_FILTER:
        return None
    if wanted.search is not None:
        wanted = msgspec.structs.replace(wanted, search=like_prefix(wanted.search))
    return list(msgspec.structs.astuple(wanted))


async def listing_page(connection: Connection, wanted: ListingFilter, part: Slice) -> Page[ListingRow]:
    """Return a slice of the listings that the filter wants, by source and external id."""
    return await fetch_page(connection, LISTINGS, LISTING_ORDER, part, make=ListingRow, filters=_filters(wanted))


async def count_listings(connection: Connection, wanted: ListingFilter = NO_FILTER) -> int:
    """Return how many listings the filter wants."""
    filters = _filters(wanted)
    statement, arguments = (_COUNT_ALL, []) if filters is None else (_COUNT, filters)
    count: int = await connection.fetchval(statement, *arguments)
    return count


async def listings_by_key(connection: Connection, keys: Sequence[ListingKey]) -> dict[ListingKey, ListingRow]:
    """Return the listings with these keys; unknown ones are left out."""
    sources, external_ids = zip(*keys, strict=True)
    rows = [ListingRow(*record) for record in await connection.fetch(_BY_KEYS, sources, external_ids)]
    return {(row.source, row.external_id): row for row in rows}


async def listings_of_tickers(
    connection: Connection, tickers: Sequence[str], *, contributing: bool
) -> dict[str, list[ListingRow]]:
    """Return the listings of each ticker that give to its coin, or those of its rivals; greatest market cap first."""
    listings: defaultdict[str, list[ListingRow]] = defaultdict(list)
    for record in await connection.fetch(_OF_TICKERS, tickers, contributing):
        row = ListingRow(*record)
        listings[row.ticker].append(row)
    return listings


async def newest_payloads(connection: Connection, keys: Sequence[PayloadKey]) -> dict[PayloadKey, msgspec.Raw]:
    """Return the newest raw payload, JSON, that each listing's present content came from."""
    sources, external_ids, hashes = zip(*keys, strict=True)
    records = await connection.fetch(_PAYLOADS, sources, external_ids, hashes)
    return {(record["source"], record["external_id"], record["content_hash"]): record["payload"] for record in records}
