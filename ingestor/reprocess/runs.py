"""The runs of a reprocess as users see them: started, advancing, ended."""

import datetime
from collections.abc import Mapping

from db.connect.types import Connection, Pool
from db.reprocess.job import Progress, try_lock, unlock
from db.reprocess.runs import abandon_reprocess_runs, count_reprocess_run, start_reprocess_run
from db.write.runs import FinishedRun, finish_run
from db.write.transaction import Outbox, write_transaction
from ingestor.clock import utc_now


async def abandon_killed(connection: Connection) -> None:
    """Abandon the runs of a killed reprocess; the connection holds the lock of reprocessing."""
    now = utc_now()
    async with write_transaction(connection) as outbox:
        abandoned = await abandon_reprocess_runs(connection, now)
        for run_id in abandoned:
            await outbox.add_run("run_finished", run_id, now)


async def abandon_if_killed(pool: Pool) -> None:
    """Abandon the runs of a killed reprocess, unless one is alive."""
    async with pool.acquire() as connection:
        if await try_lock(connection):
            try:
                await abandon_killed(connection)
            finally:
                await unlock(connection)


async def start(
    connection: Connection, progress: Mapping[str, Progress], *, resumed: bool
) -> dict[str, int]:
    """Start a run for each rebuilt source and return their ids by source."""
    now = utc_now()
    run_ids = {}
    async with write_transaction(connection) as outbox:
        for source, so_far in progress.items():
            if so_far.rebuilt:
                run_ids[source] = await start_reprocess_run(
                    connection,
                    source,
                    now,
                    processed=so_far.processed,
                    failed=so_far.failed,
                    message="Reprocess, resumed." if resumed else "Reprocess.",
                )
                await outbox.add_run("run_started", run_ids[source], now)
    return run_ids


async def advance(connection: Connection, run_id: int, progress: Progress, pages: int) -> None:
    """Update a run's counts and notify its subscribers."""
    async with write_transaction(connection) as outbox:
        await _count(connection, run_id, progress, pages)
        await outbox.add_run("run_progress", run_id, utc_now())


async def succeed(
    outbox: Outbox,
    run_ids: Mapping[str, int],
    progress: Mapping[str, Progress],
    pages: Mapping[str, int],
    now: datetime.datetime,
) -> list[FinishedRun]:
    """Finish the runs in the transaction of the rebuild, which holds the write lock."""
    finished = []
    for source, run_id in run_ids.items():
        so_far = progress[source]
        await _count(outbox.connection, run_id, so_far, pages.get(source, 0))
        message = f"Reprocess: {so_far.changed} listings changed, {so_far.processed} payloads read."
        run = await finish_run(outbox.connection, run_id, "success", message, now)
        await outbox.add_run("run_finished", run_id, now)
        if run is not None:
            finished.append(run)
    return finished


async def fail(
    connection: Connection, run_ids: Mapping[str, int], status: str, message: str
) -> None:
    """Finish the runs of a rebuild that failed or was stopped."""
    now = utc_now()
    async with write_transaction(connection) as outbox:
        for run_id in run_ids.values():
            await finish_run(connection, run_id, status, message, now)
            await outbox.add_run("run_finished", run_id, now)


async def _count(connection: Connection, run_id: int, progress: Progress, pages: int) -> None:
    await count_reprocess_run(
        connection,
        run_id,
        processed=progress.processed,
        failed=progress.failed,
        changed=progress.changed,
        pages=pages,
    )
