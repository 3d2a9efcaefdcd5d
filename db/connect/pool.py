"""Connections to PostgreSQL with our session settings, JSON codecs and readable errors.

Values of `json` and `jsonb` are not parsed here: they arrive as `msgspec.Raw`, which
`msgspec.json.encode` embeds unchanged and `msgspec.json.decode` reads. As parameters,
`msgspec.Raw`, `bytes` and `str` are JSON text already; other values are encoded with msgspec.
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
    "CANNOT_EXECUTE",
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
    "is_transient",
    "is_unavailable",
]

CONNECT_TIMEOUT_SECONDS = 10.0
RELEASE_TIMEOUT_SECONDS = 5.0
# The server cancels a statement at its own limit; so much later the client stops waiting.
COMMAND_GRACE_SECONDS = 5.0
LOCK_TIMEOUT_SECONDS = 60.0
# For every session. An idle one that holds locks belongs to a program that is frozen or
# disconnected, and blocks others.
_SESSION = {
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# The same on the client, by the operating systems' names; TCP_USER_TIMEOUT is in milliseconds.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}
# Texts of InterfaceError for a broken connection and a closing pool, and of InternalClientError for
# a server that stops during a statement or just before a connection is released.
_LOST = ("connection is closed", "released back to the pool", "pool is closing", "pool is closed")
_LOST_MIDWAY = ("cannot switch to state", "not connected", "on a free connection holder")
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
"""Errors of a statement while the server is unavailable; `is_unavailable` covers more."""

TOO_SLOW = (TimeoutError, asyncpg.QueryCanceledError)
"""Errors of a statement, or of a wait for a connection, at its timeout."""

CANNOT_EXECUTE = (
    asyncpg.InsufficientResourcesError,  # the disk is full, memory or connections are used up
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlocks
    asyncpg.OperatorInterventionError,  # cancelled, terminated, idle for too long
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,  # input and output
    asyncpg.InternalServerError,
)
"""Errors of a server that runs and cannot execute the statement at present."""


@contextlib.asynccontextmanager
async def borrow(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection of the pool, and release it completely even if the borrower is cancelled.

    `pool.acquire()` would then release it in the background, and fail there if the pool is closed
    meanwhile.
    """
    connection = await pool.acquire()
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await pool.release(connection, timeout=RELEASE_TIMEOUT_SECONDS)


def is_unavailable(error: BaseException) -> bool:
    """Return whether an error means that the server is unavailable.

    On a broken connection asyncpg may raise InterfaceError or InternalClientError, which mistakes
    in our own code also raise: only the text differs.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return _says(error, _LOST)
    if isinstance(error, asyncpg.InternalClientError):
        return _says(error, _LOST_MIDWAY)
    return isinstance(error, UNAVAILABLE)


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed: the server is unavailable, slow or out of resources."""
    return isinstance(error, (*TOO_SLOW, *CANNOT_EXECUTE)) or is_unavailable(error)


def database_problem(error: BaseException) -> str | None:
    """Return a sentence about an error of PostgreSQL; None for any other error."""
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
    """Return whether a connection is broken; the pool takes a borrowed one back by itself then."""
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
    """Open one connection: times in UTC, no JIT, JSON as `msgspec.Raw`, a timeout for locks.

    The server ends the session after 10 s idle in a transaction: a frozen process must hold no
    lock.

    With `plans_once`, a statement has one generic plan for all parameters. Raises
    DatabaseUnavailableError, DatabaseUrlError.
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
    """Open a pool of connections as `connect` opens them; use it with `async with`.

    Raises DatabaseUnavailableError, as `acquire` does later if it cannot open a connection.
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
    """Enable keep-alive, because a waiting socket does not detect that the server is gone."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - asyncpg offers no other way
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as shared:
        if shared.family == socket.AF_UNIX:
            return
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                shared.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _prepare_session(connection: OwnConnection) -> None:
    """Set the codecs of the connection, or terminate it: the caller would not receive it."""
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
