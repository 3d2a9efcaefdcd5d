"""Our cycle: one `run()` of CoinPaprika, from the request to the last commit."""

import contextlib
import datetime
import time
from collections.abc import AsyncIterator

from common.settings import load_settings
from db.connect.pool import create_pool
from db.connect.types import Pool
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from db.sources import SourceSettings, save_sources
from db.write.runs import FinishedRun
from ingestor.run.run import run
from ingestor.sources import coinpaprika
from ingestor.sources.coinpaprika import CoinPaprika

TIMEOUT_SECONDS = 120.0

# All rows that a cycle writes have transaction ids of their own.
_NEWEST = """
SELECT (SELECT max(xmin::text::bigint) FROM listings), (SELECT max(xmin::text::bigint)
    FROM normalized_records),
    (SELECT count(*) FROM bodies), (SELECT count(*) FROM price_points),
    (SELECT sum(samples) FROM candles)
"""
_BYTES = """
SELECT relation.relname, sum(pg_total_relation_size(part.oid))::bigint AS bytes
FROM pg_class AS relation
CROSS JOIN LATERAL (
    SELECT relation.oid UNION SELECT relid FROM pg_partition_tree(relation.oid)
) AS part (oid)
WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p')
  AND NOT relation.relispartition AND relation.relname !~ '^(floor|reprocess)_'
GROUP BY 1
"""
# As autovacuum does within a minute of a cycle.
_VACUUM = "VACUUM listings, normalized_records, raw_api_records, candles"


class Cycles:
    """A database that CoinPaprika's list is ingested into."""

    def __init__(self, pool: Pool, source: CoinPaprika, coins: int) -> None:
        self.pool = pool
        self._source = source
        self._coins = coins

    async def changed(self) -> float:
        """Ingest a list with every record changed; return the seconds.

        Raises RuntimeError if a record did not change.
        """
        seconds, finished = await self._run(full=False)
        if finished.changed != self._coins:
            raise RuntimeError(f"a cycle did not change {self._coins:,} coins: {finished}")
        return seconds

    async def unchanged(self) -> float:
        """Ingest the same list again; return the seconds.

        Raises RuntimeError if a row was written.
        """
        before = await self._newest()
        seconds, finished = await self._run(full=True)
        if finished.unchanged != self._coins or await self._newest() != before:
            raise RuntimeError(f"a cycle without a change wrote something: {finished}")
        return seconds

    async def stored_bytes(self) -> dict[str, int]:
        """Vacuum the tables whose rows a cycle replaces; return the bytes of each, with indexes."""
        async with self.pool.acquire() as connection:
            await connection.execute(_VACUUM)
            rows = await connection.fetch(_BYTES)
        return {row["relname"]: row["bytes"] for row in rows}

    async def _newest(self) -> object:
        async with self.pool.acquire() as connection:
            return await connection.fetchrow(_NEWEST)

    async def _run(self, *, full: bool) -> tuple[float, FinishedRun]:
        """`full` leaves out the validators, so that an unchanged body is sent and read."""
        started = time.perf_counter()
        finished = await run(self.pool, self._source, timeout_seconds=TIMEOUT_SECONDS, full=full)
        seconds = time.perf_counter() - started
        if finished is None or finished.status != "success":
            raise RuntimeError(f"a cycle failed: {finished}")
        return seconds, finished


@contextlib.asynccontextmanager
async def cycles(dsn: str, url: str, coins: int) -> AsyncIterator[Cycles]:
    """Create a migrated database for cycles."""
    source = coinpaprika.create(load_settings({"COINPAPRIKA_URL": url}))
    try:
        async with await create_pool(dsn, max_size=2) as pool:
            async with pool.acquire() as connection:
                await save_sources(
                    connection, [SourceSettings(source.name, "api", source.priority, 300)]
                )
                await ensure_partitions(
                    connection, datetime.datetime.now(datetime.UTC), DEFAULT_RETENTION
                )
            yield Cycles(pool, source, coins)
    finally:
        await source.close()
