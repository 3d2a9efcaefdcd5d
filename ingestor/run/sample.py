"""The sample's invented prices belong to the demo: what an earlier version read of them by default is forgotten."""

import structlog
from anyio import to_thread

from common.settings import SAMPLE
from db.connect.locks import take_write_lock
from db.connect.pool import borrow
from db.connect.types import Pool
from db.events import add_coins_event, notify_events
from db.schema.partitions import Retention
from db.write.coins import merge_coins
from db.write.history import record_prices
from db.write.retract import forget_listings, was_read
from ingestor.clock import utc_now
from ingestor.sources.errors import SourceError
from ingestor.sources.files.paths import find_files
from ingestor.sources.files.reading import CsvReading
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Listing

_log = structlog.stdlib.get_logger(__name__)


async def forget_sample(pool: Pool, csv_path: str, retention: Retention) -> None:
    """Forget the sample, unless `csv_path` names it: then it was asked for, and a warning says what it is.

    Its coins go, or become what the other sources say of them.
    """
    if await to_thread.run_sync(names_sample, csv_path):
        await _log.awarning(
            "sample.is_read", reason="CSV_PATH names the sample: the prices in it are invented"
        )
        return
    source = CsvFiles(csv_path)
    async with borrow(pool) as connection:
        if not await was_read(connection, source.name, SAMPLE.name):
            return
        now, listings = utc_now(), await to_thread.run_sync(_listings, source)
        async with connection.transaction():
            await take_write_lock(connection)
            tickers = await forget_listings(connection, source.name, listings)
            coins = await merge_coins(connection, tickers, now)
            await record_prices(connection, coins.repriced, retention.oldest_history(now))
            if coins.changed:
                await add_coins_event(connection, coins.changed, now)
                await notify_events(connection)
    if tickers:
        reason = "its prices are invented, and an earlier version read it by default; only the demo does now"
        await _log.awarning(
            "sample.forgotten", listings=len(tickers), coins=len(coins.changed), reason=reason
        )


def names_sample(csv_path: str) -> bool:
    """Tell whether the sample, or a copy of it, is among the files that `csv_path` names."""
    (sample,) = find_files(str(SAMPLE))
    try:
        return any(file.identity.head == sample.identity.head for file in find_files(csv_path))
    except SourceError:  # the run will say it
        return False


def _listings(source: CsvFiles) -> list[Listing]:
    (sample,) = find_files(str(SAMPLE))
    reading = CsvReading(sample, sample.identity.mtime_ns)
    try:
        return [
            source.to_listing(record, utc_now())
            for record in reading.read_slice(sample.identity.size).records
        ]
    finally:
        reading.close()
