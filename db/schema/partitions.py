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

Table = Literal["raw_api_records", "raw_csv_records", "price_points", "candles"]

_HOUR, _DAY, _WEEK = (
    datetime.timedelta(hours=1),
    datetime.timedelta(days=1),
    datetime.timedelta(days=7),
)


class Retention(msgspec.Struct, frozen=True):
    """The retention of payloads and history in days; `raw_hours` overrides `raw_days`."""

    raw_days: int
    history_days: int
    raw_hours: int | None = None

    @property
    def raw(self) -> datetime.timedelta:
        """The retention of payloads."""
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
        """Return the arrival time of the oldest payload within the retention."""
        return now - self.raw

    def oldest_history(self, now: datetime.datetime) -> datetime.datetime:
        """Return the oldest observation that history holds."""
        return now - self.history


DEFAULT_RETENTION = Retention(raw_days=7, history_days=90)
_RAW: tuple[Table, ...] = ("raw_api_records", "raw_csv_records")
_HISTORY: tuple[Table, ...] = ("price_points", "candles")
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
        ARRAY['raw_api_records', 'raw_csv_records', 'price_points', 'candles']::regclass[]
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
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


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

    Payloads are partitioned by day, because they are many and short-lived; history by week, so that
    90 days are 13 partitions.
    """
    if table in _RAW:
        return _HOUR if retention.raw < _DAY else _DAY
    return _DAY if retention.history <= _SHORT_HISTORY else _WEEK


def _needed(now: datetime.datetime, retention: Retention) -> Iterator[Partition]:
    for table in (*_RAW, *_HISTORY):
        width = width_of(table, retention)
        first = now if table in _RAW else max(retention.oldest_history(now), now - _BACK)
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
        await connection.execute(_LOCK_TIMEOUT)
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
    """Drop the partitions past their retention, one transaction each; return their names.

    The newest payload of a listing moves to the default partition, whatever its age.
    """
    dropped = []
    for name, partition in (await read_partitions(connection)).items():
        table, is_raw = partition.table, partition.table in _RAW
        oldest = retention.oldest_raw(now) if is_raw else retention.oldest_history(now)
        if partition.end > oldest:
            continue
        try:
            async with connection.transaction():
                await take_write_lock(connection)
                await connection.execute(_LOCK_TIMEOUT)
                await connection.execute(_DETACH, table, name)
                if is_raw:
                    await connection.execute(_KEEP_NEWEST[table].format(partition=name))
                await connection.execute(_DROP, table, name)
        except asyncpg.LockNotAvailableError as error:
            await _log.awarning("partition.not_dropped", partition=name, reason=str(error))
        else:
            dropped.append(name)
    return dropped


def _keep_newest(table: Table) -> str:
    return f"""
INSERT INTO {table}
SELECT DISTINCT ON (r.source, r.external_id) r.*
FROM {{partition}} AS r
JOIN listings AS l ON l.source = r.source AND l.external_id = r.external_id
    AND l.content_hash = r.content_hash
WHERE NOT EXISTS (
    SELECT FROM {table} AS k
    WHERE k.source = r.source AND k.external_id = r.external_id AND k.content_hash = r.content_hash
)
ORDER BY r.source, r.external_id, r.ingested_at DESC
"""


_KEEP_NEWEST: dict[Table, str] = {
    "raw_api_records": _keep_newest("raw_api_records"),
    "raw_csv_records": _keep_newest("raw_csv_records"),
}

# Rows of a default partition: delete them when they are past their retention and not the newest.
_DELETE_OLD = (
    """
DELETE FROM raw_api_records_default AS r
WHERE r.ingested_at < $1 AND NOT EXISTS (
    SELECT FROM listings AS l
    WHERE l.source = r.source AND l.external_id = r.external_id AND l.content_hash = r.content_hash
)
""",
    """
DELETE FROM raw_csv_records_default AS r
WHERE r.ingested_at < $1 AND NOT EXISTS (
    SELECT FROM listings AS l
    WHERE l.source = r.source AND l.external_id = r.external_id AND l.content_hash = r.content_hash
)
""",
)
_DELETE_OLD_HISTORY = (
    "DELETE FROM price_points_default WHERE at < $1",
    "DELETE FROM candles_default WHERE start < $1",
)


async def delete_old_rows(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> None:
    """Delete the rows of the default partitions that are past their retention."""
    for statement in _DELETE_OLD:
        await connection.execute(statement, retention.oldest_raw(now))
    for statement in _DELETE_OLD_HISTORY:
        await connection.execute(statement, retention.oldest_history(now))
