"""Partitions by time of the growing tables: created in advance, dropped after their retention."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Literal

import asyncpg
import msgspec
import structlog

from db.connect.locks import take_write_lock
from db.connect.types import Connection

_log = structlog.stdlib.get_logger(__name__)

Table = Literal["bodies", "price_points", "candles"]

_HOUR, _DAY, _WEEK = (
    datetime.timedelta(hours=1),
    datetime.timedelta(days=1),
    datetime.timedelta(days=7),
)


class Retention(msgspec.Struct, frozen=True):
    """The retention of bodies and history in days; `raw_hours` overrides `raw_days`.

    History keeps each point for `full_days`, then a point an hour until `hourly_days`, then a point
    a day.
    """

    raw_days: int
    history_days: int
    raw_hours: int | None = None
    full_days: int = 7
    hourly_days: int = 365

    @property
    def raw(self) -> datetime.timedelta:
        """The retention of bodies."""
        return (
            datetime.timedelta(days=self.raw_days)
            if self.raw_hours is None
            else self.raw_hours * _HOUR
        )

    @property
    def history(self) -> datetime.timedelta:
        """The retention of history."""
        return datetime.timedelta(days=self.history_days)

    def oldest_raw(self, now: datetime.datetime) -> datetime.datetime:
        """Return the arrival time of the oldest body within the retention."""
        return now - self.raw

    def oldest_history(self, now: datetime.datetime) -> datetime.datetime:
        """Return the oldest observation that history holds."""
        return now - self.history

    def oldest_full(self, now: datetime.datetime) -> datetime.datetime:
        """Return the oldest time of which history keeps each point."""
        return now - self.full_days * _DAY

    def oldest_hourly(self, now: datetime.datetime) -> datetime.datetime:
        """Return the oldest time of which history keeps a point an hour."""
        return now - max(self.full_days, self.hourly_days) * _DAY


DEFAULT_RETENTION = Retention(raw_days=7, history_days=90)
_TABLES: tuple[Table, ...] = ("bodies", "price_points", "candles")
_SHORT_HISTORY = 14 * _DAY
_AHEAD = 3
"""How many partitions are created in advance; for weeks, those of the next three days."""
_MONDAY = datetime.datetime(1970, 1, 5, tzinfo=datetime.UTC)
_BACK = datetime.timedelta(days=730)
"""How far back partitions are created; older rows share the default partition.

A century of weeks would be more tables than a transaction may lock.
"""

_EXISTING = r"""
SELECT parent, name, bounds[1]::timestamptz AS start, bounds[2]::timestamptz AS "end"
FROM (
    SELECT
        p.relname::text AS parent, c.relname::text AS name,
        regexp_match(
            pg_get_expr(c.relpartbound, c.oid), $$FROM \('([^']+)'\) TO \('([^']+)'\)$$
        ) AS bounds
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    JOIN pg_class AS p ON p.oid = i.inhparent
    WHERE i.inhparent = ANY (
        ARRAY['bodies', 'price_points', 'candles']::regclass[]
      )
      AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
) AS partition
ORDER BY name
"""
# Functions of the tables' owner: an ingestor owns no table.
_CREATE = "SELECT create_partition($1, $2, $3, $4)"
_DETACH = "SELECT detach_partition($1, $2)"
_DROP_EMPTY = "SELECT drop_empty_partition($1, $2)"
_DROP = "SELECT drop_detached_partition($1, $2)"
# Creating or dropping a partition locks its table for a moment: retry later instead of blocking
# readers.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


class Partition(msgspec.Struct, frozen=True):
    """A partition of `table`: the rows from `start` on and before `end`."""

    table: Table
    start: datetime.datetime
    end: datetime.datetime

    @property
    def name(self) -> str:
        """The name, from its first day (UTC) or its hour."""
        return (
            f"{self.table}_{self.start:{'%Y%m%d%H' if self.end - self.start < _DAY else '%Y%m%d'}}"
        )

    def overlaps(self, other: "Partition") -> bool:
        """Return whether both are of one table and share a time."""
        return self.table == other.table and self.start < other.end and other.start < self.end


def width_of(table: Table, retention: Retention) -> datetime.timedelta:
    """Return the width of a partition of `table`; a short retention needs narrow ones.

    Bodies are partitioned by day, because they are large and short-lived; history by week, so that
    90 days are 13 partitions.
    """
    if table == "bodies":
        return _HOUR if retention.raw < _DAY else _DAY
    return _DAY if retention.history <= _SHORT_HISTORY else _WEEK


def _needed(now: datetime.datetime, retention: Retention) -> Iterator[Partition]:
    for table in _TABLES:
        width = width_of(table, retention)
        first = now if table == "bodies" else max(retention.oldest_history(now), now - _BACK)
        start = first - (first - _MONDAY) % width
        while start <= now + _AHEAD * min(width, _DAY):
            yield Partition(table, start, start + width)
            start += width


async def read_partitions(connection: Connection) -> dict[str, Partition]:
    """Return the existing partitions by name, without the default ones."""
    rows = await connection.fetch(_EXISTING)
    return {row["name"]: Partition(row["parent"], row["start"], row["end"]) for row in rows}


async def ensure_partitions(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> list[str]:
    """Create the missing partitions of the present and of two years of history; return their names.

    Rows in the default partition stay there, which makes dropping them slower. A new width takes
    effect where the partitions created in advance are empty.
    """
    existing = await read_partitions(connection)
    if not missing_partitions(existing, now, retention) and not _of_other_width(
        existing, now, retention
    ):
        return []
    async with connection.transaction():
        await take_write_lock(connection)  # another ingestor may do the same
        await connection.execute(LOCK_TIMEOUT)
        for partition in _of_other_width(await read_partitions(connection), now, retention):
            await _change(connection, partition.name, _DROP_EMPTY, partition.table, partition.name)
        return [
            partition.name
            for partition in missing_partitions(await read_partitions(connection), now, retention)
            if await _change(
                connection,
                partition.name,
                _CREATE,
                partition.table,
                partition.name,
                partition.start,
                partition.end,
            )
        ]


def missing_partitions(
    existing: Mapping[str, Partition], now: datetime.datetime, retention: Retention
) -> list[Partition]:
    """Return the needed partitions that overlap no existing one."""
    return [
        partition
        for partition in _needed(now, retention)
        if partition.name not in existing
        and not any(partition.overlaps(other) for other in existing.values())
    ]


def _of_other_width(
    existing: Mapping[str, Partition], now: datetime.datetime, retention: Retention
) -> list[Partition]:
    """Return the partitions of the future whose width differs from the needed one."""
    return [
        partition
        for partition in existing.values()
        if partition.start > now
        and partition.end - partition.start != width_of(partition.table, retention)
    ]


async def _change(connection: Connection, name: str, statement: str, *arguments: object) -> bool:
    """Create or drop a partition; return whether that was possible."""
    try:
        async with connection.transaction():
            await connection.execute(statement, *arguments)
    except (asyncpg.CheckViolationError, asyncpg.LockNotAvailableError) as error:
        await _log.awarning("partition.not_changed", partition=name, reason=str(error))
        return False
    return True


async def drop_old_partitions(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> list[str]:
    """Drop the partitions past their retention, one transaction each; return their names."""
    dropped = []
    for name, partition in (await read_partitions(connection)).items():
        table = partition.table
        is_raw = table == "bodies"
        oldest = retention.oldest_raw(now) if is_raw else retention.oldest_history(now)
        if partition.end > oldest:
            continue
        try:
            async with connection.transaction():
                await take_write_lock(connection)
                await connection.execute(LOCK_TIMEOUT)
                await connection.execute(_DETACH, table, name)
                await connection.execute(_DROP, table, name)
        except asyncpg.LockNotAvailableError as error:
            await _log.awarning("partition.not_dropped", partition=name, reason=str(error))
        else:
            dropped.append(name)
    return dropped


# Rows of the default partitions. Bodies expire by whole hours: one of an hour may have the content
# of the others.
_DELETE_OLD = """
DELETE FROM bodies_default WHERE arrived_at < date_trunc('hour', $1::timestamptz, 'UTC')
"""
_DELETE_OLD_HISTORY = (
    "DELETE FROM price_points_default WHERE at < $1",
    "DELETE FROM candles_default WHERE start < $1",
)


async def delete_old_rows(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> None:
    """Delete the rows of the default partitions that are past their retention."""
    await connection.execute(_DELETE_OLD, retention.oldest_raw(now))
    for statement in _DELETE_OLD_HISTORY:
        await connection.execute(statement, retention.oldest_history(now))
