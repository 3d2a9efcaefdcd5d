"""Points of history: compare them with the expected ones, and write the differences."""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts

# A point that no payload explains (of a backfill, or older than the payloads) stays. A point that a
# payload explains by source and time stays while it agrees with that payload, and else is replaced.
# A missing cap or volume came from another source: it is derived from the payloads where a listing
# of the coin is rewritten.
_COMPARE = """
WITH version AS MATERIALIZED (
    SELECT
        v.ticker, v.source, v.observed_at AS at, v.price_usd, v.market_cap_usd, v.volume_24h_usd,
        v.price_usd IS NOT NULL
            AND (l.contributes OR v.ticker <> l.ticker OR o.source IS NULL) AS speaks
    FROM reprocess_versions AS v
    JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
    LEFT JOIN reprocess_owned AS o ON o.source = v.source AND o.external_id = v.external_id
    WHERE v.error IS NULL AND v.ingested_at > $2
    UNION ALL
    SELECT r.old_ticker, v.source, v.observed_at, NULL, NULL, NULL, false
    FROM reprocess_versions AS v
    JOIN reprocess_rewritten AS r ON r.source = v.source AND r.external_id = v.external_id
    WHERE v.error IS NULL AND v.ingested_at > $2 AND r.old_ticker <> v.ticker
),
moved AS MATERIALIZED (
    SELECT DISTINCT l.ticker
    FROM listings AS l
    JOIN reprocess_rewritten AS w ON w.source = l.source AND w.external_id = l.external_id
),
wrong AS MATERIALIZED (
    SELECT
        p.ticker, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, p.source,
        min(v.market_cap_usd) FILTER (WHERE v.speaks AND v.price_usd = p.price_usd) AS said_cap,
        min(v.volume_24h_usd) FILTER (WHERE v.speaks AND v.price_usd = p.price_usd) AS said_volume,
        bool_or(v.speaks AND v.price_usd = p.price_usd) AS right_price
    FROM price_points AS p
    JOIN version AS v ON v.ticker = p.ticker AND v.source = p.source AND v.at = p.at
    LEFT JOIN reprocess_points AS e
        ON e.ticker = p.ticker AND e.at = p.at AND e.source = p.source AND e.price_usd = p.price_usd
        AND p.ticker IN (SELECT ticker FROM moved)
    WHERE p.ticker = ANY ($1::text[]) AND p.at >= (SELECT min(at) FROM version)
    GROUP BY p.ticker, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, p.source
    HAVING NOT bool_or(
        v.speaks AND v.price_usd = p.price_usd
        AND CASE WHEN e.ticker IS NULL
            THEN (v.market_cap_usd = p.market_cap_usd) IS NOT FALSE
                AND (v.volume_24h_usd = p.volume_24h_usd) IS NOT FALSE
            ELSE (e.market_cap_usd, e.volume_24h_usd) IS NOT DISTINCT
                FROM (p.market_cap_usd, p.volume_24h_usd)
        END
    )
)
INSERT INTO reprocess_point_changes (
    ticker, at, old_price_usd, old_market_cap_usd, old_volume_24h_usd, old_source, price_usd,
    market_cap_usd, volume_24h_usd, source
)
SELECT
    w.ticker, w.at, w.price_usd, w.market_cap_usd, w.volume_24h_usd, w.source,
    CASE WHEN mended THEN coalesce(e.price_usd, w.price_usd) END,
    CASE
        WHEN e.ticker IS NOT NULL THEN e.market_cap_usd
        WHEN mended THEN coalesce(w.said_cap, w.market_cap_usd)
    END,
    CASE
        WHEN e.ticker IS NOT NULL THEN e.volume_24h_usd
        WHEN mended THEN coalesce(w.said_volume, w.volume_24h_usd)
    END,
    CASE WHEN mended THEN coalesce(e.source, w.source) END
FROM wrong AS w
LEFT JOIN reprocess_points AS e ON e.ticker = w.ticker AND e.at = w.at
CROSS JOIN LATERAL (SELECT e.ticker IS NOT NULL OR w.right_price AS mended) AS m
WHERE NOT mended OR (w.price_usd, w.market_cap_usd, w.volume_24h_usd, w.source) IS DISTINCT FROM (
    coalesce(e.price_usd, w.price_usd),
    CASE
        WHEN e.ticker IS NULL THEN coalesce(w.said_cap, w.market_cap_usd)
        ELSE e.market_cap_usd
    END,
    CASE
        WHEN e.ticker IS NULL THEN coalesce(w.said_volume, w.volume_24h_usd)
        ELSE e.volume_24h_usd
    END,
    coalesce(e.source, w.source)
)
UNION ALL
SELECT
    e.ticker, e.at, NULL, NULL, NULL, NULL, e.price_usd, e.market_cap_usd, e.volume_24h_usd,
    e.source
FROM reprocess_points AS e
LEFT JOIN price_points AS p ON p.ticker = e.ticker AND p.at = e.at
WHERE e.covered AND p.ticker IS NULL
"""
_FORGET = "TRUNCATE reprocess_point_changes"
_ANALYZE = "ANALYZE reprocess_point_changes"

_MEND = """
UPDATE price_points AS p
SET
    price_usd = c.price_usd, market_cap_usd = c.market_cap_usd, volume_24h_usd = c.volume_24h_usd,
    source = c.source
FROM reprocess_point_changes AS c
WHERE c.ticker = ANY ($1::text[]) AND p.ticker = ANY ($1::text[])
  AND p.ticker = c.ticker AND p.at = c.at
  AND c.price_usd IS NOT NULL AND c.old_price_usd IS NOT NULL
"""
_REMOVE = """
DELETE FROM price_points AS p
USING reprocess_point_changes AS c
WHERE c.ticker = ANY ($1::text[]) AND p.ticker = ANY ($1::text[]) AND p.ticker = c.ticker
    AND p.at = c.at
  AND c.price_usd IS NULL
"""
_ADD = """
INSERT INTO price_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
SELECT ticker, at, price_usd, market_cap_usd, volume_24h_usd, source
FROM reprocess_point_changes
WHERE ticker = ANY ($1::text[]) AND old_price_usd IS NULL
ORDER BY ticker, at
ON CONFLICT (ticker, at) DO NOTHING
"""
_REPORT = with_counts("""
WITH difference AS (
    SELECT
        ticker || ' ' || at AS id,
        CASE WHEN price_usd IS NULL THEN '(removed)' ELSE '(added)' END AS field,
        old_price_usd::text AS old, price_usd::text AS new
    FROM reprocess_point_changes
    WHERE price_usd IS NULL OR old_price_usd IS NULL
    UNION ALL
    SELECT c.ticker || ' ' || c.at, f.field, f.old, f.new
    FROM reprocess_point_changes AS c
    CROSS JOIN LATERAL (VALUES
        ('price_usd', c.old_price_usd::text, c.price_usd::text),
        ('market_cap_usd', c.old_market_cap_usd::text, c.market_cap_usd::text),
        ('volume_24h_usd', c.old_volume_24h_usd::text, c.volume_24h_usd::text),
        ('source', c.old_source, c.source)
    ) AS f (field, old, new)
    WHERE c.price_usd IS NOT NULL AND c.old_price_usd IS NOT NULL AND f.old IS DISTINCT FROM f.new
)
""")


async def compare_points(
    connection: Connection, tickers: Collection[str], after: datetime.datetime
) -> None:
    """Save the differences between the points of `tickers` and the expected ones.

    Only points that payloads after `after` explain are compared.
    """
    await connection.execute(_FORGET)
    await connection.execute(_COMPARE, tickers, after)
    await connection.execute(_ANALYZE)


async def place_points(connection: Connection, tickers: Collection[str]) -> None:
    """Write the saved differences of `tickers`."""
    for statement in (_MEND, _REMOVE, _ADD):
        await connection.execute(statement, tickers)


async def report_points(connection: Connection) -> list[Change]:
    """Return the saved differences, with_counts."""
    return read_changes("price_points", await connection.fetch(_REPORT))
