"""The loops that decide when: polling each source, and serving requests for a run."""

import datetime
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
import asyncpg
import structlog

from db.events import purge_events
from db.partitions import delete_old_rows, drop_old_partitions
from db.pool import UNAVAILABLE, borrow, is_lost, is_unavailable
from db.rejections import purge_rejections
from db.requests import (
    CHANNEL,
    Request,
    claim_request,
    finish_request,
    open_sources,
    pass_on_request,
    release_request,
)
from db.settings import Settings
from db.sources import next_run_at
from db.types import Connection, Pool
from ingestor.clock import utc_now
from ingestor.past import fill_past
from ingestor.records import Source
from ingestor.run import run
from ingestor.startup import retention_of

_log = structlog.stdlib.get_logger(__name__)

LOOK_SECONDS = 15.0
"""How long a loop waits at most before it looks again, whatever it was told."""
BUSY_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 3600.0
EVENTS_KEPT = datetime.timedelta(days=1)
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


async def keep_ingesting(settings: Settings, pool: Pool, sources: Sequence[Source]) -> None:
    """Poll `sources` and serve requests until cancelled; a demo fills the past of its largest coins meanwhile."""
    async with anyio.create_task_group() as group:
        for source in sources:
            group.start_soon(_through_outages, f"poll {source.name}", _Poll(settings, pool, source))
        group.start_soon(_through_outages, "requests", _Requests(settings, pool, sources))
        group.start_soon(_through_outages, "housekeeping", _Housekeeping(settings, pool))
        if settings.demo:
            filling = functools.partial(fill_past, pool, sources, retention_of(settings))
            group.start_soon(_through_outages, "past", filling)


async def _through_outages(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run `loop` to its end, again whenever the database was away, after a growing pause."""
    failures = 0
    while True:
        began = anyio.current_time()
        try:
            await loop()
        except* (*UNAVAILABLE, asyncpg.InterfaceError, asyncpg.InternalClientError) as group:
            reason = _first(group)
            if not is_unavailable(reason):
                raise
            failures = 0 if anyio.current_time() - began > _RETRY_SECONDS[-1] else failures
            pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
            failures += 1
            await _log.awarning("database.away", loop=name, retry_seconds=pause, reason=str(reason))
            await anyio.sleep(pause)
        else:
            return


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Poll:
    """Run one source whenever it is due. The schedule stands in the database: several ingestors share it."""

    def __init__(self, settings: Settings, pool: Pool, source: Source) -> None:
        self._settings, self._pool, self._source = settings, pool, source

    async def __call__(self) -> None:
        while True:
            await anyio.sleep(await self._seconds_to_wait())
            outcome = await run(
                self._pool,
                self._source,
                timeout_seconds=self._settings.run_timeout_seconds,
                retention=retention_of(self._settings),
                only_if_due=True,
            )
            if outcome is None:  # somebody else is at it
                await anyio.sleep(BUSY_SECONDS)

    async def _seconds_to_wait(self) -> float:
        async with borrow(self._pool) as connection:
            due_at = await next_run_at(connection, self._source.name)
        ahead = (due_at - utc_now()).total_seconds() if due_at else 0.0
        return min(max(ahead, 0.0), LOOK_SECONDS)


class _Requests:
    """Claim requests, told by NOTIFY or at the next look, and run their sources."""

    def __init__(self, settings: Settings, pool: Pool, sources: Sequence[Source]) -> None:
        self._settings, self._pool = settings, pool
        self._sources: Mapping[str, Source] = {source.name: source for source in sources}

    async def __call__(self) -> None:
        async with borrow(self._pool) as connection:
            told = anyio.Event()

            def tell(*_: object) -> None:
                told.set()

            await connection.add_listener(CHANNEL, tell)
            connection.add_termination_listener(tell)
            try:
                while True:
                    told = anyio.Event()
                    while (request := await claim_request(connection, list(self._sources))) is not None:
                        await self._serve(connection, request)
                    with anyio.move_on_after(LOOK_SECONDS):
                        await told.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    if not is_lost(connection):
                        await connection.remove_listener(CHANNEL, tell)
                        connection.remove_termination_listener(tell)

    async def _serve(self, connection: Connection, request: Request) -> None:
        try:
            async with anyio.create_task_group() as group:
                for name in await open_sources(connection, request):
                    if name in self._sources:
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
        """Run `source` for the request, after the run that may be under way."""
        while True:
            outcome = await run(
                self._pool,
                source,
                timeout_seconds=self._settings.run_timeout_seconds,
                retention=retention_of(self._settings),
                request_id=request.id,
                full=request.full,
            )
            if outcome is not None:
                return
            await anyio.sleep(BUSY_SECONDS)


class _Housekeeping:
    """Let go of what is past its time: events that nobody may resume from, payloads, history."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._pool, self._retention = pool, retention_of(settings)
        # Payloads that are kept for hours are not to lie for an hour more.
        self._seconds = min(HOUSEKEEPING_SECONDS, self._retention.raw.total_seconds() / 12)

    async def __call__(self) -> None:
        while True:
            async with borrow(self._pool) as connection:
                now = utc_now()
                await purge_events(connection, now - EVENTS_KEPT)
                await purge_rejections(connection, self._retention.oldest_raw(now))
                dropped = await drop_old_partitions(connection, now, self._retention)
                await delete_old_rows(connection, now, self._retention)
            if dropped:
                await _log.ainfo("partition.dropped", partitions=dropped)
            await anyio.sleep(self._seconds)
