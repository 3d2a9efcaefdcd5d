"""Compute which coins new listings would change, in temporary tables that hide the real ones."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.pool import is_lost
from db.connect.types import Connection
from db.write.coins import merge_coins
from db.write.listing_columns import (
    LISTING_RECORD,
    LISTING_VALUES,
    REMEMBER_OBSERVATION,
    REPLACE_LISTING,
)
from db.write.listings import Listing

CHUNK_TICKERS = 5_000

# Without numbers: the sequence of the real table is not touched.
GIVEN = """
CREATE TEMP TABLE given (LIKE public.listings INCLUDING DEFAULTS, PRIMARY KEY (external_id));
ALTER TABLE given ALTER COLUMN id SET DEFAULT 0
"""
TABLES = """
CREATE TEMP TABLE touched (ticker text PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE listings (LIKE public.listings INCLUDING DEFAULTS,
    PRIMARY KEY (source, external_id)) ON COMMIT DROP;
CREATE INDEX ON listings (ticker);
CREATE TEMP TABLE normalized_records (
    LIKE public.normalized_records INCLUDING DEFAULTS INCLUDING GENERATED, PRIMARY KEY (ticker)
) ON COMMIT DROP;
CREATE TEMP TABLE sources (LIKE public.sources INCLUDING DEFAULTS,
    PRIMARY KEY (name)) ON COMMIT DROP;
"""
"""Statements of this session find these before the tables of the schema `public`."""
_READ_ONLY = "SET TRANSACTION READ ONLY"  # temporary tables can still be written

_ADD = f"""
INSERT INTO given AS g (
    source, external_id, {LISTING_VALUES},
    content_hash, fetched_at, first_seen_at, last_seen_at, has_own_time
)
SELECT DISTINCT ON (external_id)
    $1, external_id, {LISTING_VALUES},
    decode(content_hash, 'base64'), $3, $3, $3, coalesce(has_own_time, true)
FROM json_to_recordset($2::json) AS r ({LISTING_RECORD})
ORDER BY external_id, observed_at DESC, content_hash DESC
ON CONFLICT (external_id) DO UPDATE SET {REPLACE_LISTING}
WHERE excluded.observed_at >= g.observed_at
"""  # noqa: S608 - of constants
# The tickers of the listings, and the former tickers of renamed ones.
_TOUCH = """
INSERT INTO touched
SELECT ticker FROM given
UNION
SELECT p.ticker FROM public.listings AS p JOIN given AS g ON g.source = p.source
    AND g.external_id = p.external_id
"""
# The other tickers of their assets.
_TOUCH_BRIDGED = """
INSERT INTO touched
SELECT DISTINCT there.ticker
FROM touched AS t
JOIN ticker_bridges AS here ON here.ticker = t.ticker
JOIN ticker_bridges AS there ON there.proof = here.proof
ON CONFLICT DO NOTHING
"""
_COPY_SOURCES = "INSERT INTO sources SELECT * FROM public.sources"
_ADD_SOURCE = """
INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ($1, 'file', true, $2, $3)
ON CONFLICT (name) DO NOTHING
"""
_COPY_COINS = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        created_at,
    ingested_at, price_spread_percent, rival_count, provenance, stale_at, asset, confidence,
    is_suspect, excluded
)
SELECT
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        created_at,
    ingested_at, price_spread_percent, rival_count, provenance, stale_at, asset, confidence,
    is_suspect, excluded
FROM public.normalized_records
WHERE ticker IN (SELECT ticker FROM touched)
"""
# An older listing does not overwrite a newer one, but makes it active.
_COPY_LISTINGS = """
INSERT INTO listings
SELECT p.*
FROM public.listings AS p
WHERE p.ticker IN (SELECT ticker FROM touched)
"""
_REVIVE = """
UPDATE listings AS l SET active = true, missing_since = NULL
FROM given AS g
WHERE g.source = l.source AND g.external_id = l.external_id
"""
_TAKE = f"""
INSERT INTO listings AS l SELECT * FROM given
ON CONFLICT (source, external_id) DO UPDATE SET
    {REPLACE_LISTING},
    {REMEMBER_OBSERVATION}
WHERE (excluded.observed_at, excluded.fetched_at) > (l.observed_at, l.fetched_at)
"""  # noqa: S608 - of constants
_TICKERS = "SELECT ticker FROM touched ORDER BY ticker"


class WhatIf:
    """Unwritten listings of one source; they end with the connection, which is not shared."""

    def __init__(self, connection: Connection, source: str, now: datetime.datetime) -> None:
        self._connection = connection
        self._source = source
        self._now = now

    async def open(self) -> None:
        """Create the table of the listings."""
        await self._connection.execute(GIVEN)

    async def add(self, listings: Sequence[Listing]) -> None:
        """Add listings, as rows of a source's pages; the newest of an external id counts."""
        if listings:
            await self._connection.execute(
                _ADD, self._source, msgspec.json.encode(listings), self._now
            )

    async def count_changes(self, priority: int, poll_seconds: int) -> int:
        """Return how many coins would change; the settings are for a source that never ran.

        The transaction writes temporary tables only, takes no lock that blocks others, and is
        rolled back.
        """
        transaction = self._connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            await self._connection.execute(TABLES)
            await self._connection.execute(_READ_ONLY)
            for statement in (
                _TOUCH,
                _TOUCH_BRIDGED,
                _COPY_SOURCES,
                _COPY_COINS,
                _COPY_LISTINGS,
                _REVIVE,
                _TAKE,
            ):
                await self._connection.execute(statement)
            await self._connection.execute(_ADD_SOURCE, self._source, priority, poll_seconds)
            tickers = [ticker for (ticker,) in await self._connection.fetch(_TICKERS)]
            count = 0
            for start in range(0, len(tickers), CHUNK_TICKERS):
                merged = await merge_coins(
                    self._connection, tickers[start : start + CHUNK_TICKERS], self._now
                )
                count += len(merged)
            return count
        finally:
            if not is_lost(self._connection):
                await transaction.rollback()
