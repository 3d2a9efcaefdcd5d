"""The payloads of a reprocess, in the order of their key, and the rejected records."""

import datetime
from typing import Literal

import msgspec

from db.connect.types import Connection
from db.reprocess.job import BEGINNING

# Payloads are staged in the order of this key: reading resumes after the last one.
_POSITION = """
SELECT external_id, ingested_at, content_hash
FROM reprocess_versions
WHERE source = $1
ORDER BY external_id DESC, ingested_at DESC, content_hash DESC
LIMIT 1
"""
_READ = """
SELECT
    r.external_id, r.ingested_at, r.content_hash, coalesce(r.fetched_at, r.ingested_at), r.payload
FROM raw_api_records AS r
WHERE r.source = $1
  AND r.ingested_at >= $2 AND r.ingested_at <= $3 AND (r.ingested_at > $4 OR $4 IS NULL)
  AND (r.external_id, r.ingested_at, r.content_hash) > ($5, $6, $7)
  AND ($8 OR EXISTS (
    SELECT FROM reprocess_needed AS n WHERE n.source = r.source AND n.external_id = r.external_id
  ))
ORDER BY r.external_id, r.ingested_at, r.content_hash
LIMIT $9
"""
_COUNT = """
SELECT count(*)
FROM raw_api_records AS r
WHERE r.source = $1 AND r.ingested_at >= $2 AND r.ingested_at <= $3
  AND ($4 OR EXISTS (
    SELECT FROM reprocess_needed AS n WHERE n.source = r.source AND n.external_id = r.external_id
  ))
"""
_READ_REJECTED = """
SELECT DISTINCT ON (r.external_id, r.payload) r.id, r.external_id, r.payload, r.rejected_at
FROM rejected_records AS r JOIN etl_runs AS e ON e.id = r.run_id
WHERE r.source = $1 AND r.rejected_at >= $2 AND r.external_id IS NOT NULL AND e.kind = 'ingest'
ORDER BY r.external_id, r.payload, r.id
"""


def of_kind(statement: str) -> dict[str, str]:
    """Return a statement about payloads for each kind of source."""
    return {"api": statement, "file": statement.replace("raw_api_records", "raw_csv_records")}


_READ_FROM, _COUNT_IN = of_kind(_READ), of_kind(_COUNT)

Kind = Literal["api", "file"]


class PayloadRange(msgspec.Struct, frozen=True):
    """Payloads that arrived from `since` to `to`, both included, and after `after`."""

    since: datetime.datetime
    to: datetime.datetime
    after: datetime.datetime | None = None


class PayloadPosition(msgspec.Struct, frozen=True):
    """The key of the payload that was read last."""

    external_id: str = ""
    ingested_at: datetime.datetime = BEGINNING
    content_hash: bytes = b""


class StoredPayload(msgspec.Struct, frozen=True, gc=False):
    """A stored payload; `content_hash` is the hash of the bytes as they arrived."""

    external_id: str
    ingested_at: datetime.datetime
    content_hash: bytes
    fetched_at: datetime.datetime
    raw: bytes
    rejection_id: int | None = None


class StoredRejection(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be read when it arrived."""

    id: int
    external_id: str
    payload: bytes
    rejected_at: datetime.datetime


async def count_payloads(
    connection: Connection, source: str, kind: Kind, span: PayloadRange, *, rebuilt: bool
) -> int:
    """Return how many payloads of `source` are to be read."""
    total: int = await connection.fetchval(_COUNT_IN[kind], source, span.since, span.to, rebuilt)
    return total


async def position_of(connection: Connection, source: str) -> PayloadPosition:
    """Return the last staged key of `source`."""
    row = await connection.fetchrow(_POSITION, source)
    return PayloadPosition() if row is None else PayloadPosition(**row)


async def read_payloads(
    connection: Connection,
    source: str,
    kind: Kind,
    span: PayloadRange,
    *,
    position: PayloadPosition,
    rebuilt: bool,
    limit: int,
) -> list[StoredPayload]:
    """Return the next payloads of `span` after `position`.

    If not `rebuilt`, only payloads of needed listings.
    """
    rows = await connection.fetch(
        _READ_FROM[kind],
        source,
        span.since,
        span.to,
        span.after,
        position.external_id,
        position.ingested_at,
        position.content_hash,
        rebuilt,
        limit,
    )
    return [StoredPayload(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows]


async def read_rejected(
    connection: Connection, source: str, since: datetime.datetime
) -> list[StoredRejection]:
    """Return each distinct rejected record of `source` that has an external id."""
    return [StoredRejection(*row) for row in await connection.fetch(_READ_REJECTED, source, since)]
