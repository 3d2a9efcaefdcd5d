"""Write the bodies of sources: an id and a time before their records, the bytes after them."""

import asyncio
import datetime
import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from db.bodies import (
    BodySlice,
    pack_frames,
    pack_index,
    read_index,
    unpack,
    without_repetition,
)
from db.connect.types import Connection

# The caller holds the write lock, so a later commit has a later `moment`: one clock for all
# ingestors, which never goes back.
_BEGIN = """
WITH moment AS (
    UPDATE raw_clock SET at = greatest(clock_timestamp(),
        at + interval '1 microsecond') RETURNING at
),
reader AS (
    INSERT INTO raw_readers (source, arrived_from, code)
    SELECT $1, at, $2
    FROM moment
    WHERE $2 IS DISTINCT FROM (SELECT code FROM raw_readers WHERE source = $1
        ORDER BY arrived_from DESC LIMIT 1)
)
SELECT nextval('body_ids') AS id, at AS arrived_at FROM moment
"""
# Whole partitions expire, of an hour or a day: a body refers to one of its own hour only.
_ADD = """
INSERT INTO bodies (
    id, arrived_at, fetched_at, run_id, source, page_group, page_number, form, url, headers, size,
    sha256, record_count, records, same_as, content, frames
)
SELECT
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12, $13, $14, same.id,
    CASE WHEN same.id IS NULL THEN $15::bytea END,
    CASE WHEN same.id IS NULL THEN $16::integer[] END
FROM (VALUES (1)) AS one (row)
LEFT JOIN (
    SELECT coalesce(b.same_as, b.id) AS id, b.sha256
    FROM bodies AS b
    WHERE b.source = $5 AND b.page_group = $6 AND b.page_number = $7
      AND b.arrived_at >= date_trunc('hour', $2::timestamptz, 'UTC') AND b.arrived_at < $2
    ORDER BY b.arrived_at DESC, b.id DESC
    LIMIT 1
) AS same ON same.sha256 = $12
"""

_NEXT = "SELECT nextval('body_ids')"
_INDEX = """
SELECT b.records, coalesce(b.content, s.content) AS content
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as
WHERE b.id = $1
"""
_SET_INDEX = "UPDATE bodies SET records = $2, record_count = $3 WHERE id = $1"


Slice = tuple[int | None, int | None]
"""Offset and length of a record in the body of its page; a stream has no body."""


class BodyArrival(msgspec.Struct, frozen=True):
    """The id of a body, and when it arrived, by the clock of the database."""

    id: int
    arrived_at: datetime.datetime


class PackedBody(msgspec.Struct, frozen=True):
    """The bytes of a body, ready to be stored."""

    size: int
    sha256: bytes
    packed: bytes
    frames: list[int]


class NewBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a body is: the page of its source, where it came from, and its bytes."""

    source: str
    page_group: str
    page_number: int
    fetched_at: datetime.datetime
    run_id: int
    form: Literal["verbatim", "records"]
    url: str | None
    headers: Mapping[str, str | int]
    content: PackedBody


def pack_body(content: bytes) -> PackedBody:
    """Pack and hash a body; other threads run meanwhile."""
    frames = pack_frames(content)
    digest = hashlib.sha256(content).digest()
    return PackedBody(len(content), digest, b"".join(frames), [len(frame) for frame in frames])


def start_packing(content: bytes) -> asyncio.Future[PackedBody]:
    """Pack and hash a body in a thread."""
    return asyncio.get_running_loop().run_in_executor(None, pack_body, content)


async def begin_body(connection: Connection, source: str, code: bytes) -> BodyArrival:
    """Return the id and the arrival of the next body of `source`, read by code of this digest.

    The caller's transaction holds the write lock.
    """
    row = await connection.fetchrow(_BEGIN, source, code)
    assert row is not None  # noqa: S101 - the statement returns one row
    return BodyArrival(**row)


async def add_body(
    connection: Connection, arrival: BodyArrival, body: NewBody, slices: Sequence[BodySlice]
) -> None:
    """Store a body; `slices` are the records that were written from it.

    A body with the bytes of the one before it refers to that one.
    """
    await connection.execute(
        _ADD,
        arrival.id,
        arrival.arrived_at,
        body.fetched_at,
        body.run_id,
        body.source,
        body.page_group,
        body.page_number,
        body.form,
        body.url,
        msgspec.json.encode(body.headers).decode(),
        body.content.size,
        body.content.sha256,
        len(slices),
        pack_index(slices),
        body.content.packed,
        body.content.frames,
    )


async def next_body(connection: Connection) -> int:
    """Return the id of a body that arrived earlier."""
    body: int = await connection.fetchval(_NEXT)
    return body


async def extend_body(connection: Connection, body: int, slices: Sequence[BodySlice]) -> None:
    """Add records to those that were written from a stored body.

    Each has its payload and content hash, which are dropped where the body has them.
    """
    row = await connection.fetchrow(_INDEX, body)
    if row is None:
        return
    content = unpack(row["content"])
    added = [without_repetition(content, one) for one in slices]
    together = sorted([*read_index(row["records"]), *added], key=lambda one: one.offset)
    await set_index(connection, body, together)


async def set_index(connection: Connection, body: int, slices: Sequence[BodySlice]) -> None:
    """Replace the records that were written from a body."""
    await connection.execute(_SET_INDEX, body, pack_index(slices), len(slices))
