"""Gaps of streams: where ticks may be missing."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

_ADD = """
INSERT INTO stream_gaps (source, symbol, began_at, ended_at, reason, noticed_at)
SELECT u.source, u.symbol, u.began_at, u.ended_at, u.reason, $6
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[])
    WITH ORDINALITY AS u (source, symbol, began_at, ended_at, reason, place)
ORDER BY u.place
"""
_LAST = "SELECT max(observed_at) FROM markets WHERE venue = $1"

_PURGE = "DELETE FROM stream_gaps WHERE ended_at < $1"


class StreamGap(msgspec.Struct, frozen=True):
    """A stretch of a venue's time, both ends included; `symbol` is None for any market."""

    source: str
    symbol: str | None
    began_at: datetime.datetime
    ended_at: datetime.datetime
    reason: str


async def add_gaps(
    connection: Connection, gaps: Sequence[StreamGap], now: datetime.datetime
) -> None:
    """Add gaps in their order."""
    if gaps:
        columns = zip(*map(msgspec.structs.astuple, gaps), strict=True)
        await connection.execute(_ADD, *map(list, columns), now)


async def last_observed_at(connection: Connection, venue: str) -> datetime.datetime | None:
    """Return the venue's time up to which its ticks are written, None before the first.

    A stream that starts again has a gap from there.
    """
    last: datetime.datetime | None = await connection.fetchval(_LAST, venue)
    return last


async def purge_gaps(connection: Connection, before: datetime.datetime) -> None:
    """Delete the gaps that ended before: the history of that time has gone as well."""
    await connection.execute(_PURGE, before)
