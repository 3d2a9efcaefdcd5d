"""The least cost of the rows: COPY of them, into tables without an index and into ours."""

import datetime
import io
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bench.ingest import csv_file
from db.connect.pool import connect
from db.connect.types import Connection, Pool
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from ingestor.sources.files.source import ROWS_A_PAGE

# The rows of the newest cycle, by table.
_CYCLE_ROWS: Final = {
    "raw_api_records": """
SELECT * FROM raw_api_records WHERE run_id = (SELECT max(id) FROM etl_runs WHERE changed > 0)
""",
    "bodies": "SELECT * FROM bodies ORDER BY arrived_at DESC LIMIT 1",
    "listings": "SELECT * FROM listings",
    "normalized_records": "SELECT * FROM normalized_records",
    "price_points": "SELECT DISTINCT ON (listing) * FROM price_points ORDER BY listing, at DESC",
    "candles": """
SELECT DISTINCT ON (listing, interval) * FROM candles ORDER BY listing, interval, start DESC
""",
    "events": "SELECT * FROM events ORDER BY seq DESC LIMIT 3",
}
# The rows of a file's load, by table, for the external ids $1.
_OF_LISTINGS: Final = "listing IN (SELECT id FROM listings WHERE external_id = ANY ($1))"
_LOAD_ROWS: Final = {
    "raw_csv_records": "external_id = ANY ($1)",
    "listings": "external_id = ANY ($1)",
    "normalized_records": "ticker IN (SELECT ticker FROM listings WHERE external_id = ANY ($1))",
    "price_points": _OF_LISTINGS,
    "candles": _OF_LISTINGS,
}
# Generated columns cannot be copied.
_COLUMNS = """
SELECT array_agg(attname::text ORDER BY attnum)
FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
    AND attgenerated = ''
"""


class Rows(msgspec.Struct, frozen=True):
    """The rows of one table in PostgreSQL's binary format."""

    table: str
    content: bytes


async def cycle_rows(pool: Pool) -> list[Rows]:
    """Return the rows of the newest cycle, and create a plain table for each."""
    found = []
    async with pool.acquire() as connection:
        for table, query in _CYCLE_ROWS.items():
            await connection.execute(f"CREATE TABLE IF NOT EXISTS floor_{table} (LIKE {table})")
            content = io.BytesIO()
            await connection.copy_from_query(query, output=content, format="binary")
            found.append(Rows(table, content.getvalue()))
    return found


async def copy(pool: Pool, rows: list[Rows]) -> float:
    """Copy the rows into the empty tables, in one transaction; return the seconds."""
    async with pool.acquire() as connection:
        await connection.execute(f"TRUNCATE {', '.join(f'floor_{part.table}' for part in rows)}")
        started = time.perf_counter()
        async with connection.transaction():
            for part in rows:
                await connection.copy_to_table(
                    f"floor_{part.table}", source=io.BytesIO(part.content), format="binary"
                )
        return time.perf_counter() - started


async def copy_load(loaded_dsn: str, empty_dsn: str, rows: int) -> float:
    """Copy a file's rows into our tables, a transaction a page; return the seconds."""
    loaded, empty = await connect(loaded_dsn), await connect(empty_dsn)
    try:
        await ensure_partitions(empty, datetime.datetime.now(datetime.UTC), DEFAULT_RETENTION)
        columns = {table: await empty.fetchval(_COLUMNS, table) for table in _LOAD_ROWS}
        seconds = 0.0
        for first in range(0, rows, ROWS_A_PAGE):
            page = await _page(
                loaded, columns, csv_file.external_ids(first, min(first + ROWS_A_PAGE, rows))
            )
            started = time.perf_counter()
            async with empty.transaction():
                for part in page:
                    content = io.BytesIO(part.content)
                    await empty.copy_to_table(
                        part.table, source=content, columns=columns[part.table], format="binary"
                    )
            seconds += time.perf_counter() - started
        return seconds
    finally:
        await loaded.close()
        await empty.close()


async def _page(
    loaded: Connection, columns: Mapping[str, Sequence[str]], external_ids: Sequence[str]
) -> list[Rows]:
    found = []
    for table, condition in _LOAD_ROWS.items():
        content = io.BytesIO()
        query = f"SELECT {', '.join(columns[table])} FROM {table} WHERE {condition}"
        await loaded.copy_from_query(query, external_ids, output=content, format="binary")
        found.append(Rows(table, content.getvalue()))
    return found
