"""One run: read a source from its checkpoint on, page by page, and store the outcome."""

import contextlib
import datetime
import functools
from collections.abc import AsyncGenerator

import anyio
import msgspec
import structlog

from db.connect.clock import database_now
from db.connect.pool import borrow, database_problem, is_lost
from db.connect.types import Connection, Pool
from db.notes import repeat_notes
from db.schema.partitions import DEFAULT_RETENTION, Retention, ensure_partitions
from db.sources import claim_due_run
from db.write.api_calls import add_calls
from db.write.checkpoints import CheckpointRow, read_checkpoint, touch_checkpoint
from db.write.runs import FinishedRun, RunTakenOverError
from ingestor.clock import utc_now
from ingestor.run.heartbeat import keep_alive
from ingestor.run.lifecycle import (
    RESUMES,
    RunOutcome,
    UnclosedRuns,
    close_open_runs,
    finish,
    source_lock,
    start,
    stop,
)
from ingestor.run.page import PageWriter, decode_page
from ingestor.run.parts import Part
from ingestor.run.prefetch import prefetch
from ingestor.run.readable import check_readable
from ingestor.sources.errors import SourceError
from ingestor.sources.records import Checkpoint, ExplainsNoPage, Page, Source, SupportsCallBudget

_log = structlog.stdlib.get_logger(__name__)


async def run(
    pool: Pool,
    source: Source,
    *,
    timeout_seconds: float,
    retention: Retention = DEFAULT_RETENTION,
    request_id: int | None = None,
    full: bool = False,
    only_if_due: bool = False,
    unclosed: UnclosedRuns | None = None,
) -> FinishedRun | None:
    """Read `source` once and return the finished run, or None if another ingestor runs it.

    `full` ignores the checkpoint and the validators. With `only_if_due` the result is None, too,
    if the source is not due; else its next run is set. Errors of the source, and of the database
    while it still stores the outcome, end in the run's row. Else the database's error is raised,
    and `unclosed` keeps the outcome for the next run.
    """
    unclosed = {} if unclosed is None else unclosed
    async with borrow(pool) as connection, source_lock(connection, source.name) as taken:
        if not taken:
            return None
        now = utc_now()
        await close_open_runs(connection, source.name, unclosed)
        if only_if_due and not await claim_due_run(connection, source.name, now):
            return None
        by_database = await database_now(connection)
        await ensure_partitions(connection, by_database, retention)
        run_id = await start(connection, source.name, request_id, now)
        if isinstance(source, SupportsCallBudget):
            source.count_calls(functools.partial(_count_call, pool, source.name))
        reading = _RunReader(
            pool, connection, source, run_id, oldest=retention.oldest_history(by_database)
        )
        try:
            outcome = await reading.read(timeout_seconds=timeout_seconds, full=full)
        except anyio.get_cancelled_exc_class():
            await stop(connection, source.name, run_id)
            raise
        except RunTakenOverError:
            await _log.awarning("run.taken_over", source=source.name, run=run_id)
            return None
        except Exception as error:
            problem = database_problem(error)
            if problem is None:
                raise
            lost = is_lost(connection)
            outcome = RunOutcome("abandoned" if lost else "failure", f"{problem}; {RESUMES}")
            if lost:
                unclosed[source.name, run_id] = outcome
                raise
        unclosed[source.name, run_id] = outcome
        finished = await finish(connection, source.name, run_id, outcome)
        del unclosed[source.name, run_id]
        return finished


_DecodedPage = tuple[Page, list[Part] | None]


class _RunReader:
    """Reads the pages of one run, and writes each on `connection`, which holds the source's lock.

    `oldest` is where history begins.
    """

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        source: Source,
        run_id: int,
        *,
        oldest: datetime.datetime,
    ) -> None:
        self._pool, self._connection, self._source = pool, connection, source
        self._run_id, self._oldest = run_id, oldest
        self._pages = 0

    async def read(self, *, timeout_seconds: float, full: bool) -> RunOutcome:
        """Read and write page after page; an error of the source becomes the outcome."""
        failure: SourceError | None = None
        doubt: str | None = None
        with anyio.move_on_after(timeout_seconds) as deadline:
            pages = self._decode(await self._open(full=full))
            async with keep_alive(self._connection) as turn, prefetch(pages) as decoded:
                async for read in decoded:
                    if isinstance(read, SourceError):
                        failure = read
                        break
                    doubt = await self._write(turn, read, accept_missing=full)
                    self._pages += 1
        if failure is not None:
            return RunOutcome("failure", str(failure))
        if deadline.cancelled_caught:
            late = (
                f"{self._source.name} took longer than RUN_TIMEOUT_SECONDS={timeout_seconds:g}; "
                "the next run goes on from there"
            )
            return RunOutcome("failure", late)
        if self._pages == 0:
            return await self._close_without_page()
        return RunOutcome("partial", doubt) if doubt else RunOutcome("success", None)

    async def _open(self, *, full: bool) -> AsyncGenerator[Page, None]:
        row = None if full else await read_checkpoint(self._connection, self._source.name)
        checkpoint = None if row is None else _checkpoint(row)
        # After a doubted sweep, "not changed" is not a sufficient answer: read everything.
        full = full or (row is not None and row.doubted_sweeps > 0 and row.sweep_started_at is None)
        return self._source.pages(checkpoint, full=full)

    async def _write(
        self, turn: anyio.Lock, read: _DecodedPage, *, accept_missing: bool
    ) -> str | None:
        """Write a page as a whole: a stop or the deadline takes effect after it."""
        page, parts = read
        doubt: str | None = None
        with anyio.CancelScope(shield=True):
            async with turn:
                writer = PageWriter(
                    self._connection,
                    self._source,
                    self._run_id,
                    page,
                    now=utc_now(),
                    oldest=self._oldest,
                    accept_missing=accept_missing,
                )
                doubt = await writer.write(parts)
        return doubt

    async def _close_without_page(self) -> RunOutcome:
        source = self._source
        await touch_checkpoint(self._connection, source.name, utc_now())
        why = source.why_no_page() if isinstance(source, ExplainsNoPage) else None
        if why is None:
            await repeat_notes(self._connection, self._run_id, source.name)
        return RunOutcome("success", why or f"{source.name} has not changed since its last run.")

    async def _decode(
        self, pages: AsyncGenerator[Page, None]
    ) -> AsyncGenerator[_DecodedPage | SourceError, None]:
        """Yield the pages, then the error that ended them.

        A page that shares a record with the previous one is not decoded: its changes are known
        only after that one is written.
        """
        previous_ids: set[str] = set()
        async with contextlib.aclosing(pages):
            try:
                async for page in pages:
                    # A page of a file is a slice of its body: the source checks the whole.
                    if self._source.kind == "api":
                        body = f"{self._source.name}, page {page.number}"
                        check_readable(
                            self._source, body, page.records, page.rejections, page.fetched_at
                        )
                    external_ids = {record.external_id for record in page.records}
                    parts = None
                    if previous_ids and previous_ids.isdisjoint(external_ids):
                        async with borrow(self._pool) as connection:
                            parts = await decode_page(connection, self._source, page)
                    yield page, parts
                    previous_ids = external_ids
            except SourceError as error:
                yield error


async def _count_call(pool: Pool, source: str) -> None:
    async with borrow(pool) as connection:
        await add_calls(connection, source, 1, utc_now())


def _checkpoint(row: CheckpointRow) -> Checkpoint:
    position = None if row.position is None else msgspec.json.decode(row.position)
    return Checkpoint(position=position, last_id=row.last_id, last_timestamp=row.last_timestamp)
