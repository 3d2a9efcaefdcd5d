"""The last part of the merge: write the records that differ, and name the listings that move.

record    the merged records, and those of plain listings
compared  the records that differ from those in the table
moved     listings that begin or end to contribute, or that another listing names now
"""

_COLUMNS = (
    "name",
    "price_usd",
    "market_cap_usd",
    "volume_24h_usd",
    "percent_change_24h",
    "rank",
    "source",
    "created_at",
    "price_spread_percent",
    "rival_count",
    "asset",
    "confidence",
    "is_suspect",
    "excluded",
    "provenance",
)
_STORED = {column: column for column in _COLUMNS} | {"price_usd": "price_usd_exact"}
_OLD = ", ".join(f"r.{column}" for column in _STORED.values())
_NEW = ", ".join(f"m.{column}" for column in _COLUMNS)
_SET = ", ".join(f"{stored} = c.{column}" for column, stored in _STORED.items())
_TARGET = ", ".join(_STORED.values())
_VALUES = ", ".join(_COLUMNS)

RECORD = f""",
record AS MATERIALIZED (
    SELECT ticker, {_VALUES}, stale_at FROM merged
    UNION ALL
    SELECT
        ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
        observed_at, NULL, 0, source || ':' || external_id,
        CASE WHEN price_usd IS NULL THEN 0 WHEN token IS NULL THEN 0.5 ELSE 0.75 END, false, NULL,
        CASE
            WHEN num_nonnulls(name, rank, price_usd, market_cap_usd, volume_24h_usd,
                percent_change_24h) > 0 THEN giver
            ELSE '[]'
        END,
        observed_at + fresh_for
    FROM plain
)"""  # noqa: S608 - of constants
_WRITES = f""",
compared AS MATERIALIZED (
    SELECT
        m.*, r.ticker IS NULL AS is_new
    FROM record AS m
    LEFT JOIN normalized_records AS r
        ON r.ticker = m.ticker AND r.ticker = ANY ($1::text[])
    WHERE r.ticker IS NULL OR ({_OLD}) IS DISTINCT FROM ({_NEW})
),
updated AS (
    UPDATE normalized_records AS r
    SET {_SET}, stale_at = c.stale_at, ingested_at = $2::timestamptz
    FROM compared AS c
    WHERE r.ticker = c.ticker AND r.ticker = ANY ($1::text[])
),
added AS (
    INSERT INTO normalized_records (ticker, {_TARGET}, stale_at, ingested_at)
    SELECT ticker, {_VALUES}, stale_at, $2
    FROM compared
    WHERE is_new
    ORDER BY ticker
),
-- A ticker without listings: its source renamed the symbol, or the operator banned them.
gone AS (
    DELETE FROM normalized_records AS r
    WHERE r.ticker = ANY (ARRAY(
        SELECT ticker FROM unnest($1::text[]) AS given (ticker)
        WHERE ticker NOT IN (SELECT ticker FROM judged)
    ))
    RETURNING r.ticker
)"""  # noqa: S608 - of constants
# This reads the old table.
MOVED = """,
moved AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT
            m.ticker, m.source, m.external_id, m.number = o.number AS owned, m.contributes,
            m.asset AS old_asset,
            nullif(m.asset_id, m.source || ':' || m.external_id) AS asset
        FROM member AS m
        JOIN owner AS o ON o.ticker = m.ticker
        UNION ALL
        SELECT ticker, source, external_id, true, contributes, asset, NULL FROM plain
        UNION ALL
        SELECT ticker, source, external_id, false, contributes, asset, NULL
        FROM touched
        WHERE is_banned
    ) AS m
    WHERE contributes <> owned OR asset IS DISTINCT FROM old_asset
)"""
_RESULT = """
-- One row of arrays: thousands of rows take longer to send and to read.
SELECT *
FROM
    (SELECT array_agg(ticker) AS written FROM compared) AS c,
    (SELECT array_agg(ticker) AS gone FROM gone) AS g,
    (
        SELECT
            array_agg(ticker) AS moved, array_agg(source) AS sources,
            array_agg(external_id) AS external_ids, array_agg(owned) AS owned,
            array_agg(asset) AS assets
        FROM moved
    ) AS m
"""

RECORDS = RECORD + _WRITES + MOVED + _RESULT
