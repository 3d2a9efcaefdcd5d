"""Delete the sample's invented prices, which an earlier version read outside the demo."""

import structlog
from anyio import to_thread

from common.settings import SAMPLE
from db.connect.pool import borrow
from db.connect.types import Pool
from db.write.retract import delete_listings, has_read
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.remerge import merge_again
from ingestor.sources.errors import SourceError
from ingestor.sources.files.paths import find_files
from ingestor.sources.files.reading import CsvReading
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Listing

_log = structlog.stdlib.get_logger(__name__)


async def delete_sample(pool: Pool, csv_path: str) -> None:
    """Delete the sample's listings, unless `csv_path` names it: then log a warning only.

    Its coins are merged again from the other sources, or deleted.
    """
    if await to_thread.run_sync(names_sample, csv_path):
        await _log.awarning(
            "sample.configured", reason="CSV_PATH names the sample: the prices in it are invented"
        )
        return
    source = CsvFiles(csv_path)
    async with borrow(pool) as connection:
        if not await has_read(connection, source.name, SAMPLE.name):
            return
        now, listings = utc_now(), await to_thread.run_sync(_listings, source)
        async with write_transaction(connection) as outbox:
            tickers = await delete_listings(connection, source.name, SAMPLE.name, listings)
            changed = await merge_again(outbox, tickers, now)
    if tickers:
        reason = (
            "its prices are invented, and an earlier version read it by default; "
            "only the demo does now"
        )
        await _log.awarning(
            "sample.deleted", listings=len(tickers), coins=len(changed), reason=reason
        )


def names_sample(csv_path: str) -> bool:
    """Return whether `csv_path` names the sample, or a copy of it."""
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
