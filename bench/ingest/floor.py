"""What a cycle's rows cost PostgreSQL at least: COPY of the same rows into the same tables without an index."""

import io
import time
from typing import Final

import msgspec

from db.types import Connection, Pool

# What the newest cycle wrote, table by table.
_WRITTEN: Final = {
    "raw_api_records": "SELECT * FROM raw_api_records WHERE run_id = (SELECT max(id) FROM etl_runs WHERE changed > 0)",
    "listings": "SELECT * FROM listings",
    "normalized_records": "SELECT * FROM normalized_records",
    "price_points": "SELECT DISTINCT ON (ticker) * FROM price_points ORDER BY ticker, at DESC",
    "candles": "SELECT DISTINCT ON (ticker, interval) * FROM candles ORDER BY ticker, interval, start DESC",
    "events": "SELECT * FROM events ORDER BY seq DESC LIMIT 3",
}


class Rows(msgspec.Struct, frozen=True):
    """The rows of one table, as PostgreSQL writes them in binary."""

    table: str
    content: bytes


async def written(pool: Pool) -> list[Rows]:
    """Return the rows of the newest cycle, and make a table without index or constraint for each."""
    found = []
    async with pool.acquire() as connection:
        for table, query in _WRITTEN.items():
            await connection.execute(f"CREATE TABLE IF NOT EXISTS floor_{table} (LIKE {table})")
            content = io.BytesIO()
            await connection.copy_from_query(query, output=content, format="binary")
            found.append(Rows(table, content.getvalue()))
    return found


async def copy(pool: Pool, rows: list[Rows]) -> float:
    """Copy the rows into the empty tables, in one transaction; return the seconds."""
    async with pool.acquire() as connection:
        await connection.execute(f"TRUNCATE {', '.join(f'floor_{part.table}' for part in rows)}")
        return await _copy(connection, rows)


async def _copy(connection: Connection, rows: list[Rows]) -> float:
    started = time.perf_counter()
    async with connection.transaction():
        for part in rows:
            await connection.copy_to_table(f"floor_{part.table}", source=io.BytesIO(part.content), format="binary")
    return time.perf_counter() - started
