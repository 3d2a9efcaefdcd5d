"""The second part of the merge: which listings are one asset.

proven      pairs with an equal label, or with an address in common, across tickers
pair        candidates: two sources under one ticker, without a contradiction; `grade` is 1 for
            equal names, 2 without generic words, 3 where one name's words are the other's first,
            4 for prices, and 10 more for names whose prices lie far apart
mutual      the pairs that are each other's best candidate, if no price speaks against a name
reach       the transitive closure of the links
conflicted  closures whose members contradict each other: labels and addresses part them
surplus     of several listings of one source that no proof joins, all but the best linked one
member      the listings with the number of their asset
"""

from db.write.merge.listings import near

_CONTRADICT = """CASE WHEN a.label IS NOT NULL AND b.label IS NOT NULL THEN a.label <> b.label
            ELSE a.token IS DISTINCT FROM b.token AND coalesce(a.chains && b.chains, false) END"""
_CAPS_APART = (
    "round(greatest(a.market_cap_usd, b.market_cap_usd)"
    " / least(a.market_cap_usd, b.market_cap_usd), 12)"
)
_PRICES_APART = (
    "round(greatest(a.steady_price, b.steady_price) / least(a.steady_price, b.steady_price), 12)"
)
_HOW_FAR = f"""
        CASE WHEN a.market_cap_usd IS NOT NULL AND b.market_cap_usd IS NOT NULL
            THEN {_CAPS_APART} END AS caps_apart,
        CASE WHEN a.steady_price IS NOT NULL AND b.steady_price IS NOT NULL
            THEN {_PRICES_APART} END AS prices_apart,
        a.lot AS lot_a, b.lot AS lot_b"""
_NEAREST = "grade, caps_apart NULLS LAST, prices_apart NULLS LAST, lot_a, lot_b"
_SAME_PRICE = "1.03"
"""Prices within this factor link two listings whose names do not."""
_FAR = near("price_a", "price_b", "CASE WHEN seconds <= 86400 THEN 3 ELSE 1000 END")
"""Prices within this factor do not speak against equal names."""
_SAME_CAP, _SAME_CAP_PRICE = "1.1", "1.25"
"""Caps within the first factor are enough evidence for prices within the second."""

LINKS = f"""
proven AS MATERIALIZED (
    SELECT a.k AS a, b.k AS b, a.ticker AS ticker_a, b.ticker AS ticker_b, a.source AS source_a,
        b.source AS source_b
    FROM listing AS a JOIN listing AS b ON a.label = b.label AND a.k <> b.k
    UNION
    SELECT a.k, b.k, a.ticker, b.ticker, a.source, b.source
    FROM listing AS a JOIN listing AS b ON a.token = b.token AND a.k <> b.k
    WHERE (a.label = b.label) IS NOT FALSE
),
-- A listing that a proof links to a source under its ticker has no other candidate there.
settled AS MATERIALIZED (
    SELECT DISTINCT a AS k, source_b AS towards FROM proven WHERE ticker_a = ticker_b
),
-- Listings of one source never meet each other: a file may hold thousands under one ticker.
meeting AS MATERIALIZED (
    SELECT a.source AS source_a, b.source AS source_b
    FROM (SELECT DISTINCT source FROM listing) AS a
    JOIN (SELECT DISTINCT source FROM listing) AS b ON a.source < b.source
),
going AS MATERIALIZED (
    SELECT l.*, m.source_b AS towards
    FROM listing AS l
    JOIN meeting AS m ON m.source_a = l.source
    LEFT JOIN settled AS s ON s.k = l.k AND s.towards = m.source_b
    WHERE l.is_compared AND s.k IS NULL
),
candidate AS MATERIALIZED (
    SELECT
        a.k AS a, b.k AS b, a.source AS source_a, b.source AS source_b,
        CASE
            WHEN a.compact = '' OR b.compact = '' THEN NULL
            WHEN a.compact = b.compact THEN 1
            WHEN a.core = b.core THEN 2
            WHEN a.is_copy = b.is_copy AND (
                starts_with(a.name_words || ' ', b.name_words || ' ')
                OR starts_with(b.name_words || ' ', a.name_words || ' ')
            ) THEN 3
        END AS named,
        abs(extract(epoch FROM a.steady_at - b.steady_at)) AS seconds,
        a.steady_price AS price_a, b.steady_price AS price_b,
        CASE
            WHEN a.is_copy <> b.is_copy THEN NULL
            WHEN a.market_cap_usd IS NULL OR b.market_cap_usd IS NULL THEN {_SAME_PRICE}
            WHEN {near("a.market_cap_usd", "b.market_cap_usd", _SAME_CAP)} THEN {_SAME_CAP_PRICE}
            WHEN {near("a.market_cap_usd", "b.market_cap_usd", "2")} THEN {_SAME_PRICE}
        END AS price_factor,
        {_HOW_FAR}
    FROM going AS a
    JOIN listing AS b ON b.ticker = a.ticker AND b.source = a.towards
    LEFT JOIN settled AS s ON s.k = b.k AND s.towards = a.source
    WHERE b.is_compared AND s.k IS NULL AND NOT {_CONTRADICT}
),
pair AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT
            *,
            CASE
                WHEN named IS NOT NULL THEN named + CASE
                    WHEN price_a IS NOT NULL AND price_b IS NOT NULL AND NOT {_FAR}
                    THEN 10 ELSE 0 END
                WHEN price_a IS NOT NULL AND price_b IS NOT NULL
                    AND seconds <= 3600 AND {near("price_a", "price_b", "price_factor")} THEN 4
            END AS grade
        FROM candidate
    ) AS graded
    WHERE grade IS NOT NULL
),
best AS MATERIALIZED (
    SELECT a, b, grade, agrees, caps_apart, prices_apart, lot_a, lot_b
    FROM (
        SELECT
            *, grade < 10 AS agrees,
            row_number() OVER (PARTITION BY a, source_b ORDER BY {_NEAREST}) AS best_of_a,
            row_number() OVER (PARTITION BY b, source_a ORDER BY {_NEAREST}) AS best_of_b
        FROM pair
    ) AS ranked
    WHERE best_of_a = 1 AND best_of_b = 1
),
-- Names whose prices lie far apart link nothing that has a better link.
agreed AS MATERIALIZED (
    SELECT a AS k FROM best WHERE agrees
    UNION SELECT b FROM best WHERE agrees
    UNION SELECT a FROM proven
),
mutual AS MATERIALIZED (
    SELECT a, b, grade, caps_apart, prices_apart, lot_a, lot_b
    FROM best
    WHERE agrees OR (
        a NOT IN (SELECT k FROM agreed) AND b NOT IN (SELECT k FROM agreed)
    )
),
link AS MATERIALIZED (
    SELECT a, b FROM mutual UNION SELECT b, a FROM mutual UNION SELECT a, b FROM proven
),
reach AS (
    SELECT a, b FROM link
    UNION
    SELECT r.a, l.b FROM reach AS r JOIN link AS l ON l.a = r.b
),
component AS MATERIALIZED (
    SELECT a AS k, min(b) AS root FROM reach GROUP BY a
),
rooted AS MATERIALIZED (
    SELECT
        r.*,
        coalesce(
            'l' || label,
            CASE WHEN token IS NOT NULL
                THEN 'l' || min(label) OVER (PARTITION BY root, token) END,
            'g' || token
        ) AS mark
    FROM (
        SELECT l.*, coalesce(c.root, l.k) AS root
        FROM listing AS l
        LEFT JOIN component AS c ON c.k = l.k
    ) AS r
),
conflicted AS MATERIALIZED (
    SELECT DISTINCT a.root
    FROM rooted AS a
    JOIN rooted AS b ON b.root = a.root AND b.k > a.k
    WHERE (a.label IS NOT NULL OR a.token IS NOT NULL)
        AND (b.label IS NOT NULL OR b.token IS NOT NULL) AND {_CONTRADICT}
),
marked AS MATERIALIZED (
    SELECT k, root, mark FROM rooted WHERE root IN (SELECT root FROM conflicted)
),
-- What has no mark follows its best link to something that has one.
beside AS MATERIALIZED (
    SELECT DISTINCT ON (a.k) a.k, b.mark
    FROM marked AS a
    JOIN (
        SELECT a, b, grade, caps_apart, prices_apart, lot_a, lot_b FROM mutual
        UNION ALL
        SELECT b, a, grade, caps_apart, prices_apart, lot_a, lot_b FROM mutual
    ) AS m ON m.a = a.k
    JOIN marked AS b ON b.k = m.b
    WHERE a.mark IS NULL AND b.mark IS NOT NULL
    ORDER BY a.k, {_NEAREST}
),
anchored AS MATERIALIZED (
    SELECT m.k, coalesce(m.mark, b.mark, min(m.mark) OVER (PARTITION BY m.root)) AS anchor
    FROM marked AS m
    LEFT JOIN beside AS b ON b.k = m.k
),
strength AS MATERIALIZED (
    SELECT k, min(grade) AS grade
    FROM (
        SELECT a AS k, 0 AS grade FROM proven
        UNION ALL SELECT a, grade FROM mutual
        UNION ALL SELECT b, grade FROM mutual
    ) AS links
    GROUP BY k
),
-- A chain of names over three sources may join two listings of one: the better linked one stays.
surplus AS MATERIALIZED (
    SELECT k
    FROM (
        SELECT
            r.k, r.mark, row_number() OVER of_source AS place,
            first_value(r.mark) OVER of_source AS first_mark
        FROM rooted AS r
        JOIN strength AS s ON s.k = r.k
        LEFT JOIN anchored AS a ON a.k = r.k
        WINDOW of_source AS (
            PARTITION BY r.root, coalesce(a.anchor, ''), r.source ORDER BY s.grade, r.lot
        )
    ) AS placed
    WHERE place > 1 AND (mark = first_mark) IS NOT TRUE
),
member AS MATERIALIZED (
    SELECT
        r.*, min(r.k) OVER of_asset AS number,
        bool_or(r.active) OVER of_asset AS is_active_asset,
        first_value(r.source || ':' || r.external_id) OVER (
            of_asset ORDER BY r.active DESC, r.priority NULLS LAST, r.source, r.first_seen_at, r.lot
        ) AS asset_id
    FROM (
        SELECT r.*, coalesce('s' || s.k, a.anchor, '') AS anchor
        FROM rooted AS r
        LEFT JOIN anchored AS a ON a.k = r.k
        LEFT JOIN surplus AS s ON s.k = r.k
    ) AS r
    WINDOW of_asset AS (PARTITION BY r.root, r.anchor)
),
"""  # noqa: S608 - of constants
