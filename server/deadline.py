"""The deadline of a request: one for all its statements, whichever way it is answered."""

import time
from typing import TYPE_CHECKING, cast

from db.connect.deadline import TimedConnection
from db.connect.types import Connection, Pool

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

REQUEST_SECONDS = 10.0
ACQUIRE_SECONDS = 5.0
"""How long a request waits for a connection of a pool before it is told to come back later."""
RETRY_AFTER_SECONDS = 5
"""What a client is told to wait where the database is away or slow."""

SCOPE_KEY = "kasparro.deadline"
"""Where the ASGI scope of a request holds its deadline, once there is one."""


def deadline_from_now() -> float:
    """Return the deadline of a request that begins now, as an instant of `time.perf_counter`."""
    return time.perf_counter() + REQUEST_SECONDS


class DeadlineConnection:
    """A connection of a pool for as long as the context lasts; what is asked of it ends by the deadline.

    Raises TimeoutError where none is free in time.
    """

    __slots__ = ("_connection", "_deadline", "_pool")

    def __init__(self, pool: Pool, deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None

    async def __aenter__(self) -> Connection:
        left = self._deadline - time.perf_counter()
        connection = self._connection = await self._pool.acquire(
            timeout=max(0, min(left, ACQUIRE_SECONDS))
        )
        # A pool's connection passes the call on to our own.
        cast("TimedConnection", connection).set_deadline(self._deadline)
        return connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            # What the pool does to have it clean again has its own time.
            cast("TimedConnection", self._connection).set_deadline(None)
            await self._pool.release(self._connection)
