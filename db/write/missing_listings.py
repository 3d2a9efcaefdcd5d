"""Listings that the sweeps of a source miss, and that become inactive, or active again."""

import datetime
from collections.abc import Collection
from typing import Literal

import msgspec

from db.connect.types import Connection

_ANY_TO_REVIVE = (
    "SELECT EXISTS (SELECT FROM listings WHERE source = $1 AND missing_since IS NOT NULL)"
)
_REVIVE = """
UPDATE listings
SET active = true, missing_since = NULL, last_seen_at = greatest(last_seen_at, $3)
WHERE source = $1 AND missing_since IS NOT NULL AND external_id = ANY ($2::text[])
RETURNING ticker
"""
_ANY_MISSING = """
SELECT EXISTS (SELECT FROM listings WHERE source = $1 AND missing_since IS NOT NULL AND active)
"""
_COUNT_MISSING = """
SELECT
    count(*) FILTER (
        WHERE external_id NOT IN (SELECT unnest(external_ids) FROM source_pages WHERE source = $1)
    ),
    count(*)
FROM listings
WHERE source = $1 AND active
"""
_MARK_MISSING = """
UPDATE listings
SET active = $3 = 0 OR ($3 > 1 AND missing_since IS NULL),
    last_seen_at = CASE WHEN missing_since IS NULL THEN greatest(last_seen_at, $4) ELSE last_seen_at
        END,
    missing_since = coalesce(missing_since, $2)
WHERE source = $1 AND active
  AND external_id NOT IN (SELECT unnest(external_ids) FROM source_pages WHERE source = $1)
RETURNING ticker, active
"""


class MissingListings(msgspec.Struct, frozen=True):
    """How many of the active listings a sweep did not find, and how many are active."""

    missing: int
    active: int


async def revive_listings(
    connection: Connection,
    source: str,
    external_ids: Collection[str],
    fetched_at: datetime.datetime,
) -> frozenset[str]:
    """Make the listings of a page fetched at `fetched_at` active; return the tickers to merge."""
    if not await connection.fetchval(_ANY_TO_REVIVE, source):
        return frozenset()
    rows = await connection.fetch(_REVIVE, source, list(external_ids), fetched_at)
    return frozenset(row["ticker"] for row in rows)


async def any_missing(connection: Connection, source: str) -> bool:
    """Return whether an active listing was missing from the newest complete sweep."""
    missing: bool = await connection.fetchval(_ANY_MISSING, source)
    return missing


async def count_missing(connection: Connection, source: str) -> MissingListings:
    """Count the active listings of `source`, and those that its newest complete sweep missed."""
    row = await connection.fetchrow(_COUNT_MISSING, source)
    return MissingListings(0, 0) if row is None else MissingListings(*row)


async def mark_missing(
    connection: Connection,
    source: str,
    *,
    sweep_started_at: datetime.datetime,
    previous_sweep_at: datetime.datetime | None,
    missed_sweeps: Literal[0, 1, 2],
) -> frozenset[str]:
    """Mark the listings that the sweep missed; return the tickers of those that become inactive.

    A listing becomes inactive after `missed_sweeps` sweeps without it; with 0, never.
    """
    rows = await connection.fetch(
        _MARK_MISSING, source, sweep_started_at, missed_sweeps, previous_sweep_at
    )
    return frozenset(row["ticker"] for row in rows if not row["active"])
