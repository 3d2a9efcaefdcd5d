"""Shared by the tests of bodies: the records that the stored bodies name, cut out of them."""

from datetime import datetime

import msgspec

from db.bodies import cut, find_body, read_index
from tests.ingestor.conftest import Ingest

PAYLOADS = "SELECT coalesce(sum(record_count), 0)::bigint FROM bodies"
"""The number of records that were written from bodies."""


class StoredRecord(msgspec.Struct, frozen=True, order=True):
    """A record that was written from a body."""

    arrived_at: datetime
    fetched_at: datetime
    source: str
    external_id: str
    raw: bytes
    content_hash: bytes


async def stored_records(ingest: Ingest) -> list[StoredRecord]:
    """Return all records that were written from bodies, in the order of their arrival."""
    found: list[StoredRecord] = []
    rows = await ingest.rows("SELECT id, source, arrived_at, fetched_at, records FROM bodies")
    for number, source, arrived_at, fetched_at, records in rows:
        assert isinstance(number, int)
        assert isinstance(records, bytes)
        assert isinstance(arrived_at, datetime)
        assert isinstance(fetched_at, datetime)
        async with ingest.pool.acquire() as connection:
            body = await find_body(connection, number)
        assert body is not None
        content = body.unpack()
        for one in read_index(records):
            raw, digest = cut(content, one)
            found.append(
                StoredRecord(arrived_at, fetched_at, str(source), one.external_id, raw, digest)
            )
    return sorted(found)
