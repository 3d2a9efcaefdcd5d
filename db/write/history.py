"""History: the price points of each listing, and their candles.

A point is what a listing said at one time: of several words for one time the one counts that was
fetched last. A price that jumps is held until the next observation confirms it. So points and
candles depend on the observations alone, whatever the order of their commits. Where points were
removed by age, candles are widened only, and no point is judged again. A new observation is
written by `db/write/listings.py`; the functions here serve the other cases.
"""

import datetime
from collections.abc import Sequence

from db.connect.types import Connection
from db.points import COUNTED, ROLL_POINTS
from db.write.merge.listings import bound, near

UNITS = "(VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (interval, width)"
POINT_COLUMNS = "listing, at, fetched_at, tie, price_usd, market_cap_usd, volume_24h_usd"


def word(table: str) -> str:
    """Return the order of the words of a listing for one time: the greatest one counts."""
    return (
        f"(coalesce({table}.fetched_at, '-infinity'), coalesce({table}.tie, -1),"
        f" coalesce({table}.price_usd, 0), coalesce({table}.market_cap_usd, -1),"
        f" coalesce({table}.volume_24h_usd, -1))"
    )


def tie_of(digest: str) -> str:
    """Return the first 31 bits of a content hash, which order words of one page.

    PostgreSQL's operators on bits have one precedence.
    """
    return (
        f"((get_byte({digest}, 0) << 23) | (get_byte({digest}, 1) << 15)"
        f" | (get_byte({digest}, 2) << 7) | (get_byte({digest}, 3) >> 1))"
    )


def is_jump(price: str, at: str, earlier: Sequence[tuple[str, str]]) -> str:
    """Return the condition that a price is far from each known one of two earlier observations.

    `earlier` are their prices and times, as SQL expressions; the condition is never null.
    """
    far = " AND ".join(
        f"({other} IS NULL OR NOT {near(price, other, bound(f'{at} - {then}'))})"
        for other, then in earlier
    )
    known = ", ".join(other for other, _ in earlier)
    return f"coalesce({price} IS NOT NULL AND num_nonnulls({known}) > 0 AND {far}, false)"


# The next observation confirms a jump if it is near it, or goes further in its direction.
JUDGED = f"""
    {is_jump("price_usd", "at", [("price_1", "at_1"), ("price_2", "at_2")])} AND NOT (
        next_price IS NOT NULL AND (
            {near("price_usd", "next_price", bound("next_at - at"))}
            OR (next_price > price_usd) = (price_usd > coalesce(price_1, price_2))
        )
    )"""
"""The condition that a point of a series is held; its neighbours are columns, as in NEIGHBOURS."""
NEIGHBOURS = """
    lag(price_usd) OVER series AS price_1, lag(at) OVER series AS at_1,
    lag(price_usd, 2) OVER series AS price_2, lag(at, 2) OVER series AS at_2,
    lead(price_usd) OVER series AS next_price, lead(at) OVER series AS next_at"""
"""The columns that JUDGED reads, for a window `series` by listing and time."""

WIDEN = """
ON CONFLICT (listing, interval, start) DO UPDATE SET
    open = CASE WHEN excluded.open_at < c.open_at THEN excluded.open ELSE c.open END,
    high = greatest(excluded.high, c.high),
    low = least(excluded.low, c.low),
    close = CASE WHEN excluded.close_at > c.close_at THEN excluded.close ELSE c.close END,
    open_at = least(excluded.open_at, c.open_at),
    close_at = greatest(excluded.close_at, c.close_at),
    samples = c.samples + excluded.samples
"""
"""The end of an INSERT into `candles AS c` of points that were not there."""

# The array of keys, instead of a join, makes the planner use the index.
_ADD = f"""
WITH said AS MATERIALIZED (
    SELECT
        l.id AS listing, o.observed_at AS at, $4::timestamptz AS fetched_at,
        {tie_of("decode(o.content_hash, 'base64')")} AS tie, o.price_usd, o.market_cap_usd,
        o.volume_24h_usd
    FROM json_to_recordset($2::json) AS o (
        external_id text, observed_at timestamptz, price_usd numeric, market_cap_usd numeric,
        volume_24h_usd numeric, content_hash text
    )
    JOIN listings AS l ON l.source = $1 AND l.external_id = o.external_id
    WHERE o.observed_at >= $3
),
present AS MATERIALIZED (
    SELECT p.listing, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd
    FROM said AS s JOIN price_points AS p ON p.listing = s.listing AND p.at = s.at
),
written AS (
    INSERT INTO price_points AS p ({POINT_COLUMNS})
    SELECT DISTINCT ON (listing, at) {POINT_COLUMNS}
    FROM said
    ORDER BY listing, at, {word("said")} DESC
    ON CONFLICT (listing, at) DO UPDATE SET
        fetched_at = excluded.fetched_at, tie = excluded.tie, price_usd = excluded.price_usd,
        market_cap_usd = excluded.market_cap_usd, volume_24h_usd = excluded.volume_24h_usd
    WHERE {word("excluded")} > {word("p")}
    RETURNING listing, at, price_usd, market_cap_usd, volume_24h_usd
)
-- A later word may repeat what is known: it changes nothing else.
SELECT array_agg(w.listing) AS listings, array_agg(w.at) AS times
FROM written AS w
LEFT JOIN present AS p ON p.listing = w.listing AND p.at = w.at
WHERE p.listing IS NULL OR (p.price_usd, p.market_cap_usd, p.volume_24h_usd)
    IS DISTINCT FROM (w.price_usd, w.market_cap_usd, w.volume_24h_usd)
"""
# A point decides whether the one before it and the two after it are held. What is further away is
# read for these only.
_HOLD = f"""
WITH touched AS MATERIALIZED (
    SELECT listing, min(at) AS first, max(at) AS last
    FROM unnest($1::integer[], $2::timestamptz[]) AS t (listing, at)
    GROUP BY listing
),
stretch AS MATERIALIZED (
    SELECT t.*, b.begins, e.ends
    FROM touched AS t
    CROSS JOIN LATERAL (
        SELECT min(at) AS begins FROM (
            SELECT p.at FROM price_points AS p WHERE p.listing = t.listing AND p.at < t.first
            ORDER BY p.at DESC LIMIT 3
        ) AS before
    ) AS b
    CROSS JOIN LATERAL (
        SELECT max(at) AS ends FROM (
            SELECT p.at FROM price_points AS p WHERE p.listing = t.listing AND p.at > t.last
            ORDER BY p.at LIMIT 3
        ) AS after
    ) AS e
),
neighbour AS MATERIALIZED (
    SELECT
        p.listing, p.at, p.price_usd, p.is_held, p.thinned_hours, s.first, s.last,{NEIGHBOURS},
        lead(p.at) OVER series >= s.first AS precedes,
        p.at > s.last AND (lag(p.at, 2) OVER series <= s.last OR lag(p.at) OVER series <= s.last)
            AS follows
    FROM stretch AS s
    CROSS JOIN LATERAL (
        SELECT * FROM price_points AS p
        WHERE p.listing = s.listing AND p.at >= coalesce(s.begins, s.first)
          AND p.at <= coalesce(s.ends, s.last)
    ) AS p
    WINDOW series AS (PARTITION BY p.listing ORDER BY p.at)
),
judged AS MATERIALIZED (
    SELECT listing, at, is_held, {JUDGED} AS held
    FROM neighbour
    -- Where points were removed the neighbours are others.
    WHERE (at BETWEEN first AND last OR precedes OR follows) AND thinned_hours = 0
),
changed AS (
    UPDATE price_points AS p SET is_held = j.held
    FROM judged AS j
    WHERE p.listing = j.listing AND p.at = j.at AND j.held <> j.is_held
    RETURNING p.listing, p.at
)
SELECT array_agg(listing) AS listings, array_agg(at) AS times FROM changed
"""
# Only what is as old as a thinned partition is looked up. An hour may stand in a thinned day.
BUCKET = f"""
    SELECT b.listing, b.start, b.width, CASE
        WHEN b.interval = 'H1' AND b.start < (SELECT max(ends_at) FROM thinned_partitions)
        THEN EXISTS (
            SELECT FROM price_points AS p
            WHERE p.listing = b.listing AND p.at >= date_bin('1 day', b.start, 'epoch')
              AND p.at < date_bin('1 day', b.start, 'epoch') + interval '1 day'
              AND p.thinned_hours > 0
              AND (p.thinned_hours = 24 OR p.at >= b.start AND p.at < b.start + b.width)
        )
        ELSE false
    END AS is_thinned
    FROM (
        SELECT DISTINCT listing, interval, date_bin(width, at, 'epoch') AS start, width
        FROM unnest($1::integer[], $2::timestamptz[]) AS point (listing, at), {UNITS}
    ) AS b
    WHERE b.interval = """


def _roll(interval: str, rolled: str) -> str:
    return f"""
WITH bucket AS MATERIALIZED ({BUCKET}'{interval}'),
rolled AS MATERIALIZED ({rolled}
    GROUP BY b.listing, b.start, b.is_thinned
),
gone AS (
    DELETE FROM candles AS c USING bucket AS b
    WHERE c.listing = b.listing AND c.interval = '{interval}' AND c.start = b.start
      AND NOT b.is_thinned AND NOT EXISTS (
        SELECT FROM rolled AS r WHERE r.listing = b.listing AND r.start = b.start
      )
)
INSERT INTO candles AS c (
    listing, interval, start, open, high, low, close, open_at, close_at, samples
)
SELECT
    r.listing, '{interval}', r.start, CASE WHEN k.open_at < r.open_at THEN k.open ELSE r.open END,
    greatest(k.high, r.high), least(k.low, r.low),
    CASE WHEN k.close_at > r.close_at THEN k.close ELSE r.close END,
    least(k.open_at, r.open_at), greatest(k.close_at, r.close_at), greatest(k.samples, r.samples)
FROM rolled AS r
LEFT JOIN LATERAL (
    SELECT *
    FROM candles AS c
    WHERE r.is_thinned AND c.listing = r.listing AND c.interval = '{interval}'
      AND c.start = r.start
    LIMIT 1
) AS k ON true
ORDER BY r.listing, r.start
ON CONFLICT (listing, interval, start) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    open_at = excluded.open_at, close_at = excluded.close_at, samples = excluded.samples
"""


_ROLL_HOURS = _roll(
    "H1",
    f"""
    SELECT b.listing, b.start, b.is_thinned,{ROLL_POINTS}
    FROM bucket AS b
    JOIN price_points AS p
        ON p.listing = b.listing AND p.at >= b.start AND p.at < b.start + b.width AND {COUNTED}""",
)
# A day is rolled from its hours, which are exact where points were removed.
_ROLL_DAYS = _roll(
    "D1",
    """
    SELECT
        b.listing, b.start, b.is_thinned, (array_agg(h.open ORDER BY h.start))[1] AS open,
        max(h.high) AS high, min(h.low) AS low,
        (array_agg(h.close ORDER BY h.start DESC))[1] AS close, min(h.open_at) AS open_at,
        max(h.close_at) AS close_at, sum(h.samples)::integer AS samples
    FROM bucket AS b
    JOIN candles AS h
        ON h.listing = b.listing AND h.interval = 'H1' AND h.start >= b.start
            AND h.start < b.start + b.width""",
)


async def add_points(
    connection: Connection,
    source: str,
    rows: bytes,
    oldest: datetime.datetime,
    fetched_at: datetime.datetime | None,
) -> int:
    """Add the observations in `rows`, encoded listings, in any order; return how many changed.

    The history begins at `oldest`. Without `fetched_at` they are prices of the past, which replace
    no observation. The caller's transaction holds the write lock.
    """
    written = await connection.fetchrow(_ADD, source, rows, oldest, fetched_at)
    assert written is not None  # noqa: S101 - the statement returns one row
    listings = written["listings"] or []
    await settle_points(connection, listings, written["times"] or [])
    return len(listings)


async def settle_points(
    connection: Connection, listings: Sequence[int], times: Sequence[datetime.datetime]
) -> None:
    """Decide again which points near the changed ones are held, and roll up their candles."""
    if not listings:
        return
    changed = await connection.fetchrow(_HOLD, listings, times)
    assert changed is not None  # noqa: S101 - the statement returns one row
    await roll_candles(
        connection, [*listings, *(changed["listings"] or [])], [*times, *(changed["times"] or [])]
    )


async def roll_candles(
    connection: Connection, listings: Sequence[int], times: Sequence[datetime.datetime]
) -> None:
    """Roll up the candles of the hours and days of these points."""
    for statement in (_ROLL_HOURS, _ROLL_DAYS):
        await connection.execute(statement, listings, times)
