"""The fourth part of the merge: the record of each owner.

heard    the speakers of the owners
voice    what each adds: its observation, or, while that is held, the one before it
fresh    by asset, the prices of the last hour
spoken   the voices, with whether the others' prices contradict them; `v` orders those that count,
         the newest first, `p` orders all by the sources' priority
refusal  the values that the record leaves out, and why
chosen   the record of each asset: volatile fields from the newest voice, static ones by priority
"""

from db.write.merge.listings import IMPOSSIBLE_CAP, near

AGREE = "1.01"
"""Prices within this factor agree."""
_CONFIRM = "1.1"
"""Within this factor another source's price confirms one that jumps."""
_GREATER_CAP = 10
"""A cap above this many times the median of the sources is left out."""


def _giver(at: str) -> str:
    return f"jsonb_build_object('source', source, 'external_id', external_id, 'observed_at', {at})"


def _first(value: str, order: str, condition: str) -> str:
    return f"(array_agg({value} ORDER BY {order}) FILTER (WHERE {condition}))[1]"


def _field(name: str, giver: str, order: str, condition: str) -> str:
    """Return the columns of a field: the first known value, and who gave it."""
    known = f"{condition} AND {name} IS NOT NULL"
    return (
        f"{_first(name, order, known)} AS {name},"
        f"\n        {_first(giver, order, known)} AS {name}_giver"
    )


def _alone(name: str, giver: str) -> str:
    """Return the same columns where there is one voice."""
    return f"{name}, CASE WHEN {name} IS NOT NULL THEN {giver} END"


_COUNTS = "NOT is_excluded"
_FIELDS = {
    "name": ("giver", "p", "true"),
    "rank": ("giver", "p", "true"),
    "price": ("at_giver", "v", _COUNTS),
    "cap": ("cap_giver", "v", f"{_COUNTS} AND NOT has_far_cap"),
    "volume": ("at_giver", "v", _COUNTS),
    "percent": ("at_giver", "v", _COUNTS),
}
_CHOSEN = ",\n        ".join(_field(name, *how) for name, how in _FIELDS.items())
_SINGLE = ", ".join(_alone(name, giver) for name, (giver, _, _) in _FIELDS.items())
_COLUMNS = {
    "name": "name",
    "rank": "rank",
    "price": "price_usd",
    "cap": "market_cap_usd",
    "volume": "volume_24h_usd",
    "percent": "percent_change_24h",
}
_GIVERS = ", ".join(f"{name}_giver" for name in _COLUMNS)
_IS_SOLE = " AND ".join(f"({name}_giver = sole) IS NOT FALSE" for name in _COLUMNS)
_ENTRIES = ",\n                ".join(
    f"""coalesce('{{"field": "{column}"}}' || {name}_giver, '""')"""
    for name, column in _COLUMNS.items()
)

VALUES = f"""
heard AS MATERIALIZED (
    SELECT * FROM speaker WHERE number IN (SELECT number FROM owner)
),
confirmed AS MATERIALIZED (
    SELECT DISTINCT a.k
    FROM heard AS a
    JOIN heard AS b ON b.number = a.number AND b.k <> a.k
    WHERE a.is_held AND abs(extract(epoch FROM a.observed_at - b.observed_at)) <= 3600
      AND b.price_usd IS NOT NULL AND {near("a.price_usd", "b.price_usd", _CONFIRM)}
),
confirmed_cap AS MATERIALIZED (
    SELECT DISTINCT a.k
    FROM heard AS a
    JOIN heard AS b ON b.number = a.number AND b.k <> a.k
    WHERE a.has_jumping_cap AND abs(extract(epoch FROM a.observed_at - b.observed_at)) <= 3600
      AND b.market_cap_usd IS NOT NULL AND {near("a.market_cap_usd", "b.market_cap_usd", "2")}
),
voice AS MATERIALIZED (
    SELECT
        k, number, speakers, source, external_id, priority, has_own_time, asset_newest, name, rank,
        observed_at, price_usd, market_cap_usd, has_impossible_cap, fresh_for, is_kept,
        coalesce(b1_price_usd, b2_price_usd) AS believed_price,
        CASE WHEN is_kept THEN steady_at ELSE observed_at END AS at,
        CASE WHEN is_kept THEN steady_price ELSE price_usd END AS price,
        CASE
            WHEN NOT is_kept THEN CASE WHEN is_odd_cap THEN earlier_cap ELSE market_cap_usd END
            WHEN b1_price_usd IS NOT NULL
            THEN CASE WHEN b1_market_cap_usd <= {IMPOSSIBLE_CAP} THEN b1_market_cap_usd END
            ELSE CASE WHEN b2_market_cap_usd <= {IMPOSSIBLE_CAP} THEN b2_market_cap_usd END
        END AS cap,
        CASE
            WHEN is_kept THEN steady_at
            WHEN is_odd_cap AND earlier_cap IS NOT NULL THEN earlier_cap_at
            ELSE observed_at
        END AS cap_at,
        CASE
            WHEN NOT is_kept THEN volume_24h_usd
            WHEN b1_price_usd IS NOT NULL THEN b1_volume_24h_usd
            ELSE b2_volume_24h_usd
        END AS volume,
        CASE WHEN NOT is_kept THEN percent_change_24h END AS percent
    FROM (
        SELECT
            h.*, h.is_held AND c.k IS NULL AS is_kept,
            h.has_impossible_cap OR (h.has_jumping_cap AND d.k IS NULL) AS is_odd_cap
        FROM heard AS h
        LEFT JOIN confirmed AS c ON c.k = h.k
        LEFT JOIN confirmed_cap AS d ON d.k = h.k
    ) AS h
),
fresh AS MATERIALIZED (
    SELECT
        b.*,
        CASE WHEN prices > 1 THEN (highest - lowest)::double precision
            / CASE WHEN prices > 2 THEN m.centre
                ELSE lowest::double precision
                    + (highest::double precision - lowest::double precision) * 0.5 END * 100
        END AS spread,
        m.median, CASE WHEN prices > 2 THEN m.median_cap ELSE least_cap END AS median_cap
    FROM (
        SELECT
            number, count(*) AS prices, min(price) AS lowest, max(price) AS highest,
            min(cap) AS least_cap, count(believed_price) > 0 AS has_past
        FROM voice
        WHERE price IS NOT NULL AND at >= asset_newest - interval '1 hour'
        GROUP BY number
    ) AS b
    LEFT JOIN (
        SELECT
            number,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY price) AS median,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY cap) AS median_cap,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY price::double precision) AS centre
        FROM voice
        WHERE speakers > 2 AND price IS NOT NULL AND at >= asset_newest - interval '1 hour'
        GROUP BY number
    ) AS m ON m.number = b.number
),
-- Of two sources that disagree, how far each price is from what either said before.
travelled AS MATERIALIZED (
    SELECT a.k, greatest({AGREE}, min(round(
        greatest(a.price, b.believed_price) / least(a.price, b.believed_price), 12
    ))) AS factor
    FROM voice AS a
    JOIN fresh AS f ON f.number = a.number AND f.prices = 2 AND f.has_past
        AND NOT f.highest <= {AGREE} * f.lowest
    JOIN voice AS b ON b.number = a.number
    WHERE a.price IS NOT NULL AND a.at >= a.asset_newest - interval '1 hour'
      AND b.price IS NOT NULL AND b.at >= b.asset_newest - interval '1 hour'
      AND b.believed_price IS NOT NULL
    GROUP BY a.k
),
spoken AS MATERIALIZED (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY number, is_excluded
            ORDER BY has_own_time DESC, at DESC, priority NULLS LAST, source
        ) AS v,
        row_number() OVER (PARTITION BY number ORDER BY priority NULLS LAST, source) AS p
    FROM (
        SELECT
            *,
            is_fresh AND coalesce(cap > {_GREATER_CAP} * median_cap, false) AS has_far_cap,
            is_fresh AND prices > 1 AND NOT highest <= {AGREE} * lowest AND CASE
                WHEN prices > 2 THEN NOT {near("price", "median", AGREE)}
                ELSE row_number() OVER (
                    PARTITION BY number, is_fresh
                    ORDER BY
                        factor, (has_own_time AND NOT has_past) DESC,
                        CASE WHEN NOT has_past THEN at END DESC NULLS LAST,
                        priority NULLS LAST, source
                ) > 1
            END AS is_excluded
        FROM (
            SELECT
                o.*, f.prices, f.lowest, f.highest, f.median, f.median_cap, f.has_past, m.factor,
                coalesce(
                    o.price IS NOT NULL AND o.at >= o.asset_newest - interval '1 hour', false
                ) AS is_fresh
            FROM voice AS o
            LEFT JOIN fresh AS f ON f.number = o.number
            LEFT JOIN travelled AS m ON m.k = o.k
        ) AS o
    ) AS o
),
refusal AS MATERIALIZED (
    SELECT
        number,
        jsonb_agg(
            jsonb_build_object('source', source, 'external_id', external_id, 'field', field,
                'value', value, 'reason', reason, 'observed_at', observed_at)
            ORDER BY source, external_id
        ) AS excluded
    FROM (
        SELECT number, source, external_id, observed_at, 'price_usd' AS field, price_usd AS value,
            CASE WHEN is_kept THEN 'jump' ELSE 'disagrees' END AS reason
        FROM spoken
        WHERE is_kept OR is_excluded
        UNION ALL
        SELECT number, source, external_id, observed_at, 'market_cap_usd', market_cap_usd,
            CASE
                WHEN has_impossible_cap THEN 'impossible'
                WHEN cap IS DISTINCT FROM market_cap_usd THEN 'jump'
                ELSE 'disagrees'
            END
        FROM spoken
        WHERE NOT is_kept AND NOT is_excluded
          AND market_cap_usd IS NOT NULL
          AND (cap IS DISTINCT FROM market_cap_usd OR has_far_cap)
    ) AS left_out
    GROUP BY number
),
given AS MATERIALIZED (
    SELECT
        *,
        {_giver("observed_at")} AS giver,
        {_giver("at")} AS at_giver,
        {_giver("cap_at")} AS cap_giver
    FROM spoken
),
chosen AS MATERIALIZED (
    SELECT
        number,
        {_CHOSEN},
        {_first("source", "price IS NULL, v", _COUNTS)} AS source,
        {_first("at", "price IS NULL, v", _COUNTS)} AS at,
        {_first("at + fresh_for", "price IS NULL, v", _COUNTS)} AS stale_at,
        count(*) FILTER (WHERE is_fresh AND NOT is_excluded AND NOT is_kept) AS witnesses,
        bool_or(is_excluded OR is_kept) AS is_doubted
    FROM given
    WHERE speakers > 1
    GROUP BY number
    UNION ALL
    -- One voice: nothing to choose.
    SELECT
        number,
        {_SINGLE},
        source, at, at + fresh_for, CASE WHEN is_fresh AND NOT is_kept THEN 1 ELSE 0 END, is_kept
    FROM given
    WHERE speakers = 1
),
merged AS MATERIALIZED (
    SELECT
        o.ticker, o.asset_id AS asset, c.name, c.price AS price_usd, c.cap AS market_cap_usd,
        c.volume AS volume_24h_usd, c.percent AS percent_change_24h, c.rank, c.source,
        c.at AS created_at, c.stale_at, f.spread AS price_spread_percent,
        o.rivals AS rival_count, r.excluded,
        c.is_doubted AND c.witnesses < 2 AS is_suspect,
        CASE WHEN c.price IS NULL THEN 0 ELSE trim_scale(
            (1 - power(0.5, greatest(1, c.witnesses) + CASE WHEN o.has_address THEN 1 ELSE 0 END))
            * CASE WHEN c.is_doubted AND c.witnesses < 2 THEN 0.5 ELSE 1 END
            * CASE WHEN o.is_contested THEN 0.5 ELSE 1 END
        ) END AS confidence,
        CASE
            WHEN sole IS NULL THEN '[]'
            WHEN {_IS_SOLE} THEN sole
            ELSE jsonb_build_array(
                {_ENTRIES}
            ) - ''
        END AS provenance
    FROM owner AS o
    JOIN chosen AS c ON c.number = o.number
    CROSS JOIN LATERAL (SELECT coalesce({_GIVERS}) AS sole) AS s
    LEFT JOIN fresh AS f ON f.number = o.number
    LEFT JOIN refusal AS r ON r.number = o.number
)"""  # noqa: S608 - of constants
