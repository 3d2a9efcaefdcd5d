"""Payloads cut out of bodies, in batches and by fetch; and bodies that are damaged."""

import datetime
from collections.abc import Collection, Iterator, Sequence

import asyncpg
import msgspec

from db.bodies import BodyDamagedError, BodySlice, cut, read_index, read_stored
from db.connect.types import Connection
from db.reprocess.job import BEGINNING
from db.reprocess.payloads import (
    BodyPlace,
    FoundBody,
    Kind,
    PayloadRange,
    StoredPayload,
    batches,
    find_bodies,
    read_expired,
)

END = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_COLUMNS = """
    b.id, b.arrived_at, b.fetched_at, b.record_count, b.size, b.sha256, b.records,
    coalesce(b.content, s.content) AS content"""
_OF_BODIES = f"""
SELECT {_COLUMNS}
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as
WHERE b.id = ANY ($1::bigint[])
ORDER BY b.id
"""  # noqa: S608 - of constants
# A body arrives after it was fetched, but for the difference of two clocks.
_OF_FETCH = f"""
SELECT {_COLUMNS}
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as
WHERE b.source = $1 AND b.fetched_at = $2
  AND b.arrived_at >= $2::timestamptz - interval '1 hour'
"""  # noqa: S608 - of constants
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


class DamagedBody(msgspec.Struct, frozen=True):
    """A body whose bytes or index are not those that were stored, and why."""

    id: int
    arrived_at: datetime.datetime
    error: str


class CheckedPayloads(msgspec.Struct, frozen=True):
    """Payloads of some bodies, and those of the bodies that are damaged."""

    payloads: list[StoredPayload]
    damaged: list[DamagedBody]


class PayloadBatches:
    """The payloads of a source, about `limit` at a time, in an order that never matters."""

    def __init__(self, source: str, kind: Kind, span: PayloadRange, limit: int) -> None:
        self._source, self._kind, self._span, self._limit = source, kind, span, limit
        self._bodies: Iterator[list[FoundBody]] | None = None
        self._after: str | None = ""

    async def read_next(self, connection: Connection) -> CheckedPayloads | None:
        """Return the next payloads, None at the end."""
        if self._after is not None:
            return CheckedPayloads(await self._read_expired(connection, self._after), [])
        if self._bodies is None:
            found = await find_bodies(connection, self._source, self._span, None)
            self._bodies = batches(found, self._limit)
        bodies = next(self._bodies, None)
        return None if bodies is None else await _read(connection, [body.id for body in bodies])

    async def _read_expired(self, connection: Connection, after: str) -> list[StoredPayload]:
        """Return payloads that are in a raw table only, because their body has expired."""
        payloads = await read_expired(
            connection, self._source, self._kind, self._span, after=after, limit=self._limit
        )
        self._after = payloads[-1].external_id if len(payloads) == self._limit else None
        since = self._span.after
        return [one for one in payloads if since is None or one.ingested_at > since]


async def spans_of(connection: Connection, source: str, parts: int) -> list[PayloadRange]:
    """Return `parts` periods that together have all payloads, each about as many."""
    middles = [
        await connection.fetchval(_MIDDLE, source, number, parts) for number in range(1, parts)
    ]
    ends = [*sorted({middle for middle in middles if middle is not None}), END]
    starts = [None, *ends[:-1]]
    return [PayloadRange(BEGINNING, end, start) for start, end in zip(starts, ends, strict=True)]


async def payloads_fetched_at(
    connection: Connection,
    source: str,
    fetched_at: datetime.datetime,
    external_ids: Collection[str],
) -> list[StoredPayload]:
    """Return the payloads of some listings that were fetched at this time."""
    rows = await connection.fetch(_OF_FETCH, source, fetched_at)
    wanted = set(external_ids)
    return [one for one in _checked(rows).payloads if one.external_id in wanted]


async def slices_of_bodies(
    connection: Connection, bodies: Collection[int]
) -> dict[int, dict[tuple[str, int, int], bytes]]:
    """Return by body the content hash of each external id, offset and length in it.

    A body that has expired, or is damaged, is not in it.
    """
    checked = await _read(connection, list(bodies))
    found: dict[int, dict[tuple[str, int, int], bytes]] = {}
    for one in checked.payloads:
        if (place := one.place) is not None:
            key = (one.external_id, place.body_offset, place.body_length)
            found.setdefault(place.body, {})[key] = one.content_hash
    return found


async def _read(connection: Connection, bodies: Collection[int]) -> CheckedPayloads:
    return _checked(await connection.fetch(_OF_BODIES, list(bodies)))


def _checked(rows: Sequence[asyncpg.Record]) -> CheckedPayloads:
    checked = CheckedPayloads([], [])
    for row in rows:
        body, arrived_at, fetched_at = row["id"], row["arrived_at"], row["fetched_at"]
        try:
            content = read_stored(body, row["content"], row["size"], row["sha256"])
            slices = _slices(body, row["records"], row["record_count"])
        except BodyDamagedError as error:
            checked.damaged.append(DamagedBody(body, arrived_at, str(error)))
            continue
        for one in slices:
            raw, content_hash = cut(content, one)
            place = BodyPlace(body, one.offset, one.length)
            checked.payloads.append(
                StoredPayload(
                    one.external_id, arrived_at, content_hash, fetched_at, raw, None, place
                )
            )
    return checked


def _slices(body: int, records: bytes, count: int) -> list[BodySlice]:
    try:
        slices = list(read_index(records))
    except Exception as error:  # noqa: BLE001 - whatever a damaged index raises
        raise BodyDamagedError(f"The index of the body {body} cannot be read: {error}") from None
    if len(slices) != count:
        raise BodyDamagedError(
            f"The index of the body {body} names {len(slices):,} records, its row {count:,}"
        )
    return slices
