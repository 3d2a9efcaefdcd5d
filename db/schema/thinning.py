"""Thin the points of history by age: of an hour, later of a day, the last counted point stays.

Candles stay exact, and are no longer rolled up from the points that are left: a point that comes
late for such a time only widens them. A partition is thinned once, when all of it is old enough, in
short transactions that resume; then it is compacted, which gives its space back. Candles of that
age are compacted as well: they hardly change any more, so half-empty pages only take space.
"""

import datetime

import asyncpg
import msgspec
import structlog

from db.connect.locks import take_write_lock
from db.connect.types import Connection
from db.points import COUNTED
from db.schema.partitions import LOCK_TIMEOUT, Partition, Retention, read_partitions

LISTINGS_AT_ONCE = 50
"""A week of these, observed each five minutes, is 100,000 points."""

_log = structlog.stdlib.get_logger(__name__)

_PROGRESS = (
    "SELECT hours, done_to, removed, is_compact FROM thinned_partitions WHERE partition = $1"
)
_BEGIN = """
INSERT INTO thinned_partitions (partition, ends_at, hours) VALUES ($1, $2, $3)
ON CONFLICT (partition) DO UPDATE SET
    hours = excluded.hours, done_to = 0, removed = 0, is_compact = false
"""
_NEXT = "SELECT max(id) FROM (SELECT id FROM listings WHERE id > $1 ORDER BY id LIMIT $2) AS l"
_THIN = f"""
WITH ranked AS MATERIALIZED (
    SELECT
        listing, at,
        row_number() OVER (stretch ORDER BY is_counted DESC, at DESC) AS place,
        count(*) OVER stretch AS points
    FROM (
        SELECT
            p.listing, p.at, {COUNTED} AS is_counted,
            date_bin(make_interval(hours => $5::smallint), p.at, 'epoch') AS start
        FROM price_points AS p
        WHERE p.listing > $1 AND p.listing <= $2 AND p.at >= $3 AND p.at < $4
    ) AS point
    WINDOW stretch AS (PARTITION BY listing, start)
),
gone AS (
    DELETE FROM price_points AS p
    USING ranked AS r
    WHERE r.place > 1 AND p.listing = r.listing AND p.at = r.at AND p.at >= $3 AND p.at < $4
    RETURNING 1
),
left_over AS (
    UPDATE price_points AS p SET thinned_hours = $5::smallint
    FROM ranked AS r
    WHERE r.place = 1 AND r.points > 1 AND p.listing = r.listing AND p.at = r.at
      AND p.at >= $3 AND p.at < $4
)
SELECT count(*) FROM gone
"""  # noqa: S608 - of constants
_DONE_TO = """
UPDATE thinned_partitions SET done_to = $2, removed = removed + $3 WHERE partition = $1
"""
_COMPACT = "SELECT compact_partition($1, $2)"
_IS_COMPACT = "UPDATE thinned_partitions SET is_compact = true WHERE partition = $1"
_FORGET = "DELETE FROM thinned_partitions WHERE partition <> ALL ($1::text[])"


class ThinningProgress(msgspec.Struct, frozen=True):
    """How far a partition was thinned."""

    hours: int
    done_to: int
    removed: int
    is_compact: bool


async def thin_history(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> dict[str, int]:
    """Thin the partitions of points that are old enough; return the removed points by partition.

    The default partition, of points older than any other, is left as it is.
    """
    existing = await read_partitions(connection)
    await connection.execute(_FORGET, list(existing))
    removed = {}
    for name, partition in existing.items():
        hours = _hours(partition, now, retention)
        if hours and (gone := await _thin(connection, name, partition, hours)):
            removed[name] = gone
    return removed


def _hours(partition: Partition, now: datetime.datetime, retention: Retention) -> int:
    """Return how many hours each point of a partition should stand for, 0 if it is to stay."""
    if partition.table not in {"price_points", "candles"}:
        return 0
    if partition.end <= retention.oldest_hourly(now):
        return 24
    return 1 if partition.end <= retention.oldest_full(now) else 0


async def _thin(connection: Connection, name: str, partition: Partition, hours: int) -> int:
    """Thin one partition, or compact one of candles; return how many points went this time."""
    progress = await _progress(connection, name)
    if progress is None or (partition.table == "price_points" and progress.hours < hours):
        await connection.execute(_BEGIN, name, partition.end, hours)
        progress = await _progress(connection, name)
        assert progress is not None  # noqa: S101 - it was just written
    if progress.is_compact:
        return 0
    done_to = progress.done_to
    while (
        partition.table == "price_points"
        and (last := await connection.fetchval(_NEXT, done_to, LISTINGS_AT_ONCE)) is not None
    ):
        async with connection.transaction():
            await take_write_lock(connection)
            gone = await connection.fetchval(
                _THIN, done_to, last, partition.start, partition.end, hours
            )
            await connection.execute(_DONE_TO, name, last, gone)
        done_to = last
    return await _compact(connection, partition)


async def _compact(connection: Connection, partition: Partition) -> int:
    """Give back the space of removed points, or beside candles; return how many points went."""
    name = partition.name
    progress = await _progress(connection, name)
    assert progress is not None  # noqa: S101 - the caller wrote it
    try:
        async with connection.transaction():
            if progress.removed or partition.table == "candles":
                await take_write_lock(connection)
                await connection.execute(LOCK_TIMEOUT)
                await connection.execute(_COMPACT, partition.table, name)
            await connection.execute(_IS_COMPACT, name)
    except asyncpg.LockNotAvailableError as error:  # it is tried again with the next deletion
        await _log.awarning("partition.not_compacted", partition=name, reason=str(error))
        return 0
    return progress.removed


async def _progress(connection: Connection, name: str) -> ThinningProgress | None:
    row = await connection.fetchrow(_PROGRESS, name)
    return None if row is None else ThinningProgress(**row)
