"""The payloads of version 0.1.0, one row each: turn them into bodies, a span of time at once."""

import datetime
import itertools
from collections.abc import Sequence

import asyncpg

from db.bodies import BodySlice
from db.connect.types import Connection
from db.write.bodies import BodyArrival, NewBody, add_body, next_body, pack_body

SPAN = datetime.timedelta(minutes=10)
"""Of the arrivals in one transaction: some 20,000 payloads of two sources with 10,000 coins."""

_EXISTS = "SELECT to_regclass('former_raw_api_records') IS NOT NULL"
_COUNT = """
SELECT
    (SELECT count(*) FROM former_raw_api_records) + (SELECT count(*) FROM former_raw_csv_records)
"""
_MOVE = """
DELETE FROM former_raw_api_records WHERE ingested_at >= $1 AND ingested_at < $2
RETURNING source, ingested_at, coalesce(fetched_at, ingested_at) AS fetched_at, run_id, external_id,
    content_hash, payload::text
"""
_MOVES = (_MOVE, _MOVE.replace("former_raw_api_records", "former_raw_csv_records"))
_NEXT = """
SELECT min(at) FROM (
    SELECT min(ingested_at) AS at FROM former_raw_api_records WHERE ingested_at >= $1
    UNION ALL
    SELECT min(ingested_at) FROM former_raw_csv_records WHERE ingested_at >= $1
) AS next
"""
_DROP = "SELECT drop_former_payloads()"


async def count_former_payloads(connection: Connection) -> int:
    """Return how many payloads are not in bodies yet."""
    if not await connection.fetchval(_EXISTS):
        return 0
    count: int = await connection.fetchval(_COUNT)
    return count


async def next_arrival(
    connection: Connection, after: datetime.datetime
) -> datetime.datetime | None:
    """Return the arrival of the first payload from `after` on that is in no body yet."""
    arrival: datetime.datetime | None = await connection.fetchval(_NEXT, after)
    return arrival


async def move_payloads(connection: Connection, start: datetime.datetime) -> int:
    """Turn the payloads that arrived within SPAN from `start` on into bodies; return how many.

    The caller's transaction holds the write lock.
    """
    count = 0
    for statement in _MOVES:
        rows = await connection.fetch(statement, start, start + SPAN)
        rows.sort(key=_page)
        for _, page in itertools.groupby(rows, _page):
            await _add_page(connection, list(page))
        count += len(rows)
    return count


async def drop_former_payloads(connection: Connection) -> None:
    """Drop the former tables if they are empty."""
    await connection.execute(_DROP)


def _page(row: asyncpg.Record) -> tuple[str, datetime.datetime, datetime.datetime, int]:
    return row["source"], row["ingested_at"], row["fetched_at"], row["run_id"]


async def _add_page(connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
    source, arrived_at, fetched_at, run_id = _page(rows[0])
    lines = [bytes(row["payload"], "utf-8") for row in rows]
    slices: list[BodySlice] = []
    offset = 0
    for row, line in zip(rows, lines, strict=True):
        slices.append(BodySlice(row["external_id"], offset, len(line), None, row["content_hash"]))
        offset += len(line) + 1
    body = NewBody(
        source=source,
        page_group="",
        page_number=0,
        fetched_at=fetched_at,
        run_id=run_id,
        form="records",
        url=None,
        headers={},
        content=pack_body(b"".join([line + b"\n" for line in lines])),
    )
    arrival = BodyArrival(await next_body(connection), arrived_at)
    await add_body(connection, arrival, body, slices)
