"""The payloads of version 0.1.0, one row each: turn them into bodies, a span of time at once."""

import datetime
import itertools
from collections.abc import Sequence

import asyncpg
import msgspec

from db.bodies import BodySlice
from db.connect.types import Connection
from db.write.raw.bodies import BodyArrival, NewBody, add_body, next_body, pack_body

SPAN_MINUTES = 10
"""Of the arrivals in one transaction: some 20,000 payloads of two sources with 10,000 coins."""

_EXISTS = "SELECT to_regclass('former_raw_api_records') IS NOT NULL"
_SPANS = f"""
SELECT start, count(*) AS payloads
FROM (
    SELECT date_bin('{SPAN_MINUTES} minutes', ingested_at, 'epoch') AS start
    FROM former_raw_api_records
    UNION ALL
    SELECT date_bin('{SPAN_MINUTES} minutes', ingested_at, 'epoch') FROM former_raw_csv_records
) AS payload
GROUP BY start
ORDER BY start
"""  # noqa: S608 - of a constant
_MOVE = """
DELETE FROM former_raw_api_records WHERE ingested_at >= $1 AND ingested_at < $2
RETURNING source, ingested_at, coalesce(fetched_at, ingested_at) AS fetched_at, run_id, external_id,
    content_hash, payload::text
"""
_MOVES = (_MOVE, _MOVE.replace("former_raw_api_records", "former_raw_csv_records"))
_DROP = "SELECT drop_former_payloads()"


class FormerSpan(msgspec.Struct, frozen=True):
    """Some minutes in which payloads arrived, and how many."""

    start: datetime.datetime
    payloads: int


async def former_spans(connection: Connection) -> list[FormerSpan]:
    """Return when the payloads arrived that are in no body yet, in order. It reads all of them."""
    if not await connection.fetchval(_EXISTS):
        return []
    return [FormerSpan(*row) for row in await connection.fetch(_SPANS)]


async def move_payloads(connection: Connection, span: FormerSpan) -> int:
    """Turn the payloads of a span into bodies; return how many.

    The caller's transaction holds the write lock.
    """
    if not await connection.fetchval(_EXISTS):  # another program has moved them all
        return 0
    end = span.start + datetime.timedelta(minutes=SPAN_MINUTES)
    count = 0
    for statement in _MOVES:
        rows = await connection.fetch(statement, span.start, end)
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
