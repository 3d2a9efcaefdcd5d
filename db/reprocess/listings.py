"""Replace listings by what their payloads say, and compare the coins before and after."""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts
from db.write.identity.bridges import bridge_all
from db.write.listing_columns import LISTING_VALUES, REPLACE_LISTING, values_of

# A listing whose present payload was read again takes the greatest version; any other one takes
# only a version greater than its own: its payload is older than the requested period. A payload
# without fetched_at counts as fetched when it arrived.
_REWRITE = with_counts(f"""
WITH winner AS MATERIALIZED (
    SELECT w.*, l.ticker AS old_ticker, to_jsonb(l) AS old
    FROM reprocess_listings AS w
    JOIN reprocess_progress AS p ON p.source = w.source AND p.rebuilt
    LEFT JOIN listings AS l ON l.source = w.source AND l.external_id = w.external_id
    WHERE l.source IS NULL OR (
        ({values_of("w")}, w.content_hash, w.has_own_time)
        IS DISTINCT FROM ({values_of("l")}, l.content_hash, l.has_own_time)
        AND (
            (w.observed_at, w.fetched_at, w.content_hash) > (l.observed_at, l.fetched_at,
                l.content_hash)
            OR EXISTS (
                SELECT FROM reprocess_versions AS v
                WHERE v.source = l.source AND v.external_id = l.external_id
                    AND v.content_hash = l.content_hash
                  AND v.fetched_at >= l.fetched_at
            )
        )
    )
),
written AS (
    INSERT INTO listings AS l (
        source, external_id, {LISTING_VALUES},
        content_hash, fetched_at, first_seen_at, last_seen_at, active, missing_since, has_own_time,
        body, body_offset, body_length
    )
    SELECT
        source, external_id, {LISTING_VALUES},
        content_hash, fetched_at, fetched_at, fetched_at, sent,
        CASE WHEN NOT sent THEN $1::timestamptz END, has_own_time, body, body_offset, body_length
    FROM (
        -- A new listing was rejected until now; its source may not send it any more.
        SELECT w.*, old IS NOT NULL OR EXISTS (
            SELECT FROM source_pages AS s WHERE s.source = w.source
                AND w.external_id = ANY (s.external_ids)
        ) AS sent
        FROM winner AS w
    ) AS w
    ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO UPDATE SET {REPLACE_LISTING}
    RETURNING 1
),
noted AS (
    INSERT INTO reprocess_rewritten (source, external_id, old_ticker)
    SELECT source, external_id, old_ticker FROM winner
    RETURNING 1
),
numbered AS (
    UPDATE reprocess_progress AS p
    SET changed = (SELECT count(*) FROM winner AS w WHERE w.source = p.source)
    RETURNING 1
),
difference AS (
    SELECT source || ' ' || external_id AS id, '(added)' AS field, NULL AS old, ticker AS new
    FROM winner WHERE old IS NULL
    UNION ALL
    SELECT w.source || ' ' || w.external_id, n.key, o.value, n.value
    FROM winner AS w
    CROSS JOIN LATERAL jsonb_each_text(
        to_jsonb(w) - 'old_ticker' - 'fetched_at' - 'content_hash' - 'body' - 'body_offset'
            - 'body_length')
        AS n
    JOIN LATERAL jsonb_each_text(w.old) AS o ON o.key = n.key
    WHERE w.old IS NOT NULL AND n.value IS DISTINCT FROM o.value
)
""")  # noqa: S608 - of constants

# The two observations before the present one. What a listing has from before its first payload that
# was read again stays.
_REMEMBER = """
WITH version AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY source, external_id ORDER BY observed_at DESC) AS place,
            min(fetched_at) OVER (PARTITION BY source, external_id) AS first_fetched_at
        FROM (
            SELECT DISTINCT ON (v.source, v.external_id, v.observed_at)
                v.source, v.external_id, v.ticker, v.observed_at, v.fetched_at, v.price_usd,
                v.market_cap_usd, v.volume_24h_usd
            FROM reprocess_versions AS v
            JOIN reprocess_progress AS p ON p.source = v.source AND p.rebuilt
            WHERE v.error IS NULL
            ORDER BY v.source, v.external_id, v.observed_at, v.fetched_at DESC, v.content_hash DESC
        ) AS of_times
    ) AS placed
    WHERE place <= 3
),
earlier AS MATERIALIZED (
    SELECT
        v.source, v.external_id,
        ROW(v.observed_at, v.fetched_at, v.price_usd, v.market_cap_usd,
            v.volume_24h_usd)::observation AS one
    FROM version AS v
    JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
    WHERE v.observed_at < l.observed_at
    UNION ALL
    SELECT l.source, l.external_id, o
    FROM (SELECT DISTINCT source, external_id, first_fetched_at FROM version) AS v
    JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
    CROSS JOIN unnest(l.before) AS o
    WHERE o.fetched_at < v.first_fetched_at
),
remembered AS MATERIALIZED (
    SELECT source, external_id,
        (array_agg(one ORDER BY (one).at DESC))[1:2] AS before
    FROM (
        SELECT DISTINCT ON (source, external_id, (one).at) source, external_id, one
        FROM earlier
        ORDER BY source, external_id, (one).at, (one).fetched_at DESC
    ) AS of_times
    GROUP BY source, external_id),
changed AS (
    UPDATE listings AS l SET before = coalesce(r.before, '{}')
    FROM (SELECT DISTINCT source, external_id FROM version) AS v
    LEFT JOIN remembered AS r ON r.source = v.source AND r.external_id = v.external_id
    WHERE l.source = v.source AND l.external_id = v.external_id
      AND l.before IS DISTINCT FROM coalesce(r.before, '{}')
    RETURNING l.source, l.external_id, l.ticker
)
-- What a listing says depends on these: its history is compared too.
INSERT INTO reprocess_rewritten (source, external_id, old_ticker)
SELECT source, external_id, ticker
FROM changed AS c
WHERE NOT EXISTS (
    SELECT FROM reprocess_rewritten AS w
    WHERE w.source = c.source AND w.external_id = c.external_id
)
"""
_FORMER = """
INSERT INTO former_tickers AS f (source, external_id, ticker, until)
SELECT v.source, v.external_id, v.ticker, max(v.observed_at)
FROM reprocess_versions AS v
JOIN reprocess_progress AS p ON p.source = v.source AND p.rebuilt
JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
WHERE v.error IS NULL AND v.ticker <> l.ticker AND v.observed_at < l.observed_at
GROUP BY v.source, v.external_id, v.ticker
ON CONFLICT (source, external_id, ticker) DO UPDATE SET until = greatest(f.until, excluded.until)
"""

# Every ticker of the rebuilt sources, not only of changed listings: the rule of merging may have
# changed.
_TICKERS = """
SELECT l.ticker FROM listings AS l JOIN reprocess_progress AS p ON p.source = l.source AND p.rebuilt
UNION
SELECT old_ticker FROM reprocess_rewritten WHERE old_ticker IS NOT NULL
ORDER BY 1
"""
_SAVE_COINS = """
INSERT INTO reprocess_coins (ticker, record)
SELECT t.ticker, to_jsonb(r) - 'id' - 'price_usd' - 'ingested_at' - 'stale_at'
FROM unnest($1::text[]) AS t (ticker)
LEFT JOIN normalized_records AS r ON r.ticker = t.ticker
"""
_COMPARE_COINS = with_counts("""
WITH coin AS (
    SELECT b.ticker, b.record AS old,
        to_jsonb(r) - 'id' - 'price_usd' - 'ingested_at' - 'stale_at' AS new
    FROM reprocess_coins AS b
    LEFT JOIN normalized_records AS r ON r.ticker = b.ticker
    WHERE to_jsonb(r) - 'id' - 'price_usd' - 'ingested_at' - 'stale_at' IS DISTINCT FROM b.record
),
difference AS (
    SELECT ticker AS id, CASE WHEN old IS NULL THEN '(added)' ELSE '(removed)' END AS field,
        old ->> 'name' AS old, new ->> 'name' AS new
    FROM coin WHERE old IS NULL OR new IS NULL
    UNION ALL
    SELECT c.ticker, n.key, o.value, n.value
    FROM coin AS c
    CROSS JOIN LATERAL jsonb_each_text(c.new) AS n
    JOIN LATERAL jsonb_each_text(c.old) AS o ON o.key = n.key
    WHERE n.value IS DISTINCT FROM o.value
)
""")


async def rewrite_listings(connection: Connection, now: datetime.datetime) -> list[Change]:
    """Replace every differing listing of a rebuilt source by its greatest version."""
    changes = read_changes("listings", await connection.fetch(_REWRITE, now))
    await connection.execute(_REMEMBER)
    return changes


async def rewrite_tickers(connection: Connection) -> frozenset[str]:
    """Save the former tickers of the rewritten listings, and which tickers one token has.

    Returns the tickers to merge beside those of `tickers_to_merge`.
    """
    await connection.execute(_FORMER)
    return await bridge_all(connection)


async def tickers_to_merge(connection: Connection) -> list[str]:
    """Return the tickers of the rebuilt sources' listings, former ones included."""
    return [row["ticker"] for row in await connection.fetch(_TICKERS)]


async def save_coins(connection: Connection, tickers: Collection[str]) -> None:
    """Save the coins of `tickers`, to be compared later."""
    await connection.execute(_SAVE_COINS, tickers)


async def compare_coins(connection: Connection) -> list[Change]:
    """Return how the saved coins have changed."""
    return read_changes("normalized_records", await connection.fetch(_COMPARE_COINS))
