"""Numbers that count rows: of runs, of sources, of the registry; and checkpoints beside runs."""

# A reprocess reads rejected records again, and those that are readable now are payloads then.
_REPROCESSED = """
    EXISTS (
        SELECT FROM etl_runs AS p
        WHERE p.source = r.source AND p.kind = 'reprocess' AND p.id > r.id
    )"""
_RUN = "'run ' || r.id || ' of ' || r.source"

COUNT_RUNS = "SELECT count(*) FROM etl_runs"
COUNT_SOURCES = "SELECT count(*) FROM sources"
COUNT_CHECKPOINTS = "SELECT count(*) FROM etl_checkpoints"

REJECTIONS = f"""
SELECT {_RUN}, 'failed', r.failed::text, n.rows || ' rejected records'
FROM etl_runs AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM rejected_records AS j WHERE j.run_id = r.id
) AS n
WHERE r.started_at >= $1::timestamptz AND r.kind = 'ingest'
  AND (n.rows > r.failed OR (n.rows < r.failed AND NOT {_REPROCESSED}))
"""  # noqa: S608 - of constants
REJECTION_OWNERS = """
SELECT
    'rejected record ' || j.id, 'source', j.source, r.source
FROM rejected_records AS j JOIN etl_runs AS r ON r.id = j.run_id
WHERE j.source <> r.source
"""
COUNT_REJECTIONS = "SELECT count(*) FROM rejected_records"

# The index of a body also names late records that repeat what is known, which change nothing. A
# file's payloads may be deleted with their listings, when a sample is replaced.
PAYLOADS = f"""
WITH stored AS MATERIALIZED (
    SELECT run_id, sum(record_count) AS rows FROM bodies GROUP BY run_id
)
SELECT {_RUN}, 'changed', r.changed::text, coalesce(n.rows, 0) || ' payloads'
FROM etl_runs AS r
LEFT JOIN stored AS n ON n.run_id = r.id
LEFT JOIN sources AS s ON s.name = r.source
WHERE r.started_at >= $1::timestamptz AND r.kind = 'ingest' AND s.kind = 'api'
  AND coalesce(n.rows, 0) < r.changed
"""  # noqa: S608 - of constants

NOTES = f"""
SELECT {_RUN}, 'note_count', r.note_count::text, n.counted || ' notes'
FROM etl_runs AS r
CROSS JOIN LATERAL (
    SELECT coalesce(sum((note ->> 'count')::bigint), 0) AS counted
    FROM jsonb_array_elements(r.notes) AS note
) AS n
WHERE n.counted <> r.note_count
"""  # noqa: S608 - of constants

# Failures whose runs are past their retention still count.
FAILURES = """
SELECT s.name, 'consecutive_failures', s.consecutive_failures::text, f.rows || ' failed runs'
FROM sources AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM etl_runs AS r
    WHERE r.source = s.name AND r.kind = 'ingest' AND r.status = 'failure' AND r.id > coalesce((
        SELECT max(g.id) FROM etl_runs AS g
        WHERE g.source = s.name AND g.kind = 'ingest' AND g.status IN ('success', 'partial')
    ), 0)
) AS f
WHERE f.rows > s.consecutive_failures OR (
    f.rows < s.consecutive_failures AND NOT EXISTS (
        SELECT FROM etl_runs AS o
        WHERE o.source = s.name AND o.started_at < now() - interval '29 days'
    )
)
"""

CHECKPOINTS = """
WITH newest AS (
    SELECT c.*, (
        SELECT max(CASE WHEN r.status = 'running' THEN now() ELSE r.finished_at END)
        FROM etl_runs AS r
        WHERE r.source = c.source AND r.kind = 'ingest'
    ) AS run_until
    FROM etl_checkpoints AS c
)
SELECT source, 'updated_at', updated_at::text, 'at most ' || run_until
FROM newest WHERE updated_at > run_until + interval '1 minute'
UNION ALL
SELECT source, 'updated_at', updated_at::text, 'a run of the source'
FROM newest WHERE run_until IS NULL
UNION ALL
SELECT source, 'last_timestamp', last_timestamp::text, 'at most 5 minutes after ' || updated_at
FROM newest WHERE last_timestamp > updated_at + interval '6 minutes'
UNION ALL
SELECT source, 'last_sweep_at', last_sweep_at::text, 'at most ' || updated_at
FROM newest WHERE last_sweep_at > updated_at + interval '1 minute'
UNION ALL
SELECT source, 'sweep_started_at', sweep_started_at::text, 'at most ' || updated_at
FROM newest WHERE sweep_started_at > updated_at + interval '1 minute'
UNION ALL
SELECT source, 'last_id', last_id, 'the id of a listing or of a rejected record'
FROM newest AS n
WHERE last_id IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM listings AS l WHERE l.source = n.source AND l.external_id = n.last_id
  )
  AND NOT EXISTS (
    SELECT FROM source_pages AS p WHERE p.source = n.source AND n.last_id = ANY (p.external_ids)
  )
"""
"""A minute is what two clocks may differ."""

# A page that is read again is rewritten at once; a listing may be on no page while a sweep is under
# way, when the source has moved it.
PAGES = """
SELECT l.source || ':' || l.external_id, 'active', 'true', 'on a page of the newest sweep'
FROM listings AS l
JOIN etl_checkpoints AS c ON c.source = l.source
WHERE l.active AND l.missing_since IS NULL AND c.sweep_started_at IS NULL
  AND c.last_sweep_at IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM source_pages AS p
    WHERE p.source = l.source AND p.external_ids @> ARRAY[l.external_id]
  )
"""
