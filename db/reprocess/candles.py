"""Rebuild the candles of changed points: ended ones first, open ones under the write lock."""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts

_FIND = """
INSERT INTO reprocess_buckets (ticker, interval, start, ends_at)
SELECT DISTINCT
    ticker, unit.interval, date_bin(width, at, 'epoch'), date_bin(width, at, 'epoch') + width
FROM reprocess_point_changes,
    (VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (interval, width)
ON CONFLICT DO NOTHING
"""
_ANALYZE = "ANALYZE reprocess_buckets"
_COMPARE = """
WITH bucket AS MATERIALIZED (
    SELECT ticker, interval, start, ends_at
    FROM reprocess_buckets
    WHERE ticker = ANY ($1::text[]) AND ends_at <= $2
),
candle AS MATERIALIZED (
    SELECT
        b.ticker, b.interval, b.start, (array_agg(p.price_usd ORDER BY p.at))[1] AS open,
        max(p.price_usd) AS high, min(p.price_usd) AS low,
        (array_agg(p.price_usd ORDER BY p.at DESC))[1] AS close, min(p.at) AS open_at,
        max(p.at) AS close_at, count(*)::integer AS samples
    FROM bucket AS b
    JOIN price_points AS p
        ON p.ticker = b.ticker AND date_bin(b.ends_at - b.start, p.at, 'epoch') = b.start
    WHERE p.ticker = ANY ($1::text[])
      AND p.at >= (SELECT min(start) FROM bucket) AND p.at < (SELECT max(ends_at) FROM bucket)
    GROUP BY b.ticker, b.interval, b.start
),
before AS MATERIALIZED (
    SELECT c.*
    FROM candles AS c JOIN bucket AS b USING (ticker, interval, start)
    WHERE c.ticker = ANY ($1::text[])
      AND c.start >= (SELECT min(start) FROM bucket) AND c.start < (SELECT max(ends_at) FROM bucket)
)
INSERT INTO reprocess_candle_changes (
    ticker, interval, start, old_open, old_high, old_low, old_close, old_open_at, old_close_at,
    old_samples, open, high, low, close, open_at, close_at, samples
)
SELECT
    ticker, interval, start, b.open, b.high, b.low, b.close, b.open_at, b.close_at, b.samples,
    n.open, n.high, n.low, n.close, n.open_at, n.close_at, n.samples
FROM candle AS n FULL JOIN before AS b USING (ticker, interval, start)
WHERE (b.open, b.high, b.low, b.close, b.open_at, b.close_at, b.samples)
    IS DISTINCT FROM (n.open, n.high, n.low, n.close, n.open_at, n.close_at, n.samples)
"""
# A candle that differs from the one compared was widened by a page meanwhile: the comparison is
# then invalid.
_PLACE = """
WITH change AS MATERIALIZED (
    SELECT * FROM reprocess_candle_changes WHERE ticker = ANY ($1::text[])
),
updated AS (
    UPDATE candles AS c
    SET
        open = n.open, high = n.high, low = n.low, close = n.close, open_at = n.open_at,
        close_at = n.close_at, samples = n.samples
    FROM change AS n
    WHERE c.ticker = ANY ($1::text[])
      AND c.ticker = n.ticker AND c.interval = n.interval AND c.start = n.start
      AND n.samples IS NOT NULL
      AND (c.open, c.high, c.low, c.close, c.open_at, c.close_at, c.samples) = (
        n.old_open, n.old_high, n.old_low, n.old_close, n.old_open_at, n.old_close_at, n.old_samples
      )
    RETURNING 1
),
removed AS (
    DELETE FROM candles AS c
    USING change AS n
    WHERE c.ticker = ANY ($1::text[])
      AND c.ticker = n.ticker AND c.interval = n.interval AND c.start = n.start
      AND n.samples IS NULL
      AND (c.open_at, c.close_at, c.samples) = (n.old_open_at, n.old_close_at, n.old_samples)
    RETURNING 1
),
added AS (
    INSERT INTO candles (
        ticker, interval, start, open, high, low, close, open_at, close_at, samples
    )
    SELECT ticker, interval, start, open, high, low, close, open_at, close_at, samples
    FROM change
    WHERE old_samples IS NULL
    ORDER BY ticker, interval, start
    ON CONFLICT (ticker, interval, start) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM change)
    = (SELECT count(*) FROM updated) + (SELECT count(*) FROM removed) + (SELECT count(*) FROM added)
"""
_REPORT = with_counts("""
WITH difference AS (
    SELECT
        ticker || ' ' || interval || ' ' || start AS id,
        CASE WHEN samples IS NULL THEN '(removed)' ELSE '(added)' END AS field,
        old_close::text AS old, close::text AS new
    FROM reprocess_candle_changes
    WHERE samples IS NULL OR old_samples IS NULL
    UNION ALL
    SELECT c.ticker || ' ' || c.interval || ' ' || c.start, f.field, f.old, f.new
    FROM reprocess_candle_changes AS c
    CROSS JOIN LATERAL (VALUES
        ('open', c.old_open::text, c.open::text), ('high', c.old_high::text, c.high::text),
        ('low', c.old_low::text, c.low::text), ('close', c.old_close::text, c.close::text),
        ('samples', c.old_samples::text, c.samples::text)
    ) AS f (field, old, new)
    WHERE c.samples IS NOT NULL AND c.old_samples IS NOT NULL AND f.old IS DISTINCT FROM f.new
)
""")
_DONE = "DELETE FROM reprocess_buckets WHERE ends_at <= $1"
_FORGET = "TRUNCATE reprocess_candle_changes"


async def find_buckets(connection: Connection) -> None:
    """Save the hours and days of the changed points."""
    await connection.execute(_FIND)
    await connection.execute(_ANALYZE)


async def rebuild_candles(
    connection: Connection, tickers: Collection[str], ended_by: datetime.datetime
) -> bool:
    """Rebuild the saved candles that ended by then; return False if a page wrote one meanwhile."""
    await connection.execute(_COMPARE, tickers, ended_by)
    sound: bool = await connection.fetchval(_PLACE, tickers)
    return sound


async def report_candles(connection: Connection, ended_by: datetime.datetime) -> list[Change]:
    """Return the with_counts changes of the candles that ended by then, and clear them."""
    changes = read_changes("candles", await connection.fetch(_REPORT))
    await connection.execute(_DONE, ended_by)
    await connection.execute(_FORGET)
    return changes
