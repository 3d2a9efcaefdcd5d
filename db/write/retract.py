"""Delete listings that were read by mistake, with their payloads and prices in history."""

from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.write.listings import Listing

_GIVEN = """
json_to_recordset($2::json) AS g (
    external_id text, content_hash text, ticker text, observed_at timestamptz, price_usd numeric
)
"""
_HAS_READ = "SELECT EXISTS (SELECT FROM source_pages WHERE source = $1 AND page_group = $2)"
_DELETE_LISTINGS = f"""
DELETE FROM listings AS l USING {_GIVEN}
WHERE l.source = $1 AND l.external_id = g.external_id
  AND l.content_hash = decode(g.content_hash, 'base64')
RETURNING l.ticker
"""
_DELETE_PAYLOADS = f"""
DELETE FROM raw_csv_records AS r USING {_GIVEN}
WHERE r.source = $1 AND r.external_id = g.external_id
  AND r.content_hash = decode(g.content_hash, 'base64')
"""
_DELETE_POINTS = f"""
DELETE FROM price_points AS p USING {_GIVEN}
WHERE p.source = $1 AND p.ticker = g.ticker AND p.at = g.observed_at AND p.price_usd = g.price_usd
RETURNING p.ticker, p.at
"""
_BUCKET = """
bucket AS MATERIALIZED (
    SELECT DISTINCT ticker, interval, date_bin(width, at, 'epoch') AS start, width
    FROM
        unnest($1::text[], $2::timestamptz[]) AS point (ticker, at),
        (VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (interval, width)
)
"""
_DELETE_CANDLES = f"""
WITH {_BUCKET}
DELETE FROM candles AS c USING bucket AS b
WHERE c.ticker = b.ticker AND c.interval = b.interval AND c.start = b.start
"""
_ROLL_CANDLES = f"""
WITH {_BUCKET}
INSERT INTO candles (ticker, interval, start, open, high, low, close, open_at, close_at, samples)
SELECT
    b.ticker, b.interval, b.start,
    (array_agg(p.price_usd ORDER BY p.at))[1], max(p.price_usd), min(p.price_usd),
    (array_agg(p.price_usd ORDER BY p.at DESC))[1], min(p.at), max(p.at), count(*)
FROM bucket AS b
JOIN price_points AS p ON p.ticker = b.ticker AND p.at >= b.start AND p.at < b.start + b.width
GROUP BY b.ticker, b.interval, b.start
ORDER BY b.ticker, b.interval, b.start
"""


async def has_read(connection: Connection, source: str, group: str) -> bool:
    """Return whether the newest sweep of `source` has read this group of pages."""
    exists: bool = await connection.fetchval(_HAS_READ, source, group)
    return exists


async def delete_listings(
    connection: Connection, source: str, listings: Sequence[Listing]
) -> list[str]:
    """Delete listings of a file with exactly this content, and their history.

    Returns the tickers to merge. A listing with other content stays. The caller's transaction holds
    the write lock.
    """
    encoded = msgspec.json.encode(listings)
    tickers = [row["ticker"] for row in await connection.fetch(_DELETE_LISTINGS, source, encoded)]
    await connection.execute(_DELETE_PAYLOADS, source, encoded)
    points = await connection.fetch(_DELETE_POINTS, source, encoded)
    points_by_ticker = [row["ticker"] for row in points], [row["at"] for row in points]
    await connection.execute(_DELETE_CANDLES, *points_by_ticker)
    await connection.execute(_ROLL_CANDLES, *points_by_ticker)
    return tickers
