"""The loop that writes batches: once a second, or as often as the database can."""

import asyncio
import time

from db.connect.pool import Pool, borrow
from ingestor.clock import utc_now
from ingestor.streams.recorder import MarketRecorder

BATCH_SECONDS = 1.0
LAST_BATCH_SECONDS = 5.0


async def write_batches(
    pool: Pool, recorder: MarketRecorder, seconds: float = BATCH_SECONDS
) -> None:
    """Write batches until cancelled, then the rest.

    A batch that takes longer delays the next one. An error of the database ends the loop: what was
    not written is written by the next call.
    """
    try:
        while True:
            started = time.monotonic()
            async with borrow(pool) as connection:
                await recorder.flush(connection, utc_now())
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - started)))
    except asyncio.CancelledError:
        async with asyncio.timeout(LAST_BATCH_SECONDS), borrow(pool) as connection:
            await recorder.flush(connection, utc_now())
        raise
