"""The third part of the merge: which asset owns a ticker.

speaker  the best listing of each source within an asset
middle   the median values of assets with more than two speakers
asset    what the speakers of an asset say together, its size and its standing
claim    an asset and a ticker that one of its listings has, with the evidence for it
owner    the best claim on each ticker, and whether the second one is nearly as good
"""

from db.write.merge.listings import GOODNESS, IMPOSSIBLE_CAP, UNKNOWN_SIZE

_STANDING = 1_000_000
"""US dollars from which an asset may have a standing that newcomers do not overcome."""

EVIDENCE = f"""
speaker AS MATERIALIZED (
    SELECT
        best.*,
        -- A row with its file's date does not show how new the others are.
        coalesce(
            max(observed_at) FILTER (WHERE has_own_time) OVER of_asset,
            max(observed_at) OVER of_asset
        ) AS asset_newest,
        count(*) OVER of_asset AS speakers
    FROM (
        SELECT DISTINCT ON (number, source) *
        FROM member
        WHERE active OR NOT is_active_asset
        ORDER BY
            number, source, {GOODNESS}
    ) AS best
    WINDOW of_asset AS (PARTITION BY number)
),
-- Of one or two values the middle one is the smaller one; a sort for each asset takes longer.
middle AS MATERIALIZED (
    SELECT
        number,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY own_cap)
            FILTER (WHERE observed_at >= asset_newest - interval '1 day') AS fresh_cap,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY own_cap) AS cap,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY volume_24h_usd)
            FILTER (WHERE volume_24h_usd <= {IMPOSSIBLE_CAP}) AS volume
    FROM speaker
    WHERE speakers > 2
    GROUP BY number
),
asset AS MATERIALIZED (
    SELECT
        s.number, asset_newest, speakers, count(price_usd) AS priced,
        count(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '30 days')
            AS witnesses,
        max(observed_at) FILTER (WHERE has_own_time) AS own_newest, max(observed_at) AS any_newest,
        min(rank) AS rank, bool_and(is_copy) AS is_copy,
        bool_or(price_usd IS NOT NULL AND b2_at IS NOT NULL AND NOT is_file) AS is_followed,
        coalesce(
            CASE WHEN speakers > 2 THEN coalesce(min(m.fresh_cap), min(m.cap), min(m.volume))
                ELSE coalesce(
                    min(own_cap) FILTER (WHERE observed_at >= asset_newest - interval '1 day'),
                    min(own_cap),
                    min(volume_24h_usd) FILTER (WHERE volume_24h_usd <= {IMPOSSIBLE_CAP})
                )
            END,
            div(1000000000000, min(rank)::numeric * min(rank))
        ) AS size
    FROM speaker AS s
    LEFT JOIN middle AS m ON m.number = s.number
    GROUP BY s.number, asset_newest, speakers
),
claim AS MATERIALIZED (
    SELECT
        c.*,
        coalesce(size >= {_STANDING}, false) AND NOT is_copy
            AND (witnesses > 1 OR is_followed) AS has_standing,
        coalesce(size * power(10::numeric, greatest(witnesses - 1, 0)), {UNKNOWN_SIZE})
            * CASE WHEN asset_newest < ticker_newest - interval '1 day' THEN 1 ELSE 1000 END
            * CASE WHEN is_copy THEN 1 ELSE 1000000 END AS score
    FROM (
        SELECT
            m.*, a.size, a.priced, a.witnesses, a.speakers, a.rank, a.is_copy, a.is_followed,
            a.asset_newest,
            coalesce(
                max(a.own_newest) OVER (PARTITION BY m.ticker, m.is_active),
                max(a.any_newest) OVER (PARTITION BY m.ticker, m.is_active)
            ) AS ticker_newest,
            sum(m.listings) OVER (PARTITION BY m.ticker) - m.listings AS rivals
        FROM (
            SELECT
                ticker, number, asset_id, count(*) AS listings, bool_or(active) AS is_active
            FROM member
            GROUP BY ticker, number, asset_id
        ) AS m
        JOIN asset AS a ON a.number = m.number
    ) AS c
),
whole AS MATERIALIZED (
    SELECT
        number, bool_or(is_pinned) AS is_pinned, min(first_seen_at) AS first_seen_at,
        bool_or(token IS NOT NULL) AS has_address, min(lot) AS lot
    FROM member
    GROUP BY number
),
ranked AS MATERIALIZED (
    SELECT
        c.*, w.has_address, row_number() OVER best AS place,
        NOT w.is_pinned AND coalesce(
            (is_active, priced > 0, has_standing)
                = (lead(is_active) OVER best, lead(priced > 0) OVER best,
                    lead(has_standing) OVER best)
            AND lead(score) OVER best * 10 >= score,
            false
        ) AS is_contested
    FROM claim AS c
    JOIN whole AS w ON w.number = c.number
    WINDOW best AS (
        PARTITION BY ticker
        ORDER BY
            w.is_pinned DESC, is_active DESC, priced > 0 DESC, has_standing DESC, score DESC,
            speakers DESC, rank NULLS LAST, w.first_seen_at, w.has_address DESC, w.lot
    )
),
owner AS MATERIALIZED (
    SELECT ticker, number, asset_id, rivals, has_address, is_contested FROM ranked WHERE place = 1
),
"""  # noqa: S608 - of constants
