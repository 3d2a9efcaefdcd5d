"""Rejected records: unreadable ones, with their bytes and the reason."""

import datetime
from collections.abc import Sequence

from db.connect.types import Connection

_INSERT = """
INSERT INTO rejected_records (run_id, source, external_id, error, payload, rejected_at)
SELECT $1, $2, r.external_id, r.error, r.payload, $3
FROM unnest($4::text[], $5::text[], $6::bytea[]) AS r (external_id, error, payload)
"""
_PURGE = "DELETE FROM rejected_records WHERE rejected_at < $1"


async def add_rejections(
    connection: Connection,
    run_id: int,
    source: str,
    now: datetime.datetime,
    rejections: Sequence[tuple[str | None, str, bytes]],
) -> None:
    """Store the rejected records of a page: (external id or None, error, bytes)."""
    if rejections:
        external_ids, errors, payloads = zip(*rejections, strict=True)
        await connection.execute(_INSERT, run_id, source, now, external_ids, errors, payloads)


async def purge_rejections(connection: Connection, before: datetime.datetime) -> None:
    """Delete old rejected records: every poll rejects a record that is still unreadable."""
    await connection.execute(_PURGE, before)
