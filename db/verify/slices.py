"""Slices of a source's listings in the order of their ids, with their payloads and points.

A slice is small enough for a snapshot of its own. That is enough: a page commits a listing with
its payload, points and candles, and no rule compares the history of two listings.
"""

import datetime
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import asyncpg
import msgspec

from db.connect.types import Connection
from db.reprocess.job import BEGINNING
from db.reprocess.payloads import (
    Kind,
    PayloadPosition,
    PayloadRange,
    StoredPayload,
    read_payloads,
)
from db.write.listing_columns import LISTING_COLUMNS, values_of

_END = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_LAST_HASH = b"\xff" * 17
"""Greater than any content hash."""
_ALL = PayloadRange(BEGINNING, _END)

_LISTINGS = f"""
SELECT
    l.id, l.external_id, l.content_hash, l.has_own_time, l.first_seen_at,
    ARRAY(SELECT o.at FROM unnest(l.before) AS o) AS before_at,
    ARRAY(SELECT o.fetched_at FROM unnest(l.before) AS o) AS before_fetched_at,
    ARRAY(SELECT o.price_usd FROM unnest(l.before) AS o) AS before_price,
    ARRAY(SELECT o.market_cap_usd FROM unnest(l.before) AS o) AS before_cap,
    ARRAY(SELECT o.volume_24h_usd FROM unnest(l.before) AS o) AS before_volume,
    {values_of("l")}
FROM listings AS l
WHERE l.source = $1 AND l.external_id > $2 AND ($3::text IS NULL OR l.external_id <= $3)
ORDER BY l.external_id
"""  # noqa: S608 - of constants
# Numbers as text: nearly all are equal to what the payload says, digit for digit.
_POINTS = """
SELECT
    listing, at, fetched_at, tie, is_held, price_usd::text, market_cap_usd::text,
    volume_24h_usd::text
FROM price_points
WHERE listing = ANY ($1::integer[])
ORDER BY listing, at
"""
_BY_SOURCE = "SELECT source, count(*) FROM listings GROUP BY source ORDER BY source"
_BATCH = 5_000


class Observation(msgspec.Struct, frozen=True, gc=False):
    """An observation of a listing before the present one."""

    at: datetime.datetime
    fetched_at: datetime.datetime
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None


class StoredListing(msgspec.Struct, frozen=True, gc=False):
    """A row of `listings`; `values` are LISTING_COLUMNS."""

    id: int
    external_id: str
    content_hash: bytes
    has_own_time: bool
    first_seen_at: datetime.datetime
    before: tuple[Observation, ...]
    values: tuple[object, ...]


class StoredPoint(msgspec.Struct, frozen=True, gc=False):
    """A row of `price_points`; numbers as text."""

    listing: int
    at: datetime.datetime
    fetched_at: datetime.datetime | None
    tie: int | None
    is_held: bool
    price_usd: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None


class ListingSlice(msgspec.Struct, frozen=True):
    """Listings of one source, and all their payloads, by external id.

    `last` is the greatest external id of the slice, None for the source's last slice.
    """

    listings: list[StoredListing]
    payloads: list[StoredPayload]
    last: str | None


async def read_slice(
    connection: Connection, source: str, kind: Kind, after: str, limit: int
) -> ListingSlice:
    """Return the slice after the external id `after`, with about `limit` payloads."""
    payloads, last = await _payloads(connection, source, kind, after, limit)
    rows = await connection.fetch(_LISTINGS, source, after, last)
    return ListingSlice([_listing(row) for row in rows], payloads, last)


async def _payloads(
    connection: Connection, source: str, kind: Kind, after: str, limit: int
) -> tuple[list[StoredPayload], str | None]:
    """Return all payloads of the next external ids, and the last of these."""
    position = PayloadPosition(after, _END, _LAST_HASH) if after else PayloadPosition()
    payloads: list[StoredPayload] = []
    while True:
        page = await read_payloads(
            connection, source, kind, _ALL, position=position, rebuilt=True, limit=limit
        )
        payloads += page
        if len(page) < limit:
            return payloads, None
        unfinished = page[-1].external_id
        complete = [one for one in payloads if one.external_id != unfinished]
        if complete:
            return complete, complete[-1].external_id
        position = PayloadPosition(unfinished, page[-1].ingested_at, page[-1].content_hash)


def _listing(row: asyncpg.Record) -> StoredListing:
    number, external_id, content_hash, has_own_time, first_seen_at, *rest = row
    before = tuple(Observation(*one) for one in zip(*rest[:5], strict=True))
    values = tuple(rest[5 : 5 + len(LISTING_COLUMNS)])
    return StoredListing(
        number, external_id, content_hash, has_own_time, first_seen_at, before, values
    )


async def read_points(
    connection: Connection, listings: Sequence[int]
) -> AsyncIterator[list[StoredPoint]]:
    """Yield the points of each listing that has any, in the order of their times."""
    cursor = await connection.cursor(_POINTS, listings)
    series: list[StoredPoint] = []
    while rows := await cursor.fetch(_BATCH):
        for row in rows:
            if series and series[0].listing != row[0]:
                yield series
                series = []
            series.append(StoredPoint(*row))
    if series:
        yield series


async def count_listings_by_source(connection: Connection) -> list[tuple[str, int]]:
    """Return each source that has listings, and their number."""
    return [(row[0], row[1]) for row in await connection.fetch(_BY_SOURCE)]
