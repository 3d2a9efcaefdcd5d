"""Retry rejected records: readable ones become payloads, unreadable payloads become rejections."""

import datetime

from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts
from db.reprocess.payloads import Kind, of_kind

# A rejected record that is readable now becomes a payload, unless it arrived again and is one.
_KEEP_RETRIED = """
INSERT INTO raw_api_records (
    source, external_id, payload, ingested_at, fetched_at, run_id, content_hash
)
SELECT
    v.source, v.external_id, convert_from(r.payload, 'UTF8')::jsonb, v.ingested_at, v.fetched_at,
    r.run_id, v.content_hash
FROM reprocess_versions AS v JOIN rejected_records AS r ON r.id = v.rejection_id
WHERE v.source = $1 AND v.rejection_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM raw_api_records AS k
    WHERE k.source = v.source AND k.external_id = v.external_id AND k.content_hash = v.content_hash
)
ORDER BY v.external_id, v.ingested_at
"""
_KEEP_IN = of_kind(_KEEP_RETRIED)
# The same record was rejected at every poll.
_DROP_RETRIED = with_counts("""
WITH gone AS (
    DELETE FROM rejected_records AS r
    USING reprocess_versions AS v JOIN rejected_records AS o ON o.id = v.rejection_id
    WHERE v.source = $1 AND r.source = $1 AND r.external_id = o.external_id
        AND r.payload = o.payload
    RETURNING r.id, r.external_id, r.source, r.error
),
difference AS (
    SELECT source || ' ' || external_id || ' #' || id AS id, '(removed)' AS field, error AS old,
        NULL AS new FROM gone
)
""")
# Unreadable payloads: the newest of each listing replaces the rejections of an earlier reprocess.
_REPLACE_UNREADABLE = with_counts("""
WITH earlier AS (
    DELETE FROM rejected_records AS r USING etl_runs AS e
    WHERE r.source = $1 AND e.id = r.run_id AND e.kind = 'reprocess'
    RETURNING 1
),
newest AS (
    SELECT DISTINCT ON (external_id) external_id, ingested_at, content_hash, error
    FROM reprocess_versions
    WHERE source = $1 AND error IS NOT NULL
    ORDER BY external_id, ingested_at DESC, content_hash DESC
),
kept AS (
    INSERT INTO rejected_records (run_id, source, external_id, error, payload, rejected_at)
    SELECT $2::bigint, $1::text, n.external_id, n.error, convert_to(r.payload::text, 'UTF8'),
        $3::timestamptz
    FROM newest AS n
    JOIN raw_api_records AS r ON r.source = $1 AND r.external_id = n.external_id
        AND r.ingested_at = n.ingested_at AND r.content_hash = n.content_hash
    WHERE $2::bigint IS NOT NULL
    RETURNING 1
),
difference AS (
    SELECT $1::text || ' ' || external_id AS id, '(added)' AS field, NULL AS old, error AS new
        FROM newest
)
""")
_REPLACE_IN = of_kind(_REPLACE_UNREADABLE)


async def settle_rejections(
    connection: Connection, source: str, kind: Kind, run_id: int | None, now: datetime.datetime
) -> list[Change]:
    """Turn readable rejected records into payloads, and save the unreadable payloads.

    Without a run nothing is saved, only with_counts.
    """
    await connection.execute(_KEEP_IN[kind], source)
    changes = read_changes("rejected_records", await connection.fetch(_DROP_RETRIED, source))
    return changes + read_changes(
        "rejected_records", await connection.fetch(_REPLACE_IN[kind], source, run_id, now)
    )
