"""Coins: the merged record of each ticker, computed set-wise from the ticker's listings.

The rule is DESIGN's section on identity and merging; `docs/ARCHITECTURE.md` tells it in words, and `tests/oracle.py`
says it a second time in plain Python. The statement is read from top to bottom:

listing  the listings of the tickers in question, numbered, with their explicit labels
pair     two listings of different sources under one ticker: the tier of their names (0 label, 1 equal, 2 equal without
         generic words, 3 one name's words are the other's first), and whether price, cap and time are near
named    pairs that are each other's best tier towards the other's source; ties all stand
priced   of what has no name's link to that source: pairs that are each other's nearest in cap, then in price
reach    the transitive closure of the links; labels that differ split what it joined
speaker  the best listing of each source within an asset
owner    the asset that owns the ticker
merged   the record: volatile fields from the newest observation, static ones by the sources' priority
"""

import datetime
from collections.abc import Collection

import msgspec

from db.types import Connection

_MERGE = """
WITH RECURSIVE listing AS MATERIALIZED (
    SELECT
        row_number() OVER (ORDER BY l.ticker, s.priority NULLS LAST, l.source, l.external_id) AS k,
        l.ticker, l.source COLLATE "C" AS source, l.external_id COLLATE "C" AS external_id,
        l.name, l.name_words, l.rank, l.price_usd, l.market_cap_usd,
        l.volume_24h_usd, l.percent_change_24h, l.observed_at, l.active, l.contributes, s.priority,
        i.asset COLLATE "C" AS label,
        replace(l.name_words, ' ', '') AS compact, replace(l.core_words, ' ', '') AS core
    FROM listings AS l
    LEFT JOIN sources AS s ON s.name = l.source
    LEFT JOIN identities AS i ON i.source = l.source AND i.external_id = l.external_id
    WHERE l.ticker = ANY ($1::text[])
),
pair AS MATERIALIZED (
    SELECT
        a.k AS ka, b.k AS kb, a.source AS sa, b.source AS sb, a.external_id AS ida, b.external_id AS idb,
        CASE
            WHEN a.label = b.label THEN 0
            WHEN a.compact = b.compact AND a.compact <> '' THEN 1
            WHEN a.core = b.core AND a.core <> '' THEN 2
            WHEN a.name_words <> '' AND b.name_words <> '' AND (
                starts_with(a.name_words || ' ', b.name_words || ' ')
                OR starts_with(b.name_words || ' ', a.name_words || ' ')
            ) THEN 3
        END AS tier,
        coalesce(
            abs(extract(epoch FROM a.observed_at - b.observed_at)) <= 3600
            AND greatest(a.price_usd, b.price_usd) <= 1.03 * least(a.price_usd, b.price_usd)
            AND a.price_usd IS NOT NULL AND b.price_usd IS NOT NULL
            -- greatest() and least() pass over null: one unknown cap is no obstacle.
            AND (
                a.market_cap_usd IS NULL OR b.market_cap_usd IS NULL
                OR greatest(a.market_cap_usd, b.market_cap_usd) <= 2 * least(a.market_cap_usd, b.market_cap_usd)
            ),
            false
        ) AS near,
        a.market_cap_usd AS capa, b.market_cap_usd AS capb, a.price_usd AS pricea, b.price_usd AS priceb
    FROM listing AS a
    JOIN listing AS b ON b.ticker = a.ticker AND a.source < b.source
    WHERE (a.label = b.label) IS NOT FALSE
),
named AS MATERIALIZED (
    SELECT ka, kb, sa, sb
    FROM (
        SELECT
            ka, kb, sa, sb, tier,
            min(tier) OVER (PARTITION BY ka, sb) AS best_a, min(tier) OVER (PARTITION BY kb, sa) AS best_b
        FROM pair
        WHERE tier IS NOT NULL
    ) AS ranked
    WHERE tier = best_a AND tier = best_b
),
priced AS MATERIALIZED (
    SELECT ka, kb
    FROM (
        SELECT
            ka, kb,
            row_number() OVER (PARTITION BY ka, sb ORDER BY caps_apart NULLS LAST, prices_apart, ida, idb) AS near_a,
            row_number() OVER (PARTITION BY kb, sa ORDER BY caps_apart NULLS LAST, prices_apart, ida, idb) AS near_b
        FROM (
            SELECT
                p.*,
                CASE WHEN capa IS NOT NULL AND capb IS NOT NULL
                    THEN round(greatest(capa, capb) / least(capa, capb), 12) END AS caps_apart,
                round(greatest(pricea, priceb) / least(pricea, priceb), 12) AS prices_apart
            FROM pair AS p
            WHERE near
              AND NOT EXISTS (SELECT FROM named AS n WHERE n.ka = p.ka AND n.sb = p.sb)
              AND NOT EXISTS (SELECT FROM named AS n WHERE n.kb = p.kb AND n.sa = p.sa)
        ) AS candidate
    ) AS ranked
    WHERE near_a = 1 AND near_b = 1
),
link AS MATERIALIZED (
    SELECT ka AS a, kb AS b FROM named UNION ALL SELECT kb, ka FROM named
    UNION ALL SELECT ka, kb FROM priced UNION ALL SELECT kb, ka FROM priced
),
reach AS (
    SELECT a, b FROM link
    UNION
    SELECT r.a, l.b FROM reach AS r JOIN link AS l ON l.a = r.b
),
component AS MATERIALIZED (
    SELECT a AS k, min(b) AS root FROM reach GROUP BY a
),
member AS MATERIALIZED (
    SELECT
        m.*,
        min(k) OVER of_asset AS asset,
        bool_or(active) OVER of_asset AS asset_active,
        count(*) OVER (PARTITION BY ticker) - count(*) OVER of_asset AS rivals
    FROM (
        SELECT
            l.*, coalesce(c.root, l.k) AS root,
            coalesce(l.label, min(l.label) OVER (PARTITION BY coalesce(c.root, l.k)), '') AS asset_label
        FROM listing AS l
        LEFT JOIN component AS c ON c.k = l.k
    ) AS m
    WINDOW of_asset AS (PARTITION BY root, asset_label)
),
speaker AS MATERIALIZED (
    SELECT
        best.*,
        max(observed_at) OVER (PARTITION BY asset) AS asset_newest,
        max(observed_at) OVER (PARTITION BY ticker, asset_active) AS class_newest
    FROM (
        SELECT DISTINCT ON (asset, source) *
        FROM member
        WHERE active OR NOT asset_active
        ORDER BY
            asset, source, coalesce(market_cap_usd, volume_24h_usd * 10) DESC NULLS LAST, rank NULLS LAST,
            observed_at DESC, external_id
    ) AS best
),
owner AS MATERIALIZED (
    SELECT DISTINCT ON (ticker) ticker, asset, rivals
    FROM (
        SELECT
            ticker, asset, asset_active, rivals,
            asset_newest >= class_newest - interval '1 day' AS fresh,
            coalesce(
                max(market_cap_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 day'),
                max(market_cap_usd),
                max(volume_24h_usd) * 10
            ) AS cap,
            count(*) AS sources, min(rank) AS rank, min(external_id) AS external_id
        FROM speaker
        GROUP BY ticker, asset, asset_active, rivals, asset_newest, class_newest
    ) AS asset
    ORDER BY
        ticker, asset_active DESC, fresh DESC, cap DESC NULLS LAST, sources DESC, rank NULLS LAST, external_id, asset
),
voice AS MATERIALIZED (
    SELECT
        s.*,
        row_number() OVER (PARTITION BY s.asset ORDER BY observed_at DESC, priority NULLS LAST, source) AS v,
        row_number() OVER (PARTITION BY s.asset ORDER BY priority NULLS LAST, source) AS p
    FROM speaker AS s
    JOIN owner AS o ON o.asset = s.asset
),
chosen AS MATERIALIZED (
    SELECT
        ticker,
        array_agg(source ORDER BY v) AS sources,
        array_agg(external_id ORDER BY v) AS external_ids,
        array_agg(observed_at ORDER BY v) AS times,
        array_agg(price_usd ORDER BY v) AS prices,
        array_agg(market_cap_usd ORDER BY v) AS caps,
        array_agg(volume_24h_usd ORDER BY v) AS volumes,
        array_agg(percent_change_24h ORDER BY v) AS percents,
        array_agg(name ORDER BY v) AS names,
        array_agg(rank ORDER BY v) AS ranks,
        min(v) FILTER (WHERE price_usd IS NOT NULL) AS price_v,
        min(v) FILTER (WHERE market_cap_usd IS NOT NULL) AS cap_v,
        min(v) FILTER (WHERE volume_24h_usd IS NOT NULL) AS volume_v,
        min(v) FILTER (WHERE percent_change_24h IS NOT NULL) AS percent_v,
        (array_agg(v ORDER BY p) FILTER (WHERE name IS NOT NULL))[1] AS name_v,
        (array_agg(v ORDER BY p) FILTER (WHERE rank IS NOT NULL))[1] AS rank_v,
        CASE WHEN count(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 hour') > 1 THEN
            (max(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 hour')
             - min(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 hour'))::double precision
            / percentile_cont(0.5) WITHIN GROUP (ORDER BY price_usd::double precision)
              FILTER (WHERE observed_at >= asset_newest - interval '1 hour')
            * 100
        END AS spread
    FROM voice
    GROUP BY ticker, asset_newest
),
merged AS MATERIALIZED (
    SELECT
        c.ticker, names[name_v] AS name, prices[price_v] AS price_usd, caps[cap_v] AS market_cap_usd,
        volumes[volume_v] AS volume_24h_usd, percents[percent_v] AS percent_change_24h, ranks[rank_v] AS rank,
        sources[coalesce(price_v, 1)] AS source, times[coalesce(price_v, 1)] AS created_at, spread,
        o.rivals AS rival_count,
        coalesce(
            (
                SELECT jsonb_agg(jsonb_build_object(
                    'field', f.field, 'source', sources[f.v], 'external_id', external_ids[f.v],
                    'observed_at', times[f.v]
                ))
                FROM (VALUES
                    ('name', name_v), ('rank', rank_v), ('price_usd', price_v), ('market_cap_usd', cap_v),
                    ('volume_24h_usd', volume_v), ('percent_change_24h', percent_v)
                ) AS f (field, v)
                WHERE f.v IS NOT NULL
            ),
            '[]'
        ) AS provenance
    FROM chosen AS c
    JOIN owner AS o ON o.ticker = c.ticker
),
saved AS (
    INSERT INTO normalized_records AS r (
        ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        created_at, ingested_at, price_spread_percent, rival_count, provenance
    )
    SELECT
        ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        created_at, $2::timestamptz, spread, rival_count, provenance
    FROM merged
    ORDER BY ticker
    ON CONFLICT (ticker) DO UPDATE SET
        name = excluded.name, price_usd_exact = excluded.price_usd_exact, market_cap_usd = excluded.market_cap_usd,
        volume_24h_usd = excluded.volume_24h_usd, percent_change_24h = excluded.percent_change_24h,
        rank = excluded.rank, source = excluded.source, created_at = excluded.created_at,
        ingested_at = excluded.ingested_at, price_spread_percent = excluded.price_spread_percent,
        rival_count = excluded.rival_count, provenance = excluded.provenance
    WHERE (
        r.name, r.price_usd_exact, r.market_cap_usd, r.volume_24h_usd, r.percent_change_24h, r.rank, r.source,
        r.created_at, r.price_spread_percent, r.rival_count, r.provenance
    ) IS DISTINCT FROM (
        excluded.name, excluded.price_usd_exact, excluded.market_cap_usd, excluded.volume_24h_usd,
        excluded.percent_change_24h, excluded.rank, excluded.source, excluded.created_at,
        excluded.price_spread_percent, excluded.rival_count, excluded.provenance
    )
    RETURNING r.ticker
),
-- A ticker without listings: its source renamed the symbol.
gone AS (
    DELETE FROM normalized_records AS r
    WHERE r.ticker = ANY ($1::text[]) AND NOT EXISTS (SELECT FROM listing AS l WHERE l.ticker = r.ticker)
    RETURNING r.ticker
),
flagged AS (
    UPDATE listings AS l
    SET contributes = m.owned
    FROM (SELECT m.source, m.external_id, m.contributes, m.asset = o.asset AS owned
          FROM member AS m JOIN owner AS o ON o.ticker = m.ticker) AS m
    WHERE m.contributes <> m.owned AND l.source = m.source AND l.external_id = m.external_id
    RETURNING l.ticker
)
-- A coin whose listings changed sides has changed too, though its own row may be the same. The table still
-- shows the statement's past here: that tells whose price is another one now.
SELECT t.ticker, m.price_usd IS NOT NULL AND m.price_usd IS DISTINCT FROM r.price_usd_exact AS repriced
FROM (SELECT ticker FROM saved UNION SELECT ticker FROM gone UNION SELECT ticker FROM flagged) AS t
LEFT JOIN merged AS m ON m.ticker = t.ticker
LEFT JOIN normalized_records AS r ON r.ticker = t.ticker
ORDER BY t.ticker
"""


class Merged(msgspec.Struct, frozen=True):
    """The tickers of the coins that a merge changed, sorted, and of those whose price it changed."""

    changed: list[str]
    repriced: list[str]


async def merge_coins(connection: Connection, tickers: Collection[str], now: datetime.datetime) -> Merged:
    """Merge the records of `tickers` anew from their listings.

    The caller's transaction holds the write lock, so every committed listing is seen and none is being written.
    """
    if not tickers:
        return Merged([], [])
    rows = await connection.fetch(_MERGE, sorted(tickers), now)
    return Merged([row["ticker"] for row in rows], [row["ticker"] for row in rows if row["repriced"]])
