"""Sources: what the ingestor is set to read, and how each source fares; written here, read by the server."""

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from db.connect.locks import take_write_lock
from db.connect.types import Connection

# Sources that are no longer set stay, with their listings, as disabled: where $5 says that these
# are all.
_SAVE = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[]) AS g (name, kind,
        priority, poll_seconds)
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
# The merge writes it for the coins that change; a source that is polled more rarely makes the
# others stale later.
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
_LOOK = """
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
_ENABLED = "SELECT name FROM sources WHERE enabled ORDER BY priority, name"


class SourceSettings(msgspec.Struct, frozen=True):
    """How a source is set: `priority` orders the sources for name and rank, smaller first."""

    name: str
    kind: Literal["api", "file"]
    priority: int
    poll_seconds: int


async def save_sources(
    connection: Connection, sources: Sequence[SourceSettings], *, exclusive: bool = True
) -> None:
    """Make the table say that these sources are enabled, and if `exclusive` no others; writes only what differs.

    Their coins then become stale after three polls as they are set now.
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
    """Write down when each coin becomes stale, where that is no longer right; under the write lock."""
    await connection.execute(_STAMP_COINS)


async def count_outcome(connection: Connection, source: str, *, failed: bool) -> None:
    """Count a failed run of `source`, or forget those before a good one."""
    await connection.execute(_COUNT_FAILURE if failed else _CLEAR_FAILURES, source)


class SourceAppearance(msgspec.Struct, frozen=True):
    """When the poll loops run a source next, None for now; whether a run of it is under way, dead or alive."""

    next_run_at: datetime.datetime | None
    running: bool


async def look_at(connection: Connection, source: str) -> SourceAppearance:
    """Return what a poll loop decides on."""
    row = await connection.fetchrow(_LOOK, source)
    return SourceAppearance(None, running=False) if row is None else SourceAppearance(*row)


async def claim_due_run(connection: Connection, source: str, now: datetime.datetime) -> bool:
    """Tell whether `source` is due, and if so set its next run one poll ahead, for every ingestor."""
    return await connection.fetchval(_CLAIM_DUE, source, now) is not None


async def set_next_run(connection: Connection, source: str, at: datetime.datetime | None) -> None:
    """Set when the poll loops run `source` next; None: at their next look."""
    await connection.execute(_SET_NEXT_RUN, source, at)


async def enabled_sources(connection: Connection) -> list[str]:
    """Return the names of the enabled sources, by priority."""
    return [row["name"] for row in await connection.fetch(_ENABLED)]
