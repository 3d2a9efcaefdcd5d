"""What every part of a running server shares."""

import asyncio
import datetime
import functools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

import msgspec
import structlog

from common.scheduler_token import load_or_create_token, tokens_of
from common.settings import Settings
from db.connect.pool import connect, create_pool
from db.connect.readers import Readers
from db.connect.types import Connection, Pool
from db.demo import is_demo
from server.auth.failed_tokens import FailedTokens
from server.deadline import ACQUIRE_SECONDS, DeadlineConnection, deadline_from_now
from server.documents import Documents, open_documents
from server.limits.concurrency import ConcurrencyLimit
from server.live.allowance import Allowances
from server.live.hub import SUBSCRIPTIONS, Hub
from server.replica import Replica, ReplicaReaders

POOL_SIZE = 10
"""Connections for whatever reads or writes, and as many for the fast path."""
POOL_SIZE_OF_ALL = 40
"""What all workers share, so that they leave room among the 100 connections that PostgreSQL has by default."""
# So that the health endpoints tell of the database, not of how busy this server is with it.
HEALTH_POOL_SIZE = 1
HEALTH_PLACES = 16
HEALTH_PLACES_PER_CLIENT = 4
HEALTH_WAITING = 256
HEALTH_WAITING_PER_CLIENT = 64
STATEMENT_TIMEOUT_SECONDS = 10.0
LISTEN_TIMEOUT_SECONDS = 15.0
CLOSE_TIMEOUT_SECONDS = 3.0
SHORT_TOKEN = 16
MAX_EXPORTS = 3
"""At once; each holds a connection of the pool for as long as it takes."""


log = structlog.stdlib.get_logger(__name__)


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """One server process: made once at its start, handed to every part.

    `pool` reads, from a replica where READ_DATABASE_URL names one; `primary` is where a trigger is
    written and the outbox is read; without a replica both are one. `health_pool` reads where `pool`
    does, for the health endpoints alone; `readers` too, for single statements. While `replica` does
    not answer, all of them read the primary. Every operation has one of the `places` while it is
    worked on, those of the health endpoints one of the `health_places`. `scheduler_token` may hold
    several, as `tokens_of` reads them. `stopping` is set when the server is asked to end. `is_demo`
    says that the prices are made up; a database is marked so before anything is in it.
    """

    settings: Settings
    pool: Pool
    primary: Pool
    health_pool: Pool
    readers: Readers | ReplicaReaders
    places: ConcurrencyLimit
    replica: Replica | None = None
    hub: Hub
    scheduler_token: str
    version: str
    started_at: datetime.datetime
    is_demo: bool = False
    documents: Documents = msgspec.field(default_factory=Documents)
    stopping: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    failed_tokens: FailedTokens = msgspec.field(default_factory=FailedTokens)
    health_places: ConcurrencyLimit = msgspec.field(
        default_factory=lambda: ConcurrencyLimit(
            HEALTH_PLACES, HEALTH_PLACES_PER_CLIENT, HEALTH_WAITING, HEALTH_WAITING_PER_CLIENT
        )
    )
    allowances: Allowances = msgspec.field(default_factory=Allowances)
    exports: asyncio.Semaphore = msgspec.field(
        default_factory=lambda: asyncio.Semaphore(MAX_EXPORTS)
    )

    def reading(self, deadline: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Take a connection to read with: `async with state.reading() as connection`. Raises TimeoutError.

        All that is asked of it has the time of one request, from now on or until the deadline that
        is given.
        """
        return self._lent(self.pool, deadline or deadline_from_now())

    def writing(self, deadline: float | None = None) -> DeadlineConnection:
        """Take a connection of the primary, likewise."""
        return DeadlineConnection(self.primary, deadline or deadline_from_now())

    def checking(self) -> AbstractAsyncContextManager[Connection]:
        """Take the connection kept for the health endpoints, likewise."""
        return self._lent(self.health_pool, deadline_from_now())

    def exporting(self) -> AbstractAsyncContextManager[Connection]:
        """Take a connection to read from for as long as an export takes. Raises TimeoutError."""
        if self.replica is not None and not self.replica.answers:
            return self.primary.acquire(timeout=ACQUIRE_SECONDS)
        return self.pool.acquire(timeout=ACQUIRE_SECONDS)

    def _lent(self, pool: Pool, deadline: float) -> AbstractAsyncContextManager[Connection]:
        if self.replica is not None:
            return self.replica.lend(pool, self.primary, deadline)
        return DeadlineConnection(pool, deadline)

    @property
    def data_version(self) -> tuple[int, int] | None:
        """What an answer read from now on is at least as new as; None where that cannot be known.

        It changes before any client here is told of a commit. A replica may lag behind what the
        primary tells of.
        """
        return None if self.settings.read_database_url else self.hub.listener.version

    def __repr__(self) -> str:
        """Show no secret, whoever logs it."""
        return f"ServerState(version={self.version!r}, started_at={self.started_at.isoformat()})"


@asynccontextmanager
async def open_state(
    settings: Settings, dsn: str, stopping: asyncio.Event
) -> AsyncIterator[ServerState]:
    """Open what a server shares, for as long as the context lasts; from its start on live updates are followed.

    Raises DatabaseUnavailableError, TokenFileError, SettingsError.
    """
    documents = open_documents(settings.trusted_documents)
    token = settings.scheduler_token or load_or_create_token(settings.home)
    if any(len(one) < SHORT_TOKEN for one in tokens_of(token)):
        log.warning(
            "SCHEDULER_TOKEN is short enough to be guessed; use at least 16 random characters"
        )
    async with AsyncExitStack() as stack:
        size = max(2, min(POOL_SIZE, POOL_SIZE_OF_ALL // settings.workers))
        primary = pool = await stack.enter_async_context(_open_pool(dsn, size))
        replica = None
        of_primary = await stack.enter_async_context(_open_readers(dsn, size))
        readers: Readers | ReplicaReaders = of_primary
        if settings.read_database_url:
            replica = Replica(settings.read_database_url)
            pool = await stack.enter_async_context(_open_pool(settings.read_database_url, size))
            of_replica = await stack.enter_async_context(
                _open_readers(settings.read_database_url, size)
            )
            readers = ReplicaReaders(replica, of_replica, of_primary)
        health_dsn = settings.read_database_url or dsn
        health_pool = await stack.enter_async_context(_open_pool(health_dsn, HEALTH_POOL_SIZE))
        # A hub that fails in a way nobody foresaw ends the server, which is better than silence.
        group = await stack.enter_async_context(asyncio.TaskGroup())
        hub = Hub(
            dsn,
            primary,
            connections=settings.live_connections,
            connections_per_client=settings.live_connections_per_client,
        )
        stack.callback(group.create_task(hub.run()).cancel)
        if replica is not None:
            stack.callback(group.create_task(replica.watch()).cancel)
        async with asyncio.timeout(LISTEN_TIMEOUT_SECONDS):
            await hub.listener.connected.wait()
        yield ServerState(
            settings=settings,
            pool=pool,
            primary=primary,
            health_pool=health_pool,
            readers=readers,
            places=_open_places(settings, size),
            replica=replica,
            hub=hub,
            scheduler_token=token,
            version=_package_version(),
            started_at=datetime.datetime.now(datetime.UTC),
            is_demo=await _is_demo(primary),
            documents=documents,
            stopping=stopping,
        )


async def _is_demo(pool: Pool) -> bool:
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        return await is_demo(connection)


def _open_places(settings: Settings, size: int) -> ConcurrencyLimit:
    """Return as many places as the pool and the readers have connections; one client has half of either at most.

    What may wait is what all subscriptions there may be would ask for at once, as after a restart.
    """
    waiting = settings.live_connections
    return ConcurrencyLimit(
        2 * size,
        max(1, size // 2),
        waiting,
        min(waiting, SUBSCRIPTIONS * settings.live_connections_per_client),
    )


@asynccontextmanager
async def _open_pool(dsn: str, size: int) -> AsyncIterator[Pool]:
    pool = await create_pool(
        dsn,
        application_name="kasparro server",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        # asyncpg would log a traceback each time that it cannot keep up a minimum: while the
        # database is away.
        min_size=0,
        max_size=size,
    )
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()


@asynccontextmanager
async def _open_readers(dsn: str, size: int) -> AsyncIterator[Readers]:
    open_one = functools.partial(
        connect,
        dsn,
        application_name="kasparro server",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        # What the compiler asks for has no condition but those that are needed; to plan a statement
        # over all partitions takes as long as to run it.
        plans_once=True,
    )
    readers = Readers(open_one, size)
    try:
        yield readers
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await readers.close()
        except TimeoutError:
            readers.terminate()


def _package_version() -> str:
    """Return the installed version; a checkout that was never installed has none."""
    try:
        return version("kasparro")
    except PackageNotFoundError:
        return "0+unknown"
