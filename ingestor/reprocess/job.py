"""A whole reprocess: read the payloads, catch up with new ones, and write or preview the result."""

import contextlib
import datetime
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

import anyio
import msgspec
import structlog

from db.connect.clock import database_now
from db.connect.types import Connection, Pool
from db.reprocess.changes import Change
from db.reprocess.job import (
    Job,
    Progress,
    clear_job,
    newest_arrival,
    open_job,
    read_progress,
    try_lock,
    unlock,
)
from db.schema.partitions import Retention
from db.write.runs import FinishedRun
from db.write.transaction import Outbox, write_transaction
from ingestor.clock import utc_now
from ingestor.reprocess import runs
from ingestor.reprocess.placing import ListingReplacement
from ingestor.reprocess.reading import PayloadReader
from ingestor.run.code_digest import digest
from ingestor.run.upgrade import log_step, move_former_payloads
from ingestor.sources.records import Source

_log = structlog.stdlib.get_logger(__name__)

CATCH_UP_LIMIT = 1_000
"""With fewer new payloads than this, the rest is read under the write lock."""
MAX_ROUNDS = 5
PROGRESS_SECONDS = 2.0
"""How often the runs' subscribers are notified."""
CLOSE_TIMEOUT_SECONDS = 5.0
_MEMORY = "SET LOCAL work_mem = '64MB'"

OnProgress = Callable[[str, int, int], None]
"""Called for each source with its name, the payloads read so far, and their total."""


class ReprocessBusyError(Exception):
    """Another reprocess is under way on this database: wait for it to end."""

    def __init__(self) -> None:
        super().__init__("another reprocess is under way on this database: wait for it to end")


class SourceReport(msgspec.Struct, frozen=True):
    """Payloads of a rebuilt source that were read, and failed; and its listings that changed."""

    source: str
    processed: int
    failed: int
    changed: int


class ReprocessReport(msgspec.Struct, frozen=True):
    """The result of a reprocess; a dry run has no `runs`."""

    dry_run: bool
    resumed: bool
    sources: list[SourceReport]
    changes: list[Change]
    runs: list[FinishedRun]


class _Work(msgspec.Struct, frozen=True):
    pool: Pool
    sources: Sequence[Source]
    retention: Retention
    on_progress: OnProgress
    full: bool


async def reprocess(
    pool: Pool,
    sources: Sequence[Source],
    names: Collection[str],
    *,
    since: datetime.datetime | None,
    retention: Retention,
    dry_run: bool,
    on_progress: OnProgress,
    full: bool = False,
) -> ReprocessReport:
    """Rebuild the sources `names` from the payloads that arrived since then.

    The payloads of an earlier version become bodies first. `sources` are all that are configured.
    With `dry_run` the transaction that writes the result is rolled back. With `full` the whole
    history is compared, whatever code has read it. Raises ReprocessBusyError.
    """
    await move_former_payloads(pool, log_step)
    rebuilt = [source for source in sources if source.name in names]
    work = _Work(pool, rebuilt, retention, on_progress, full)
    async with pool.acquire() as reader, pool.acquire() as writer, _exclusive(writer):
        if dry_run:
            return await _preview(work, reader, writer, names, since)
        await runs.abandon_killed(writer)
        return await _rebuild(work, reader, writer, names, since)


@contextlib.asynccontextmanager
async def _exclusive(connection: Connection) -> AsyncIterator[None]:
    if not await try_lock(connection):
        raise ReprocessBusyError
    try:
        yield
    finally:
        if not connection.is_closed():
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                await unlock(connection)


async def _open(
    work: _Work, writer: Connection, names: Collection[str], since: datetime.datetime | None
) -> Job:
    job = await open_job(
        writer,
        list(names),
        since=since,
        code=b"".join(digest(type(source)) for source in work.sources),
        now=await database_now(writer),
    )
    await _log.ainfo(
        "reprocess.resumed" if job.resumed else "reprocess.started",
        sources=job.sources,
        since=job.since,
    )
    return job


async def _read(
    work: _Work, reading: PayloadReader, writer: Connection, reporter: "_ProgressReporter"
) -> None:
    progress = await read_progress(writer)
    for source in work.sources:
        so_far = progress[source.name]
        if not so_far.complete:
            reporter.expect(source.name, await reading.count(source, so_far), so_far.processed)
            await reading.read(source, so_far)
    for _ in range(MAX_ROUNDS):
        progress, to = await read_progress(writer), await newest_arrival(writer)
        if (
            sum(
                [
                    await reading.catch_up(source, progress[source.name], to)
                    for source in work.sources
                ]
            )
            < CATCH_UP_LIMIT
        ):
            return


async def _rebuild(
    work: _Work,
    reader: Connection,
    writer: Connection,
    names: Collection[str],
    since: datetime.datetime | None,
) -> ReprocessReport:
    job = await _open(work, writer, names, since)
    run_ids = await runs.start(writer, await read_progress(writer), resumed=job.resumed)
    reporter = _ProgressReporter(work.on_progress, writer, run_ids)
    try:
        await _read(work, PayloadReader(reader, writer, job, reporter.notify), writer, reporter)
        async with write_transaction(writer, lock=False) as outbox:  # `place` takes the lock
            quiet = PayloadReader(reader, writer, job, reporter.count)
            changes = await _place(work, quiet, outbox, job, run_ids)
            progress = await read_progress(writer)
            finished = await runs.succeed(outbox, run_ids, progress, reporter.pages, utc_now())
            await clear_job(writer)
    except anyio.get_cancelled_exc_class():
        await _close(
            writer,
            run_ids,
            "abandoned",
            "The reprocess was stopped; the same command resumes it.",
        )
        raise
    except Exception as error:
        await _close(writer, run_ids, "failure", f"{type(error).__name__}: {error}")
        raise
    await _log.ainfo("reprocess.finished", runs=[run.id for run in finished])
    return _report(progress, changes, finished, resumed=job.resumed, dry_run=False)


async def _preview(
    work: _Work,
    reader: Connection,
    writer: Connection,
    names: Collection[str],
    since: datetime.datetime | None,
) -> ReprocessReport:
    """Do the same as a rebuild and roll back, to report what would change."""
    job = await _open(work, writer, names, since)
    reporter = _ProgressReporter(work.on_progress, writer, {})
    reading = PayloadReader(reader, writer, job, reporter.count)
    await _read(work, reading, writer, reporter)
    transaction = writer.transaction()
    await transaction.start()
    try:
        changes = await _place(work, reading, Outbox(writer), job, {})
        progress = await read_progress(writer)
    finally:
        if not writer.is_closed():
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
                await transaction.rollback()
    if not job.resumed:  # an interrupted rebuild can still use it
        await clear_job(writer)
    return _report(progress, changes, [], resumed=job.resumed, dry_run=True)


async def _place(
    work: _Work, reading: PayloadReader, outbox: Outbox, job: Job, run_ids: Mapping[str, int]
) -> list[Change]:
    await outbox.connection.execute(_MEMORY)
    placing = ListingReplacement(
        outbox,
        job,
        work.sources,
        await read_progress(outbox.connection),
        work.retention,
        run_ids,
        work.full,
    )
    return await placing.place(reading, await database_now(outbox.connection))


async def _close(writer: Connection, run_ids: Mapping[str, int], status: str, message: str) -> None:
    """Finish the runs, unless the database connection is lost."""
    if not writer.is_closed():
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_TIMEOUT_SECONDS):
            await runs.fail(writer, run_ids, status, message)


def _report(
    progress: Mapping[str, Progress],
    changes: list[Change],
    finished: list[FinishedRun],
    *,
    resumed: bool,
    dry_run: bool,
) -> ReprocessReport:
    sources = [SourceReport(p.source, p.processed, p.failed, p.changed) for p in progress.values()]
    return ReprocessReport(dry_run, resumed, sources, changes, finished)


class _ProgressReporter:
    """Reports progress: every batch to the caller, from time to time to the subscribers."""

    def __init__(
        self, on_progress: OnProgress, writer: Connection, run_ids: Mapping[str, int]
    ) -> None:
        self._on_progress, self._writer, self._run_ids = on_progress, writer, run_ids
        self._done: defaultdict[str, int] = defaultdict(int)
        self._totals: dict[str, int] = {}
        self._notified_at = anyio.current_time()
        self.pages: defaultdict[str, int] = defaultdict(int)

    def expect(self, source: str, total: int, done: int) -> None:
        self._totals[source], self._done[source] = total, done
        self._on_progress(source, done, total)

    async def count(self, source: str, payloads: int) -> None:
        self._done[source] += payloads
        self.pages[source] += 1
        self._totals[source] = max(self._totals.get(source, 0), self._done[source])
        self._on_progress(source, self._done[source], self._totals[source])

    async def notify(self, source: str, payloads: int) -> None:
        await self.count(source, payloads)
        run_id = self._run_ids.get(source)
        if run_id is not None and anyio.current_time() - self._notified_at > PROGRESS_SECONDS:
            progress = (await read_progress(self._writer))[source]
            await runs.advance(self._writer, run_id, progress, self.pages.pop(source))
            self._notified_at = anyio.current_time()
