"""Connections to PostgreSQL: one way to open them, with our session settings, JSON codecs and readable errors.

`json` and `jsonb` values are never parsed here: they arrive as `msgspec.Raw`, which
`msgspec.json.encode` embeds as it stands and `msgspec.json.decode` reads. As a parameter,
`msgspec.Raw`, `bytes` and `str` are JSON text already; anything else is encoded with msgspec.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import anyio
import asyncpg
import msgspec

from common.dsn import database_location, normalize_dsn
from db.connect.types import Connection, OwnConnection, Pool

__all__ = [
    "HELD_UP",
    "TOO_SLOW",
    "UNAVAILABLE",
    "Connection",
    "DatabaseUnavailableError",
    "Pool",
    "borrow",
    "connect",
    "create_pool",
    "database_problem",
    "is_lost",
    "is_passing",
    "is_unavailable",
]

CONNECT_TIMEOUT_SECONDS = 10.0
RELEASE_TIMEOUT_SECONDS = 5.0
# The server cancels a statement at its own limit; this much later the client stops waiting for
# that.
COMMAND_GRACE_SECONDS = 5.0
LOCK_TIMEOUT_SECONDS = 60.0
# Of every session. One that holds locks and does nothing belongs to a program that is frozen, or
# cut off: others wait.
_SESSION = {
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# The same from our side, by the names that systems give them; milliseconds where the name says so.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}
# What InterfaceError says of a connection that broke and of a pool that is being closed, and what
# InternalClientError says where the server left in the midst of something.
_LOST = ("connection is closed", "released back to the pool", "pool is closing", "pool is closed")
_LOST_MIDWAY = ("cannot switch to state", "not connected")
_JSONB_VERSION = b"\x01"


class DatabaseUnavailableError(Exception):
    """PostgreSQL at {location} is out of reach: {reason}; start it or set DATABASE_URL."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"PostgreSQL at {location} is out of reach: {reason}; start it or set DATABASE_URL"
        )
        self.location = location
        self.reason = reason


_CANNOT_CONNECT = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)

UNAVAILABLE = (
    DatabaseUnavailableError,
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
"""What a statement raises when the server is away or leaves while it runs; `is_unavailable` knows of more."""

TOO_SLOW = (TimeoutError, asyncpg.QueryCanceledError)
"""What a wait for a connection, or a statement, raises when its time is over."""

HELD_UP = (
    asyncpg.InsufficientResourcesError,  # the disk is full, memory or connections are used up
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlocks
    asyncpg.OperatorInterventionError,  # cancelled, terminated, idle for too long
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,  # input and output
    asyncpg.InternalServerError,
)
"""What a statement raises when the server is there and cannot do just now what it was asked."""


@contextlib.asynccontextmanager
async def borrow(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection of the pool, and take it back whole even when the borrower is cancelled.

    The pool's own way ends in the background then, and complains there if the pool is closed
    meanwhile.
    """
    connection = await pool.acquire()
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await pool.release(connection, timeout=RELEASE_TIMEOUT_SECONDS)


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error means that the server is away.

    On a connection that broke, in a transaction or under load above all, asyncpg raises
    InterfaceError or InternalClientError, the types of many a mistake in our own code too: only the
    text tells them apart.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return _says(error, _LOST)
    if isinstance(error, asyncpg.InternalClientError):
        return _says(error, _LOST_MIDWAY)
    return isinstance(error, UNAVAILABLE)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same may well succeed later: the server is away, took too long, or cannot do it just now."""
    return isinstance(error, (*TOO_SLOW, *HELD_UP)) or is_unavailable(error)


def database_problem(error: BaseException) -> str | None:
    """Return in one sentence what an error says of PostgreSQL, None for one that says nothing of it."""
    if isinstance(error, DatabaseUnavailableError):
        return str(error)
    if is_unavailable(error):
        return f"The connection to PostgreSQL was lost: {str(error) or type(error).__name__}"
    if isinstance(error, asyncpg.PostgresError):
        line = " ".join(str(error).split())
        return f"PostgreSQL refused a statement: {line} (SQLSTATE {error.sqlstate})"
    return None


def _says(error: BaseException, phrases: tuple[str, ...]) -> bool:
    return any(phrase in str(error) for phrase in phrases)


def is_lost(connection: Connection) -> bool:
    """Tell whether the server has gone from under a connection; the pool takes a borrowed one back by itself then."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


async def connect(
    dsn: str,
    *,
    application_name: str = "kasparro",
    statement_timeout_seconds: float | None = None,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    plans_once: bool = False,
) -> OwnConnection:
    """Open one connection: times in UTC, no JIT, JSON as `msgspec.Raw`; no statement waits for a lock for ever.

    Left alone in a transaction for 10 s, the session ends: who holds locks and does nothing is
    frozen.

    With `plans_once`, a statement is planned when it is first met, for all parameters, and not for
    each of them anew. Raises DatabaseUnavailableError, DatabaseUrlError.
    """
    dsn = normalize_dsn(dsn)
    lock_timeout = str(round(lock_timeout_seconds * 1000))
    settings = {**_SESSION, "application_name": application_name, "lock_timeout": lock_timeout}
    if plans_once:
        settings["plan_cache_mode"] = "force_generic_plan"
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = str(round(statement_timeout_seconds * 1000))
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=connect_timeout_seconds,
            command_timeout=statement_timeout_seconds
            and statement_timeout_seconds + COMMAND_GRACE_SECONDS,
            server_settings=settings,
            connection_class=OwnConnection,
        )
        _keep_alive(connection)
        async with asyncio.timeout(connect_timeout_seconds):
            await _prepare_session(connection)
    except TimeoutError:
        reason = f"no answer within {connect_timeout_seconds:g} s"
        raise DatabaseUnavailableError(database_location(dsn), reason) from None
    except _CANNOT_CONNECT as error:
        raise DatabaseUnavailableError(database_location(dsn), str(error)) from error
    return connection


async def create_pool(
    dsn: str,
    *,
    statement_timeout_seconds: float | None = None,
    application_name: str = "kasparro",
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    min_size: int = 1,
    max_size: int = 10,
) -> Pool:
    """Open a pool of what `connect` opens; it is there for `async with`, which closes it.

    Raises DatabaseUnavailableError, now and later from `acquire` whenever a new connection cannot
    be made.
    """

    async def open_one(*_: object, **__: object) -> OwnConnection:
        return await connect(
            dsn,
            application_name=application_name,
            statement_timeout_seconds=statement_timeout_seconds,
            lock_timeout_seconds=lock_timeout_seconds,
        )

    return await asyncpg.create_pool(connect=open_one, min_size=min_size, max_size=max_size)


def _keep_alive(connection: OwnConnection) -> None:
    """Have the system notice a server that is no longer there, which a socket that only waits never does."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - asyncpg offers no other way
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as shared:
        if shared.family == socket.AF_UNIX:
            return
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                shared.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _prepare_session(connection: OwnConnection) -> None:
    """Make the connection ours, or end it: nobody else could, who is not given it."""
    try:
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            format="binary",
            encoder=_encode_jsonb,
            decoder=_decode_jsonb,
        )
        await connection.set_type_codec(
            "json", schema="pg_catalog", format="binary", encoder=_encode_json, decoder=msgspec.Raw
        )
    except BaseException:
        connection.terminate()
        raise


def _encode_json(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, msgspec.Raw)):
        return bytes(value)
    return msgspec.json.encode(value)


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + _encode_json(value)


def _decode_jsonb(value: bytes) -> msgspec.Raw:
    return msgspec.Raw(value[1:])
