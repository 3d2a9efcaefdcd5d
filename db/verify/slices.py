"""Slices of a source's listings in the order of their ids, each with its payload and points.

A slice is small enough for a snapshot of its own. That is enough: a page commits a listing with
its payload, points and candles, and no rule compares the history of two listings.
"""

import datetime
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import asyncpg
import msgspec

from db.connect.types import Connection
from db.reprocess.payloads import BodyPlace, Kind, StoredPayload, of_kind
from db.write.listing_columns import LISTING_COLUMNS, values_of

# The payload of the present content; of several that are equal, the one fetched last. The earlier
# observations are the points before the present one, but those of a backfill.
_LISTINGS = f"""
SELECT
    l.id, l.external_id, l.content_hash, l.has_own_time, l.first_seen_at, l.fetched_at,
    ARRAY(SELECT o.at FROM unnest(l.before) AS o) AS before_at,
    ARRAY(SELECT o.price_usd FROM unnest(l.before) AS o) AS before_price,
    ARRAY(SELECT o.market_cap_usd FROM unnest(l.before) AS o) AS before_cap,
    ARRAY(SELECT o.volume_24h_usd FROM unnest(l.before) AS o) AS before_volume,
    p.times, p.prices, p.caps, p.volumes, p.is_thinned,
    l.body, l.body_offset, l.body_length,
    r.ingested_at, r.payload,
    {values_of("l")}
FROM listings AS l
LEFT JOIN LATERAL (
    SELECT r.ingested_at, r.payload
    FROM raw_api_records AS r
    WHERE r.source = l.source AND r.external_id = l.external_id AND r.content_hash = l.content_hash
    ORDER BY r.ingested_at DESC
    LIMIT 1
) AS r ON true
CROSS JOIN LATERAL (
    SELECT
        array_agg(at) AS times, array_agg(price_usd) AS prices, array_agg(market_cap_usd) AS caps,
        array_agg(volume_24h_usd) AS volumes,
        EXISTS (
            SELECT FROM price_points AS t
            WHERE t.listing = l.id AND t.at <= l.observed_at AND t.thinned_hours > 0
              AND t.at >= date_bin('1 day', least(
                l.observed_at, (SELECT min(o.at) FROM unnest(l.before) AS o)
              ), 'epoch')
        ) AS is_thinned
    FROM (
        SELECT p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd
        FROM price_points AS p
        WHERE p.listing = l.id AND p.at < l.observed_at AND p.fetched_at IS NOT NULL
        ORDER BY p.at DESC
        LIMIT 2
    ) AS earlier
) AS p
WHERE l.source = $1 AND l.external_id > $2
ORDER BY l.external_id
LIMIT $3
"""  # noqa: S608 - of constants
_LISTINGS_FROM = of_kind(_LISTINGS)
_FIXED = 20
"""Columns before the values of the listing."""
_PRICES = """
SELECT listing, at, price_usd::text, is_held, thinned_hours > 0
FROM price_points
WHERE listing = ANY ($1::integer[])
ORDER BY listing, at
"""
_BY_SOURCE = "SELECT source, count(*) FROM listings GROUP BY source ORDER BY source"
_BATCH = 5_000


class Earlier(msgspec.Struct, frozen=True, gc=False):
    """An observation of a listing before the present one."""

    at: datetime.datetime
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None


class StoredListing(msgspec.Struct, frozen=True, gc=False):
    """A row of `listings`; `values` are LISTING_COLUMNS.

    `before` are its earlier observations, `points_before` the last two points before the present
    one, None if others between were removed by age. `place` is where its body has it. `payload` is
    the one of its content, None if it is not stored.
    """

    id: int
    external_id: str
    content_hash: bytes
    has_own_time: bool
    first_seen_at: datetime.datetime
    before: tuple[Earlier, ...]
    points_before: tuple[Earlier, ...] | None
    place: BodyPlace | None
    payload: StoredPayload | None
    values: tuple[object, ...]


class PointPrice(msgspec.Struct, frozen=True, gc=False):
    """The price of a point, as text; whether it is held, and stands for removed points."""

    listing: int
    at: datetime.datetime
    price_usd: str | None
    is_held: bool
    is_thinned: bool


async def read_listings(
    connection: Connection, source: str, kind: Kind, after: str, limit: int
) -> list[StoredListing]:
    """Return the next listings of a source after an external id."""
    rows = await connection.fetch(_LISTINGS_FROM[kind], source, after, limit)
    return [_listing(row) for row in rows]


def _listing(row: asyncpg.Record) -> StoredListing:
    payload = None
    if row["payload"] is not None:
        payload = StoredPayload(
            row["external_id"],
            row["ingested_at"],
            row["content_hash"],
            row["fetched_at"],
            bytes(row["payload"]),
        )
    before = ("before_at", "before_price", "before_cap", "before_volume")
    return StoredListing(
        row["id"],
        row["external_id"],
        row["content_hash"],
        row["has_own_time"],
        row["first_seen_at"],
        _earlier(row, before),
        None if row["is_thinned"] else _earlier(row, ("times", "prices", "caps", "volumes")),
        None
        if row["body"] is None
        else BodyPlace(row["body"], row["body_offset"], row["body_length"]),
        payload,
        tuple(row[_FIXED : _FIXED + len(LISTING_COLUMNS)]),
    )


def _earlier(row: asyncpg.Record, names: Sequence[str]) -> tuple[Earlier, ...]:
    columns = [row[name] or [] for name in names]
    return tuple(Earlier(*one) for one in zip(*columns, strict=True))


async def read_prices(
    connection: Connection, listings: Sequence[int]
) -> AsyncIterator[list[PointPrice]]:
    """Yield the points of each listing that has any, in the order of their times."""
    cursor = await connection.cursor(_PRICES, listings)
    series: list[PointPrice] = []
    while rows := await cursor.fetch(_BATCH):
        for row in rows:
            if series and series[0].listing != row[0]:
                yield series
                series = []
            series.append(PointPrice(*row))
    if series:
        yield series


async def count_listings_by_source(connection: Connection) -> list[tuple[str, int]]:
    """Return each source that has listings, and their number."""
    return [(row[0], row[1]) for row in await connection.fetch(_BY_SOURCE)]
