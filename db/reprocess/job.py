"""The one reprocess at a time, and how far it is with each source."""

import datetime
from collections.abc import Mapping, Sequence

import msgspec

from db.connect.types import Connection

# "KASr" read as a big-endian number, as in db/connect/locks.py.
_LOCK = 0x4B415372
_TRY_LOCK = "SELECT pg_try_advisory_lock($1::integer, 0)"
_UNLOCK = "SELECT pg_advisory_unlock($1::integer, 0)"

_TABLES = (
    "reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, reprocess_needed, reprocess_rewritten, "
    "reprocess_coins, reprocess_owned, reprocess_foreseen, reprocess_last, reprocess_points, reprocess_point_changes, "
    "reprocess_buckets, reprocess_candle_changes"
)
_CLEAR = f"TRUNCATE {_TABLES}"

_FIND_JOB = """
SELECT started_at FROM reprocess_job WHERE sources = $1 AND since IS NOT DISTINCT FROM $2
    AND code = $3
"""
_START_JOB = "INSERT INTO reprocess_job (sources, since, code, started_at) VALUES ($1, $2, $3, $4)"
_ADD_SOURCES = """
INSERT INTO reprocess_progress (source, rebuilt, read_to) SELECT s, s = ANY ($1), $3
    FROM unnest($2::text[]) AS s
"""
# Committed together with the payloads of that moment: whoever sees the clock sees them.
_CLOCK = "SELECT at FROM raw_clock"
_PROGRESS = """
SELECT source, rebuilt, read_to, complete, total, processed, failed, changed FROM reprocess_progress
    ORDER BY source
"""
_SET_TOTAL = "UPDATE reprocess_progress SET total = $2 WHERE source = $1"
_COMPLETE = "UPDATE reprocess_progress SET complete = true, read_to = $2 WHERE source = $1"
_FIND_NEEDED = """
INSERT INTO reprocess_needed (source, external_id)
SELECT l.source, l.external_id
FROM listings AS l JOIN reprocess_progress AS p ON p.source = l.source AND NOT p.rebuilt
WHERE l.ticker IN (
    SELECT o.ticker FROM listings AS o JOIN reprocess_progress AS q ON q.source = o.source
        AND q.rebuilt
    UNION SELECT w.ticker FROM reprocess_listings AS w
)
ON CONFLICT DO NOTHING
"""
# Payloads from before readers were noted were read by who knows what.
_READ_BY_OTHERS = """
WITH reader AS (
    SELECT arrived_from, lead(arrived_from, 1,
        'infinity') OVER (ORDER BY arrived_from) AS arrived_to, code
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
_FORGET_READERS = "DELETE FROM raw_readers WHERE source = $1 AND arrived_from >= $2"
_NOTE_READER = "INSERT INTO raw_readers (source, arrived_from, code) VALUES ($1, $2, $3)"

BEGINNING = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
"""Before all payloads."""


class Job(msgspec.Struct, frozen=True):
    """What is rebuilt, `since` when payloads must have arrived (None for all), and whether it goes on from earlier."""

    sources: list[str]
    since: datetime.datetime | None
    started_at: datetime.datetime
    resumed: bool

    @property
    def beginning(self) -> datetime.datetime:
        """When the first payload may have arrived."""
        return self.since or BEGINNING


class Progress(msgspec.Struct, frozen=True):
    """How far one source is; `rebuilt` is false where it is read only for the history of shared coins."""

    source: str
    rebuilt: bool
    read_to: datetime.datetime
    complete: bool
    total: int
    processed: int
    failed: int
    changed: int


async def try_lock(connection: Connection) -> bool:
    """Take this session's right to be the one reprocess at a time, unless somebody alive has it."""
    taken: bool = await connection.fetchval(_TRY_LOCK, _LOCK)
    return taken


async def unlock(connection: Connection) -> None:
    """Give up that right."""
    await connection.execute(_UNLOCK, _LOCK)


async def open_job(
    connection: Connection,
    sources: Sequence[str],
    others: Sequence[str],
    *,
    since: datetime.datetime | None,
    code: bytes,
    now: datetime.datetime,
) -> Job:
    """Go on with the same job if it was interrupted, else begin it; whatever other job there was is dropped."""
    wanted = sorted(sources)
    async with connection.transaction():
        started_at = await connection.fetchval(_FIND_JOB, wanted, since, code)
        if started_at is not None:
            return Job(wanted, since, started_at, resumed=True)
        await connection.execute(_CLEAR)
        await connection.execute(_START_JOB, wanted, since, code, now)
        await connection.execute(
            _ADD_SOURCES, wanted, [*wanted, *others], await newest_arrival(connection)
        )
    return Job(wanted, since, now, resumed=False)


async def clear_job(connection: Connection) -> None:
    """Forget the job: it is done."""
    await connection.execute(_CLEAR)


async def newest_arrival(connection: Connection) -> datetime.datetime:
    """Return up to when all payloads that have arrived can be seen; whatever comes has arrived later."""
    moment: datetime.datetime = await connection.fetchval(_CLOCK)
    return moment


async def read_progress(connection: Connection) -> dict[str, Progress]:
    """Return how far each source is, by its name."""
    return {row["source"]: Progress(**row) for row in await connection.fetch(_PROGRESS)}


async def set_total(connection: Connection, source: str, total: int) -> None:
    """Note how many payloads there are to read."""
    await connection.execute(_SET_TOTAL, source, total)


async def find_needed(connection: Connection) -> None:
    """Note the listings of the other sources whose tickers the rebuilt sources touch."""
    await connection.execute(_FIND_NEEDED)


async def complete(connection: Connection, source: str, read_to: datetime.datetime) -> None:
    """Note that all payloads that had arrived by then are staged."""
    await connection.execute(_COMPLETE, source, read_to)


async def read_by_others(connection: Connection, codes: Mapping[str, bytes]) -> list[str]:
    """Return the sources, of which a staged payload was not read by the code given."""
    return [
        source
        for source, code in codes.items()
        if await connection.fetchval(_READ_BY_OTHERS, source, code)
    ]


async def note_readers(
    connection: Connection, codes: Mapping[str, bytes], since: datetime.datetime
) -> None:
    """Note that all payloads of these sources from `since` on are read by this code now."""
    for source, code in codes.items():
        await connection.execute(_FORGET_READERS, source, since)
        await connection.execute(_NOTE_READER, source, since, code)
