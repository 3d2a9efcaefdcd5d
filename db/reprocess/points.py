"""Points of history: compare them with what the payloads say, and write the differences."""

import datetime
from collections.abc import Collection

import msgspec

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts
from db.write.history import JUDGED, NEIGHBOURS, tie_of, word

# A day in which points were removed by age stays as it is.
# A point whose payload is among the read ones, and that none of them says any more, was misread. A
# point of a backfill, or from before these payloads, stays until a payload says another word.
_COMPARE = f"""
WITH version AS (
    SELECT
        l.id AS listing, v.observed_at AS at, v.fetched_at, {tie_of("v.content_hash")} AS tie,
        v.price_usd, v.market_cap_usd, v.volume_24h_usd
    FROM listings AS l
    JOIN reprocess_versions AS v ON v.source = l.source AND v.external_id = l.external_id
    WHERE l.id = ANY ($1::integer[]) AND v.error IS NULL AND v.observed_at >= $3
),
stored AS MATERIALIZED (
    SELECT * FROM price_points WHERE listing = ANY ($1::integer[])
),
thinned AS MATERIALIZED (
    SELECT DISTINCT listing, date_bin('1 day', at, 'epoch') AS day
    FROM stored
    WHERE thinned_hours > 0
),
said AS MATERIALIZED (
    SELECT DISTINCT ON (listing, at) *
    FROM version AS v
    WHERE (v.listing, date_bin('1 day', v.at, 'epoch')) NOT IN (SELECT listing, day FROM thinned)
    ORDER BY listing, at, {word("v")} DESC
),
both_sides AS (
    SELECT
        coalesce(p.listing, s.listing) AS listing, coalesce(p.at, s.at) AS at,
        p.listing IS NOT NULL AS was, p.fetched_at AS old_fetched_at, p.tie AS old_tie,
        p.is_held AS old_is_held,
        p.price_usd AS old_price_usd, p.market_cap_usd AS old_market_cap_usd,
        p.volume_24h_usd AS old_volume_24h_usd, s.fetched_at AS said_at, s.tie AS said_tie,
        s.price_usd AS said_price,
        s.market_cap_usd AS said_cap, s.volume_24h_usd AS said_volume,
        s.listing IS NOT NULL
            AND (p.listing IS NULL OR p.fetched_at >= $2 OR {word("s")} > {word("p")}) AS is_said,
        s.listing IS NOT NULL OR t.day IS NOT NULL OR coalesce(p.fetched_at < $2, true) AS stays,
        t.day IS NOT NULL AS is_thinned
    FROM stored AS p
    LEFT JOIN thinned AS t ON t.listing = p.listing AND t.day = date_bin('1 day', p.at, 'epoch')
    FULL JOIN said AS s ON s.listing = p.listing AND s.at = p.at
),
decided AS (
    SELECT
        listing, at, was, old_fetched_at, old_tie, old_is_held, old_price_usd, old_market_cap_usd,
        old_volume_24h_usd, stays, is_thinned,
        CASE WHEN is_said THEN said_at ELSE old_fetched_at END AS fetched_at,
        CASE WHEN is_said THEN said_tie ELSE old_tie END AS tie,
        CASE WHEN is_said THEN said_price ELSE old_price_usd END AS price_usd,
        CASE WHEN is_said THEN said_cap ELSE old_market_cap_usd END AS market_cap_usd,
        CASE WHEN is_said THEN said_volume ELSE old_volume_24h_usd END AS volume_24h_usd
    FROM both_sides
),
beside AS (
    SELECT *,{NEIGHBOURS}
    FROM decided
    WINDOW series AS (PARTITION BY listing, stays ORDER BY at)
),
judged AS (
    SELECT *, stays AND CASE WHEN is_thinned THEN old_is_held ELSE {JUDGED} END AS is_held
    FROM beside
)
INSERT INTO reprocess_point_changes (
    listing, at, was, old_fetched_at, old_tie, old_is_held, old_price_usd, old_market_cap_usd,
    old_volume_24h_usd, stays, fetched_at, tie, is_held, price_usd, market_cap_usd, volume_24h_usd
)
SELECT
    listing, at, was, old_fetched_at, old_tie, old_is_held, old_price_usd, old_market_cap_usd,
    old_volume_24h_usd, stays, fetched_at, tie, is_held, price_usd, market_cap_usd, volume_24h_usd
FROM judged
WHERE was <> stays OR (old_is_held, old_price_usd, old_market_cap_usd, old_volume_24h_usd)
    IS DISTINCT FROM (is_held, price_usd, market_cap_usd, volume_24h_usd)
"""  # noqa: S608 - of constants
# The planner cannot estimate a CTE's rows: with one row expected and a million present, a nested
# loop takes hours.
_START = """
SET LOCAL enable_nestloop = off;
TRUNCATE reprocess_point_changes
"""
_ANALYZE = "ANALYZE reprocess_point_changes"

_MEND = """
UPDATE price_points AS p
SET
    fetched_at = c.fetched_at, tie = c.tie, is_held = c.is_held, price_usd = c.price_usd,
    market_cap_usd = c.market_cap_usd, volume_24h_usd = c.volume_24h_usd
FROM reprocess_point_changes AS c
WHERE c.listing = ANY ($1::integer[]) AND p.listing = ANY ($1::integer[])
  AND p.listing = c.listing AND p.at = c.at AND c.stays
"""
_REMOVE = """
DELETE FROM price_points AS p
USING reprocess_point_changes AS c
WHERE c.listing = ANY ($1::integer[]) AND p.listing = ANY ($1::integer[])
  AND p.listing = c.listing AND p.at = c.at AND NOT c.stays
"""
_ADD = """
INSERT INTO price_points (
    listing, at, fetched_at, tie, is_held, price_usd, market_cap_usd, volume_24h_usd
)
SELECT listing, at, fetched_at, tie, is_held, price_usd, market_cap_usd, volume_24h_usd
FROM reprocess_point_changes
WHERE listing = ANY ($1::integer[]) AND NOT was
ORDER BY listing, at
ON CONFLICT (listing, at) DO NOTHING
"""
_REPORT = with_counts("""
WITH change AS (
    SELECT l.source || ' ' || l.external_id || ' ' || c.at AS id, c.*
    FROM reprocess_point_changes AS c JOIN listings AS l ON l.id = c.listing
),
difference AS (
    SELECT
        id, CASE WHEN stays THEN '(added)' ELSE '(removed)' END AS field,
        old_price_usd::text AS old, CASE WHEN stays THEN price_usd::text END AS new
    FROM change
    WHERE was <> stays
    UNION ALL
    SELECT c.id, f.field, f.old, f.new
    FROM change AS c
    CROSS JOIN LATERAL (VALUES
        ('price_usd', c.old_price_usd::text, c.price_usd::text),
        ('market_cap_usd', c.old_market_cap_usd::text, c.market_cap_usd::text),
        ('volume_24h_usd', c.old_volume_24h_usd::text, c.volume_24h_usd::text),
        ('is_held', c.old_is_held::text, c.is_held::text)
    ) AS f (field, old, new)
    WHERE c.was AND c.stays AND f.old IS DISTINCT FROM f.new
)
""")
# The listings whose history may differ: other code read their payloads, or what was rejected is
# readable now, or the listing itself was rewritten.
_LISTINGS = """
SELECT l.id FROM listings AS l WHERE l.source = ANY ($1::text[])
UNION
SELECT l.id
FROM reprocess_rewritten AS w
JOIN listings AS l ON l.source = w.source AND l.external_id = w.external_id
UNION
SELECT l.id
FROM reprocess_versions AS v
JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
WHERE v.rejection_id IS NOT NULL AND v.error IS NULL
ORDER BY 1
"""
_LISTINGS_SINCE = """
SELECT DISTINCT l.id
FROM reprocess_versions AS v
JOIN listings AS l ON l.source = v.source AND l.external_id = v.external_id
WHERE v.ingested_at > $1 AND v.error IS NULL
"""


class HistoryBounds(msgspec.Struct, frozen=True):
    """The bounds of the points that payloads explain.

    All payloads that were fetched from `covered_from` on are present; observations before `oldest`
    are past the retention.
    """

    covered_from: datetime.datetime
    oldest: datetime.datetime


async def listings_of_history(
    connection: Connection, other_code_sources: Collection[str]
) -> list[int]:
    """Return the listings whose history may differ: changed ones, or read by other code."""
    return [row["id"] for row in await connection.fetch(_LISTINGS, other_code_sources)]


async def listings_since(connection: Connection, after: datetime.datetime) -> list[int]:
    """Return the listings of the payloads that arrived after `after`."""
    return [row["id"] for row in await connection.fetch(_LISTINGS_SINCE, after)]


async def start_comparison(connection: Connection) -> None:
    """Forget the saved differences."""
    await connection.execute(_START)


async def compare_points(
    connection: Connection, listings: Collection[int], bounds: HistoryBounds
) -> None:
    """Save the differences between the points of `listings` and what the payloads say."""
    await connection.execute(_COMPARE, listings, bounds.covered_from, bounds.oldest)


async def analyze_points(connection: Connection) -> None:
    """Update the planner's statistics of the differences."""
    await connection.execute(_ANALYZE)


async def place_points(connection: Connection, listings: Collection[int]) -> None:
    """Write the saved differences of `listings`."""
    for statement in (_MEND, _REMOVE, _ADD):
        await connection.execute(statement, listings)


async def report_points(connection: Connection) -> list[Change]:
    """Return the saved differences, counted."""
    return read_changes("price_points", await connection.fetch(_REPORT))
