"""The statement that merges coins: identity and merging, set-wise for all tickers of a page.

Its parts, from top to bottom:

touched  the listings of the tickers, with their explicit labels; the only listing of a ticker is
         its own asset, and goes directly to `merged`
listing  the others, numbered; a class is the listings of one source with the same label and name,
         and is compared once
pair     two classes of different sources whose names agree: 0 same label, 1 equal, 2 equal without
         generic words, 3 one name's words are the other's first
named    pairs that are each other's best tier towards the other's source; all ties count
priced   of the listings without a link by name to that source: pairs that are near in time, price
         and cap, and each other's nearest in cap, then in price
reach    the transitive closure of the links; different labels split it again
speaker  the best listing of each source within an asset
owner    the asset that owns the ticker
merged   the record: volatile fields from the newest observation, static ones by the sources'
         priority; its provenance is the listing of all fields, else the listing of each field
compared the records that differ from those in the table
"""

MERGE = """
WITH RECURSIVE touched AS MATERIALIZED (
    SELECT
        l.ticker, l.source COLLATE "C" AS source, l.external_id COLLATE "C" AS external_id,
        l.name, l.name_words, l.core_words, l.rank, l.price_usd, l.market_cap_usd, l.volume_24h_usd,
        l.percent_change_24h, l.observed_at, l.has_own_time, l.active, l.contributes, s.priority,
        i.asset COLLATE "C" AS label,
        -- An unknown source is not polled again.
        coalesce(l.observed_at + s.poll_seconds * interval '3 seconds', '-infinity') AS stale_at,
        count(*) OVER (PARTITION BY l.ticker) AS sharing,
        jsonb_build_object('source', l.source, 'external_id', l.external_id, 'observed_at',
            l.observed_at) AS giver
    FROM listings AS l
    LEFT JOIN sources AS s ON s.name = l.source
    LEFT JOIN identities AS i ON i.source = l.source AND i.external_id = l.external_id
    WHERE l.ticker = ANY ($1::text[])
),
listing AS MATERIALIZED (
    SELECT
        n.*, min(k) OVER (PARTITION BY ticker, source, label, name_words) AS class,
        replace(name_words, ' ', '') AS compact, replace(core_words, ' ', '') AS core
    FROM (
        SELECT t.*, row_number() OVER (ORDER BY ticker, priority NULLS LAST, source,
            external_id) AS k
        FROM touched AS t
        WHERE sharing > 1
    ) AS n
),
-- Listings of one source never meet each other: a file may hold thousands under one ticker.
meeting AS MATERIALIZED (
    SELECT a.source AS source_a, b.source AS source_b
    FROM (SELECT DISTINCT source FROM listing) AS a
    JOIN (SELECT DISTINCT source FROM listing) AS b ON a.source < b.source
),
going AS MATERIALIZED (
    SELECT l.*, m.source_b AS towards FROM listing AS l JOIN meeting AS m ON m.source_a = l.source
),
pair AS MATERIALIZED (
    SELECT
        a.class AS a, b.class AS b, a.source AS source_a, b.source AS source_b,
        CASE
            WHEN a.label = b.label THEN 0
            WHEN a.compact = b.compact THEN 1
            WHEN a.core = b.core THEN 2
            ELSE 3
        END AS tier
    FROM going AS a
    JOIN listing AS b ON b.ticker = a.ticker AND b.source = a.towards
    WHERE a.k = a.class AND b.k = b.class
      AND CASE
            WHEN a.label IS NOT NULL AND b.label IS NOT NULL THEN a.label = b.label
            ELSE a.compact <> '' AND b.compact <> '' AND (
                a.compact = b.compact OR a.core = b.core
                OR starts_with(a.name_words || ' ', b.name_words || ' ')
                OR starts_with(b.name_words || ' ', a.name_words || ' ')
            )
          END
),
named AS MATERIALIZED (
    SELECT a, b, source_a, source_b
    FROM (
        SELECT
            *,
            min(tier) OVER (PARTITION BY a, source_b) AS best_a,
            min(tier) OVER (PARTITION BY b, source_a) AS best_b
        FROM pair
    ) AS ranked
    WHERE tier = best_a AND tier = best_b
),
-- What a name's link joins stands for its whole class; any other listing stands for itself.
node AS MATERIALIZED (
    SELECT
        l.*,
        CASE WHEN EXISTS (SELECT FROM named AS n WHERE n.a = l.class)
               OR EXISTS (SELECT FROM named AS n WHERE n.b = l.class) THEN class ELSE k END AS node
    FROM listing AS l
),
single AS MATERIALIZED (
    SELECT a.*, m.source_b AS towards
    FROM node AS a
    JOIN meeting AS m ON m.source_a = a.source
    WHERE NOT EXISTS (SELECT FROM named AS n WHERE n.a = a.class AND n.source_b = m.source_b)
),
priced AS MATERIALIZED (
    SELECT a, b
    FROM (
        SELECT
            a, b, row_number() OVER of_a AS near_a, row_number() OVER of_b AS near_b
        FROM (
            SELECT
                a.k AS ka, b.k AS kb, a.node AS a, b.node AS b, a.source AS source_a,
                    b.source AS source_b,
                a.external_id AS ida, b.external_id AS idb,
                CASE WHEN a.market_cap_usd IS NOT NULL AND b.market_cap_usd IS NOT NULL THEN round(
                    greatest(a.market_cap_usd, b.market_cap_usd) / least(a.market_cap_usd,
                        b.market_cap_usd), 12
                ) END AS caps_apart,
                round(greatest(a.price_usd, b.price_usd) / least(a.price_usd, b.price_usd),
                    12) AS prices_apart
            FROM single AS a
            JOIN node AS b ON b.ticker = a.ticker AND b.source = a.towards
            WHERE abs(extract(epoch FROM a.observed_at - b.observed_at)) <= 3600
              AND a.price_usd IS NOT NULL AND b.price_usd IS NOT NULL
              AND greatest(a.price_usd, b.price_usd) <= 1.03 * least(a.price_usd, b.price_usd)
              -- greatest() and least() ignore null: one cap may be unknown.
              AND (
                a.market_cap_usd IS NULL OR b.market_cap_usd IS NULL
                OR greatest(a.market_cap_usd, b.market_cap_usd) <= 2 * least(a.market_cap_usd,
                    b.market_cap_usd)
              )
              AND (a.label = b.label) IS NOT FALSE
              AND NOT EXISTS (SELECT FROM named AS n WHERE n.b = b.class AND n.source_a = a.source)
        ) AS candidate
        WINDOW
            of_a AS (PARTITION BY ka, source_b ORDER BY caps_apart NULLS LAST, prices_apart, ida,
                idb),
            of_b AS (PARTITION BY kb, source_a ORDER BY caps_apart NULLS LAST, prices_apart, ida,
                idb)
    ) AS ranked
    WHERE near_a = 1 AND near_b = 1
),
link AS MATERIALIZED (
    SELECT a, b FROM named UNION SELECT b, a FROM named UNION SELECT a, b FROM priced
        UNION SELECT b, a FROM priced
),
reach AS (
    SELECT a, b FROM link
    UNION
    SELECT r.a, l.b FROM reach AS r JOIN link AS l ON l.a = r.b
),
component AS MATERIALIZED (
    SELECT a AS node, min(b) AS root FROM reach GROUP BY a
),
member AS MATERIALIZED (
    SELECT
        m.*,
        min(k) OVER of_asset AS asset,
        bool_or(active) OVER of_asset AS asset_active,
        count(*) OVER (PARTITION BY ticker) - count(*) OVER of_asset AS rivals
    FROM (
        SELECT
            n.*, coalesce(c.root, n.node) AS root,
            coalesce(n.label, min(n.label) OVER (PARTITION BY coalesce(c.root, n.node)),
                '') AS asset_label
        FROM node AS n
        LEFT JOIN component AS c ON c.node = n.node
    ) AS m
    WINDOW of_asset AS (PARTITION BY root, asset_label)
),
speaker AS MATERIALIZED (
    SELECT
        best.*,
        -- A row with its file's date does not show how new the others are.
        coalesce(
            max(observed_at) FILTER (WHERE has_own_time) OVER (PARTITION BY asset),
            max(observed_at) OVER (PARTITION BY asset)
        ) AS asset_newest,
        coalesce(
            max(observed_at) FILTER (WHERE has_own_time) OVER (PARTITION BY ticker, asset_active),
            max(observed_at) OVER (PARTITION BY ticker, asset_active)
        ) AS class_newest
    FROM (
        SELECT DISTINCT ON (asset, source) *
        FROM member
        WHERE active OR NOT asset_active
        ORDER BY
            asset, source, coalesce(market_cap_usd, volume_24h_usd * 10) DESC NULLS LAST,
                rank NULLS LAST,
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
        ticker, asset_active DESC, fresh DESC, cap DESC NULLS LAST, sources DESC, rank NULLS LAST,
            external_id, asset
),
voice AS MATERIALIZED (
    SELECT
        s.*,
        row_number() OVER (
            PARTITION BY s.asset ORDER BY has_own_time DESC, observed_at DESC, priority NULLS LAST,
                source
        ) AS v,
        row_number() OVER (PARTITION BY s.asset ORDER BY priority NULLS LAST, source) AS p
    FROM speaker AS s
    JOIN owner AS o ON o.asset = s.asset
),
chosen AS MATERIALIZED (
    SELECT
        ticker,
        array_agg(source ORDER BY v) AS sources,
        array_agg(observed_at ORDER BY v) AS times,
        array_agg(stale_at ORDER BY v) AS stale_times,
        array_agg(price_usd ORDER BY v) AS prices,
        array_agg(market_cap_usd ORDER BY v) AS caps,
        array_agg(volume_24h_usd ORDER BY v) AS volumes,
        array_agg(percent_change_24h ORDER BY v) AS percents,
        array_agg(name ORDER BY v) AS names,
        array_agg(rank ORDER BY v) AS ranks,
        array_agg(giver ORDER BY v) AS givers,
        min(v) FILTER (WHERE price_usd IS NOT NULL) AS price_v,
        min(v) FILTER (WHERE market_cap_usd IS NOT NULL) AS cap_v,
        min(v) FILTER (WHERE volume_24h_usd IS NOT NULL) AS volume_v,
        min(v) FILTER (WHERE percent_change_24h IS NOT NULL) AS percent_v,
        (array_agg(v ORDER BY p) FILTER (WHERE name IS NOT NULL))[1] AS name_v,
        (array_agg(v ORDER BY p) FILTER (WHERE rank IS NOT NULL))[1] AS rank_v,
        CASE WHEN count(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 hour') >
            1 THEN
            (max(price_usd) FILTER (WHERE observed_at >= asset_newest - interval '1 hour')
             - min(price_usd) FILTER (WHERE observed_at >= asset_newest - interval
                 '1 hour'))::double precision
            / percentile_cont(0.5) WITHIN GROUP (ORDER BY price_usd::double precision)
              FILTER (WHERE observed_at >= asset_newest - interval '1 hour')
            * 100
        END AS spread
    FROM voice
    GROUP BY ticker, asset_newest
),
merged AS MATERIALIZED (
    SELECT
        c.ticker, names[name_v] AS name, prices[price_v] AS price_usd,
            caps[cap_v] AS market_cap_usd,
        volumes[volume_v] AS volume_24h_usd, percents[percent_v] AS percent_change_24h,
            ranks[rank_v] AS rank,
        sources[coalesce(price_v, 1)] AS source, times[coalesce(price_v, 1)] AS created_at,
        stale_times[coalesce(price_v, 1)] AS stale_at, spread, o.rivals AS rival_count,
        -- least() and greatest() ignore null.
        CASE
            WHEN least(name_v, rank_v, price_v, cap_v, volume_v, percent_v)
               = greatest(name_v, rank_v, price_v, cap_v, volume_v, percent_v)
            THEN givers[least(name_v, rank_v, price_v, cap_v, volume_v, percent_v)]
            ELSE jsonb_build_array(
                coalesce('{"field": "name"}' || givers[name_v], '""'),
                coalesce('{"field": "rank"}' || givers[rank_v], '""'),
                coalesce('{"field": "price_usd"}' || givers[price_v], '""'),
                coalesce('{"field": "market_cap_usd"}' || givers[cap_v], '""'),
                coalesce('{"field": "volume_24h_usd"}' || givers[volume_v], '""'),
                coalesce('{"field": "percent_change_24h"}' || givers[percent_v], '""')
            ) - ''
        END AS provenance
    FROM chosen AS c
    JOIN owner AS o ON o.ticker = c.ticker
    UNION ALL
    SELECT
        ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
            observed_at,
        stale_at, NULL, 0,
        CASE
            WHEN num_nonnulls(name, rank, price_usd, market_cap_usd, volume_24h_usd,
                percent_change_24h) > 0 THEN giver
            ELSE '[]'
        END
    FROM touched
    WHERE sharing = 1
),
compared AS MATERIALIZED (
    SELECT
        m.*, r.ticker IS NULL AS is_new,
        CASE WHEN m.price_usd IS DISTINCT FROM r.price_usd_exact AND m.price_usd IS NOT NULL
            THEN m.created_at END
            AS repriced_at
    FROM merged AS m
    LEFT JOIN normalized_records AS r ON r.ticker = m.ticker AND r.ticker = ANY ($1::text[])
    WHERE r.ticker IS NULL OR (
        r.name, r.price_usd_exact, r.market_cap_usd, r.volume_24h_usd, r.percent_change_24h, r.rank,
            r.source,
        r.created_at, r.price_spread_percent, r.rival_count, r.provenance
    ) IS DISTINCT FROM (
        m.name, m.price_usd, m.market_cap_usd, m.volume_24h_usd, m.percent_change_24h, m.rank,
            m.source,
        m.created_at, m.spread, m.rival_count, m.provenance
    )
),
updated AS (
    UPDATE normalized_records AS r SET
        name = c.name, price_usd_exact = c.price_usd, market_cap_usd = c.market_cap_usd,
        volume_24h_usd = c.volume_24h_usd, percent_change_24h = c.percent_change_24h, rank = c.rank,
        source = c.source, created_at = c.created_at, ingested_at = $2::timestamptz,
            price_spread_percent = c.spread,
        rival_count = c.rival_count, provenance = c.provenance, stale_at = c.stale_at
    FROM compared AS c
    WHERE r.ticker = c.ticker AND r.ticker = ANY ($1::text[])
),
added AS (
    INSERT INTO normalized_records (
        ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank,
            source,
        created_at, stale_at, ingested_at, price_spread_percent, rival_count, provenance
    )
    SELECT
        ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        created_at, stale_at, $2, spread, rival_count, provenance
    FROM compared
    WHERE is_new
    ORDER BY ticker
),
-- A ticker without listings: its source renamed the symbol.
gone AS (
    DELETE FROM normalized_records AS r
    WHERE r.ticker = ANY (ARRAY(
        SELECT ticker FROM unnest($1::text[]) AS given (ticker)
        WHERE NOT EXISTS (SELECT FROM touched AS t WHERE t.ticker = given.ticker)
    ))
    RETURNING r.ticker
),
-- Listings that begin or end to contribute: their coin changes too. This reads the old table.
moved AS MATERIALIZED (
    SELECT m.ticker, m.source, m.external_id, m.asset = o.asset AS owned
    FROM member AS m JOIN owner AS o ON o.ticker = m.ticker
    WHERE m.contributes <> (m.asset = o.asset)
    UNION ALL
    SELECT ticker, source, external_id, true FROM touched WHERE sharing = 1 AND NOT contributes
)
-- One row of arrays: thousands of rows take longer to send and to read.
SELECT *
FROM
    (SELECT array_agg(ticker) AS written, array_agg(repriced_at) AS repriced_at FROM compared) AS c,
    (SELECT array_agg(ticker) AS gone FROM gone) AS g,
    (
        SELECT
            array_agg(ticker) AS moved, array_agg(source) AS sources,
                array_agg(external_id) AS external_ids,
            array_agg(owned) AS owned
        FROM moved
    ) AS m
"""
"""$1: the tickers; $2: when the records are saved.

Returns one row: the written and deleted tickers, and the listings whose `contributes` changes.
"""
