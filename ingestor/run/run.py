"""One run: read a source from its checkpoint on, page by page, and say how it went."""

import contextlib
import datetime
import functools
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
import msgspec
import structlog

from db.connect.clock import database_now
from db.connect.locks import end_when_idle, release_source_lock, take_write_lock, try_source_lock
from db.connect.pool import borrow, database_problem, is_lost
from db.connect.types import Connection, Pool
from db.events import add_run_event, notify_events
from db.notes import repeat_notes
from db.schema.partitions import DEFAULT_RETENTION, Retention, ensure_partitions
from db.sources import claim_due_run, count_outcome, set_next_run
from db.write.api_calls import add_calls
from db.write.checkpoints import CheckpointRow, read_checkpoint, touch_checkpoint
from db.write.runs import (
    FinishedRun,
    RunTakenOverError,
    abandon_runs,
    finish_run,
    running_sources,
    start_run,
)
from ingestor.clock import utc_now
from ingestor.run.heartbeat import IDLE_SECONDS, kept_alive
from ingestor.run.page import decode_page, write_page
from ingestor.run.parts import Part
from ingestor.run.prefetch import ahead
from ingestor.run.readable import check_readable
from ingestor.sources.errors import SourceError
from ingestor.sources.records import Checkpoint, ExplainsNoPage, Page, Source, SupportsCallBudget

_log = structlog.stdlib.get_logger(__name__)

CLOSE_TIMEOUT_SECONDS = 5.0
_GOES_ON = "the next run goes on where this one ended."


class RunOutcome(msgspec.Struct, frozen=True):
    """How a run ends: its status, and what it has to say."""

    status: str
    message: str | None


Unclosed = dict[tuple[str, int], RunOutcome]
"""How runs ended that the database did not let us close, by source and number: the source's next run closes them."""


async def run(
    pool: Pool,
    source: Source,
    *,
    timeout_seconds: float,
    retention: Retention = DEFAULT_RETENTION,
    request_id: int | None = None,
    full: bool = False,
    only_if_due: bool = False,
    unclosed: Unclosed | None = None,
) -> FinishedRun | None:
    """Read `source` once and return the finished run, or None when somebody else is running it just now.

    `full` ignores the checkpoint and the validators. `only_if_due` is the poll loop's way: None,
    too, when the source's next run lies ahead, else that is set. What the source does wrong ends in
    the run's row, never in an exception, and so does what the database does wrong, as long as it
    takes that row. Else its error is raised, and `unclosed` keeps for the next run how this one
    ended.
    """
    unclosed = {} if unclosed is None else unclosed
    async with borrow(pool) as connection, _source_lock(connection, source.name) as taken:
        if not taken:
            return None
        now = utc_now()
        await _abandon(connection, source.name, unclosed)
        if only_if_due and not await claim_due_run(connection, source.name, now):
            return None
        by_database = await database_now(connection)
        await ensure_partitions(connection, by_database, retention)
        run_id = await _start(connection, source.name, request_id, now)
        if isinstance(source, SupportsCallBudget):
            source.count_calls(functools.partial(_count_call, pool, source.name))
        oldest = retention.oldest_history(by_database)
        try:
            outcome = await _read(
                pool, connection, source, run_id, oldest, timeout_seconds=timeout_seconds, full=full
            )
        except anyio.get_cancelled_exc_class():
            await _stop(connection, source, run_id)
            raise
        except RunTakenOverError:
            await _log.awarning("run.taken_over", source=source.name, run=run_id)
            return None
        except Exception as error:
            problem = database_problem(error)
            if problem is None:
                raise
            lost = is_lost(connection)
            outcome = RunOutcome("abandoned" if lost else "failure", f"{problem}; {_GOES_ON}")
            if lost:
                unclosed[source.name, run_id] = outcome
                raise
        unclosed[source.name, run_id] = outcome
        finished = await _finish(connection, source, run_id, outcome)
        del unclosed[source.name, run_id]
        return finished


async def _stop(connection: Connection, source: Source, run_id: int) -> None:
    """Close the run of an ingestor that is being stopped, as far as the database lets us in a few seconds."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
        try:
            await _finish(
                connection,
                source,
                run_id,
                RunOutcome("abandoned", f"The ingestor was stopped; {_GOES_ON}"),
            )
            await set_next_run(connection, source.name, None)
        except Exception as error:
            if database_problem(error) is None:
                raise


async def abandon_orphans(pool: Pool) -> None:
    """Mark the runs that nobody alive runs as abandoned, those of sources that are no longer set too."""
    async with borrow(pool) as connection:
        for name in await running_sources(connection):
            async with _source_lock(connection, name) as taken:
                if taken:
                    await _abandon(connection, name, {})


@contextlib.asynccontextmanager
async def _source_lock(connection: Connection, source: str) -> AsyncIterator[bool]:
    """Try to hold the source's lock; a dead connection has let go of it by itself."""
    taken = await try_source_lock(connection, source)
    try:
        if taken:
            await end_when_idle(connection, IDLE_SECONDS)
        yield taken
    finally:
        if taken and not is_lost(connection):
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                await release_source_lock(connection, source)


async def _abandon(connection: Connection, source: str, unclosed: Unclosed) -> None:
    """Close the runs that were not: as `unclosed` says, else as abandoned by a program that was killed.

    After an abandoned one the source is due at once, to go on where that one ended.
    """
    now = utc_now()
    mine = {run_id: outcome for (name, run_id), outcome in unclosed.items() if name == source}
    async with connection.transaction():
        await take_write_lock(connection)
        closed = [
            finished
            for run_id, outcome in mine.items()
            if (
                finished := await finish_run(
                    connection, run_id, outcome.status, outcome.message, now
                )
            )
            is not None
        ]
        abandoned = await abandon_runs(connection, source, now)
        abandoned += [finished.id for finished in closed if finished.status == "abandoned"]
        for run_id in {*abandoned, *(finished.id for finished in closed)}:
            await add_run_event(connection, "run_finished", run_id, now)
        for finished in closed:
            if finished.status != "abandoned":
                await count_outcome(connection, source, failed=finished.status == "failure")
        if abandoned:
            await set_next_run(connection, source, None)
        if abandoned or closed:
            await notify_events(connection)
    for run_id in mine:
        del unclosed[source, run_id]
    for run_id in abandoned:
        await _log.awarning("run.abandoned", source=source, run=run_id)


async def _start(
    connection: Connection, source: str, request_id: int | None, now: datetime.datetime
) -> int:
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
    oldest: datetime.datetime,
    *,
    timeout_seconds: float,
    full: bool,
) -> RunOutcome:
    """Read and write page after page; the source's failures become the run's outcome.

    `oldest` begins history.
    """
    failure: SourceError | None = None
    doubt: str | None = None
    pages = 0
    with anyio.move_on_after(timeout_seconds) as deadline:
        row = None if full else await read_checkpoint(connection, source.name)
        checkpoint = None if row is None else _checkpoint(row)
        # What a source said is doubted: "not changed" is no answer then.
        afresh = full or (
            row is not None and row.doubted_sweeps > 0 and row.sweep_started_at is None
        )
        pages_read = _decoded(pool, source, source.pages(checkpoint, full=afresh))
        async with kept_alive(connection) as turn, ahead(pages_read) as reading:
            async for read in reading:
                if isinstance(read, SourceError):
                    failure = read
                    break
                page, parts = read
                # Whoever stops us, or a deadline, waits for the page: it is written whole, then we
                # go.
                with anyio.CancelScope(shield=True):
                    async with turn:
                        doubt = await write_page(
                            connection,
                            source,
                            run_id,
                            page,
                            now=utc_now(),
                            oldest=oldest,
                            believe=full,
                            parts=parts,
                        )
                pages += 1
    if failure is not None:
        return RunOutcome("failure", str(failure))
    if deadline.cancelled_caught:
        late = f"{source.name} took longer than RUN_TIMEOUT_SECONDS={timeout_seconds:g}; the next run goes on from there"
        return RunOutcome("failure", late)
    if pages == 0:
        await touch_checkpoint(connection, source.name, utc_now())
        why = source.why_no_page() if isinstance(source, ExplainsNoPage) else None
        if why is None:
            await repeat_notes(connection, run_id, source.name)
        return RunOutcome("success", why or f"{source.name} has not changed since its last run.")
    return RunOutcome("partial", doubt) if doubt else RunOutcome("success", None)


async def _count_call(pool: Pool, source: str) -> None:
    async with borrow(pool) as connection:
        await add_calls(connection, source, 1, utc_now())


_Ahead = tuple[Page, list[Part] | None] | SourceError


async def _decoded(
    pool: Pool, source: Source, pages: AsyncGenerator[Page, None]
) -> AsyncGenerator[_Ahead, None]:
    """Yield the pages, and at their end the error that ended them.

    Each comes decoded, unless it shares a record with the one before: what that changes is known
    only when that one is written.
    """
    before: set[str] = set()
    async with contextlib.aclosing(pages):
        try:
            async for page in pages:
                if (
                    source.kind == "api"
                ):  # a file's page is a slice of its body: the source itself looks at the whole
                    body = f"{source.name}, page {page.number}"
                    check_readable(source, body, page.records, page.rejections, page.fetched_at)
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


async def _finish(
    connection: Connection, source: Source, run_id: int, outcome: RunOutcome
) -> FinishedRun | None:
    now = utc_now()
    async with connection.transaction():
        await take_write_lock(connection)
        finished = await finish_run(connection, run_id, outcome.status, outcome.message, now)
        if finished is not None:
            await add_run_event(connection, "run_finished", run_id, now)
            await notify_events(connection)
            if finished.status != "abandoned":
                await count_outcome(connection, source.name, failed=finished.status == "failure")
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
