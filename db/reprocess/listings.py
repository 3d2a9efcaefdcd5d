"""Replace listings and coins; run on copies, the same statements predict the result."""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts

# A listing whose present payload was read again takes the newest version; any other one takes
# only a version greater than its own: its payload is older than the requested period. A payload
# without fetched_at counts as fetched when it arrived.
_REWRITE = with_counts("""
WITH winner AS MATERIALIZED (
    SELECT w.*, l.ticker AS old_ticker, to_jsonb(l) AS old
    FROM reprocess_listings AS w
    JOIN reprocess_progress AS p ON p.source = w.source AND p.rebuilt
    LEFT JOIN listings AS l ON l.source = w.source AND l.external_id = w.external_id
    WHERE l.source IS NULL OR (
        (
            w.ticker, w.symbol, w.name, w.name_words, w.core_words, w.rank, w.price_usd,
            w.market_cap_usd, w.volume_24h_usd, w.percent_change_24h, w.circulating_supply,
            w.total_supply, w.max_supply, w.observed_at, w.content_hash, w.has_own_time
        ) IS DISTINCT FROM (
            l.ticker, l.symbol, l.name, l.name_words, l.core_words, l.rank, l.price_usd,
            l.market_cap_usd, l.volume_24h_usd, l.percent_change_24h, l.circulating_supply,
            l.total_supply, l.max_supply, l.observed_at, l.content_hash, l.has_own_time
        )
        AND (
            (w.observed_at, w.fetched_at, w.content_hash)
                > (l.observed_at, l.fetched_at, l.content_hash)
            OR EXISTS (
                SELECT FROM reprocess_versions AS v
                WHERE v.source = l.source AND v.external_id = l.external_id
                  AND v.content_hash = l.content_hash AND v.fetched_at >= l.fetched_at
            )
        )
    )
),
written AS (
    INSERT INTO listings AS l (
        source, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd,
        market_cap_usd, volume_24h_usd, percent_change_24h, circulating_supply, total_supply,
        max_supply, observed_at, content_hash, fetched_at, first_seen_at, last_seen_at, active,
        missing_since, has_own_time
    )
    SELECT
        source, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd,
        market_cap_usd, volume_24h_usd, percent_change_24h, circulating_supply, total_supply,
        max_supply, observed_at, content_hash, fetched_at, fetched_at, fetched_at, sent,
        CASE WHEN NOT sent THEN $1::timestamptz END, has_own_time
    FROM (
        -- A new listing was rejected until now; its source may not send it any more.
        SELECT w.*, old IS NOT NULL OR EXISTS (
            SELECT FROM source_pages AS s
            WHERE s.source = w.source AND w.external_id = ANY (s.external_ids)
        ) AS sent
        FROM winner AS w
    ) AS w
    ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        ticker = excluded.ticker, symbol = excluded.symbol, name = excluded.name,
        name_words = excluded.name_words, core_words = excluded.core_words, rank = excluded.rank,
        price_usd = excluded.price_usd, market_cap_usd = excluded.market_cap_usd,
        volume_24h_usd = excluded.volume_24h_usd, percent_change_24h = excluded.percent_change_24h,
        circulating_supply = excluded.circulating_supply, total_supply = excluded.total_supply,
        max_supply = excluded.max_supply, observed_at = excluded.observed_at,
        content_hash = excluded.content_hash, fetched_at = excluded.fetched_at,
        has_own_time = excluded.has_own_time
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
    CROSS JOIN LATERAL jsonb_each_text(to_jsonb(w) - 'old_ticker' - 'fetched_at' - 'content_hash')
        AS n
    JOIN LATERAL jsonb_each_text(w.old) AS o ON o.key = n.key
    WHERE w.old IS NOT NULL AND n.value IS DISTINCT FROM o.value
)
""")

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
_SAVE_OWNERS = """
INSERT INTO reprocess_owned (source, external_id)
SELECT source, external_id FROM listings WHERE contributes AND ticker = ANY ($1::text[])
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
    SELECT
        ticker AS id, CASE WHEN old IS NULL THEN '(added)' ELSE '(removed)' END AS field,
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
    """Replace every differing listing of a rebuilt source by its newest version."""
    return read_changes("listings", await connection.fetch(_REWRITE, now))


async def tickers_to_merge(connection: Connection) -> list[str]:
    """Return the tickers of the rebuilt sources' listings, former ones included."""
    return [row["ticker"] for row in await connection.fetch(_TICKERS)]


async def save_coins(connection: Connection, tickers: Collection[str]) -> None:
    """Save the coins of `tickers` and their owners, to be compared later."""
    await connection.execute(_SAVE_COINS, tickers)
    await connection.execute(_SAVE_OWNERS, tickers)


async def compare_coins(connection: Connection) -> list[Change]:
    """Return how the saved coins have changed."""
    return read_changes("normalized_records", await connection.fetch(_COMPARE_COINS))
