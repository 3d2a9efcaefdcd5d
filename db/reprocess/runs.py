"""The runs of a reprocess, one for each rebuilt source; ingest runs ignore them."""

import datetime

from db.connect.types import Connection

# A resumed rebuild gets a new run, which includes the counts so far.
_START = """
INSERT INTO etl_runs (source, kind, started_at, processed, failed, unchanged, message)
VALUES ($1, 'reprocess', $2, $3::integer, $4::integer, $3::integer - $4::integer, $5)
RETURNING id
"""
_COUNT = """
UPDATE etl_runs
SET processed = $2::integer, failed = $3::integer, changed = $4::integer,
    unchanged = $2::integer - $3::integer - $4::integer, pages = pages + $5::integer
WHERE id = $1 AND status = 'running'
"""
_ABANDON = """
UPDATE etl_runs
SET status = 'abandoned', finished_at = greatest($1, started_at),
    message = 'The reprocess ended before this run did; the same command resumes it.'
WHERE kind = 'reprocess' AND status = 'running'
RETURNING id
"""


async def start_reprocess_run(
    connection: Connection,
    source: str,
    now: datetime.datetime,
    *,
    processed: int,
    failed: int,
    message: str,
) -> int:
    """Insert a running run with the counts so far, and return its id."""
    run_id: int = await connection.fetchval(_START, source, now, processed, failed, message)
    return run_id


async def count_reprocess_run(
    connection: Connection, run_id: int, *, processed: int, failed: int, changed: int, pages: int
) -> None:
    """Set a run's counts, and add `pages` to the batches that it has read."""
    await connection.execute(_COUNT, run_id, processed, failed, changed, pages)


async def abandon_reprocess_runs(connection: Connection, now: datetime.datetime) -> list[int]:
    """Mark every running reprocess run as abandoned and return their ids.

    The caller holds the lock of reprocessing, so none of them is alive.
    """
    return [row["id"] for row in await connection.fetch(_ABANDON, now)]
