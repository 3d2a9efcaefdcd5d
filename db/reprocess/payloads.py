"""The payloads of a reprocess, cut out of bodies, the newest first; and rejected records.

Bodies expire. What a listing says since before then is in the raw tables alone.
"""

import datetime
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from db.bodies import cut, read_index, unpack
from db.connect.types import Connection

_POSITION = """
SELECT body_at AS arrived_at, body AS id
FROM reprocess_progress
WHERE source = $1 AND body IS NOT NULL
"""
_SAVE_POSITION = "UPDATE reprocess_progress SET body_at = $2, body = $3 WHERE source = $1"
_FIND = """
SELECT arrived_at, id, record_count
FROM bodies
WHERE source = $1 AND record_count > 0
  AND arrived_at >= $2 AND arrived_at <= $3 AND (arrived_at > $4 OR $4 IS NULL)
  AND ((arrived_at, id) < ($5, $6) OR $5 IS NULL)
ORDER BY arrived_at DESC, id DESC
"""
_COUNT = """
SELECT coalesce(sum(record_count), 0)::bigint
FROM bodies
WHERE source = $1 AND arrived_at >= $2 AND arrived_at <= $3
"""
# One body alone has arrived at a moment.
_EXPIRED = """
FROM raw_api_records AS r
WHERE r.source = $1 AND r.ingested_at >= $2 AND r.ingested_at <= $3 AND NOT EXISTS (
    SELECT FROM bodies AS b WHERE b.arrived_at = r.ingested_at AND b.source = r.source
)
"""
_COUNT_EXPIRED = f"SELECT count(*) {_EXPIRED}"
_READ_EXPIRED = f"""
SELECT
    r.external_id, r.ingested_at, r.content_hash, coalesce(r.fetched_at, r.ingested_at),
    convert_to(r.payload::text, 'UTF8')
{_EXPIRED}
  AND r.external_id > $4
ORDER BY r.external_id
LIMIT $5
"""
_ARRIVAL = "SELECT arrived_at FROM bodies WHERE id = $1"
# The times let the planner leave out partitions.
_READ = """
SELECT
    b.id, b.arrived_at, b.fetched_at, b.records, coalesce(b.content, s.content) AS content
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as AND s.arrived_at >= $2::timestamptz - interval '1 hour'
    AND s.arrived_at <= $3
WHERE b.id = ANY ($1::bigint[]) AND b.arrived_at >= $2 AND b.arrived_at <= $3
ORDER BY b.arrived_at DESC, b.id DESC
"""
_READ_REJECTED = """
SELECT DISTINCT ON (r.external_id, r.payload)
    r.id, r.external_id, r.payload, coalesce(b.arrived_at, r.rejected_at),
    coalesce(b.fetched_at, r.rejected_at), b.id, r.body_offset, r.body_length
FROM rejected_records AS r
JOIN etl_runs AS e ON e.id = r.run_id
LEFT JOIN bodies AS b ON b.id = r.body
WHERE r.source = $1 AND r.rejected_at >= $2 AND r.external_id IS NOT NULL AND e.kind = 'ingest'
ORDER BY r.external_id, r.payload, r.id
"""


Kind = Literal["api", "file"]


def of_kind(statement: str) -> dict[str, str]:
    """Return a statement about the raw tables for each kind of source."""
    return {"api": statement, "file": statement.replace("raw_api_records", "raw_csv_records")}


_COUNT_EXPIRED_IN, _READ_EXPIRED_FROM = of_kind(_COUNT_EXPIRED), of_kind(_READ_EXPIRED)


class PayloadRange(msgspec.Struct, frozen=True):
    """Payloads that arrived from `since` to `to`, both included, and after `after`."""

    since: datetime.datetime
    to: datetime.datetime
    after: datetime.datetime | None = None


class LastBody(msgspec.Struct, frozen=True):
    """The body that was read last; those that arrived earlier come next."""

    arrived_at: datetime.datetime
    id: int


class BodyPlace(msgspec.Struct, frozen=True, gc=False):
    """The place of a payload: its slice of a body."""

    body: int
    body_offset: int
    body_length: int


class StoredPayload(msgspec.Struct, frozen=True, gc=False):
    """A stored payload; `content_hash` is the hash of the bytes as they arrived."""

    external_id: str
    ingested_at: datetime.datetime
    content_hash: bytes
    fetched_at: datetime.datetime
    raw: bytes
    rejection_id: int | None = None
    place: BodyPlace | None = None


class PayloadBatch(msgspec.Struct, frozen=True):
    """Payloads, and their last body; None if it goes on in the next batch, or they have none."""

    payloads: list[StoredPayload]
    position: LastBody | None


class FoundBody(msgspec.Struct, frozen=True, gc=False):
    """A body to be read, and how many records were written from it."""

    arrived_at: datetime.datetime
    id: int
    record_count: int


class StoredRejection(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be read when it arrived, and its slice of a body, if it has one."""

    id: int
    external_id: str
    payload: bytes
    arrived_at: datetime.datetime
    fetched_at: datetime.datetime
    place: BodyPlace | None


async def count_payloads(
    connection: Connection, source: str, kind: Kind, span: PayloadRange
) -> int:
    """Return how many payloads of `source` are to be read."""
    in_bodies: int = await connection.fetchval(_COUNT, source, span.since, span.to)
    expired: int = await connection.fetchval(_COUNT_EXPIRED_IN[kind], source, span.since, span.to)
    return in_bodies + expired


async def read_expired(
    connection: Connection, source: str, kind: Kind, span: PayloadRange, *, after: str, limit: int
) -> list[StoredPayload]:
    """Return the next payloads of `source` whose body has expired, after an external id."""
    rows = await connection.fetch(
        _READ_EXPIRED_FROM[kind], source, span.since, span.to, after, limit
    )
    return [StoredPayload(*row) for row in rows]


async def position_of(connection: Connection, source: str) -> LastBody | None:
    """Return the body of `source` that was staged last, None at the start."""
    row = await connection.fetchrow(_POSITION, source)
    return None if row is None else LastBody(**row)


async def save_position(connection: Connection, source: str, position: LastBody) -> None:
    """Save the body of `source` that was staged last."""
    await connection.execute(_SAVE_POSITION, source, position.arrived_at, position.id)


async def find_bodies(
    connection: Connection, source: str, span: PayloadRange, position: LastBody | None
) -> list[FoundBody]:
    """Return the bodies of `span` from which records were written, the newest first.

    `position` is the body that was read last.
    """
    rows = await connection.fetch(
        _FIND,
        source,
        span.since,
        span.to,
        span.after,
        None if position is None else position.arrived_at,
        None if position is None else position.id,
    )
    return [FoundBody(*row) for row in rows]


def batches(bodies: Sequence[FoundBody], limit: int) -> Iterator[list[FoundBody]]:
    """Yield the bodies in order, with up to `limit` records at a time, and one body at least."""
    batch: list[FoundBody] = []
    count = 0
    for body in bodies:
        if batch and count + body.record_count > limit:
            yield batch
            batch, count = [], 0
        batch.append(body)
        count += body.record_count
    if batch:
        yield batch


async def read_payloads(connection: Connection, bodies: Sequence[FoundBody]) -> list[StoredPayload]:
    """Return the payloads of some bodies, of which the newest is the first one."""
    rows = await connection.fetch(
        _READ, [body.id for body in bodies], bodies[-1].arrived_at, bodies[0].arrived_at
    )
    payloads: list[StoredPayload] = []
    for body, arrived_at, fetched_at, records, packed in rows:
        content = unpack(packed)
        for one in read_index(records):
            raw, content_hash = cut(content, one)
            place = BodyPlace(body, one.offset, one.length)
            payloads.append(
                StoredPayload(
                    one.external_id, arrived_at, content_hash, fetched_at, raw, None, place
                )
            )
    return payloads


async def payloads_of(connection: Connection, body: int) -> dict[tuple[str, bytes], bytes]:
    """Return the payloads that were written from a body, by external id and content hash."""
    at = await connection.fetchval(_ARRIVAL, body)
    if at is None:
        return {}
    payloads = await read_payloads(connection, [FoundBody(at, body, 0)])
    return {(one.external_id, one.content_hash): one.raw for one in payloads}


async def read_rejected(
    connection: Connection, source: str, since: datetime.datetime
) -> list[StoredRejection]:
    """Return each distinct rejected record of `source` that has an external id."""
    rejections: list[StoredRejection] = []
    for row in await connection.fetch(_READ_REJECTED, source, since):
        rejection, external_id, payload, arrived_at, fetched_at, body, offset, length = row
        place = None if body is None or offset is None else BodyPlace(body, offset, length)
        rejections.append(
            StoredRejection(rejection, external_id, payload, arrived_at, fetched_at, place)
        )
    return rejections
