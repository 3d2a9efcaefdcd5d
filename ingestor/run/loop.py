"""The loops that decide when: polling each source, serving requests for a run, keeping house."""

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
from db.sources import look_at
from db.write.runs import FinishedRun
from ingestor.backfill.schedule import fill_past
from ingestor.clock import utc_now
from ingestor.run.database_pause import persist
from ingestor.run.heartbeat import IDLE_SECONDS, kept_alive
from ingestor.run.housekeeping import let_go
from ingestor.run.run import Unclosed, run
from ingestor.run.startup import close_sources, retention_of
from ingestor.sources import create_sources
from ingestor.sources.records import Source

LOOK_SECONDS = 3.0
"""How long a loop waits at most before it looks again: what a killed ingestor left is found so."""
BUSY_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 3600.0


async def keep_ingesting(settings: Settings, pool: Pool, sources: Sequence[Source]) -> None:
    """Poll `sources` and serve requests until cancelled; what the database refuses holds up one loop alone.

    A demo fills the past of its largest coins meanwhile.
    """
    unclosed: Unclosed = {}
    polls = {f"poll {source.name}": _Poll(settings, pool, source, unclosed) for source in sources}
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        **polls,
        "requests": _Requests(settings, pool, sources, unclosed),
        "housekeeping": _Housekeeping(settings, pool),
    }
    if settings.demo:
        loops["past"] = functools.partial(_fill_past, settings, pool)
    async with anyio.create_task_group() as group:
        for name, loop in loops.items():
            group.start_soon(functools.partial(persist, name, pool, loop))


async def _fill_past(settings: Settings, pool: Pool) -> None:
    """Fill a demo's past through sources of its own: those of the polls count calls on the polls' connections."""
    sources = create_sources(settings)
    try:
        await fill_past(pool, sources, retention_of(settings))
    finally:
        await close_sources(sources)


class _Poll:
    """Run one source whenever it is due.

    The schedule stands in the database: several ingestors share it.
    """

    def __init__(self, settings: Settings, pool: Pool, source: Source, unclosed: Unclosed) -> None:
        self._settings, self._pool, self._source, self._unclosed = settings, pool, source, unclosed

    async def __call__(self) -> None:
        while True:
            ahead = await self._seconds_ahead()
            if ahead > 0:
                await anyio.sleep(min(ahead, LOOK_SECONDS))
            elif await self._run() is None:  # somebody else is at it
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

    async def _seconds_ahead(self) -> float:
        """Return for how long there is nothing to do; 0 where a look at the source's lock is due."""
        async with borrow(self._pool) as connection:
            look = await look_at(connection, self._source.name)
        # A running run is another ingestor's, or that of one that was killed.
        if look.running or look.next_run_at is None:
            return 0.0
        ahead = (look.next_run_at - utc_now()).total_seconds()
        return 0.0 if ahead > self._source.poll_seconds else max(ahead, 0.0)  # see `claim_due_run`


class _Requests:
    """Claim requests, told by NOTIFY or at the next look, and run their sources."""

    def __init__(
        self, settings: Settings, pool: Pool, sources: Sequence[Source], unclosed: Unclosed
    ) -> None:
        self._settings, self._pool, self._unclosed = settings, pool, unclosed
        self._sources: Mapping[str, Source] = {source.name: source for source in sources}

    async def __call__(self) -> None:
        async with borrow(self._pool) as connection:
            await end_when_idle(connection, IDLE_SECONDS)  # it holds the requests that it serves
            told = anyio.Event()

            def tell(*_: object) -> None:
                told.set()

            await connection.add_listener(CHANNEL, tell)
            connection.add_termination_listener(tell)
            try:
                while True:
                    told = anyio.Event()
                    while (
                        request := await claim_request(connection, list(self._sources))
                    ) is not None:
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
            names = await open_sources(connection, request)
            async with kept_alive(connection), anyio.create_task_group() as group:
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
        """Run `source` for the request, after the run that may be under way."""
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
                return
            await anyio.sleep(BUSY_SECONDS)


class _Housekeeping:
    """Let go of what is past its time, every hour."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._pool, self._retention = pool, retention_of(settings)
        # Payloads that are kept for hours are not to lie for an hour more.
        self._seconds = min(HOUSEKEEPING_SECONDS, self._retention.raw.total_seconds() / 12)

    async def __call__(self) -> None:
        while True:
            async with borrow(self._pool) as connection:
                await let_go(connection, self._retention)
            await anyio.sleep(self._seconds)
