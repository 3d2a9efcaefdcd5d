"""A rebuild leaves days as they are whose points were thinned by age."""

import datetime

from db.schema.partitions import DEFAULT_RETENTION
from db.schema.thinning import thin_history
from tests.history_oracle import stored_history
from tests.ingestor.conftest import Ingest
from tests.ingestor.reprocess_rows import again, misread, read_ticks, write_dated_file


async def test_thinned_days_stay_as_they_are(ingest: Ingest) -> None:
    write_dated_file(ingest)
    await read_ticks(ingest, misread(ingest), 6)
    async with ingest.pool.acquire() as connection:
        before, candles = await stored_history(connection)
        in_a_month = max(point.at for point in before) + datetime.timedelta(days=30)
        await thin_history(connection, in_a_month, DEFAULT_RETENTION)
        thinned = await stored_history(connection)
        assert len(thinned[0]) < len(before)
        assert thinned[1] == candles
        counts = "SELECT count(*) FROM price_points WHERE thinned_hours = 0"
        alone = await connection.fetchval(counts)
        assert alone > 0
        report = await again(ingest)
        assert {change.table for change in report.changes} >= {"listings", "price_points"}
        after = await stored_history(connection)
        changed = {(point.key, point.at) for point in set(after[0]) ^ set(thinned[0])}
        rows = await connection.fetch(
            "SELECT l.source, l.external_id, date_bin('1 day', p.at, 'epoch')"
            " FROM price_points AS p JOIN listings AS l ON l.id = p.listing WHERE thinned_hours > 0"
        )
        kept = {((row[0], row[1]), row[2].date()) for row in rows}
        assert changed
        assert not {(key, at.date()) for key, at in changed} & kept
