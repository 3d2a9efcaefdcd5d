"""The first part of the merge: the listings of the tickers, and what each says by its own past.

touched  the listings of the tickers
judged   of the listings that are not banned, whether the price or cap is far from both earlier ones
plain    the only listing of a ticker, with believed values: it goes directly to `merged`
listing  the others, numbered
"""

IMPOSSIBLE_CAP = 10**13
"""US dollars: more than any asset is worth."""
UNKNOWN_SIZE = 50_000
"""US dollars that stand for a size of which nothing is known."""
_BELIEVED_VOLUMES = 1_000_000
"""A cap counts up to this many times the volume of a day, where the volume is known."""
_COMPARED = 8
"""Listings of one source with the same ticker and name that links by name or price consider."""
_MARKS = ("bridged", "wormhole", "pegged", "peg", "old", "deprecated", "iou")
"""Words of a name that is a copy's: another form of an asset."""


def near(one: str, other: str, bound: str) -> str:
    """Return the condition that two values, neither of which is null, are within a factor."""
    return f"greatest({one}, {other}) <= {bound} * least({one}, {other})"


def bound(gap: str) -> str:
    """Return by which factor a value may move within a time."""
    return (
        f"CASE WHEN {gap} <= '1 hour' THEN 1.5 WHEN {gap} <= '1 day' THEN 3"
        f" WHEN {gap} <= '30 days' THEN 10 ELSE 1000 END"
    )


def _jumps(column: str) -> str:
    """Return the condition that a value is known, and far from each known one before it."""
    value = f"t.{column}"
    far = [
        f"({value} IS NULL OR t.{b}_{column} IS NULL"
        f" OR NOT {near(value, f't.{b}_{column}', bound(f't.observed_at - t.{b}_at'))})"
        for b in ("b1", "b2")
    ]
    return (
        f"{value} IS NOT NULL AND num_nonnulls(t.b1_{column}, t.b2_{column}) > 0"
        f" AND {far[0]} AND {far[1]}"
    )


def _counted_cap(prefix: str) -> str:
    cap, volume = f"{prefix}market_cap_usd", f"{prefix}volume_24h_usd"
    return (
        f"CASE WHEN {cap} <= {IMPOSSIBLE_CAP}"
        f" THEN least({cap}, CASE WHEN {volume} IS NOT NULL"
        f" THEN greatest({volume} * {_BELIEVED_VOLUMES}, {UNKNOWN_SIZE}) END) END"
    )


def _possible_cap(prefix: str) -> str:
    cap = f"{prefix}market_cap_usd"
    return f"CASE WHEN {cap} <= {IMPOSSIBLE_CAP} THEN {cap} END"


_EARLIER = ",\n        ".join(
    f"(l.before[{number}]).{column} AS b{number}_{column}"
    for number in (1, 2)
    for column in ("at", "price_usd", "market_cap_usd", "volume_24h_usd")
)
_ALL_MARKS = ", ".join(f"'{mark}'" for mark in (*_MARKS, "wrapped", "staked"))
_OWN_MARKS = ", ".join(f"'{mark}'" for mark in _MARKS)
_IS_PLAIN = """sharing = 1 AND NOT is_held AND NOT has_impossible_cap AND NOT has_jumping_cap
        AND ticker NOT IN (SELECT ticker FROM ticker_bridges)"""
GOODNESS = """price_usd IS NULL, coalesce(own_cap, volume_24h_usd) DESC NULLS LAST,
                rank NULLS LAST, observed_at DESC, lot"""
"""The order of listings of one source that may be one asset: the best first."""

LISTINGS = f"""
WITH RECURSIVE touched AS MATERIALIZED (
    SELECT
        l.ticker, l.source COLLATE "C" AS source, l.external_id COLLATE "C" AS external_id,
        l.name, l.name_words, l.core_words, l.rank, l.price_usd, l.market_cap_usd, l.volume_24h_usd,
        l.percent_change_24h, l.observed_at, l.has_own_time, l.active, l.contributes, l.asset,
        l.first_seen_at, s.priority, s.kind = 'file' AS is_file,
        i.asset COLLATE "C" AS label, coalesce(i.is_owner, false) AS is_pinned,
        coalesce(i.is_banned, false) AS is_banned,
        g.address_group COLLATE "C" AS token, g.chains,
        -- An unknown source is not polled again.
        coalesce(s.poll_seconds * interval '3 seconds', '-infinity') AS fresh_for,
        count(*) FILTER (WHERE i.is_banned IS NOT TRUE) OVER (PARTITION BY l.ticker) AS sharing,
        {_EARLIER}
    FROM listings AS l
    LEFT JOIN sources AS s ON s.name = l.source
    LEFT JOIN identities AS i ON i.source = l.source AND i.external_id = l.external_id
    LEFT JOIN address_groups AS g ON g.source = l.source AND g.external_id = l.external_id
    WHERE l.ticker = ANY ($1::text[])
),
judged AS MATERIALIZED (
    SELECT
        t.*,
        {_jumps("price_usd")} AS is_held,
        coalesce(t.market_cap_usd > {IMPOSSIBLE_CAP}, false) AS has_impossible_cap,
        {_jumps("market_cap_usd")} AS has_jumping_cap
    FROM touched AS t
    WHERE NOT is_banned
),
plain AS MATERIALIZED (
    SELECT
        *,
        jsonb_build_object('source', source, 'external_id', external_id, 'observed_at',
            observed_at) AS giver
    FROM judged
    WHERE {_IS_PLAIN}
),
listing AS MATERIALIZED (
    SELECT
        c.*, row_number() OVER (ORDER BY ticker, priority NULLS LAST, source, external_id) AS k,
        row_number() OVER (
            PARTITION BY ticker, source, label, name_words ORDER BY {GOODNESS}
        ) <= {_COMPARED} AS is_compared,
        replace(name_words, ' ', '') AS compact, replace(core_words, ' ', '') AS core
    FROM (
        SELECT
            j.*, md5(source || ':' || external_id) AS lot,
            CASE WHEN is_held THEN coalesce(b1_price_usd, b2_price_usd) ELSE price_usd END
                AS steady_price,
            CASE WHEN NOT is_held THEN observed_at
                WHEN b1_price_usd IS NOT NULL THEN b1_at ELSE b2_at END AS steady_at,
            coalesce({_possible_cap("b1_")}, {_possible_cap("b2_")}) AS earlier_cap,
            CASE WHEN {_possible_cap("b1_")} IS NOT NULL THEN b1_at ELSE b2_at END
                AS earlier_cap_at,
            -- Of three the middle one, of two the smaller one.
            CASE WHEN num_nonnulls(cap_0, cap_1, cap_2) = 3
                THEN greatest(least(cap_0, cap_1), least(greatest(cap_0, cap_1), cap_2))
                ELSE least(cap_0, cap_1, cap_2) END AS own_cap,
            string_to_array(name_words, ' ') && (
                ARRAY[{_OWN_MARKS}]
                || CASE WHEN starts_with(ticker, 'W') THEN '{{}}' ELSE '{{wrapped}}'::text[] END
                || CASE WHEN starts_with(ticker, 'S') OR strpos(ticker, 'ST') > 0 THEN '{{}}'
                    ELSE '{{staked}}'::text[] END
            ) AND NOT string_to_array(name_words, ' ') <@ ARRAY[{_ALL_MARKS}] AS is_copy
        FROM judged AS j
        CROSS JOIN LATERAL (
            SELECT
                {_counted_cap("j.")} AS cap_0,
                {_counted_cap("j.b1_")} AS cap_1,
                {_counted_cap("j.b2_")} AS cap_2
        ) AS counted
        WHERE NOT ({_IS_PLAIN})
    ) AS c
),
"""  # noqa: S608 - of constants
