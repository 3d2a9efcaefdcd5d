"""The outbox: its numbers, and the events that coins and runs must have while events are kept."""

# Events are deleted from the oldest on, so all that are newer than the oldest are there.
_KEPT = "(SELECT at FROM events ORDER BY seq LIMIT 1)"
_RUN = "'run ' || r.id || ' of ' || r.source"

COUNT_EVENTS = "SELECT count(*) FROM events"
COUNT_COINS = "SELECT count(*) FROM normalized_records"
COUNT_RUNS = f"SELECT count(*) FROM etl_runs WHERE started_at > {_KEPT}"  # noqa: S608 - of constants

COINS = f"""
WITH sent AS MATERIALIZED (
    SELECT DISTINCT e.at, t.ticker
    FROM events AS e CROSS JOIN LATERAL unnest(e.tickers) AS t (ticker)
    WHERE e.kind = 'coins_changed'
)
SELECT n.ticker, 'event', NULL, 'coins_changed at ' || n.ingested_at
FROM normalized_records AS n
WHERE n.ingested_at > {_KEPT} AND NOT EXISTS (
    SELECT FROM sent AS t WHERE t.at = n.ingested_at AND t.ticker = n.ticker
)
"""  # noqa: S608 - of constants

# A run's events hold its row as it was then; columns that a later version adds are not there.
RUNS = f"""
WITH sent AS MATERIALIZED (
    SELECT
        (run ->> 'id')::bigint AS id,
        count(*) FILTER (WHERE kind = 'run_started') AS started,
        count(DISTINCT run ->> 'pages') FILTER (WHERE kind = 'run_progress') AS pages,
        count(*) FILTER (WHERE kind = 'run_finished') AS finished
    FROM events WHERE run IS NOT NULL
    GROUP BY 1
),
ended AS MATERIALIZED (
    SELECT DISTINCT ON ((run ->> 'id')::bigint) (run ->> 'id')::bigint AS id, run
    FROM events WHERE kind = 'run_finished'
    ORDER BY (run ->> 'id')::bigint, seq DESC
)
SELECT {_RUN}, 'event', NULL, 'run_started'
FROM etl_runs AS r LEFT JOIN sent AS t ON t.id = r.id
WHERE r.started_at > {_KEPT} AND coalesce(t.started, 0) = 0
UNION ALL
SELECT {_RUN}, 'event', NULL, 'run_finished'
FROM etl_runs AS r LEFT JOIN sent AS t ON t.id = r.id
WHERE r.finished_at > {_KEPT} AND coalesce(t.finished, 0) = 0
UNION ALL
SELECT {_RUN}, 'pages', r.pages::text, coalesce(t.pages, 0) || ' run_progress events'
FROM etl_runs AS r LEFT JOIN sent AS t ON t.id = r.id
WHERE r.started_at > {_KEPT} AND r.kind = 'ingest' AND coalesce(t.pages, 0) <> r.pages
UNION ALL
SELECT {_RUN}, o.key, n.value, o.value || ', as its event says'
FROM etl_runs AS r
JOIN ended AS e ON e.id = r.id
CROSS JOIN LATERAL jsonb_each_text(e.run) AS o
JOIN LATERAL jsonb_each_text(row_to_json(r)::jsonb) AS n ON n.key = o.key
WHERE r.finished_at > {_KEPT} AND n.value IS DISTINCT FROM o.value
"""  # noqa: S608 - of constants

# A transaction that is rolled back, and a crash of PostgreSQL, leave gaps too. Then the next event
# begins a transaction. A page's progress follows the event of its coins directly.
_GAPS = """
SELECT
    seq, before, kind,
    kind = 'run_progress' AND (run ->> 'changed')::integer > coalesce((
        SELECT (p.run ->> 'changed')::integer FROM events AS p
        WHERE p.seq <= g.before AND p.run ->> 'id' = g.run ->> 'id'
        ORDER BY p.seq DESC LIMIT 1
    ), 0) AS is_torn
FROM (
    SELECT seq, kind, run, lag(seq) OVER (ORDER BY seq) AS before FROM events
) AS g
WHERE seq > before + 1
"""
TORN = f"""
SELECT
    'events ' || before || ' and ' || seq, 'seq', 'nothing between them',
    'the coins of the page that ' || seq || ' reports'
FROM ({_GAPS}) AS gap
WHERE is_torn
"""  # noqa: S608 - of constants
HARMLESS = f"""
SELECT count(*) AS gaps, sum(seq - before - 1)::bigint AS numbers
FROM ({_GAPS}) AS gap
WHERE NOT is_torn
"""  # noqa: S608 - of constants
"""The gaps that a transaction which was rolled back may have left."""
