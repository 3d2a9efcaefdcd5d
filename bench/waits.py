"""How long a writer waits beside a measurement."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from db.connect.locks import take_write_lock
from db.connect.pool import connect

LOOK_SECONDS = 0.05


@contextlib.asynccontextmanager
async def writer_waits(dsn: str) -> AsyncIterator[list[float]]:
    """Take the write lock repeatedly, as pages do; yield the seconds of each wait."""
    waits = [0.0]

    async def ask() -> None:
        connection = await connect(dsn)
        try:
            while True:
                started = time.perf_counter()
                async with connection.transaction():
                    await take_write_lock(connection)
                    waits.append(time.perf_counter() - started)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            connection.terminate()

    task = asyncio.create_task(ask())
    try:
        yield waits
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
