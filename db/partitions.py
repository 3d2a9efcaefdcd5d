"""Partitions by time of the tables that only grow: made ahead, so that no write ever waits for one."""

import datetime

import asyncpg
import structlog

from db.locks import take_write_lock
from db.types import Connection

_log = structlog.stdlib.get_logger(__name__)

DAYS_AHEAD = 3
_PARTITIONED = ("raw_api_records", "raw_csv_records")
_EXISTING = """
SELECT c.relname::text AS name
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY (ARRAY['raw_api_records', 'raw_csv_records']::regclass[])
"""

# Making a partition locks its table for a moment: rather try again at the next run than queue readers behind us.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


def partition_name(table: str, day: datetime.date) -> str:
    """Return the name of the partition that holds `day` (UTC) of `table`."""
    return f"{table}_{day:%Y%m%d}"


def _create(table: str, day: datetime.date) -> str:
    following = day + datetime.timedelta(days=1)
    return (
        f"CREATE TABLE IF NOT EXISTS {partition_name(table, day)} PARTITION OF {table} "
        f"FOR VALUES FROM ('{day} 00:00:00+00') TO ('{following} 00:00:00+00')"
    )


async def ensure_partitions(connection: Connection, today: datetime.date) -> list[str]:
    """Make the partitions of `today` and the next days where they are missing; return the names of the new ones.

    A day whose rows already lie in the default partition stays there: that is slower to drop, and loses nothing.
    """
    if not await _missing(connection, today):
        return []
    created = []
    async with connection.transaction():
        await take_write_lock(connection)  # another ingestor may be at it
        await connection.execute(_LOCK_TIMEOUT)
        for table, day in await _missing(connection, today):
            try:
                async with connection.transaction():
                    await connection.execute(_create(table, day))
            except (asyncpg.CheckViolationError, asyncpg.LockNotAvailableError) as error:
                await _log.awarning("partition.not_made", table=table, day=str(day), reason=str(error))
            else:
                created.append(partition_name(table, day))
    return created


async def _missing(connection: Connection, today: datetime.date) -> list[tuple[str, datetime.date]]:
    existing = {row["name"] for row in await connection.fetch(_EXISTING)}
    days = [today + datetime.timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    return [(table, day) for table in _PARTITIONED for day in days if partition_name(table, day) not in existing]
