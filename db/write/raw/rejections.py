"""Rejected records: unreadable ones, with their bytes and the reason."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

_INSERT = """
INSERT INTO rejected_records (
    run_id, source, external_id, error, payload, rejected_at, body, body_offset, body_length
)
SELECT $1, $2, r.external_id, r.error, r.payload, $3, r.body, r.body_offset, r.body_length
FROM unnest($4::text[], $5::text[], $6::bytea[], $7::bigint[], $8::integer[], $9::integer[])
    AS r (external_id, error, payload, body, body_offset, body_length)
"""
_PURGE = "DELETE FROM rejected_records WHERE rejected_at < $1"


class RejectedRecord(msgspec.Struct, frozen=True):
    """A record that could not be read, why, and its place in the body of its page."""

    external_id: str | None
    error: str
    payload: bytes
    body: int | None
    body_offset: int | None
    body_length: int | None


async def add_rejections(
    connection: Connection,
    run_id: int,
    source: str,
    now: datetime.datetime,
    rejections: Sequence[RejectedRecord],
) -> None:
    """Store the rejected records of a page."""
    if rejections:
        columns = zip(*map(msgspec.structs.astuple, rejections), strict=True)
        await connection.execute(_INSERT, run_id, source, now, *columns)


async def purge_rejections(connection: Connection, before: datetime.datetime) -> None:
    """Delete old rejected records: every poll rejects a record that is still unreadable."""
    await connection.execute(_PURGE, before)
