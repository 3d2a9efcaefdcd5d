"""A heartbeat on a connection that holds locks: the server ends the session of a frozen process."""

import contextlib
from collections.abc import AsyncIterator

import anyio

from db.connect.types import Connection

IDLE_SECONDS = 8.0
"""The server ends a session that is idle so long and holds a lock; see `end_when_idle`."""
BEAT_SECONDS = 2.0


@contextlib.asynccontextmanager
async def keep_alive(connection: Connection) -> AsyncIterator[anyio.Lock]:
    """Use `connection` every two seconds during the block; hold the yielded lock for other uses.

    If the connection is lost, and its locks with it, the block ends with the database's error.
    """
    turn = anyio.Lock()

    async def beat() -> None:
        while True:
            await anyio.sleep(BEAT_SECONDS)
            async with turn:
                with anyio.CancelScope(shield=True):
                    await connection.execute("SELECT 1")

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(beat)
            yield turn
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
