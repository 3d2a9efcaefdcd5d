"""Rebuild the candles of changed points: ended ones first, open ones under the write lock."""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.points import COUNTED, ROLL_POINTS
from db.reprocess.changes import Change, read_changes, with_counts
from db.write.history import UNITS

_FIND = f"""
INSERT INTO reprocess_buckets (listing, interval, start, ends_at)
SELECT DISTINCT
    listing, unit.interval, date_bin(width, at, 'epoch'), date_bin(width, at, 'epoch') + width
FROM reprocess_point_changes, {UNITS}
ON CONFLICT DO NOTHING
"""  # noqa: S608 - of constants
# The first day of history may have lost its first points.
_FIND_ALL = f"""
INSERT INTO reprocess_buckets (listing, interval, start, ends_at)
SELECT listing, interval, start, start + width
FROM (
    SELECT c.listing, c.interval, c.start, width
    FROM candles AS c JOIN {UNITS} ON unit.interval = c.interval
    WHERE c.listing = ANY ($1::integer[])
    UNION
    SELECT p.listing, unit.interval, date_bin(width, p.at, 'epoch'), width
    FROM price_points AS p, {UNITS}
    WHERE p.listing = ANY ($1::integer[])
) AS bucket
WHERE start >= date_bin('1 day', $2::timestamptz, 'epoch') + interval '1 day'
ON CONFLICT DO NOTHING
"""  # noqa: S608 - of constants
_ANALYZE = "ANALYZE reprocess_buckets"
_COMPARE = f"""
WITH bucket AS MATERIALIZED (
    SELECT listing, interval, start, ends_at
    FROM reprocess_buckets
    WHERE listing = ANY ($1::integer[]) AND ends_at <= $2
),
candle AS MATERIALIZED (
    SELECT
        b.listing, b.interval, b.start,{ROLL_POINTS}
    FROM bucket AS b
    JOIN price_points AS p
        ON p.listing = b.listing AND date_bin(b.ends_at - b.start, p.at, 'epoch') = b.start
            AND {COUNTED}
    WHERE p.listing = ANY ($1::integer[])
      AND p.at >= (SELECT min(start) FROM bucket) AND p.at < (SELECT max(ends_at) FROM bucket)
    GROUP BY b.listing, b.interval, b.start
),
before AS MATERIALIZED (
    SELECT c.*
    FROM candles AS c JOIN bucket AS b USING (listing, interval, start)
    WHERE c.listing = ANY ($1::integer[])
      AND c.start >= (SELECT min(start) FROM bucket) AND c.start < (SELECT max(ends_at) FROM bucket)
)
INSERT INTO reprocess_candle_changes (
    listing, interval, start, old_open, old_high, old_low, old_close, old_open_at, old_close_at,
    old_samples, open, high, low, close, open_at, close_at, samples
)
SELECT
    listing, interval, start, b.open, b.high, b.low, b.close, b.open_at, b.close_at, b.samples,
    n.open, n.high, n.low, n.close, n.open_at, n.close_at, n.samples
FROM candle AS n FULL JOIN before AS b USING (listing, interval, start)
WHERE (b.open, b.high, b.low, b.close, b.open_at, b.close_at, b.samples)
    IS DISTINCT FROM (n.open, n.high, n.low, n.close, n.open_at, n.close_at, n.samples)
"""  # noqa: S608 - of constants
# A candle that differs from the one compared was widened by a page meanwhile: the comparison is
# then invalid.
_PLACE = """
WITH change AS MATERIALIZED (
    SELECT * FROM reprocess_candle_changes WHERE listing = ANY ($1::integer[])
),
updated AS (
    UPDATE candles AS c
    SET
        open = n.open, high = n.high, low = n.low, close = n.close, open_at = n.open_at,
        close_at = n.close_at, samples = n.samples
    FROM change AS n
    WHERE c.listing = ANY ($1::integer[])
      AND c.listing = n.listing AND c.interval = n.interval AND c.start = n.start
      AND n.samples IS NOT NULL
      AND (c.open, c.high, c.low, c.close, c.open_at, c.close_at, c.samples) = (
        n.old_open, n.old_high, n.old_low, n.old_close, n.old_open_at, n.old_close_at, n.old_samples
      )
    RETURNING 1
),
removed AS (
    DELETE FROM candles AS c
    USING change AS n
    WHERE c.listing = ANY ($1::integer[])
      AND c.listing = n.listing AND c.interval = n.interval AND c.start = n.start
      AND n.samples IS NULL
      AND (c.open_at, c.close_at, c.samples) = (n.old_open_at, n.old_close_at, n.old_samples)
    RETURNING 1
),
added AS (
    INSERT INTO candles (
        listing, interval, start, open, high, low, close, open_at, close_at, samples
    )
    SELECT listing, interval, start, open, high, low, close, open_at, close_at, samples
    FROM change
    WHERE old_samples IS NULL
    ORDER BY listing, interval, start
    ON CONFLICT (listing, interval, start) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM change)
    = (SELECT count(*) FROM updated) + (SELECT count(*) FROM removed) + (SELECT count(*) FROM added)
"""
_REPORT = with_counts("""
WITH change AS (
    SELECT l.source || ' ' || l.external_id || ' ' || c.interval || ' ' || c.start AS id, c.*
    FROM reprocess_candle_changes AS c JOIN listings AS l ON l.id = c.listing
),
difference AS (
    SELECT
        id,
        CASE WHEN samples IS NULL THEN '(removed)' ELSE '(added)' END AS field,
        old_close::text AS old, close::text AS new
    FROM change
    WHERE samples IS NULL OR old_samples IS NULL
    UNION ALL
    SELECT c.id, f.field, f.old, f.new
    FROM change AS c
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


async def find_all_buckets(
    connection: Connection, listings: Collection[int], oldest: datetime.datetime
) -> None:
    """Save all hours and days of these listings after the day of `oldest`."""
    await connection.execute(_FIND_ALL, listings, oldest)


async def analyze_buckets(connection: Connection) -> None:
    """Update the planner's statistics of the saved hours and days."""
    await connection.execute(_ANALYZE)


async def rebuild_candles(
    connection: Connection, listings: Collection[int], ended_by: datetime.datetime
) -> bool:
    """Rebuild the saved candles that ended by then; return False if a page wrote one meanwhile."""
    await connection.execute(_COMPARE, listings, ended_by)
    sound: bool = await connection.fetchval(_PLACE, listings)
    return sound


async def report_candles(connection: Connection, ended_by: datetime.datetime) -> list[Change]:
    """Return the changes of the candles that ended by then, counted, and clear them."""
    changes = read_changes("candles", await connection.fetch(_REPORT))
    await connection.execute(_DONE, ended_by)
    await connection.execute(_FORGET)
    return changes
