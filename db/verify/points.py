"""Points, by the key that a payload gives them, and by the fetch that they come from."""

import datetime
from collections.abc import Collection, Mapping, Sequence

import msgspec

from db.connect.types import Connection

PointKey = tuple[int, datetime.datetime]
"""A listing and a time."""

# Numbers as text: nearly all are equal to what the payload says, digit for digit.
_COLUMNS = """
    p.listing, p.at, p.fetched_at, p.tie, p.price_usd::text, p.market_cap_usd::text,
    p.volume_24h_usd::text"""
# Looking up each key is slower than reading a stretch, where the keys lie close together.
_OF_KEYS = f"""
SELECT {_COLUMNS}
FROM unnest($1::integer[], $2::timestamptz[]) AS k (listing, at)
CROSS JOIN LATERAL (
    SELECT * FROM price_points AS o WHERE o.listing = k.listing AND o.at = k.at OFFSET 0
) AS p
"""  # noqa: S608 - of constants
_OF_STRETCH = f"""
SELECT {_COLUMNS}
FROM price_points AS p
WHERE p.listing = ANY ($1::integer[]) AND p.at >= $2 AND p.at <= $3
"""  # noqa: S608 - of constants
_DENSE = 20
"""Keys of a listing from which on a stretch is read."""
# Points of a day may have been removed by age; one that is left says so.
_NOT_THINNED = """
SELECT k.listing, k.at
FROM unnest($1::integer[], $2::timestamptz[]) AS k (listing, at)
WHERE NOT EXISTS (
    SELECT FROM price_points AS p
    WHERE p.listing = k.listing AND p.at >= date_bin('1 day', k.at, 'epoch')
      AND p.at < date_bin('1 day', k.at, 'epoch') + interval '1 day' AND p.thinned_hours > 0
)
"""
_RANKS = """
SELECT id, external_id, observed_at, fetched_at, content_hash
FROM listings
WHERE source = $1 AND external_id = ANY ($2::text[])
"""
_FETCHES = """
SELECT p.fetched_at, count(*)
FROM price_points AS p JOIN listings AS l ON l.id = p.listing
WHERE l.source = $1 AND p.fetched_at >= $2
GROUP BY p.fetched_at
"""
_OF_FETCH = f"""
SELECT l.external_id, {_COLUMNS}
FROM price_points AS p JOIN listings AS l ON l.id = p.listing
WHERE l.source = $1 AND p.fetched_at = $2
"""  # noqa: S608 - of constants


class StoredPoint(msgspec.Struct, frozen=True, gc=False):
    """A row of `price_points`; numbers as text."""

    listing: int
    at: datetime.datetime
    fetched_at: datetime.datetime | None
    tie: int | None
    price_usd: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None


class ListingRank(msgspec.Struct, frozen=True, gc=False):
    """The number of a listing, and what orders its versions."""

    id: int
    observed_at: datetime.datetime
    fetched_at: datetime.datetime
    content_hash: bytes

    @property
    def rank(self) -> tuple[datetime.datetime, datetime.datetime, bytes]:
        """The order of the versions of a listing: it is the greatest."""
        return self.observed_at, self.fetched_at, self.content_hash


async def read_ranks(
    connection: Connection, source: str, external_ids: Collection[str]
) -> dict[str, ListingRank]:
    """Return the listings with these external ids."""
    rows = await connection.fetch(_RANKS, source, list(external_ids))
    return {row[1]: ListingRank(row[0], row[2], row[3], row[4]) for row in rows}


async def points_of_keys(
    connection: Connection, keys: Sequence[PointKey]
) -> Mapping[PointKey, StoredPoint]:
    """Return the points with these keys, and perhaps others."""
    listings = {listing for listing, _ in keys}
    if len(keys) >= _DENSE * len(listings):
        times = [at for _, at in keys]
        rows = await connection.fetch(
            _OF_STRETCH, list(listings), min(times, default=None), max(times, default=None)
        )
    else:
        rows = await connection.fetch(_OF_KEYS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row[0], row[1]): StoredPoint(*row) for row in rows}


async def not_thinned(connection: Connection, keys: Collection[PointKey]) -> list[PointKey]:
    """Return the keys on whose day no point of the listing was removed by age."""
    if not keys:
        return []
    listings, times = zip(*keys, strict=True)
    rows = await connection.fetch(_NOT_THINNED, listings, times)
    return [(row[0], row[1]) for row in rows]


async def count_by_fetch(
    connection: Connection, source: str, since: datetime.datetime
) -> dict[datetime.datetime, int]:
    """Return the number of points of each fetch from `since` on."""
    return {row[0]: row[1] for row in await connection.fetch(_FETCHES, source, since)}


async def points_of_fetch(
    connection: Connection, source: str, fetched_at: datetime.datetime
) -> list[tuple[str, StoredPoint]]:
    """Return the points of one fetch, with the external ids of their listings."""
    rows = await connection.fetch(_OF_FETCH, source, fetched_at)
    return [(row[0], StoredPoint(*row[1:])) for row in rows]
