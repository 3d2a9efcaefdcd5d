"""Reprocessing: the points and candles that the payloads, as they read now, would have made."""

import datetime
from collections.abc import Collection

from db.reprocess_changes import Change, counted, read_changes
from db.types import Connection

# From top to bottom:
# speaker   the listing by which each source speaks for the coin now; it is taken to have done so all along
# version   what speakers said
# rival     listings that own no ticker, and did not before this rebuild: what one of them once owned was rightly so
# settled   tickers whose past is mended, not added to: a rival left true points there, or has been there all along and
#           nothing of the ticker changes now. Who owned it when cannot be told from payloads
# said      versions by arrival, with what is no payload's: points of sources that are not read, and the last point
#           before the payloads begin. `reach` orders observations as merging does: by time, then by priority
# arranged  with each field that a source does not say filled from what was said last
# spoken    of one page, the newest observation counts
# leader    what was the newest observation of its coin when it arrived; a price that differs is a point
# past      a file's rows are history themselves
_EXPECT = """
WITH speaker AS MATERIALIZED (
    SELECT DISTINCT ON (l.ticker, l.source) l.ticker, l.source, l.external_id
    FROM listings AS l
    WHERE l.contributes AND l.ticker = ANY ($1::text[])
    ORDER BY
        l.ticker, l.source, l.active DESC, coalesce(l.market_cap_usd, l.volume_24h_usd * 10) DESC NULLS LAST,
        l.rank NULLS LAST, l.observed_at DESC, l.external_id
),
place AS MATERIALIZED (
    SELECT name AS source, 1000 - row_number() OVER (ORDER BY priority, name) AS place FROM sources
),
version AS MATERIALIZED (
    SELECT
        s.ticker, v.source, v.ingested_at AS arrived_at, v.observed_at AS at, v.price_usd, v.market_cap_usd,
        v.volume_24h_usd, v.content_hash, v.ingested_at >= $2 AS covered
    FROM speaker AS s
    JOIN reprocess_versions AS v ON v.source = s.source AND v.external_id = s.external_id AND v.ticker = s.ticker
    WHERE v.price_usd IS NOT NULL
),
first AS MATERIALIZED (
    SELECT ticker, min(at) AS at FROM version GROUP BY ticker
),
rival AS MATERIALIZED (
    SELECT l.ticker, l.source, l.external_id
    FROM listings AS l
    WHERE NOT l.contributes AND l.ticker = ANY ($1::text[])
      AND NOT EXISTS (SELECT FROM reprocess_owned AS o WHERE o.source = l.source AND o.external_id = l.external_id)
),
settled AS MATERIALIZED (
    SELECT r.ticker
    FROM rival AS r
    JOIN reprocess_versions AS v ON v.source = r.source AND v.external_id = r.external_id AND v.ticker = r.ticker
    JOIN price_points AS p
        ON p.ticker = v.ticker AND p.source = v.source AND p.at = v.observed_at AND p.price_usd = v.price_usd
    WHERE p.ticker = ANY ($1::text[])
    UNION
    SELECT ticker
    FROM rival
    WHERE ticker NOT IN (
        SELECT l.ticker
        FROM listings AS l
        LEFT JOIN reprocess_rewritten AS w ON w.source = l.source AND w.external_id = l.external_id
        LEFT JOIN reprocess_owned AS o ON o.source = l.source AND o.external_id = l.external_id
        WHERE l.ticker = ANY ($1::text[]) AND (w.source IS NOT NULL OR l.contributes <> (o.source IS NOT NULL))
        UNION
        SELECT v.ticker FROM reprocess_versions AS v WHERE v.rejection_id IS NOT NULL AND v.error IS NULL
    )
),
said AS (
    SELECT v.*, true AS is_read FROM version AS v
    UNION ALL
    SELECT
        p.ticker, p.source, p.at, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, ''::bytea, false, false
    FROM first AS f
    CROSS JOIN LATERAL (
        SELECT * FROM price_points AS p WHERE p.ticker = f.ticker AND p.at < f.at ORDER BY p.at DESC LIMIT 1
    ) AS p
    UNION ALL
    SELECT
        p.ticker, p.source, p.at, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, ''::bytea, false, false
    FROM price_points AS p
    JOIN first AS f ON f.ticker = p.ticker
    WHERE p.ticker = ANY ($1::text[]) AND p.at >= f.at AND p.at >= (SELECT min(at) FROM first)
      AND p.source NOT IN (SELECT source FROM reprocess_progress)
),
arranged AS (
    SELECT
        s.*,
        (extract(epoch FROM s.at) * 1000000)::bigint * 1000 + coalesce(p.place, 0) AS reach,
        lag(s.source) OVER by_arrival AS source_before, lag(s.arrived_at) OVER by_arrival AS arrival_before,
        count(s.market_cap_usd) OVER by_arrival AS caps, count(s.volume_24h_usd) OVER by_arrival AS volumes
    FROM said AS s
    LEFT JOIN place AS p ON p.source = s.source
    WINDOW by_arrival AS (
        PARTITION BY s.ticker ORDER BY s.arrived_at, s.source, s.at DESC, s.content_hash DESC
        ROWS UNBOUNDED PRECEDING
    )
),
spoken AS (
    SELECT
        a.*,
        max(reach) OVER (
            PARTITION BY ticker ORDER BY arrived_at, source, at DESC, content_hash DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reached,
        first_value(market_cap_usd) OVER (
            PARTITION BY ticker, caps ORDER BY arrived_at, source, at DESC, content_hash DESC
        ) AS last_cap,
        first_value(volume_24h_usd) OVER (
            PARTITION BY ticker, volumes ORDER BY arrived_at, source, at DESC, content_hash DESC
        ) AS last_volume
    FROM arranged AS a
    WHERE (source_before, arrival_before) IS DISTINCT FROM (source, arrived_at)
),
leader AS (
    SELECT
        s.*,
        lag(price_usd) OVER (
            PARTITION BY ticker ORDER BY arrived_at, source, at DESC, content_hash DESC
        ) AS price_before
    FROM spoken AS s
    WHERE reached IS NULL OR reach >= reached
),
past AS (
    SELECT
        l.ticker, v.source, v.ingested_at AS arrived_at, v.observed_at AS at, v.price_usd, v.market_cap_usd,
        v.volume_24h_usd, v.external_id, v.ingested_at >= $2 AS covered
    FROM sources AS s
    JOIN listings AS l ON l.source = s.name AND l.contributes AND l.ticker = ANY ($1::text[])
    JOIN reprocess_versions AS v ON v.source = l.source AND v.external_id = l.external_id AND v.ticker = l.ticker
    WHERE s.kind = 'file' AND v.price_usd IS NOT NULL
),
expected AS (
    SELECT
        ticker, at, price_usd, coalesce(market_cap_usd, last_cap) AS market_cap_usd,
        coalesce(volume_24h_usd, last_volume) AS volume_24h_usd, source, covered, arrived_at, 0 AS order_in_page,
        '' AS external_id
    FROM leader
    WHERE is_read AND price_usd IS DISTINCT FROM price_before
    UNION ALL
    SELECT
        ticker, at, price_usd, market_cap_usd, volume_24h_usd, source, covered, arrived_at, 1, external_id
    FROM past
)
INSERT INTO reprocess_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source, covered)
SELECT DISTINCT ON (ticker, at)
    ticker, at, price_usd, market_cap_usd, volume_24h_usd, source,
    covered AND ticker NOT IN (SELECT ticker FROM settled)
FROM expected
WHERE at >= $3
ORDER BY ticker, at, arrived_at, order_in_page, price_usd, external_id
"""

# A point that no payload explains (a backfill's, or one older than the payloads) stays as it is. One that a payload
# explains by source and time stays while it says what that payload says now, else it gives way. What a source does not
# say of cap and volume came from another one: told from the payloads where one of the coin's listings is rewritten.
_REBUILD = counted("""
WITH version AS MATERIALIZED (
    SELECT
        v.ticker, v.source, v.observed_at AS at, v.price_usd, v.market_cap_usd, v.volume_24h_usd,
        v.price_usd IS NOT NULL AND (l.contributes OR v.ticker <> l.ticker OR o.source IS NULL) AS speaks
    FROM reprocess_versions AS v
    JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
    LEFT JOIN reprocess_owned AS o ON o.source = v.source AND o.external_id = v.external_id
    WHERE v.error IS NULL
    UNION ALL
    SELECT r.old_ticker, v.source, v.observed_at, NULL, NULL, NULL, false
    FROM reprocess_versions AS v
    JOIN reprocess_rewritten AS r ON r.source = v.source AND r.external_id = v.external_id
    WHERE v.error IS NULL AND r.old_ticker <> v.ticker
),
moved AS MATERIALIZED (
    SELECT DISTINCT l.ticker
    FROM listings AS l JOIN reprocess_rewritten AS w ON w.source = l.source AND w.external_id = l.external_id
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
    WHERE p.ticker = ANY ($1::text[]) AND p.at >= (SELECT min(observed_at) FROM reprocess_versions)
    GROUP BY p.ticker, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, p.source
    HAVING NOT bool_or(
        v.speaks AND v.price_usd = p.price_usd
        AND CASE WHEN e.ticker IS NULL
            THEN (v.market_cap_usd = p.market_cap_usd) IS NOT FALSE
                AND (v.volume_24h_usd = p.volume_24h_usd) IS NOT FALSE
            ELSE (e.market_cap_usd, e.volume_24h_usd) IS NOT DISTINCT FROM (p.market_cap_usd, p.volume_24h_usd)
        END
    )
),
mended AS MATERIALIZED (
    SELECT
        w.ticker, w.at, w.price_usd AS old_price, w.market_cap_usd AS old_cap, w.volume_24h_usd AS old_volume,
        w.source AS old_source,
        coalesce(e.price_usd, w.price_usd) AS price_usd,
        CASE WHEN e.ticker IS NULL THEN coalesce(w.said_cap, w.market_cap_usd) ELSE e.market_cap_usd END
            AS market_cap_usd,
        CASE WHEN e.ticker IS NULL THEN coalesce(w.said_volume, w.volume_24h_usd) ELSE e.volume_24h_usd END
            AS volume_24h_usd,
        coalesce(e.source, w.source) AS source
    FROM wrong AS w
    LEFT JOIN reprocess_points AS e ON e.ticker = w.ticker AND e.at = w.at
    WHERE e.ticker IS NOT NULL OR w.right_price
),
updated AS (
    UPDATE price_points AS p
    SET price_usd = m.price_usd, market_cap_usd = m.market_cap_usd, volume_24h_usd = m.volume_24h_usd,
        source = m.source
    FROM mended AS m
    WHERE p.ticker = ANY ($1::text[]) AND p.ticker = m.ticker AND p.at = m.at
      AND (p.price_usd, p.market_cap_usd, p.volume_24h_usd, p.source)
        IS DISTINCT FROM (m.price_usd, m.market_cap_usd, m.volume_24h_usd, m.source)
    RETURNING p.ticker, p.at
),
removed AS (
    DELETE FROM price_points AS p USING wrong AS w
    WHERE p.ticker = ANY ($1::text[]) AND p.ticker = w.ticker AND p.at = w.at
      AND NOT EXISTS (SELECT FROM mended AS m WHERE m.ticker = w.ticker AND m.at = w.at)
    RETURNING p.ticker, p.at, p.price_usd
),
added AS (
    INSERT INTO price_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
    SELECT ticker, at, price_usd, market_cap_usd, volume_24h_usd, source
    FROM reprocess_points
    WHERE covered
    ON CONFLICT (ticker, at) DO NOTHING
    RETURNING ticker, at, price_usd
),
touched AS (
    INSERT INTO reprocess_touched (ticker, hour)
    SELECT ticker, date_bin('1 hour', at, 'epoch') FROM updated
    UNION SELECT ticker, date_bin('1 hour', at, 'epoch') FROM removed
    UNION SELECT ticker, date_bin('1 hour', at, 'epoch') FROM added
    RETURNING 1
),
difference AS (
    SELECT ticker || ' ' || at AS id, '(added)' AS field, NULL AS old, price_usd::text AS new FROM added
    UNION ALL
    SELECT ticker || ' ' || at, '(removed)', price_usd::text, NULL FROM removed
    UNION ALL
    SELECT m.ticker || ' ' || m.at, f.field, f.old, f.new
    FROM mended AS m
    CROSS JOIN LATERAL (VALUES
        ('price_usd', m.old_price::text, m.price_usd::text),
        ('market_cap_usd', m.old_cap::text, m.market_cap_usd::text),
        ('volume_24h_usd', m.old_volume::text, m.volume_24h_usd::text),
        ('source', m.old_source, m.source)
    ) AS f (field, old, new)
    WHERE f.old IS DISTINCT FROM f.new
)
""")

_REBUILD_CANDLES = counted("""
WITH bucket AS MATERIALIZED (
    SELECT DISTINCT t.ticker, unit.interval, unit.width, date_bin(unit.width, t.hour, 'epoch') AS start
    FROM reprocess_touched AS t, (VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (interval, width)
),
candle AS MATERIALIZED (
    SELECT
        b.ticker, b.interval, b.start,
        (array_agg(p.price_usd ORDER BY p.at))[1] AS open, max(p.price_usd) AS high, min(p.price_usd) AS low,
        (array_agg(p.price_usd ORDER BY p.at DESC))[1] AS close, min(p.at) AS open_at, max(p.at) AS close_at,
        count(*)::integer AS samples
    FROM bucket AS b
    JOIN price_points AS p ON p.ticker = b.ticker AND date_bin(b.width, p.at, 'epoch') = b.start
    WHERE p.ticker = ANY ($1::text[])
      AND p.at >= (SELECT min(start) FROM bucket) AND p.at < (SELECT max(start + width) FROM bucket)
    GROUP BY b.ticker, b.interval, b.start
),
before AS MATERIALIZED (
    SELECT c.* FROM candles AS c JOIN bucket AS b USING (ticker, interval, start) WHERE c.ticker = ANY ($1::text[])
),
removed AS (
    DELETE FROM candles AS c USING before AS b
    WHERE c.ticker = ANY ($1::text[]) AND c.ticker = b.ticker AND c.interval = b.interval AND c.start = b.start
      AND NOT EXISTS (
        SELECT FROM candle AS n WHERE n.ticker = b.ticker AND n.interval = b.interval AND n.start = b.start
      )
    RETURNING c.ticker, c.interval, c.start, c.close
),
written AS (
    INSERT INTO candles AS c (ticker, interval, start, open, high, low, close, open_at, close_at, samples)
    SELECT ticker, interval, start, open, high, low, close, open_at, close_at, samples
    FROM candle
    ORDER BY ticker, interval, start
    ON CONFLICT (ticker, interval, start) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        open_at = excluded.open_at, close_at = excluded.close_at, samples = excluded.samples
    WHERE (c.open, c.high, c.low, c.close, c.open_at, c.close_at, c.samples) IS DISTINCT FROM (
        excluded.open, excluded.high, excluded.low, excluded.close, excluded.open_at, excluded.close_at,
        excluded.samples
    )
    RETURNING 1
),
difference AS (
    SELECT ticker || ' ' || interval || ' ' || start AS id, '(removed)' AS field, close::text AS old, NULL AS new
    FROM removed
    UNION ALL
    SELECT n.ticker || ' ' || n.interval || ' ' || n.start, '(added)', NULL, n.close::text
    FROM candle AS n LEFT JOIN before AS b USING (ticker, interval, start)
    WHERE b.ticker IS NULL
    UNION ALL
    SELECT n.ticker || ' ' || n.interval || ' ' || n.start, f.field, f.old, f.new
    FROM candle AS n
    JOIN before AS b USING (ticker, interval, start)
    CROSS JOIN LATERAL (VALUES
        ('open', b.open::text, n.open::text), ('high', b.high::text, n.high::text), ('low', b.low::text, n.low::text),
        ('close', b.close::text, n.close::text), ('samples', b.samples::text, n.samples::text)
    ) AS f (field, old, new)
    WHERE f.old IS DISTINCT FROM f.new
)
""")
# What a CTE will hold cannot be guessed: where one row is expected and a million come, a nested loop takes hours.
_JOIN_BY_HASH = "SET LOCAL enable_nestloop = off"
_ANALYZE = "ANALYZE reprocess_points, reprocess_touched"


async def rebuild_points(
    connection: Connection, tickers: Collection[str], *, covered_from: datetime.datetime, oldest: datetime.datetime
) -> list[Change]:
    """Make the points of `tickers` what the staged payloads say; only what differs is written.

    From `covered_from` on all payloads are there, so that points may be added; what was observed before `oldest` is
    past the retention.
    """
    await connection.execute(_JOIN_BY_HASH)
    await connection.execute(_EXPECT, tickers, covered_from, oldest)
    await connection.execute(_ANALYZE)
    return read_changes("price_points", await connection.fetch(_REBUILD, tickers))


async def rebuild_candles(connection: Connection, tickers: Collection[str]) -> list[Change]:
    """Roll the hours and days of changed points of `tickers` up anew."""
    return read_changes("candles", await connection.fetch(_REBUILD_CANDLES, tickers))
