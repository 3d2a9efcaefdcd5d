"""Staged payloads: every version for history, and the greatest of each listing in full."""

import datetime
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection
from db.reprocess.payloads import BodyPlace, LastBody, save_position
from db.write.listing_columns import LISTING_RECORD, LISTING_VALUES, REPLACE_LISTING
from db.write.listings import Listing

# A version that an interrupted reading staged is not counted again.
_STAGE = """
WITH staged AS (
    INSERT INTO reprocess_versions (
        source, external_id, ingested_at, content_hash, fetched_at, ticker, observed_at, price_usd,
            market_cap_usd,
        volume_24h_usd, error, rejection_id, has_own_time, body, body_offset, body_length
    )
    SELECT
        $1, external_id, ingested_at, decode(content_hash, 'base64'), fetched_at, ticker,
            observed_at, price_usd,
        market_cap_usd, volume_24h_usd, error, rejection_id, has_own_time, body, body_offset,
        body_length
    FROM json_to_recordset($2::json) AS r (
        external_id text, ingested_at timestamptz, content_hash text, fetched_at timestamptz,
            ticker text,
        observed_at timestamptz, price_usd numeric, market_cap_usd numeric, volume_24h_usd numeric,
            error text,
        rejection_id bigint, has_own_time boolean, body bigint, body_offset integer,
        body_length integer
    )
    ON CONFLICT DO NOTHING
    RETURNING error
)
UPDATE reprocess_progress
SET processed = processed + (SELECT count(*) FROM staged), failed = failed + (SELECT count(error)
    FROM staged)
WHERE source = $1
"""
# The greatest version of a listing, in the order of db/write/listings.py.
_STAGE_LISTINGS = f"""
INSERT INTO reprocess_listings AS w (
    source, external_id, {LISTING_VALUES}, fetched_at, content_hash, has_own_time, body,
    body_offset, body_length
)
SELECT
    $1, external_id, {LISTING_VALUES}, fetched_at,
    decode(content_hash, 'base64'), has_own_time, body, body_offset, body_length
FROM json_to_recordset($2::json) AS r (
    {LISTING_RECORD}, fetched_at timestamptz, body bigint, body_offset integer, body_length integer
)
ON CONFLICT (source, external_id) DO UPDATE SET {REPLACE_LISTING}
WHERE (excluded.observed_at, excluded.fetched_at, excluded.content_hash)
    > (w.observed_at, w.fetched_at, w.content_hash)
"""  # noqa: S608 - of constants
# Bodies bring the versions of a listing one by one; history reads them together.
_CLUSTER = "CLUSTER reprocess_versions USING reprocess_versions_pkey"
_ANALYZE = "ANALYZE reprocess_versions, reprocess_listings"


class Version(msgspec.Struct, frozen=True, gc=False):
    """A payload read by the present code, as far as history needs it, or the error."""

    external_id: str
    ingested_at: datetime.datetime
    content_hash: bytes
    fetched_at: datetime.datetime
    ticker: str | None
    observed_at: datetime.datetime | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    error: str | None
    rejection_id: int | None
    body: int | None
    body_offset: int | None
    body_length: int | None
    has_own_time: bool = True


class StagedListing(msgspec.Struct, frozen=True, gc=False):
    """The greatest version of a listing, when it was fetched, and where a body says it."""

    fetched_at: datetime.datetime
    listing: Listing
    place: BodyPlace | None


async def stage(
    connection: Connection,
    source: str,
    versions: Sequence[Version],
    listings: Sequence[StagedListing],
    position: LastBody | None,
) -> None:
    """Save and count versions and the greatest listings, and the position after them."""
    await connection.execute(_STAGE, source, msgspec.json.encode(versions))
    if listings:
        rows = [
            msgspec.structs.asdict(one.listing)
            | {"fetched_at": one.fetched_at}
            | ({} if one.place is None else msgspec.structs.asdict(one.place))
            for one in listings
        ]
        await connection.execute(_STAGE_LISTINGS, source, msgspec.json.encode(rows))
    if position is not None:
        await save_position(connection, source, position)


async def analyze(connection: Connection) -> None:
    """Update the planner's statistics."""
    await connection.execute(_CLUSTER)
    await connection.execute(_ANALYZE)
