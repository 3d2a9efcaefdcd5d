"""The state of a running server, which all its parts share."""

import asyncio
import datetime
import functools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

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
from server.live.hub import SUBSCRIPTIONS, Hub
from server.live.rate_limit import MessageRateLimits
from server.replica import Replica, ReplicaReaders

POOL_SIZE = 10
"""Connections of the pool, and as many for the fast path."""
TOTAL_POOL_SIZE = 40
"""Shared by all workers: PostgreSQL has 100 connections by default, and others need some."""
# The health endpoints have their own limits: they report the database, not the load of this server.
HEALTH_POOL_SIZE = 1
HEALTH_SLOTS = 16
HEALTH_SLOTS_PER_CLIENT = 4
HEALTH_WAITING = 256
HEALTH_WAITING_PER_CLIENT = 64
STATEMENT_TIMEOUT_SECONDS = 10.0
LISTEN_TIMEOUT_SECONDS = 15.0
CLOSE_TIMEOUT_SECONDS = 3.0
SHORT_TOKEN = 16
MAX_EXPORTS = 3
"""At once; each holds a connection of the pool until its end."""


log = structlog.stdlib.get_logger(__name__)


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one server process, created at its start.

    `pool` reads, from a replica where READ_DATABASE_URL names one. `primary` writes triggers and
    reads the outbox; without a replica it is the same pool. `health_pool` is for the health
    endpoints, `readers` for single statements of the fast path; both read where `pool` does. While
    `replica` does not answer, all of them read the primary. Each operation holds a slot of
    `concurrency` while it runs, a health check one of `health_concurrency`. `scheduler_token` may
    hold several tokens, see `tokens_of`. `stopping` is set when the server must end. `is_demo` is
    true where the prices are made up.
    """

    settings: Settings
    pool: Pool
    primary: Pool
    health_pool: Pool
    readers: Readers | ReplicaReaders
    concurrency: ConcurrencyLimit
    replica: Replica | None = None
    hub: Hub
    scheduler_token: str
    version: str
    started_at: datetime.datetime
    is_demo: bool = False
    documents: Documents = msgspec.field(default_factory=Documents)
    stopping: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    failed_tokens: FailedTokens = msgspec.field(default_factory=FailedTokens)
    health_concurrency: ConcurrencyLimit = msgspec.field(
        default_factory=lambda: ConcurrencyLimit(
            HEALTH_SLOTS, HEALTH_SLOTS_PER_CLIENT, HEALTH_WAITING, HEALTH_WAITING_PER_CLIENT
        )
    )
    rate_limits: MessageRateLimits = msgspec.field(default_factory=MessageRateLimits)
    exports: asyncio.Semaphore = msgspec.field(
        default_factory=lambda: asyncio.Semaphore(MAX_EXPORTS)
    )

    def reading(self, deadline: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading: `async with state.reading() as connection`.

        All its statements end by the deadline, which is that of a request from now on by default.
        Raises TimeoutError.
        """
        return self._acquire(self.pool, deadline or deadline_from_now())

    def writing(self, deadline: float | None = None) -> DeadlineConnection:
        """Acquire a connection of the primary, in the same way."""
        return DeadlineConnection(self.primary, deadline or deadline_from_now())

    def checking(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire the connection of the health endpoints, in the same way."""
        return self._acquire(self.health_pool, deadline_from_now())

    def export_connection(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for an export, without a deadline. Raises TimeoutError."""
        if self.replica is not None and not self.replica.answers:
            return self.primary.acquire(timeout=ACQUIRE_SECONDS)
        return self.pool.acquire(timeout=ACQUIRE_SECONDS)

    def _acquire(self, pool: Pool, deadline: float) -> AbstractAsyncContextManager[Connection]:
        if self.replica is not None:
            return self.replica.lend(pool, self.primary, deadline)
        return DeadlineConnection(pool, deadline)

    @property
    def data_version(self) -> tuple[int, int] | None:
        """The version of the data: responses that are read from now on are at least as new.

        It advances before subscribers are notified of a commit. None without a LISTEN connection,
        and with a replica, which may lag behind the primary.
        """
        return None if self.settings.read_database_url else self.hub.listener.version

    def __repr__(self) -> str:
        """Leave out secrets, so that a log cannot show them."""
        return f"ServerState(version={self.version!r}, started_at={self.started_at.isoformat()})"


class _Pools(NamedTuple):
    """The connections of a server; `pool` and `primary` are one without a replica."""

    pool: Pool
    primary: Pool
    health_pool: Pool
    readers: Readers | ReplicaReaders
    replica: Replica | None


@asynccontextmanager
async def open_state(
    settings: Settings, dsn: str, stopping: asyncio.Event
) -> AsyncIterator[ServerState]:
    """Open the state of a server for as long as the context lasts; live updates start at once.

    Raises DatabaseUnavailableError, TokenFileError, SettingsError.
    """
    documents = open_documents(settings.trusted_documents)
    token = settings.scheduler_token or load_or_create_token(settings.home)
    if any(len(one) < SHORT_TOKEN for one in tokens_of(token)):
        log.warning(
            "SCHEDULER_TOKEN is short enough to be guessed; use at least 16 random characters"
        )
    async with AsyncExitStack() as stack:
        size = max(2, min(POOL_SIZE, TOTAL_POOL_SIZE // settings.workers))
        pools = await _open_pools(stack, settings, dsn, size)
        hub = await _start_hub(stack, settings, dsn, pools)
        yield ServerState(
            settings=settings,
            pool=pools.pool,
            primary=pools.primary,
            health_pool=pools.health_pool,
            readers=pools.readers,
            concurrency=_concurrency_limit(settings, size),
            replica=pools.replica,
            hub=hub,
            scheduler_token=token,
            version=_package_version(),
            started_at=datetime.datetime.now(datetime.UTC),
            is_demo=await _is_demo(pools.primary),
            documents=documents,
            stopping=stopping,
        )


async def _open_pools(stack: AsyncExitStack, settings: Settings, dsn: str, size: int) -> _Pools:
    primary = pool = await stack.enter_async_context(_open_pool(dsn, size))
    primary_readers = await stack.enter_async_context(_open_readers(dsn, size))
    readers: Readers | ReplicaReaders = primary_readers
    replica = None
    if settings.read_database_url:
        replica = Replica(settings.read_database_url)
        pool = await stack.enter_async_context(_open_pool(settings.read_database_url, size))
        replica_readers = await stack.enter_async_context(
            _open_readers(settings.read_database_url, size)
        )
        readers = ReplicaReaders(replica, replica_readers, primary_readers)
    health_dsn = settings.read_database_url or dsn
    health_pool = await stack.enter_async_context(_open_pool(health_dsn, HEALTH_POOL_SIZE))
    return _Pools(pool, primary, health_pool, readers, replica)


async def _start_hub(stack: AsyncExitStack, settings: Settings, dsn: str, pools: _Pools) -> Hub:
    """Return a hub that listens; it and the watch of the replica end with the stack."""
    # An unexpected error of the hub ends the server: without it there would be no live updates.
    group = await stack.enter_async_context(asyncio.TaskGroup())
    hub = Hub(
        dsn,
        pools.primary,
        connections=settings.live_connections,
        connections_per_client=settings.live_connections_per_client,
    )
    stack.callback(group.create_task(hub.run()).cancel)
    if pools.replica is not None:
        stack.callback(group.create_task(pools.replica.watch()).cancel)
    async with asyncio.timeout(LISTEN_TIMEOUT_SECONDS):
        await hub.listener.connected.wait()
    return hub


async def _is_demo(pool: Pool) -> bool:
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        return await is_demo(connection)


def _concurrency_limit(settings: Settings, size: int) -> ConcurrencyLimit:
    """Return a limit of one slot for each connection of the pool and the readers.

    A client has a quarter of them at most. After a restart all subscribers may connect at once, so
    that many may wait.
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
        # With a minimum, asyncpg logs tracebacks while the database is unavailable.
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
        # The compiler's statements have only the conditions that are needed, and planning one over
        # all partitions takes as long as running it.
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
    """Return the installed version; a checkout that is not installed has none."""
    try:
        return version("kasparro")
    except PackageNotFoundError:
        return "0+unknown"
