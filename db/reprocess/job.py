"""The reprocess job, at most one at a time, and its progress by source."""

import datetime
from collections.abc import Mapping, Sequence

import msgspec

from db.connect.types import Connection

# "KASr" read as a big-endian number, as in db/connect/locks.py.
_LOCK = 0x4B415372
_TRY_LOCK = "SELECT pg_try_advisory_lock($1::integer, 0)"
_UNLOCK = "SELECT pg_advisory_unlock($1::integer, 0)"

_TABLES = (
    "reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, "
    "reprocess_rewritten, reprocess_coins, reprocess_point_changes, reprocess_buckets, "
    "reprocess_candle_changes"
)
_CLEAR = f"TRUNCATE {_TABLES}"

_FIND_JOB = """
SELECT started_at FROM reprocess_job WHERE sources = $1 AND since IS NOT DISTINCT FROM $2
    AND code = $3
"""
_START_JOB = "INSERT INTO reprocess_job (sources, since, code, started_at) VALUES ($1, $2, $3, $4)"
_ADD_SOURCES = """
INSERT INTO reprocess_progress (source, rebuilt, read_to) SELECT s, true, $2
    FROM unnest($1::text[]) AS s
"""
# Committed together with the payloads of that moment: a reader of the clock sees the payloads too.
_CLOCK = "SELECT at FROM raw_clock"
_PROGRESS = """
SELECT source, rebuilt, read_to, complete, total, processed, failed, changed FROM reprocess_progress
    ORDER BY source
"""
_SET_TOTAL = "UPDATE reprocess_progress SET total = $2 WHERE source = $1"
_COMPLETE = "UPDATE reprocess_progress SET complete = true, read_to = $2 WHERE source = $1"
# The code that read the oldest payloads is unknown: readers were not recorded then.
_READ_BY_OTHER_CODE = """
WITH reader AS (
    SELECT
        arrived_from, lead(arrived_from, 1, 'infinity') OVER (ORDER BY arrived_from) AS arrived_to,
        code
    FROM raw_readers
    WHERE source = $1
)
SELECT EXISTS (
    SELECT FROM reprocess_versions AS v
    WHERE v.source = $1 AND NOT EXISTS (
        SELECT FROM reader AS r
        WHERE v.ingested_at >= r.arrived_from AND v.ingested_at < r.arrived_to AND r.code = $2
    )
)
"""
_DELETE_READERS = "DELETE FROM raw_readers WHERE source = $1 AND arrived_from >= $2"
_ADD_READER = "INSERT INTO raw_readers (source, arrived_from, code) VALUES ($1, $2, $3)"

BEGINNING = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
"""Before all payloads."""


class Job(msgspec.Struct, frozen=True):
    """The rebuilt sources, the earliest arrival (None for all), and whether it was resumed."""

    sources: list[str]
    since: datetime.datetime | None
    started_at: datetime.datetime
    resumed: bool

    @property
    def beginning(self) -> datetime.datetime:
        """When the first payload may have arrived."""
        return self.since or BEGINNING


class Progress(msgspec.Struct, frozen=True):
    """The progress of a source; if not `rebuilt`, only the history of shared coins needs it."""

    source: str
    rebuilt: bool
    read_to: datetime.datetime
    complete: bool
    total: int
    processed: int
    failed: int
    changed: int


async def try_lock(connection: Connection) -> bool:
    """Take this session's lock of reprocessing; return False if another session has it."""
    taken: bool = await connection.fetchval(_TRY_LOCK, _LOCK)
    return taken


async def unlock(connection: Connection) -> None:
    """Release the lock."""
    await connection.execute(_UNLOCK, _LOCK)


async def open_job(
    connection: Connection,
    sources: Sequence[str],
    *,
    since: datetime.datetime | None,
    code: bytes,
    now: datetime.datetime,
) -> Job:
    """Resume the same job if it was interrupted; otherwise start it and drop any other job."""
    names = sorted(sources)
    async with connection.transaction():
        started_at = await connection.fetchval(_FIND_JOB, names, since, code)
        if started_at is not None:
            return Job(names, since, started_at, resumed=True)
        await connection.execute(_CLEAR)
        await connection.execute(_START_JOB, names, since, code, now)
        await connection.execute(_ADD_SOURCES, names, await newest_arrival(connection))
    return Job(names, since, now, resumed=False)


async def clear_job(connection: Connection) -> None:
    """Remove the job."""
    await connection.execute(_CLEAR)


async def newest_arrival(connection: Connection) -> datetime.datetime:
    """Return the newest arrival time: later payloads have a later one."""
    moment: datetime.datetime = await connection.fetchval(_CLOCK)
    return moment


async def read_progress(connection: Connection) -> dict[str, Progress]:
    """Return the progress of each source by its name."""
    return {row["source"]: Progress(**row) for row in await connection.fetch(_PROGRESS)}


async def set_total(connection: Connection, source: str, total: int) -> None:
    """Save how many payloads of `source` there are to read."""
    await connection.execute(_SET_TOTAL, source, total)


async def complete(connection: Connection, source: str, read_to: datetime.datetime) -> None:
    """Save that all payloads that arrived by `read_to` are staged."""
    await connection.execute(_COMPLETE, source, read_to)


async def read_by_other_code(connection: Connection, codes: Mapping[str, bytes]) -> list[str]:
    """Return the sources with a staged payload that code other than the given one read."""
    return [
        source
        for source, code in codes.items()
        if await connection.fetchval(_READ_BY_OTHER_CODE, source, code)
    ]


async def save_readers(
    connection: Connection, codes: Mapping[str, bytes], since: datetime.datetime
) -> None:
    """Save that this code has read all payloads of these sources since then."""
    for source, code in codes.items():
        await connection.execute(_DELETE_READERS, source, since)
        await connection.execute(_ADD_READER, source, since, code)
