"""Partitions by time of the tables that only grow: made ahead, dropped when their time is over."""

import datetime
from collections.abc import Iterator
from typing import Literal

import asyncpg
import msgspec
import structlog

from db.locks import take_write_lock
from db.types import Connection

_log = structlog.stdlib.get_logger(__name__)

Table = Literal["raw_api_records", "raw_csv_records", "price_points", "candles"]


class Retention(msgspec.Struct, frozen=True):
    """For how many days payloads and history are kept."""

    raw_days: int
    history_days: int

    def oldest_raw(self, now: datetime.datetime) -> datetime.datetime:
        """Return when the oldest payload arrived that is kept for its age alone."""
        return now - datetime.timedelta(days=self.raw_days)

    def oldest_history(self, now: datetime.datetime) -> datetime.datetime:
        """Return the oldest observation that history holds."""
        return now - datetime.timedelta(days=self.history_days)


DEFAULT_RETENTION = Retention(raw_days=7, history_days=90)
_AHEAD = datetime.timedelta(days=3)
# Payloads by day, since they are many and soon over; history by week, so that 90 days are 13 partitions.
_DAYS: dict[Table, int] = {"raw_api_records": 1, "raw_csv_records": 1, "price_points": 7, "candles": 7}
_MONDAY = datetime.date(1970, 1, 5)
_BACK = datetime.timedelta(days=730)
"""How far back partitions are made: what is older lies together in the default one. A century of weeks would be ten
thousand tables, more than a transaction may lock."""

_EXISTING = """
SELECT p.relname::text AS parent, c.relname::text AS name
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
JOIN pg_class AS p ON p.oid = i.inhparent
WHERE i.inhparent = ANY (ARRAY['raw_api_records', 'raw_csv_records', 'price_points', 'candles']::regclass[])
  AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
ORDER BY c.relname
"""
# Functions of the tables' owner, which may do this and nothing else: an ingestor owns no table.
_CREATE = "SELECT create_partition($1, $2, $3)"
_DETACH = "SELECT detach_partition($1, $2)"
_DROP = "SELECT drop_detached_partition($1, $2)"
# Making or dropping a partition locks its table for a moment: rather try again later than queue readers behind us.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


def partition_name(table: Table, start: datetime.date) -> str:
    """Return the name of the partition of `table` that begins with the day `start` (UTC)."""
    return f"{table}_{start:%Y%m%d}"


def _start_of(table: Table, day: datetime.date) -> datetime.date:
    return day - datetime.timedelta(days=(day - _MONDAY).days % _DAYS[table])


def _end_of(table: Table, name: str) -> datetime.datetime:
    start = datetime.datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=datetime.UTC)
    return start + datetime.timedelta(days=_DAYS[table])


def _wanted(now: datetime.datetime, retention: Retention) -> Iterator[tuple[Table, datetime.date]]:
    for table, days in _DAYS.items():
        first = now if days == 1 else max(retention.oldest_history(now), now - _BACK)
        start = _start_of(table, first.date())
        while start <= (now + _AHEAD).date():
            yield table, start
            start += datetime.timedelta(days=days)


async def _existing(connection: Connection) -> list[tuple[Table, str]]:
    return [(row["parent"], row["name"]) for row in await connection.fetch(_EXISTING)]


async def ensure_partitions(connection: Connection, now: datetime.datetime, retention: Retention) -> list[str]:
    """Make the partitions of the present and of two years of history, where missing; return the new ones' names.

    A time whose rows already lie in the default partition stays there: that is slower to drop, and loses nothing.
    """
    if not await _missing(connection, now, retention):
        return []
    created = []
    async with connection.transaction():
        await take_write_lock(connection)  # another ingestor may be at it
        await connection.execute(_LOCK_TIMEOUT)
        for table, start in await _missing(connection, now, retention):
            name = partition_name(table, start)
            try:
                async with connection.transaction():
                    await connection.execute(_CREATE, table, start, _DAYS[table])
            except (asyncpg.CheckViolationError, asyncpg.LockNotAvailableError) as error:
                await _log.awarning("partition.not_made", partition=name, reason=str(error))
            else:
                created.append(name)
    return created


async def _missing(
    connection: Connection, now: datetime.datetime, retention: Retention
) -> list[tuple[Table, datetime.date]]:
    existing = {name for _, name in await _existing(connection)}
    return [wanted for wanted in _wanted(now, retention) if partition_name(*wanted) not in existing]


async def drop_old_partitions(connection: Connection, now: datetime.datetime, retention: Retention) -> list[str]:
    """Drop the partitions whose time is over, one transaction each; return their names.

    A listing's newest payload is kept whatever its age: it moves to the default partition.
    """
    dropped = []
    for table, name in await _existing(connection):
        is_raw = table in _KEEP_NEWEST
        oldest = retention.oldest_raw(now) if is_raw else retention.oldest_history(now)
        if _end_of(table, name) > oldest:
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
JOIN listings AS l ON l.source = r.source AND l.external_id = r.external_id AND l.content_hash = r.content_hash
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

# What lies in a default partition has outlived its own: delete it once it is neither young nor the newest.
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


async def delete_old_rows(connection: Connection, now: datetime.datetime, retention: Retention) -> None:
    """Delete what is past its retention and lies in no partition that could be dropped."""
    for statement in _DELETE_OLD:
        await connection.execute(statement, retention.oldest_raw(now))
    for statement in _DELETE_OLD_HISTORY:
        await connection.execute(statement, retention.oldest_history(now))
