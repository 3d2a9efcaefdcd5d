"""Payloads in batches, and those of one fetch: where `kasparro verify` depends on their storage."""

import datetime
from collections.abc import Awaitable, Callable, Collection

from db.connect.types import Connection
from db.reprocess.job import BEGINNING
from db.reprocess.payloads import (
    Kind,
    PayloadPosition,
    PayloadRange,
    StoredPayload,
    of_kind,
    read_payloads,
)

_END = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_COLUMNS = """
    r.external_id, r.ingested_at, r.content_hash, coalesce(r.fetched_at, r.ingested_at),
    r.payload"""
# A payload arrives after it was fetched, but for the difference of two clocks.
_FETCHED_AT = f"""
SELECT {_COLUMNS}
FROM raw_api_records AS r
WHERE r.source = $1 AND r.external_id = ANY ($3::text[])
  AND r.ingested_at >= $2::timestamptz - interval '1 hour'
  AND coalesce(r.fetched_at, r.ingested_at) = $2
"""  # noqa: S608 - of constants
_FETCHED_BEFORE = f"""
SELECT {_COLUMNS}
FROM raw_api_records AS r
WHERE r.source = $1 AND r.external_id = ANY ($3::text[])
  AND coalesce(r.fetched_at, r.ingested_at) < $2
"""  # noqa: S608 - of constants
_FETCHED_AT_FROM, _FETCHED_BEFORE_FROM = of_kind(_FETCHED_AT), of_kind(_FETCHED_BEFORE)
# When about this share of a source's payloads had arrived, by the counts of its runs.
_MIDDLE = """
SELECT started_at
FROM (
    SELECT
        started_at, sum(changed) OVER (ORDER BY id) AS so_far, sum(changed) OVER () AS total
    FROM etl_runs
    WHERE source = $1 AND kind = 'ingest'
) AS r
WHERE so_far * $3::integer >= total * $2::integer
ORDER BY so_far
LIMIT 1
"""

ReadPayloads = Callable[
    [Connection, str, Kind, datetime.datetime, Collection[str]], Awaitable[list[StoredPayload]]
]
"""`payloads_fetched_at` or `payloads_fetched_before`."""


class PayloadBatches:
    """The payloads of a source, about `limit` at a time, in an order that never matters."""

    def __init__(self, source: str, kind: Kind, span: PayloadRange, limit: int) -> None:
        self._source, self._kind, self._span, self._limit = source, kind, span, limit
        self._position: PayloadPosition | None = PayloadPosition()

    async def read_next(self, connection: Connection) -> list[StoredPayload] | None:
        """Return the next payloads, None at the end."""
        if self._position is None:
            return None
        payloads = await read_payloads(
            connection,
            self._source,
            self._kind,
            self._span,
            position=self._position,
            rebuilt=True,
            limit=self._limit,
        )
        if len(payloads) < self._limit:
            self._position = None
        else:
            last = payloads[-1]
            self._position = PayloadPosition(last.external_id, last.ingested_at, last.content_hash)
        return payloads


async def spans_of(connection: Connection, source: str, parts: int) -> list[PayloadRange]:
    """Return `parts` periods that together have all payloads, each about as many."""
    middles = [
        await connection.fetchval(_MIDDLE, source, number, parts) for number in range(1, parts)
    ]
    ends = [*sorted({middle for middle in middles if middle is not None}), _END]
    starts = [None, *ends[:-1]]
    return [PayloadRange(BEGINNING, end, start) for start, end in zip(starts, ends, strict=True)]


async def payloads_fetched_at(
    connection: Connection,
    source: str,
    kind: Kind,
    fetched_at: datetime.datetime,
    external_ids: Collection[str],
) -> list[StoredPayload]:
    """Return the payloads of some listings that were fetched at this time."""
    return await _read(connection, _FETCHED_AT_FROM[kind], source, fetched_at, external_ids)


async def payloads_fetched_before(
    connection: Connection,
    source: str,
    kind: Kind,
    fetched_at: datetime.datetime,
    external_ids: Collection[str],
) -> list[StoredPayload]:
    """Return the payloads of a few listings that were fetched before this time.

    A record that arrives again late is not stored again, but its point has the time of that fetch.
    """
    return await _read(connection, _FETCHED_BEFORE_FROM[kind], source, fetched_at, external_ids)


async def _read(
    connection: Connection,
    statement: str,
    source: str,
    fetched_at: datetime.datetime,
    external_ids: Collection[str],
) -> list[StoredPayload]:
    rows = await connection.fetch(statement, source, fetched_at, sorted(external_ids))
    return [StoredPayload(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows]
