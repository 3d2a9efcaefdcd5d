"""Delete listings that were read by mistake, with their payloads and prices in history."""

from collections.abc import Sequence

import msgspec

from db.bodies import cut, read_index, unpack
from db.connect.types import Connection
from db.write.listings import Listing
from db.write.raw.bodies import set_index

_GIVEN = """
json_to_recordset($2::json) AS g (
    external_id text, content_hash text
)
"""
_HAS_READ = "SELECT EXISTS (SELECT FROM source_pages WHERE source = $1 AND page_group = $2)"
_DELETE_LISTINGS = f"""
DELETE FROM listings AS l USING {_GIVEN}
WHERE l.source = $1 AND l.external_id = g.external_id
  AND l.content_hash = decode(g.content_hash, 'base64')
RETURNING l.ticker, l.id
"""
_DELETE_PAYLOADS = f"""
DELETE FROM raw_csv_records AS r USING {_GIVEN}
WHERE r.source = $1 AND r.external_id = g.external_id
  AND r.content_hash = decode(g.content_hash, 'base64')
"""
_HAS_FORMER = "SELECT to_regclass('former_raw_csv_records') IS NOT NULL"
_DELETE_FORMER = _DELETE_PAYLOADS.replace("raw_csv_records", "former_raw_csv_records")
_BODIES = """
SELECT b.id, b.records, coalesce(b.content, s.content) AS content
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as
WHERE b.source = $1 AND b.page_group = $2 AND b.record_count > 0
"""
_DELETE_HISTORY = (
    "DELETE FROM price_points WHERE listing = ANY ($1::integer[])",
    "DELETE FROM candles WHERE listing = ANY ($1::integer[])",
)


async def has_read(connection: Connection, source: str, group: str) -> bool:
    """Return whether the newest sweep of `source` has read this group of pages."""
    exists: bool = await connection.fetchval(_HAS_READ, source, group)
    return exists


async def delete_listings(
    connection: Connection, source: str, group: str, listings: Sequence[Listing]
) -> list[str]:
    """Delete listings of the file `group` with exactly this content, and their history.

    Returns the tickers to merge. A listing with other content stays. The caller's transaction holds
    the write lock.
    """
    encoded = msgspec.json.encode(listings)
    deleted = await connection.fetch(_DELETE_LISTINGS, source, encoded)
    await connection.execute(_DELETE_PAYLOADS, source, encoded)
    if await connection.fetchval(_HAS_FORMER):
        await connection.execute(_DELETE_FORMER, source, encoded)
    await _forget_records(connection, source, group, listings)
    for statement in _DELETE_HISTORY:
        await connection.execute(statement, [row["id"] for row in deleted])
    return [row["ticker"] for row in deleted]


async def _forget_records(
    connection: Connection, source: str, group: str, listings: Sequence[Listing]
) -> None:
    """Remove the records from the indexes of the bodies: no rebuild reads them any more."""
    given = {(listing.external_id, listing.content_hash) for listing in listings}
    for body in await connection.fetch(_BODIES, source, group):
        content = unpack(body["content"])
        left = [
            one
            for one in read_index(body["records"])
            if (one.external_id, cut(content, one)[1]) not in given
        ]
        await set_index(connection, body["id"], left)
