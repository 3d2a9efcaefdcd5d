"""Segments of raw frames, kept for some hours and as long as a market names one."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

_ADD = """
INSERT INTO stream_segments (venue, segment, first_at, last_at, frames, size, sha256, content)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (venue, segment) DO NOTHING
"""
_PURGE = """
DELETE FROM stream_segments AS s WHERE s.last_at < $1 AND NOT EXISTS (
    SELECT FROM markets AS m WHERE m.venue = s.venue AND m.segment = s.segment
)
RETURNING 1
"""
_READ = "SELECT sha256, content FROM stream_segments WHERE venue = $1 AND segment = $2"


class FrameSegment(msgspec.Struct, frozen=True):
    """Frames of a venue, compressed; `size` and `sha256` are of the uncompressed bytes."""

    venue: str
    segment: int
    first_at: datetime.datetime
    last_at: datetime.datetime
    frames: int
    size: int
    sha256: bytes
    content: bytes


async def add_segments(connection: Connection, segments: Sequence[FrameSegment]) -> None:
    """Add segments; one that is there stays as it is."""
    if segments:
        await connection.executemany(_ADD, [msgspec.structs.astuple(row) for row in segments])


async def purge_segments(connection: Connection, before: datetime.datetime) -> int:
    """Delete the segments that ended before, except those of a market's newest frame."""
    return len(await connection.fetch(_PURGE, before))


async def read_segment(
    connection: Connection, venue: str, segment: int
) -> tuple[bytes, bytes] | None:
    """Return the sha256 and the content of a segment, None if it is not kept."""
    row = await connection.fetchrow(_READ, venue, segment)
    return None if row is None else (row["sha256"], row["content"])
