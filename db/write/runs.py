"""Runs: one row for each attempt to read a source."""

import datetime

import msgspec

from db.connect.types import Connection

_START = """
INSERT INTO etl_runs (source, started_at, request_id) VALUES ($1, $2, $3) RETURNING id
"""
_ADVANCE = """
UPDATE etl_runs
SET
    processed = processed + $2, failed = failed + $3, changed = changed + $4,
    unchanged = unchanged + $5, pages = pages + 1
WHERE id = $1 AND status = 'running'
RETURNING id
"""
# greatest(): the clock may have been set back during the run.
_FINISH = """
UPDATE etl_runs
SET
    status = CASE WHEN $2 = 'success' AND failed > 0 THEN 'partial' ELSE $2 END,
    message = $3, finished_at = greatest($4, started_at)
WHERE id = $1 AND status = 'running'
RETURNING
    id, source, status, processed, failed, changed, unchanged, pages, started_at, finished_at,
    message, note_count, notes
"""
_ABANDON = """
UPDATE etl_runs
SET status = 'abandoned', message = 'The ingestor that ran it ended before the run did.',
    finished_at = greatest($2, started_at)
WHERE source = $1 AND status = 'running' AND kind = 'ingest'
RETURNING id
"""
_RUNNING_SOURCES = """
SELECT DISTINCT source FROM etl_runs WHERE status = 'running' AND kind = 'ingest' ORDER BY source
"""
# The newest run of each outcome stays, because the source's health depends on it. So do the runs of
# an open request, which would otherwise run again.
_PURGE = """
DELETE FROM etl_runs WHERE id IN (
    SELECT r.id
    FROM etl_runs AS r
    WHERE r.started_at < $1 AND r.status <> 'running'
      AND EXISTS (
        SELECT FROM etl_runs AS n
        WHERE n.source = r.source AND n.kind = r.kind AND n.status = r.status AND n.id > r.id
      )
      AND NOT EXISTS (
        SELECT FROM etl_requests AS q WHERE q.id = r.request_id AND q.status <> 'done'
      )
    ORDER BY r.id
    LIMIT 10000
)
"""
_PURGE_REQUESTS = """
DELETE FROM etl_requests AS q
WHERE q.finished_at < $1 AND NOT EXISTS (SELECT FROM etl_runs AS r WHERE r.request_id = q.id)
"""


class FinishedRun(msgspec.Struct, frozen=True):
    """The row of a run that has ended; its notes are as in `db.read.runs.RunRow`."""

    id: int
    source: str
    status: str
    processed: int
    failed: int
    changed: int
    unchanged: int
    pages: int
    started_at: datetime.datetime
    finished_at: datetime.datetime
    message: str | None
    note_count: int = 0
    notes: msgspec.Raw = msgspec.Raw(b"[]")


class RunTakenOverError(Exception):
    """The run's row is no longer running: another ingestor has abandoned it."""


async def start_run(
    connection: Connection, source: str, now: datetime.datetime, request_id: int | None
) -> int:
    """Insert a running run and return its number."""
    run_id: int = await connection.fetchval(_START, source, now, request_id)
    return run_id


async def advance_run(
    connection: Connection,
    run_id: int,
    *,
    processed: int,
    failed: int,
    changed: int,
    unchanged: int,
) -> None:
    """Add a page's counts. Raises RunTakenOverError."""
    row = await connection.fetchval(_ADVANCE, run_id, processed, failed, changed, unchanged)
    if row is None:
        raise RunTakenOverError(f"run {run_id} is no longer running")


async def finish_run(
    connection: Connection, run_id: int, status: str, message: str | None, now: datetime.datetime
) -> FinishedRun | None:
    """Finish a run and return it; None if it was finished before.

    A success with rejected records becomes partial.
    """
    row = await connection.fetchrow(_FINISH, run_id, status, message, now)
    return None if row is None else FinishedRun(**row)


async def abandon_runs(connection: Connection, source: str, now: datetime.datetime) -> list[int]:
    """Abandon the running runs of `source`: the caller holds its lock, so their programs ended."""
    return [row["id"] for row in await connection.fetch(_ABANDON, source, now)]


async def running_sources(connection: Connection) -> list[str]:
    """Return the sources with a running run, whether or not its program is alive."""
    return [row["source"] for row in await connection.fetch(_RUNNING_SOURCES)]


async def purge_runs(connection: Connection, before: datetime.datetime) -> None:
    """Delete at most 10,000 runs that started before `before`, and requests without runs."""
    await connection.execute(_PURGE, before)
    await connection.execute(_PURGE_REQUESTS, before)
