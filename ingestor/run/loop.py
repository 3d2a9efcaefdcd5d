"""The loops of the ingestor: poll each source, serve requests for a run, delete old rows."""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from common.settings import Settings
from db.connect.locks import end_when_idle
from db.connect.pool import borrow, is_lost
from db.connect.types import Connection, Pool
from db.requests import (
    CHANNEL,
    Request,
    claim_request,
    finish_request,
    open_sources,
    pass_on_request,
    release_request,
)
from db.sources import read_schedule
from db.write.registry import set_registry_due
from db.write.runs import FinishedRun
from ingestor.backfill.schedule import backfill_largest_coins
from ingestor.clock import utc_now
from ingestor.registry.schedule import RegistryLoop
from ingestor.run.database_pause import retry_database
from ingestor.run.heartbeat import IDLE_SECONDS, keep_alive
from ingestor.run.housekeeping import purge_expired
from ingestor.run.lifecycle import UnclosedRuns
from ingestor.run.run import run
from ingestor.run.startup import close_sources, retention_of
from ingestor.run.upgrade import upgrade_beside_polls
from ingestor.sources import create_sources
from ingestor.sources.records import Source, SupportsAddresses
from ingestor.streams.running.following import FollowedVenue
from ingestor.streams.running.loop import StreamLoop

CHECK_SECONDS = 3.0
"""The longest wait between two checks of the database, which find what a killed ingestor left."""
BUSY_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 3600.0


async def keep_ingesting(
    settings: Settings,
    pool: Pool,
    sources: Sequence[Source],
    venues: Sequence[FollowedVenue] = (),
) -> None:
    """Poll `sources`, follow `venues` and serve requests until cancelled.

    A database error pauses one loop only.

    A demo also fills the past of its largest coins.
    """
    unclosed: UnclosedRuns = {}
    polls = {f"poll {source.name}": _Poll(settings, pool, source, unclosed) for source in sources}
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        **polls,
        **{
            f"registry {source.name}": RegistryLoop(settings, pool, source)
            for source in sources
            if settings.registry_hours and isinstance(source, SupportsAddresses)
        },
        "requests": _Requests(settings, pool, sources, unclosed),
        "housekeeping": _Housekeeping(settings, pool),
        "upgrade": functools.partial(upgrade_beside_polls, pool),
    }
    if settings.demo:
        loops["past"] = functools.partial(_fill_past, settings, pool)
    async with anyio.create_task_group() as group:
        if venues:
            group.start_soon(StreamLoop(settings, pool, venues).run)
        for name, loop in loops.items():
            group.start_soon(functools.partial(retry_database, name, pool, loop))


async def _fill_past(settings: Settings, pool: Pool) -> None:
    """Fill a demo's past with separate sources: a source counts calls for one task only."""
    sources = create_sources(settings)
    try:
        await backfill_largest_coins(pool, sources, retention_of(settings))
    finally:
        await close_sources(sources)


class _Poll:
    """Run one source whenever it is due.

    The schedule is in the database, because several ingestors share it.
    """

    def __init__(
        self, settings: Settings, pool: Pool, source: Source, unclosed: UnclosedRuns
    ) -> None:
        self._settings, self._pool, self._source, self._unclosed = settings, pool, source, unclosed

    async def __call__(self) -> None:
        while True:
            wait_seconds = await self._wait_seconds()
            if wait_seconds > 0:
                await anyio.sleep(min(wait_seconds, CHECK_SECONDS))
            elif await self._run() is None:  # another ingestor runs it
                await anyio.sleep(BUSY_SECONDS)

    async def _run(self) -> FinishedRun | None:
        return await run(
            self._pool,
            self._source,
            timeout_seconds=self._settings.run_timeout_seconds,
            retention=retention_of(self._settings),
            only_if_due=True,
            unclosed=self._unclosed,
        )

    async def _wait_seconds(self) -> float:
        """Return the seconds until the source is due; 0 if a run may be another ingestor's."""
        async with borrow(self._pool) as connection:
            schedule = await read_schedule(connection, self._source.name)
        # The run may belong to another ingestor or a killed one; the source's lock shows which.
        if schedule.running or schedule.next_run_at is None:
            return 0.0
        seconds = (schedule.next_run_at - utc_now()).total_seconds()
        # As in `claim_due_run`: the setting was made smaller, or a clock was wrong.
        return 0.0 if seconds > self._source.poll_seconds else max(seconds, 0.0)


class _Requests:
    """Claim requests after NOTIFY or at the next check, and run their sources."""

    def __init__(
        self, settings: Settings, pool: Pool, sources: Sequence[Source], unclosed: UnclosedRuns
    ) -> None:
        self._settings, self._pool, self._unclosed = settings, pool, unclosed
        self._sources: Mapping[str, Source] = {source.name: source for source in sources}

    async def __call__(self) -> None:
        async with borrow(self._pool) as connection:
            await end_when_idle(connection, IDLE_SECONDS)  # it holds the locks of requests
            notice = anyio.Event()

            def notify(*_: object) -> None:
                notice.set()

            await connection.add_listener(CHANNEL, notify)
            connection.add_termination_listener(notify)
            try:
                while True:
                    notice = anyio.Event()
                    while (
                        request := await claim_request(connection, list(self._sources))
                    ) is not None:
                        await self._serve(connection, request)
                    with anyio.move_on_after(CHECK_SECONDS):
                        await notice.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    if not is_lost(connection):
                        await connection.remove_listener(CHANNEL, notify)
                        connection.remove_termination_listener(notify)

    async def _serve(self, connection: Connection, request: Request) -> None:
        try:
            names = await open_sources(connection, request)
            async with keep_alive(connection), anyio.create_task_group() as group:
                for name in names & self._sources.keys():
                    group.start_soon(self._run_one, self._sources[name], request)
            rest = await open_sources(connection, request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                if not is_lost(connection):
                    await release_request(connection, request)
            raise
        if rest:
            await pass_on_request(connection, request)
        else:
            await finish_request(connection, request, utc_now())

    async def _run_one(self, source: Source, request: Request) -> None:
        """Run `source` for the request, after a run that is under way."""
        while True:
            outcome = await run(
                self._pool,
                source,
                timeout_seconds=self._settings.run_timeout_seconds,
                retention=retention_of(self._settings),
                request_id=request.id,
                full=request.full,
                unclosed=self._unclosed,
            )
            if outcome is not None:
                break
            await anyio.sleep(BUSY_SECONDS)
        if request.full and isinstance(source, SupportsAddresses):
            async with borrow(self._pool) as connection:
                await set_registry_due(connection, source.name, None)


class _Housekeeping:
    """Delete expired rows every hour."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._pool, self._retention = pool, retention_of(settings)
        # With a retention in hours, an hour between two deletions would be too long.
        self._seconds = min(HOUSEKEEPING_SECONDS, self._retention.raw.total_seconds() / 12)

    async def __call__(self) -> None:
        while True:
            async with borrow(self._pool) as connection:
                await purge_expired(connection, self._retention)
            await anyio.sleep(self._seconds)
