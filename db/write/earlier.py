"""What a listing said before: its two observations before the present one, its former tickers."""

import datetime
from collections.abc import Collection, Sequence

import asyncpg

from db.connect.types import Connection

# The newest two observations before the listing are what belief needs; an older ticker was a former
# one.
_REMEMBER = """
WITH incoming AS MATERIALIZED (
    SELECT DISTINCT ON (external_id, observed_at)
        external_id, ticker, observed_at, price_usd, market_cap_usd, volume_24h_usd
    FROM json_to_recordset($3::json) AS r (
        external_id text, ticker text, observed_at timestamptz, price_usd numeric,
        market_cap_usd numeric, volume_24h_usd numeric, content_hash text
    )
    ORDER BY external_id, observed_at, decode(content_hash, 'base64') DESC
),
late AS MATERIALIZED (
    SELECT i.*, l.before, l.ticker AS present_ticker
    FROM listings AS l
    JOIN incoming AS i ON i.external_id = l.external_id
    WHERE l.source = $1 AND l.external_id = ANY (ARRAY(SELECT external_id FROM incoming))
      AND i.observed_at < l.observed_at
),
former AS (
    INSERT INTO former_tickers AS f (source, external_id, ticker, until)
    SELECT $1, external_id, ticker, max(observed_at)
    FROM late
    WHERE ticker <> present_ticker
    GROUP BY external_id, ticker
    ON CONFLICT (source, external_id, ticker) DO UPDATE
        SET until = greatest(f.until, excluded.until)
),
known AS MATERIALIZED (
    SELECT external_id, before,
        ROW(observed_at, $2, price_usd, market_cap_usd, volume_24h_usd)::observation AS one
    FROM late
    WHERE (cardinality(before) < 2 OR observed_at >= (before[2]).at)
      -- The same record, read twice, changes nothing.
      AND NOT EXISTS (
        SELECT FROM unnest(before) AS o
        WHERE o.at = observed_at
          AND (o.price_usd, o.market_cap_usd, o.volume_24h_usd)
            IS NOT DISTINCT FROM (late.price_usd, late.market_cap_usd, late.volume_24h_usd)
      )
),
remembered AS MATERIALIZED (
    SELECT external_id, array_agg(one ORDER BY (one).at DESC) AS before
    FROM (
        SELECT external_id, one, row_number() OVER (
            PARTITION BY external_id ORDER BY (one).at DESC) AS place
        FROM (
            SELECT DISTINCT ON (external_id, (one).at) external_id, one
            FROM (
                SELECT external_id, one, true AS is_new FROM known
                UNION ALL
                SELECT k.external_id, o, false
                FROM (SELECT DISTINCT external_id, before FROM known) AS k, unnest(k.before) AS o
            ) AS every
            ORDER BY external_id, (one).at, (one).fetched_at DESC, is_new DESC
        ) AS of_times
    ) AS placed
    WHERE place <= 2
    GROUP BY external_id
)
UPDATE listings AS l SET before = r.before
FROM remembered AS r
WHERE l.source = $1 AND l.external_id = r.external_id AND l.before IS DISTINCT FROM r.before
RETURNING l.ticker
"""
_FORMER = """
SELECT external_id, ticker, observed_at FROM listings
WHERE source = $1 AND external_id = ANY ($2::text[])
"""
_ADD_FORMER = """
INSERT INTO former_tickers AS f (source, external_id, ticker, until)
SELECT $1, o.external_id, o.ticker, o.until
FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS o (external_id, ticker, until)
JOIN listings AS l ON l.source = $1 AND l.external_id = o.external_id AND l.ticker <> o.ticker
ON CONFLICT (source, external_id, ticker) DO UPDATE SET until = greatest(f.until, excluded.until)
"""


async def remember_late(
    connection: Connection, source: str, fetched_at: datetime.datetime, rows: bytes
) -> frozenset[str]:
    """Keep records that are older than their listing, or than another record of the page.

    `rows` are encoded listings. Returns the tickers to merge.
    """
    changed = await connection.fetch(_REMEMBER, source, fetched_at, rows)
    return frozenset(row["ticker"] for row in changed)


async def read_tickers(
    connection: Connection, source: str, external_ids: Collection[str]
) -> Sequence[asyncpg.Record]:
    """Return the tickers of listings that may be renamed, for `save_former_tickers`."""
    if not external_ids:
        return []
    rows: list[asyncpg.Record] = await connection.fetch(_FORMER, source, list(external_ids))
    return rows


async def save_former_tickers(
    connection: Connection, source: str, former: Sequence[asyncpg.Record]
) -> None:
    """Save the tickers that listings had before they were written."""
    if former:
        names = ("external_id", "ticker", "observed_at")
        columns = [[row[name] for row in former] for name in names]
        await connection.execute(_ADD_FORMER, source, *columns)
