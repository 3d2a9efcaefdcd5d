"""Candles, compared with the points that they are rolled up from."""

import datetime
from collections.abc import Sequence

from db.connect.types import Connection
from db.points import COUNTED, ROLL_POINTS
from db.verify.differences import Tally, find_differences

# Hours from points, days from these hours: a day is then right if both are. Where points of a day
# were removed by age, its candles stand for themselves.
_COMPARE = f"""
WITH thinned AS MATERIALIZED (
    SELECT DISTINCT listing, date_bin('1 day', at, 'epoch') AS day
    FROM price_points
    WHERE listing = ANY ($1::integer[]) AND at >= $2 AND thinned_hours > 0
),
hour AS MATERIALIZED (
    SELECT p.listing, date_bin('1 hour', p.at, 'epoch') AS start,{ROLL_POINTS}
    FROM price_points AS p
    WHERE p.listing = ANY ($1::integer[]) AND p.at >= $2 AND {COUNTED}
      AND (p.listing, date_bin('1 day', p.at, 'epoch')) NOT IN (SELECT listing, day FROM thinned)
    GROUP BY 1, 2
),
rolled AS MATERIALIZED (
    SELECT listing, 'H1' AS interval, start, open, high, low, close, open_at, close_at, samples
    FROM hour
    UNION ALL
    SELECT
        listing, 'D1', date_bin('1 day', start, 'epoch'),
        (array_agg(open ORDER BY start))[1], max(high), min(low),
        (array_agg(close ORDER BY start DESC))[1], min(open_at), max(close_at),
        sum(samples)::integer
    FROM hour
    GROUP BY listing, date_bin('1 day', start, 'epoch')
),
stored AS MATERIALIZED (
    SELECT *
    FROM candles
    WHERE listing = ANY ($1::integer[]) AND start >= $2
      AND (listing, date_bin('1 day', start, 'epoch')) NOT IN (SELECT listing, day FROM thinned)
),
different AS (
    SELECT
        coalesce(s.listing, r.listing) AS listing, coalesce(s.interval, r.interval) AS interval,
        coalesce(s.start, r.start) AS start,
        s.samples IS NULL AS is_missing, r.samples IS NULL AS is_surplus,
        ARRAY[s.open::text, s.high::text, s.low::text, s.close::text, s.open_at::text,
            s.close_at::text, s.samples::text] AS old,
        ARRAY[r.open::text, r.high::text, r.low::text, r.close::text, r.open_at::text,
            r.close_at::text, r.samples::text] AS new,
        ARRAY[s.open = r.open, s.high = r.high, s.low = r.low, s.close = r.close,
            s.open_at = r.open_at, s.close_at = r.close_at, s.samples = r.samples] AS equal
    FROM stored AS s
    FULL JOIN rolled AS r USING (listing, interval, start)
    WHERE (s.open, s.high, s.low, s.close, s.open_at, s.close_at, s.samples)
        IS DISTINCT FROM (r.open, r.high, r.low, r.close, r.open_at, r.close_at, r.samples)
)
SELECT
    l.source || ':' || l.external_id || ' ' || d.interval || ' ' || d.start,
    CASE WHEN is_missing OR is_surplus THEN 'candle' ELSE f.what END,
    CASE WHEN is_surplus THEN 'close ' || d.old[4] || ' of ' || d.old[7] || ' points'
        WHEN NOT is_missing THEN f.old END,
    CASE WHEN is_missing THEN 'close ' || d.new[4] || ' of ' || d.new[7] || ' points'
        WHEN NOT is_surplus THEN f.new END
FROM different AS d
JOIN listings AS l ON l.id = d.listing
CROSS JOIN LATERAL unnest(
    ARRAY['open', 'high', 'low', 'close', 'open_at', 'close_at', 'samples'], d.old, d.new, d.equal
) AS f (what, old, new, equal)
WHERE f.equal IS FALSE OR ((is_missing OR is_surplus) AND f.what = 'open')
"""  # noqa: S608 - of constants
_COUNT = "SELECT count(*) FROM candles WHERE listing = ANY ($1::integer[]) AND start >= $2"


async def compare_candles(
    connection: Connection,
    tally: Tally,
    listings: Sequence[int],
    since: datetime.datetime,
    *,
    limit: int,
) -> None:
    """Add the candles of `listings` from `since`, the start of a day, that differ from the points.

    The caller's transaction is one snapshot.
    """
    tally.rows += await connection.fetchval(_COUNT, listings, since)
    await find_differences(connection, tally, _COMPARE, listings, since, limit=limit)
