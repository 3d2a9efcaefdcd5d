"""Retry rejected records: readable ones enter the index of their body. Reject what is not."""

import datetime
import itertools
from collections.abc import Sequence

import asyncpg

from db.bodies import BodySlice
from db.connect.types import Connection
from db.reprocess.changes import Change, read_changes, with_counts
from db.reprocess.payloads import Kind, of_kind, payloads_of
from db.write.raw.bodies import BodyArrival, NewBody, add_body, extend_body, next_body, pack_body
from db.write.raw.rejections import RejectedRecord, add_rejections

# A rejected record that is readable now counts as written from its body, unless it arrived again.
_RETRIED = """
WITH retried AS MATERIALIZED (
    SELECT * FROM reprocess_versions WHERE source = $1 AND rejection_id IS NOT NULL
)
SELECT
    v.external_id, v.content_hash, v.ingested_at, v.fetched_at, v.body, v.body_offset,
    v.body_length, r.payload, r.run_id
FROM retried AS v JOIN rejected_records AS r ON r.id = v.rejection_id
WHERE NOT EXISTS (
    SELECT FROM reprocess_versions AS k
    WHERE k.source = v.source AND k.external_id = v.external_id
      AND k.content_hash = v.content_hash AND k.rejection_id IS NULL
)
ORDER BY v.body, v.ingested_at, v.fetched_at, r.run_id, v.external_id
"""
_PLACE = """
UPDATE listings SET body = $4, body_offset = $5, body_length = $6
WHERE source = $1 AND external_id = $2 AND content_hash = $3 AND body IS NULL
"""
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
_DROP_UNREADABLE = """
DELETE FROM rejected_records AS r USING etl_runs AS e
WHERE r.source = $1 AND e.id = r.run_id AND e.kind = 'reprocess'
"""
_UNREADABLE = """
SELECT DISTINCT ON (external_id)
    external_id, error, content_hash, body, body_offset, body_length
FROM reprocess_versions
WHERE source = $1 AND error IS NOT NULL
ORDER BY external_id, ingested_at DESC, content_hash DESC
"""
_NEWEST_IN = of_kind("""
SELECT external_id, content_hash, convert_to(payload::text, 'UTF8') AS payload
FROM raw_api_records
WHERE source = $1
""")
_REPORT_UNREADABLE = with_counts(f"""
WITH newest AS ({_UNREADABLE}),
difference AS (
    SELECT $1::text || ' ' || external_id AS id, '(added)' AS field, NULL AS old, error AS new
        FROM newest
)
""")  # noqa: S608 - of constants


async def settle_rejections(
    connection: Connection, source: str, kind: Kind, run_id: int | None, now: datetime.datetime
) -> list[Change]:
    """Index the rejected records that are readable, and save the payloads that are not.

    Without a run no unreadable payload is saved, only counted.
    """
    await _keep_retried(connection, source)
    changes = read_changes("rejected_records", await connection.fetch(_DROP_RETRIED, source))
    await connection.execute(_DROP_UNREADABLE, source)
    if run_id is not None:
        await _save_unreadable(connection, source, kind, run_id, now)
    return changes + read_changes(
        "rejected_records", await connection.fetch(_REPORT_UNREADABLE, source)
    )


async def _keep_retried(connection: Connection, source: str) -> None:
    rows = await connection.fetch(_RETRIED, source)
    placed = [row for row in rows if row["body"] is not None]
    for body, of_body in itertools.groupby(placed, lambda row: row["body"]):
        slices = [
            BodySlice(
                row["external_id"],
                row["body_offset"],
                row["body_length"],
                row["payload"],
                row["content_hash"],
            )
            for row in of_body
        ]
        await extend_body(connection, body, slices)
    # What an earlier version has rejected has no body.
    alone = [row for row in rows if row["body"] is None]
    for _, together in itertools.groupby(
        alone, lambda row: (row["ingested_at"], row["fetched_at"], row["run_id"])
    ):
        await _add_alone(connection, source, list(together))


async def _add_alone(connection: Connection, source: str, rows: Sequence[asyncpg.Record]) -> None:
    first, offset = rows[0], 0
    slices: list[BodySlice] = []
    for row in rows:
        length = len(row["payload"])
        slices.append(BodySlice(row["external_id"], offset, length, None, row["content_hash"]))
        offset += length + 1
    content = b"".join([row["payload"] + b"\n" for row in rows])
    body = NewBody(
        source=source,
        page_group="",
        page_number=0,
        fetched_at=first["fetched_at"],
        run_id=first["run_id"],
        form="records",
        url=None,
        headers={},
        content=pack_body(content),
    )
    arrival = BodyArrival(await next_body(connection), first["ingested_at"])
    await add_body(connection, arrival, body, slices)
    for one in slices:
        await connection.execute(
            _PLACE,
            source,
            one.external_id,
            one.content_hash,
            arrival.id,
            one.offset,
            one.length,
        )


async def _newest_payloads(
    connection: Connection, source: str, kind: Kind
) -> dict[tuple[str, bytes], bytes]:
    """Return the payloads in the raw table: those of a body that has expired are there."""
    rows = await connection.fetch(_NEWEST_IN[kind], source)
    return {(row["external_id"], row["content_hash"]): row["payload"] for row in rows}


async def _save_unreadable(
    connection: Connection, source: str, kind: Kind, run_id: int, now: datetime.datetime
) -> None:
    rows = sorted(await connection.fetch(_UNREADABLE, source), key=lambda row: row["body"] or 0)
    rejections: list[RejectedRecord] = []
    for body, of_body in itertools.groupby(rows, lambda row: row["body"]):
        if body is None:
            payloads = await _newest_payloads(connection, source, kind)
        else:
            payloads = await payloads_of(connection, body)
        rejections += [
            RejectedRecord(
                row["external_id"],
                row["error"],
                payloads[row["external_id"], row["content_hash"]],
                body,
                row["body_offset"],
                row["body_length"],
            )
            for row in of_body
        ]
    await add_rejections(connection, run_id, source, now, rejections)
