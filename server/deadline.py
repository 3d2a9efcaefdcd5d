"""The deadline of a request: all its statements end by it."""

import time
from typing import TYPE_CHECKING, cast

from db.connect.deadline import TimedConnection
from db.connect.pool import is_lost
from db.connect.types import Connection, Pool

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

REQUEST_SECONDS = 10.0
ACQUIRE_SECONDS = 5.0
"""How long a request waits for a connection of a pool before it is answered with 503."""
RETRY_AFTER_SECONDS = 5
"""How long a client should wait while the database is unavailable or slow."""

SCOPE_KEY = "kasparro.deadline"
"""The key of the deadline in the ASGI scope of a request."""


def deadline_from_now() -> float:
    """Return the deadline of a request that begins now, as a time of `time.perf_counter`."""
    return time.perf_counter() + REQUEST_SECONDS


class DeadlineConnection:
    """A connection of a pool for as long as the context lasts; its statements end by the deadline.

    Entering it raises TimeoutError where no connection is free in time.
    """

    __slots__ = ("_connection", "_deadline", "_pool")

    def __init__(self, pool: Pool, deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None

    async def __aenter__(self) -> Connection:
        remaining = self._deadline - time.perf_counter()
        connection = self._connection = await self._pool.acquire(
            timeout=max(0, min(remaining, ACQUIRE_SECONDS))
        )
        _set_deadline(connection, self._deadline)
        return connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            # The reset by the pool has a time-out of its own.
            _set_deadline(self._connection, None)
            await self._pool.release(self._connection)


def _set_deadline(
    connection: "PoolConnectionProxy[asyncpg.Record]", deadline: float | None
) -> None:
    # A broken connection belongs to the pool again, and the proxy refuses its next statement.
    if not is_lost(connection):
        # The proxy passes the call to the TimedConnection.
        cast("TimedConnection", connection).set_deadline(deadline)
