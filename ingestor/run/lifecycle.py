"""The row of a run: start it, finish it, and close the runs that an earlier ingestor left open."""

import contextlib
import datetime
from collections.abc import AsyncIterator

import anyio
import msgspec
import structlog

from db.connect.locks import end_when_idle, release_source_lock, try_source_lock
from db.connect.pool import borrow, database_problem, is_lost
from db.connect.types import Connection, Pool
from db.sources import count_outcome, set_next_run
from db.write.runs import FinishedRun, abandon_runs, finish_run, running_sources, start_run
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.heartbeat import IDLE_SECONDS

_log = structlog.stdlib.get_logger(__name__)

CLOSE_TIMEOUT_SECONDS = 5.0
RESUMES = "the next run goes on where this one ended."


class RunOutcome(msgspec.Struct, frozen=True):
    """How a run ends: its status and its message."""

    status: str
    message: str | None


UnclosedRuns = dict[tuple[str, int], RunOutcome]
"""Outcomes that the database did not store, by source and run: the next run of the source does."""


@contextlib.asynccontextmanager
async def source_lock(connection: Connection, source: str) -> AsyncIterator[bool]:
    """Try to hold the source's lock and yield whether it is held; a lost connection releases it."""
    taken = await try_source_lock(connection, source)
    try:
        if taken:
            await end_when_idle(connection, IDLE_SECONDS)
        yield taken
    finally:
        if taken and not is_lost(connection):
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                await release_source_lock(connection, source)


async def start(
    connection: Connection, source: str, request_id: int | None, now: datetime.datetime
) -> int:
    """Start a run of `source` and return its number."""
    async with write_transaction(connection) as outbox:
        run_id = await start_run(connection, source, now, request_id)
        await outbox.add_run("run_started", run_id, now)
    await _log.ainfo("run.started", source=source, run=run_id, request=request_id)
    return run_id


async def finish(
    connection: Connection, source: str, run_id: int, outcome: RunOutcome
) -> FinishedRun | None:
    """Finish a run and return it, or None if it was closed before."""
    now = utc_now()
    async with write_transaction(connection) as outbox:
        finished = await finish_run(connection, run_id, outcome.status, outcome.message, now)
        if finished is not None:
            await outbox.add_run("run_finished", run_id, now)
            if finished.status != "abandoned":
                await count_outcome(connection, source, failed=finished.status == "failure")
    if finished is not None:
        log = _log.ainfo if finished.status in ("success", "partial") else _log.awarning
        await log(
            "run.finished",
            source=source,
            run=run_id,
            status=finished.status,
            processed=finished.processed,
            failed=finished.failed,
            changed=finished.changed,
            notes=finished.note_count,
            message=finished.message,
        )
    return finished


async def stop(connection: Connection, source: str, run_id: int) -> None:
    """Abandon the run of an ingestor that is being stopped, if the database does it in time."""
    outcome = RunOutcome("abandoned", f"The ingestor was stopped; {RESUMES}")
    with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
        try:
            await finish(connection, source, run_id, outcome)
            await set_next_run(connection, source, None)
        except Exception as error:
            if database_problem(error) is None:
                raise


async def abandon_orphans(pool: Pool) -> None:
    """Abandon the runs of killed ingestors, also those of sources that are no longer set."""
    async with borrow(pool) as connection:
        for name in await running_sources(connection):
            async with source_lock(connection, name) as taken:
                if taken:
                    await close_open_runs(connection, name, {})


async def close_open_runs(connection: Connection, source: str, unclosed: UnclosedRuns) -> None:
    """Close the open runs of `source`: with the outcome in `unclosed`, else as abandoned.

    After an abandoned run the source is due at once, and its next run resumes.
    """
    now = utc_now()
    own = {run_id: outcome for (name, run_id), outcome in unclosed.items() if name == source}
    async with write_transaction(connection) as outbox:
        finished_runs = [
            finished
            for run_id, outcome in own.items()
            if (
                finished := await finish_run(
                    connection, run_id, outcome.status, outcome.message, now
                )
            )
            is not None
        ]
        abandoned = await abandon_runs(connection, source, now)
        abandoned += [finished.id for finished in finished_runs if finished.status == "abandoned"]
        for run_id in {*abandoned, *(finished.id for finished in finished_runs)}:
            await outbox.add_run("run_finished", run_id, now)
        for finished in finished_runs:
            if finished.status != "abandoned":
                await count_outcome(connection, source, failed=finished.status == "failure")
        if abandoned:
            await set_next_run(connection, source, None)
    for run_id in own:
        del unclosed[source, run_id]
    for run_id in abandoned:
        await _log.awarning("run.abandoned", source=source, run=run_id)
