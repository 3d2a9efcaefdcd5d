"""Counts of the API calls of each source with a monthly budget, from all programs."""

import datetime

from db.connect.types import Connection

_ADD = """
INSERT INTO api_calls AS a (source, month, calls) VALUES ($1, $2, greatest($3::bigint, 0))
ON CONFLICT (source, month) DO UPDATE SET calls = greatest(a.calls + $3::bigint, 0)
"""
_COUNT = "SELECT coalesce((SELECT calls FROM api_calls WHERE source = $1 AND month = $2), 0)"


async def add_calls(
    connection: Connection, source: str, calls: int, now: datetime.datetime
) -> None:
    """Add `calls` to the month (UTC) of `now`; a negative number corrects calls not made."""
    if calls:
        await connection.execute(_ADD, source, _month(now), calls)


async def count_calls(connection: Connection, source: str, now: datetime.datetime) -> int:
    """Return the number of calls of `source` in the month (UTC) of `now`."""
    calls: int = await connection.fetchval(_COUNT, source, _month(now))
    return calls


def _month(now: datetime.datetime) -> datetime.date:
    return now.date().replace(day=1)
