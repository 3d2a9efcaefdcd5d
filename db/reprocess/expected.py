"""The points that the payloads make, read by the present code."""

import datetime
from collections.abc import Collection

import msgspec

from db.connect.types import Connection
from db.write.merge.listings import near
from db.write.merge.values import AGREE

# The tickers whose history is rebuilt: the rebuild found differences, or other code read their
# payloads.
_TICKERS = """
SELECT l.ticker FROM listings AS l WHERE l.source = ANY ($1::text[])
UNION
SELECT w.old_ticker FROM reprocess_rewritten AS w WHERE w.old_ticker IS NOT NULL
UNION
SELECT l.ticker
FROM listings AS l
LEFT JOIN reprocess_rewritten AS w ON w.source = l.source AND w.external_id = l.external_id
LEFT JOIN reprocess_owned AS o ON o.source = l.source AND o.external_id = l.external_id
WHERE l.ticker = ANY ($2::text[])
    AND (w.source IS NOT NULL OR l.contributes <> (o.source IS NOT NULL))
UNION
SELECT v.ticker FROM reprocess_versions AS v WHERE v.rejection_id IS NOT NULL AND v.error IS NULL
ORDER BY 1
"""

# The CTEs, from first to last:
# speaker   the listing by which each source contributes to the coin now; assumed for the past too
# version   what speakers reported
# rival     listings that own no ticker and did not before this rebuild: what a former owner
#           reported was valid
# settled   tickers whose past is corrected, not extended: a rival left true points there, or was
#           there all the time and nothing of the ticker changes now; payloads do not show who
#           owned it when
# said      versions by arrival, and points without a payload: of sources that are not read, and
#           the last values before the payloads begin; `reach` orders observations as merging
#           does: dated by a file last, then by time, then by priority
# arranged  with the last known value of each field that a source leaves out
# spoken    of one page only the newest observation
# leader    what was the coin's newest observation when it arrived; another price makes a point
# past      a file's rows are history themselves
_EXPECT = f"""
WITH speaker AS MATERIALIZED (
    SELECT DISTINCT ON (l.ticker, l.source) l.ticker, l.source, l.external_id
    FROM listings AS l
    WHERE l.contributes AND l.ticker = ANY ($1::text[])
    ORDER BY
        l.ticker, l.source, l.active DESC,
        coalesce(l.market_cap_usd, l.volume_24h_usd) DESC NULLS LAST, l.rank NULLS LAST,
        l.observed_at DESC, l.external_id
),
place AS MATERIALIZED (
    SELECT name AS source, 1000 - row_number() OVER (ORDER BY priority, name) AS place FROM sources
),
version AS MATERIALIZED (
    SELECT
        s.ticker, v.source, v.ingested_at AS arrived_at, v.observed_at AS at, v.price_usd,
        v.market_cap_usd, v.volume_24h_usd, v.content_hash, v.ingested_at >= $2 AS covered,
        v.has_own_time
    FROM speaker AS s
    JOIN reprocess_versions AS v ON v.source = s.source AND v.external_id = s.external_id
        AND v.ticker = s.ticker
    WHERE v.price_usd IS NOT NULL AND v.ingested_at > $4
),
first AS MATERIALIZED (
    SELECT ticker, min(at) AS at FROM version GROUP BY ticker
),
rival AS MATERIALIZED (
    SELECT l.ticker, l.source, l.external_id
    FROM listings AS l
    WHERE NOT l.contributes AND l.ticker = ANY ($1::text[])
      AND NOT EXISTS (
        SELECT FROM reprocess_owned AS o
        WHERE o.source = l.source AND o.external_id = l.external_id
      )
),
settled AS MATERIALIZED (
    SELECT r.ticker
    FROM rival AS r
    JOIN reprocess_versions AS v ON v.source = r.source AND v.external_id = r.external_id
        AND v.ticker = r.ticker
    JOIN price_points AS p
        ON p.ticker = v.ticker AND p.source = v.source AND p.at = v.observed_at
            AND p.price_usd = v.price_usd
    WHERE p.ticker = ANY ($1::text[])
    UNION
    SELECT ticker
    FROM rival
    WHERE ticker NOT IN (
        SELECT l.ticker
        FROM listings AS l
        LEFT JOIN reprocess_rewritten AS w ON w.source = l.source AND w.external_id = l.external_id
        LEFT JOIN reprocess_owned AS o ON o.source = l.source AND o.external_id = l.external_id
        WHERE l.ticker = ANY ($1::text[])
            AND (w.source IS NOT NULL OR l.contributes <> (o.source IS NOT NULL))
        UNION
        SELECT v.ticker
        FROM reprocess_versions AS v
        WHERE v.rejection_id IS NOT NULL AND v.error IS NULL
    )
),
said AS (
    SELECT v.*, true AS is_read FROM version AS v
    UNION ALL
    SELECT
        p.ticker, p.source, '-infinity', p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd,
        ''::bytea, false, true, false
    FROM first AS f
    CROSS JOIN LATERAL (
        SELECT *
        FROM price_points AS p
        WHERE p.ticker = f.ticker AND p.at < f.at
        ORDER BY p.at DESC
        LIMIT 1
    ) AS p
    WHERE $4 = '-infinity'
    UNION ALL
    SELECT
        p.ticker, p.source, '-infinity', p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd,
        ''::bytea, false, true, false
    FROM reprocess_last AS p
    -- A page that was late may have been in the copy already, and may have made no point.
    LEFT JOIN version AS v ON v.ticker = p.ticker AND v.source = p.source AND v.at = p.at
    WHERE p.ticker = ANY ($1::text[]) AND $4 <> '-infinity' AND v.ticker IS NULL
    UNION ALL
    SELECT
        p.ticker, p.source, p.at, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, ''::bytea,
        false, true, false
    FROM price_points AS p
    JOIN first AS f ON f.ticker = p.ticker
    WHERE p.ticker = ANY ($1::text[]) AND p.at >= f.at AND p.at >= (SELECT min(at) FROM first)
      AND p.source NOT IN (SELECT source FROM reprocess_progress)
),
arranged AS (
    SELECT
        s.*,
        CASE WHEN s.has_own_time THEN 4e18::bigint ELSE 0 END
            + (extract(epoch FROM s.at) * 1000000)::bigint * 1000 + coalesce(p.place, 0) AS reach,
        lag(s.source) OVER by_arrival AS source_before,
        lag(s.arrived_at) OVER by_arrival AS arrival_before,
        count(s.market_cap_usd) OVER by_arrival AS caps,
        count(s.volume_24h_usd) OVER by_arrival AS volumes
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
        first_value(market_cap_usd) OVER by_caps AS last_cap,
        first_value(price_usd) OVER by_caps AS cap_price,
        first_value(at) OVER by_caps AS cap_at,
        first_value(volume_24h_usd) OVER by_volumes AS last_volume,
        first_value(price_usd) OVER by_volumes AS volume_price,
        first_value(at) OVER by_volumes AS volume_at
    FROM arranged AS a
    WHERE (source_before, arrival_before) IS DISTINCT FROM (source, arrived_at)
    WINDOW
        by_caps AS (
            PARTITION BY ticker, caps ORDER BY arrived_at, source, at DESC, content_hash DESC
        ),
        by_volumes AS (
            PARTITION BY ticker, volumes ORDER BY arrived_at, source, at DESC, content_hash DESC
        )
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
        l.ticker, v.source, v.ingested_at AS arrived_at, v.observed_at AS at, v.price_usd,
        v.market_cap_usd, v.volume_24h_usd, v.external_id, v.ingested_at >= $2 AS covered
    FROM sources AS s
    JOIN listings AS l ON l.source = s.name AND l.contributes AND l.ticker = ANY ($1::text[])
    JOIN reprocess_versions AS v ON v.source = l.source AND v.external_id = l.external_id
        AND v.ticker = l.ticker
    WHERE s.kind = 'file' AND v.price_usd IS NOT NULL AND v.ingested_at > $4 AND NOT EXISTS (
        SELECT FROM normalized_records AS r
        CROSS JOIN LATERAL jsonb_build_object(
            'source', v.source, 'external_id', v.external_id, 'field', 'price_usd'
        ) AS refused
        WHERE r.ticker = l.ticker AND (
            r.excluded @> jsonb_build_array(
                refused || jsonb_build_object('observed_at', v.observed_at)
            )
            OR r.excluded @> jsonb_build_array(refused || '{{"reason": "jump"}}')
        )
    )
),
expected AS (
    SELECT
        ticker, at, price_usd,
        -- Nothing is taken from a source whose fresh price disagrees.
        coalesce(
            market_cap_usd,
            CASE WHEN {near("price_usd", "cap_price", AGREE)}
                OR at - cap_at > interval '1 hour' THEN last_cap END
        ) AS market_cap_usd,
        coalesce(
            volume_24h_usd,
            CASE WHEN {near("price_usd", "volume_price", AGREE)}
                OR at - volume_at > interval '1 hour' THEN last_volume END
        ) AS volume_24h_usd, source, covered, arrived_at,
        0 AS order_in_page, '' AS external_id
    FROM leader
    WHERE is_read AND price_usd IS DISTINCT FROM price_before
    UNION ALL
    SELECT
        ticker, at, price_usd, market_cap_usd, volume_24h_usd, source, covered, arrived_at, 1,
        external_id
    FROM past
)
INSERT INTO reprocess_points (
    ticker, at, price_usd, market_cap_usd, volume_24h_usd, source, covered
)
SELECT DISTINCT ON (ticker, at)
    ticker, at, price_usd, market_cap_usd, volume_24h_usd, source,
    covered AND ticker NOT IN (SELECT ticker FROM settled)
FROM expected
WHERE at >= $3
ORDER BY ticker, at, arrived_at, order_in_page, price_usd, external_id
"""  # noqa: S608 - of constants
# The planner cannot estimate a CTE's rows: with one row expected and a million present, a nested
# loop takes hours.
_JOIN_BY_HASH = "SET LOCAL enable_nestloop = off"
_FORGET = "TRUNCATE reprocess_points"
_ANALYZE = "ANALYZE reprocess_points"


class HistoryBounds(msgspec.Struct, frozen=True):
    """The bounds of the expected points.

    From `covered_from` on all payloads are present, so points may be added; observations before
    `oldest` are past the retention.
    """

    covered_from: datetime.datetime
    oldest: datetime.datetime


async def tickers_of_history(
    connection: Connection, other_code_sources: Collection[str], tickers: Collection[str]
) -> list[str]:
    """Return the tickers whose history may differ: those with changes, or read by other code."""
    return [row["ticker"] for row in await connection.fetch(_TICKERS, other_code_sources, tickers)]


async def expect_points(
    connection: Connection,
    tickers: Collection[str],
    bounds: HistoryBounds,
    after: datetime.datetime,
) -> None:
    """Compute the points of `tickers` from payloads that arrived after `after`."""
    await connection.execute(_JOIN_BY_HASH)
    await connection.execute(_FORGET)
    await connection.execute(_EXPECT, tickers, bounds.covered_from, bounds.oldest, after)
    await connection.execute(_ANALYZE)
