"""What every part of a running server shares."""

import asyncio
import datetime
import functools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

import msgspec
from aiolimiter import AsyncLimiter
from asyncpg.pool import PoolAcquireContext

from db.pool import connect, create_pool
from db.readers import Readers
from db.settings import Settings
from db.token import load_or_create_token
from db.types import Connection, Pool
from server.live.hub import Hub
from server.replica import Replica, ReplicaReaders

ROLE = "kasparro_server"
"""What the migrations let a server do: read everything, ask for a run."""
POOL_SIZE = 10
"""Connections for whatever reads or writes, and as many for the fast path."""
POOL_SIZE_OF_ALL = 40
"""What all workers share, so that they leave room among the 100 connections that PostgreSQL has by default."""
# So that the health endpoints tell of the database, not of how busy this server is with it.
HEALTH_POOL_SIZE = 1
STATEMENT_TIMEOUT_SECONDS = 10.0
LISTEN_TIMEOUT_SECONDS = 15.0
CLOSE_TIMEOUT_SECONDS = 3.0
# How long a request waits for a connection of the pool before it is told to come back later.
ACQUIRE_SECONDS = 5.0
FAILED_TOKENS = 10
FAILED_TOKENS_SECONDS = 60.0
MAX_EXPORTS = 3
"""At once; each holds a connection of the pool for as long as it takes."""


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """One server process: made once at its start, handed to every part.

    `pool` reads, from a replica where READ_DATABASE_URL names one; `primary` is where a trigger is written and the
    outbox is read; without a replica both are one. `health_pool` reads where `pool` does, for the health endpoints
    alone; `readers` too, for single statements. While `replica` does not answer, all of them read the primary.
    `stopping` is set when the server is asked to end.
    """

    settings: Settings
    pool: Pool
    primary: Pool
    health_pool: Pool
    readers: Readers | ReplicaReaders
    replica: Replica | None = None
    hub: Hub
    scheduler_token: str
    version: str
    started_at: datetime.datetime
    stopping: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    failed_tokens: AsyncLimiter = msgspec.field(
        default_factory=lambda: AsyncLimiter(FAILED_TOKENS, FAILED_TOKENS_SECONDS)
    )
    exports: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(MAX_EXPORTS))

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Take a connection to read with: `async with state.reading() as connection`. Raises TimeoutError."""
        if self.replica is not None:
            return self.replica.lend(self.pool, self.primary, ACQUIRE_SECONDS)
        return self.pool.acquire(timeout=ACQUIRE_SECONDS)

    def writing(self) -> PoolAcquireContext:
        """Take a connection of the primary. Raises TimeoutError."""
        return self.primary.acquire(timeout=ACQUIRE_SECONDS)

    def checking(self) -> AbstractAsyncContextManager[Connection]:
        """Take the connection kept for the health endpoints. Raises TimeoutError."""
        if self.replica is not None:
            return self.replica.lend(self.health_pool, self.primary, ACQUIRE_SECONDS)
        return self.health_pool.acquire(timeout=ACQUIRE_SECONDS)

    @property
    def data_version(self) -> tuple[int, int] | None:
        """What an answer read from now on is at least as new as; None where that cannot be known.

        It changes before any client here is told of a commit. A replica may lag behind what the primary tells of.
        """
        return None if self.settings.read_database_url else self.hub.listener.version

    def __repr__(self) -> str:
        """Show no secret, whoever logs it."""
        return f"ServerState(version={self.version!r}, started_at={self.started_at.isoformat()})"


@asynccontextmanager
async def open_state(settings: Settings, dsn: str, stopping: asyncio.Event) -> AsyncIterator[ServerState]:
    """Open what a server shares, for as long as the context lasts; from its start on live updates are followed.

    Raises DatabaseUnavailableError, TokenFileError.
    """
    token = settings.scheduler_token or load_or_create_token(settings.home)
    async with AsyncExitStack() as stack:
        size = max(2, min(POOL_SIZE, POOL_SIZE_OF_ALL // settings.workers))
        primary = pool = await stack.enter_async_context(_open_pool(dsn, size))
        replica = None
        of_primary = await stack.enter_async_context(_open_readers(dsn, size))
        readers: Readers | ReplicaReaders = of_primary
        if settings.read_database_url:
            replica = Replica(settings.read_database_url)
            pool = await stack.enter_async_context(_open_pool(settings.read_database_url, size))
            of_replica = await stack.enter_async_context(_open_readers(settings.read_database_url, size))
            readers = ReplicaReaders(replica, of_replica, of_primary)
        health_dsn = settings.read_database_url or dsn
        health_pool = await stack.enter_async_context(_open_pool(health_dsn, HEALTH_POOL_SIZE))
        # A hub that fails in a way nobody foresaw ends the server, which is better than silence.
        group = await stack.enter_async_context(asyncio.TaskGroup())
        hub = Hub(
            dsn,
            primary,
            role=ROLE,
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
            replica=replica,
            hub=hub,
            scheduler_token=token,
            version=_package_version(),
            started_at=datetime.datetime.now(datetime.UTC),
            stopping=stopping,
        )


@asynccontextmanager
async def _open_pool(dsn: str, size: int) -> AsyncIterator[Pool]:
    pool = await create_pool(
        dsn,
        application_name="kasparro server",
        role=ROLE,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        # asyncpg would log a traceback each time that it cannot keep up a minimum: while the database is away.
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
        role=ROLE,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        # What the compiler asks for has no condition but those that are needed; to plan a statement over all partitions
        # takes as long as to run it.
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
