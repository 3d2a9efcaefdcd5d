"""One run: read a source from its checkpoint on, page by page, and say how it went."""

import contextlib
import datetime
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
import msgspec
import structlog

from db.api_calls import add_calls
from db.checkpoints import CheckpointRow, read_checkpoint, touch_checkpoint
from db.events import add_run_event, notify_events
from db.locks import release_source_lock, take_write_lock, try_source_lock
from db.partitions import DEFAULT_RETENTION, Retention, ensure_partitions
from db.pool import borrow, is_lost
from db.runs import FinishedRun, abandon_runs, finish_run, running_sources, start_run
from db.sources import claim_due_run, count_outcome, set_next_run
from db.types import Connection, Pool
from ingestor.ahead import ahead
from ingestor.clock import utc_now
from ingestor.errors import SourceError
from ingestor.page import Part, decode_page, write_page
from ingestor.records import Budgeted, Checkpoint, Page, Source

_log = structlog.stdlib.get_logger(__name__)

CLOSE_TIMEOUT_SECONDS = 5.0


class _Outcome(msgspec.Struct, frozen=True):
    status: str
    message: str | None


async def run(
    pool: Pool,
    source: Source,
    *,
    timeout_seconds: float,
    retention: Retention = DEFAULT_RETENTION,
    request_id: int | None = None,
    full: bool = False,
    only_if_due: bool = False,
) -> FinishedRun | None:
    """Read `source` once and return the finished run, or None when somebody else is running it just now.

    `full` ignores the checkpoint and the validators. `only_if_due` is the poll loop's way: None, too, when the source's
    next run lies ahead, else that is set. What the source does wrong ends in the run's row, never in an exception;
    the database's errors are raised, and the run is then closed by the next one.
    """
    async with borrow(pool) as connection, _source_lock(connection, source.name) as taken:
        if not taken:
            return None
        now = utc_now()
        await _abandon(connection, source.name)
        if only_if_due and not await claim_due_run(connection, source.name, now):
            return None
        await ensure_partitions(connection, now, retention)
        run_id = await _start(connection, source.name, request_id, now)
        try:
            outcome = await _read(
                pool, connection, source, run_id, retention, timeout_seconds=timeout_seconds, full=full
            )
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                stopped = _Outcome("abandoned", "The ingestor was stopped; the next run goes on where this one ended.")
                await _finish(connection, source, run_id, stopped)
                await set_next_run(connection, source.name, None)
            raise
        return await _finish(connection, source, run_id, outcome)


async def abandon_orphans(pool: Pool) -> None:
    """Mark the runs that nobody alive runs as abandoned, those of sources that are no longer set too."""
    async with borrow(pool) as connection:
        for name in await running_sources(connection):
            async with _source_lock(connection, name) as taken:
                if taken:
                    await _abandon(connection, name)


@contextlib.asynccontextmanager
async def _source_lock(connection: Connection, source: str) -> AsyncIterator[bool]:
    """Try to hold the source's lock; a dead connection has let go of it by itself."""
    taken = await try_source_lock(connection, source)
    try:
        yield taken
    finally:
        if taken and not is_lost(connection):
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                await release_source_lock(connection, source)


async def _abandon(connection: Connection, source: str) -> None:
    """Close the runs that ended without a word; the source is then due at once, to go on where they ended."""
    now = utc_now()
    async with connection.transaction():
        await take_write_lock(connection)
        abandoned = await abandon_runs(connection, source, now)
        for run_id in abandoned:
            await add_run_event(connection, "run_finished", run_id, now)
        if abandoned:
            await notify_events(connection)
            await set_next_run(connection, source, None)
    for run_id in abandoned:
        await _log.awarning("run.abandoned", source=source, run=run_id)


async def _start(connection: Connection, source: str, request_id: int | None, now: datetime.datetime) -> int:
    async with connection.transaction():
        await take_write_lock(connection)
        run_id = await start_run(connection, source, now, request_id)
        await add_run_event(connection, "run_started", run_id, now)
        await notify_events(connection)
    await _log.ainfo("run.started", source=source, run=run_id, request=request_id)
    return run_id


async def _read(
    pool: Pool,
    connection: Connection,
    source: Source,
    run_id: int,
    retention: Retention,
    *,
    timeout_seconds: float,
    full: bool,
) -> _Outcome:
    """Read and write page after page; the source's failures become the run's outcome."""
    failure: SourceError | None = None
    pages = 0
    with anyio.move_on_after(timeout_seconds) as deadline:
        row = None if full else await read_checkpoint(connection, source.name)
        checkpoint = None if row is None else _checkpoint(row)
        async with ahead(_decoded(pool, source, source.pages(checkpoint, full=full))) as reading:
            async for read in reading:
                if isinstance(read, SourceError):
                    failure = read
                    break
                page, parts = read
                # Whoever stops us, or a deadline, waits for the page: it is written whole, then we go.
                with anyio.CancelScope(shield=True):
                    now = utc_now()
                    oldest = retention.oldest_history(now)
                    await write_page(connection, source, run_id, page, now=now, oldest=oldest, parts=parts)
                pages += 1
    if failure is not None:
        return _Outcome("failure", str(failure))
    if deadline.cancelled_caught:
        late = (
            f"{source.name} took longer than RUN_TIMEOUT_SECONDS={timeout_seconds:g}; the next run goes on from there"
        )
        return _Outcome("failure", late)
    if pages == 0:
        await touch_checkpoint(connection, source.name, utc_now())
        return _Outcome("success", f"{source.name} has not changed since its last run.")
    return _Outcome("success", None)


_Ahead = tuple[Page, list[Part] | None] | SourceError


async def _decoded(pool: Pool, source: Source, pages: AsyncGenerator[Page, None]) -> AsyncGenerator[_Ahead, None]:
    """Yield the pages, and at their end the error that ended them.

    Each comes decoded, unless it shares a record with the one before: what that changes is known only when that one is
    written.
    """
    before: set[str] = set()
    async with contextlib.aclosing(pages):
        try:
            async for page in pages:
                external_ids = {record.external_id for record in page.records}
                parts = None
                if before and before.isdisjoint(external_ids):
                    async with borrow(pool) as connection:
                        parts = await decode_page(connection, source, page)
                yield page, parts
                before = external_ids
        except SourceError as error:
            yield error


def _checkpoint(row: CheckpointRow) -> Checkpoint:
    position = None if row.position is None else msgspec.json.decode(row.position)
    return Checkpoint(position=position, last_id=row.last_id, last_timestamp=row.last_timestamp)


async def _finish(connection: Connection, source: Source, run_id: int, outcome: _Outcome) -> FinishedRun | None:
    now = utc_now()
    async with connection.transaction():
        await take_write_lock(connection)
        finished = await finish_run(connection, run_id, outcome.status, outcome.message, now)
        if finished is not None:
            await add_run_event(connection, "run_finished", run_id, now)
            await notify_events(connection)
            if finished.status != "abandoned":
                await count_outcome(connection, source.name, failed=finished.status == "failure")
        if isinstance(source, Budgeted):
            await add_calls(connection, source.name, source.take_calls(), now)
    if finished is not None:
        say = _log.ainfo if finished.status in ("success", "partial") else _log.awarning
        await say(
            "run.finished",
            source=source.name,
            run=run_id,
            status=finished.status,
            processed=finished.processed,
            failed=finished.failed,
            changed=finished.changed,
            notes=finished.note_count,
            message=finished.message,
        )
    return finished
