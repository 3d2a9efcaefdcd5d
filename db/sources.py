"""The settings, schedule and failures of the sources, which the ingestor writes."""

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from db.connect.locks import take_write_lock
from db.connect.types import Connection

# If $5 says that these are all sources, the others become disabled; they and their listings stay.
_SAVE = """
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[])
        AS g (name, kind, priority, poll_seconds)
),
disabled AS (
    UPDATE sources AS s SET enabled = false, next_run_at = NULL
    WHERE $5 AND enabled AND name NOT IN (SELECT name FROM given)
    RETURNING name
)
INSERT INTO sources AS s (name, kind, enabled, priority, poll_seconds)
SELECT name, kind, true, priority, poll_seconds FROM given ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, enabled = true, priority = excluded.priority,
    poll_seconds = excluded.poll_seconds
WHERE (s.kind, s.enabled, s.priority, s.poll_seconds)
    IS DISTINCT FROM (excluded.kind, true, excluded.priority, excluded.poll_seconds)
"""
# The merge writes stale_at of the coins that change; a longer poll interval changes it for the
# others.
_STAMP_COINS = """
UPDATE normalized_records AS n SET stale_at = n.created_at + s.poll_seconds * interval '3 seconds'
FROM sources AS s
WHERE s.name = n.source AND n.stale_at <> n.created_at + s.poll_seconds * interval '3 seconds'
"""
_COUNT_FAILURE = (
    "UPDATE sources SET consecutive_failures = consecutive_failures + 1 WHERE name = $1"
)
_CLEAR_FAILURES = (
    "UPDATE sources SET consecutive_failures = 0 WHERE name = $1 AND consecutive_failures > 0"
)
_SET_NEXT_RUN = (
    "UPDATE sources SET next_run_at = $2 WHERE name = $1 AND next_run_at IS DISTINCT FROM $2"
)
_SCHEDULE = """
SELECT
    (SELECT next_run_at FROM sources WHERE name = $1),
    EXISTS (SELECT FROM etl_runs WHERE source = $1 AND status = 'running' AND kind = 'ingest')
"""
_CLAIM_DUE = """
UPDATE sources SET next_run_at = $2::timestamptz + poll_seconds * interval '1 second'
WHERE name = $1 AND (
    next_run_at IS NULL OR next_run_at <= $2
    -- The setting was made smaller, or a clock was wrong.
    OR next_run_at > $2::timestamptz + poll_seconds * interval '1 second'
)
RETURNING name
"""
_ENABLED = """
SELECT name FROM sources WHERE enabled AND kind <> 'stream' ORDER BY priority, name
"""


class SourceSettings(msgspec.Struct, frozen=True):
    """The settings of a source: `priority` orders the sources for name and rank, smaller first."""

    name: str
    kind: Literal["api", "file", "stream"]
    priority: int
    poll_seconds: int


async def save_sources(
    connection: Connection, sources: Sequence[SourceSettings], *, exclusive: bool = True
) -> None:
    """Enable these sources with their settings, and with `exclusive` disable all others.

    Their coins become stale after three poll intervals.
    """
    async with connection.transaction():
        await take_write_lock(connection)
        await connection.execute(
            _SAVE,
            [source.name for source in sources],
            [source.kind for source in sources],
            [source.priority for source in sources],
            [source.poll_seconds for source in sources],
            exclusive,
        )
        await stamp_coins(connection)


async def stamp_coins(connection: Connection) -> None:
    """Correct when each coin becomes stale; the caller holds the write lock."""
    await connection.execute(_STAMP_COINS)


async def count_outcome(connection: Connection, source: str, *, failed: bool) -> None:
    """Count a failed run of `source`, or reset the count after a good one."""
    await connection.execute(_COUNT_FAILURE if failed else _CLEAR_FAILURES, source)


class SourceSchedule(msgspec.Struct, frozen=True):
    """The next run of a source, None for now; whether a run is under way, perhaps a killed one."""

    next_run_at: datetime.datetime | None
    running: bool


async def read_schedule(connection: Connection, source: str) -> SourceSchedule:
    """Return the schedule of `source` for its poll loop."""
    row = await connection.fetchrow(_SCHEDULE, source)
    return SourceSchedule(None, running=False) if row is None else SourceSchedule(*row)


async def claim_due_run(connection: Connection, source: str, now: datetime.datetime) -> bool:
    """Return whether `source` is due; if so, set its next run, for every ingestor."""
    return await connection.fetchval(_CLAIM_DUE, source, now) is not None


async def set_next_run(connection: Connection, source: str, at: datetime.datetime | None) -> None:
    """Set when the poll loops run `source` next; None is at their next check."""
    await connection.execute(_SET_NEXT_RUN, source, at)


async def enabled_sources(connection: Connection) -> list[str]:
    """Return the names of the enabled sources that a run reads, by priority."""
    return [row["name"] for row in await connection.fetch(_ENABLED)]
