"""Telling a holder of locks that waits from one that is frozen: who waits uses its session now and then."""

import contextlib
from collections.abc import AsyncIterator

import anyio

from db.connect.types import Connection

IDLE_SECONDS = 8.0
"""After so long without a word the server ends a session that holds a source or a request; see `end_when_idle`."""
BEAT_SECONDS = 2.0


@contextlib.asynccontextmanager
async def kept_alive(connection: Connection) -> AsyncIterator[anyio.Lock]:
    """Use `connection` every two seconds for as long as the block lasts; what else uses it holds the lock yielded.

    A connection that is lost meanwhile, and its locks with it, ends the block with what the
    database raises.
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
